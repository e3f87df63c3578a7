"""Velocities along the beam, aliasing and colours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.worlds.echo_flow import Flow, aliased, colour_table


def flow(**changes):
    usual = {"start": (0.0, 80.0), "way": (0.0, 1.0), "length": 30.0, "width": 16.0, "bend": 0.0, "speed": 0.8}
    return Flow(**{**usual, "turbulence": 0.0, "jet": False, **changes})


def at(x, z):
    return np.float32([x]), np.float32([z])


def test_blood_that_comes_is_positive_and_blood_that_goes_is_negative():
    assert flow(way=(0.0, -1.0)).velocity(*at(0, 90))[0] == pytest.approx(0.8)
    assert flow(way=(0.0, 1.0)).velocity(*at(0, 90))[0] == pytest.approx(-0.8)


def test_what_flows_across_the_beam_is_not_seen_unless_it_fans_out():
    across = flow(way=(1.0, 0.0), start=(-15.0, 80.0))
    assert abs(across.velocity(*at(0, 80))[0]) < 1e-6
    jet = flow(way=(1.0, 0.0), start=(-15.0, 80.0), jet=True)
    assert jet.velocity(*at(0, 85))[0] * jet.velocity(*at(0, 75))[0] < 0


@pytest.mark.parametrize("jet", [True, False])
def test_a_flow_ends_where_it_ends(jet):
    one, smooth = flow(jet=jet), np.zeros(1, np.float32)
    assert one.weight(*at(0, 95), smooth)[0] > 0.5
    for x, z in ((0, 75), (0, 115), (12, 95), (-12, 95)):
        assert one.weight(*at(x, z), smooth)[0] <= 0.5


def test_a_jet_widens_from_a_narrow_neck():
    jet = flow(jet=True)
    across = np.linspace(-12, 12, 241, dtype=np.float32)

    def width(z):
        inside = jet.weight(across, np.full(241, z, np.float32), np.zeros(241, np.float32)) > 0.5
        return np.ptp(across[inside])

    assert 2 < width(80.3) < 7 and width(82) < width(90) and 12 < width(100) <= 16.2


def test_a_bent_jet_ends_beside_its_axis():
    bent = flow(jet=True, bend=0.4)
    smooth = np.zeros(1, np.float32)
    side = [x for x in np.arange(-20, 20) if bent.weight(*at(x, 104), smooth)[0] > 0.5]
    assert side and abs(np.mean(side)) > 4 and bent.weight(*at(0, 82), smooth)[0] > 0.5


@given(st.floats(-6, 6))
def test_velocities_fold_at_the_nyquist_velocity(velocity):
    folded = float(aliased(np.float32([velocity]))[0])
    assert -1 <= folded <= 1
    assert min(abs((velocity - folded) % 2), abs((velocity - folded) % -2)) < 1e-5


def test_corners_hold_the_jet():
    corners = flow(jet=True).corners()
    assert corners.shape == (4, 2)
    np.testing.assert_allclose([corners.min(0), corners.max(0)], [[-8, 80], [8, 110]])


@pytest.mark.parametrize("style", [0, 1, 2])
def test_towards_is_warm_and_away_is_cold(style):
    table = colour_table(style).astype(int)
    assert table.shape == (256, 3)
    assert table[255, 0] > 200 and table[170, 0] > table[170, 2], "towards: red before blue"
    assert table[86, 2] > table[86, 0] and table[0].sum() > table[120].sum(), (
        "away: blue before red, faster is brighter"
    )
