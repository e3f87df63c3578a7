"""Who is examined: whole numbers, confounding as asked for, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from veritrain.worlds.echo_anatomy import SYSTOLE
from veritrain.worlds.echo_plan import HOME, SEEN_IN, VALVES, VIEWS, plan_recordings
from veritrain.worlds.options import EchoWorldOptions

USUAL = EchoWorldOptions()


def planned(**changes):
    return plan_recordings(replace(USUAL, **changes))


def table(recordings):
    counts = Counter((one.valve, one.view) for one in recordings)
    return np.array([[counts[valve, view] for view in VIEWS] for valve in VALVES])


def test_the_same_options_give_the_same_plan_and_another_seed_another():
    first, second, other = planned(), planned(), planned(seed=1)
    assert first == second and first != other
    assert len({one.patient.name for one in first} & {one.patient.name for one in other}) == 0


def test_patients_keep_their_heart_machine_and_window():
    recordings = planned(patients=5, videos=6)
    assert len({one.patient.name for one in recordings}) == 5 and len({one.patient.seed for one in recordings}) == 5
    assert len({(one.patient.name, one.series) for one in recordings}) == 30
    for start in range(0, 30, 6):
        assert len({one.patient for one in recordings[start : start + 6]}) == 1


def test_valves_are_as_rare_as_in_the_real_set():
    shares = table(planned()).sum(axis=1) / 384
    np.testing.assert_allclose(shares, [0.322, 0.302, 0.077, 0.299], atol=0.01)
    few = table(planned(patients=4, videos=3)).sum(axis=1)
    assert few.sum() == 12 and few[2] == 3, "each part of a split can have the rarest"


@pytest.mark.parametrize("confounding", [0.0, 0.25, 0.5, 0.8, 1.0])
def test_confounding_is_what_was_asked_for(confounding):
    counts = table(planned(confounding=confounding, patients=30, videos=10))
    for row, valve in zip(counts, VALVES, strict=True):
        views = len(SEEN_IN[valve])
        expected = confounding + (1 - confounding) / views
        assert row[VIEWS.index(HOME[valve])] / row.sum() == pytest.approx(expected, abs=2 / row.sum())
        assert [
            bool(count) or confounding == 1 for view, count in zip(VIEWS, row, strict=True) if view in SEEN_IN[valve]
        ]


def test_without_confounding_the_valve_does_not_tell_the_view():
    rows = table(planned(confounding=0.0, patients=30, videos=10))[[0, 1, 3]].astype(float)
    assert np.ptp(rows / rows.sum(axis=1, keepdims=True), axis=0).max() < 0.02
    assert table(planned(confounding=0.0))[2, 2] == 0, "pulmonary jets are never in A4C: said of the option"


def test_with_full_confounding_it_tells_all_of_it():
    assert (table(planned(confounding=1.0)) > 0).sum() == 4


def test_jets_are_there_in_every_frame():
    for one in planned(frames=12):
        diastolic = one.valve in ("AR", "PR")
        low, high = (SYSTOLE, 1.0) if diastolic else (0.0, SYSTOLE)
        assert low < one.phase and one.phase + 11 * one.step < high


def test_second_jets_leak_in_the_same_half_of_the_cycle_and_empty_ones_not_at_all():
    recordings = planned(second_jet=1.0, confounding=0.0)
    second = [one for one in recordings if len(one.jets) == 2]
    assert len(second) > 30 and all(one.jets[0].valve == one.valve != one.jets[1].valve for one in second)
    assert all(len({jet.valve in ("AR", "PR") for jet in one.jets}) == 1 for one in second)
    assert sum(not one.jets for one in planned(empty=0.25)) == 96


def test_held_out_hearts_and_machines_are_others():
    usual, other = planned(), planned(variant="held_out")
    assert {one.patient.style for one in other} == {2} and {one.patient.style for one in usual} == {0, 1}
    assert (
        min(one.patient.build.left_ventricle for one in other)
        > 1.0
        > min(one.patient.build.left_ventricle for one in usual)
    )
    assert max(one.patient.half_angle for one in other) < min(one.patient.half_angle for one in usual)
