"""Hearts as they lie in the planes: which valve lies where, and what moves."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.worlds.echo_anatomy import PLANES, SYSTOLE, Build, openness, squeeze

KINDS = sorted(PLANES)
END_DIASTOLE, END_SYSTOLE = 0.0, SYSTOLE


def drawn(view, valve, phase=0.2, **build):
    return PLANES[view, valve].draw(Build(**build), phase)


def blood(anatomy, place):
    u, v = np.float32([place[0]]), np.float32([place[1]])
    return float(np.min([shape.distance(u, v)[0] for shape in anatomy.cavities]))


def site(view, valve):
    return drawn(view, valve).sites[valve]


@pytest.mark.parametrize(("view", "valve"), KINDS)
class TestEveryPlane:
    def test_it_shows_the_valve_it_is_for(self, view, valve):
        assert valve in drawn(view, valve).sites and set(PLANES[view, valve].valves) == set(drawn(view, valve).sites)

    @pytest.mark.parametrize("phase", [0.1, 0.3, 0.6, 0.9])
    def test_a_jet_runs_from_its_valve_into_blood(self, view, valve, phase):
        anatomy = drawn(view, valve, phase)
        for one in anatomy.sites.values():
            way = np.array(one.towards) / np.hypot(*one.towards)
            inside = [blood(anatomy, np.array(one.orifice) + way * one.length * share) for share in (0.15, 0.3, 0.5)]
            assert max(inside) < 0.5, f"{inside}"

    def test_streams_of_both_halves_of_the_cycle_are_there(self, view, valve):
        halves = {stream.diastolic for stream in drawn(view, valve).streams}
        assert halves == {True, False}, "colour alone tells neither the valve nor the moment"

    def test_chambers_grow_with_the_patient(self, view, valve):
        anatomy = drawn(view, valve)
        large = drawn(view, valve, left_ventricle=1.3, right_ventricle=1.3, left_atrium=1.3, right_atrium=1.3)
        u, v = (axis.ravel().astype(np.float32) for axis in np.meshgrid(np.arange(-80, 80, 2), np.arange(-100, 80, 2)))

        def area(one):
            return int((np.min([shape.distance(u, v) for shape in one.cavities], axis=0) < 0).sum())

        assert area(large) > area(anatomy) * 1.1


def test_the_combinations_that_exist():
    assert {pair for pair in KINDS if pair[1] == "PR"} == {("PSAX", "PR"), ("PLAX", "PR")}, "no pulmonary valve in A4C"
    for valve in ("AR", "MR", "TR"):
        assert sum(pair[1] == valve for pair in KINDS) == 3


def test_four_chambers_lie_as_on_the_screen():
    left, right = site("A4C", "MR"), site("A4C", "TR")
    assert left.orifice[0] > 0 > right.orifice[0], "the left heart is at the right"
    assert left.towards[1] > 0 and right.towards[1] > 0, "leaks run down, away from the apex"
    assert site("A4C", "AR").towards[1] < 0, "the aortic leak runs up towards the apex"
    assert right.orifice[1] < left.orifice[1], "the tricuspid valve stands nearer to the apex"


def test_the_long_axis_has_its_apex_at_the_left():
    aortic, mitral = site("PLAX", "AR"), site("PLAX", "MR")
    assert aortic.towards[0] < 0 < mitral.towards[0] and aortic.orifice[1] < mitral.orifice[1]


def test_the_short_axis_wraps_the_right_heart_around_the_aorta():
    aortic, pulmonary, tricuspid = (site("PSAX", valve) for valve in ("AR", "PR", "TR"))
    assert abs(aortic.orifice[0]) < 10 and pulmonary.orifice[0] > 20 and tricuspid.orifice[0] < -20
    assert pulmonary.orifice[1] < aortic.orifice[1] < tricuspid.orifice[1]


def test_ventricles_are_smallest_at_the_end_of_systole():
    build = Build(ejection=0.3)
    sizes = [squeeze(build, phase) for phase in np.linspace(0, 0.999, 200)]
    assert squeeze(build, END_DIASTOLE) == 1 and squeeze(build, END_SYSTOLE) == pytest.approx(0.7)
    assert min(sizes) >= 0.7 - 1e-9 and max(np.abs(np.diff(sizes))) < 0.02, "it moves without jumps"


def test_valves_open_by_turns():
    for phase in np.linspace(0, 0.999, 100):
        assert openness(phase, diastolic=True) * openness(phase, diastolic=False) == 0
    assert openness(0.2, diastolic=False) > 0.9 and openness(0.7, diastolic=True) > 0.9
