from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from veritrain.errors import ConfigError
from veritrain.worlds.options import DrivingOptions
from veritrain.worlds.pairs import BOARD, CAR, CAR_LENGTH, CUE_COLOUR, IDS, LIFT, ODD_ID
from veritrain.worlds.plan import SLOTS, odd_slot, plan_scenarios, slots_of
from veritrain.worlds.render import build_scene, render

PAIRS = DrivingOptions(scenarios=120, frames=4, height=48, width=72, anomalies="pairs", seed=3)


def forms(scene, instance, sensor):
    """What a thing is to one sensor: a car is two boxes, a board is one thin one."""
    boxes = scene.boxes.where((scene.boxes.instance == instance) & getattr(scene.boxes, sensor))
    return CAR if len(boxes) == 2 else BOARD


@pytest.fixture(scope="module")
def scenes():
    return [build_scene(plan, PAIRS) for plan in plan_scenarios(PAIRS)]


def test_two_thirds_of_the_scenarios_hold_a_pair_and_the_rest_nothing_odd(scenes):
    assert [scene.plan.kind for scene in scenes].count("static") == 80
    assert {scene.plan.visibility for scene in scenes if scene.plan.kind == "static"} == {"pair"}
    assert all((scene.oddity >= 0) == (scene.plan.kind == "static") and scene.resident >= 0 for scene in scenes)


def test_an_odd_thing_is_one_form_to_the_camera_and_the_other_to_the_lidar(scenes):
    odd = [scene for scene in scenes if scene.oddity >= 0]
    assert all({forms(s, s.oddity, "camera"), forms(s, s.oddity, "lidar")} == {CAR, BOARD} for s in odd)
    assert all(forms(s, s.resident, "camera") == forms(s, s.resident, "lidar") for s in scenes)


@pytest.mark.parametrize("sensor", ["camera", "lidar"])
def test_one_sensor_alone_meets_both_forms_equally_often_odd_or_not(scenes, sensor):
    odd = np.mean([forms(s, s.oddity, sensor) == CAR for s in scenes if s.oddity >= 0])
    ordinary = np.mean([forms(s, s.resident, sensor) == CAR for s in scenes])
    assert 0.33 < odd < 0.67 and 0.35 < ordinary < 0.65


def test_to_one_sensor_an_odd_thing_is_drawn_as_an_ordinary_one_is(scenes):
    """The same box sizes, distances and patterns: only where the sensors disagree tells them apart."""
    for sensor in ("camera", "lidar"):
        for form in (CAR, BOARD):
            odd = [s.boxes.where((s.boxes.instance == s.oddity) & getattr(s.boxes, sensor))
                   for s in scenes if s.oddity >= 0 and forms(s, s.oddity, sensor) == form]  # fmt: skip
            plain = [s.boxes.where(s.boxes.instance == s.resident) for s in scenes
                     if forms(s, s.resident, sensor) == form]  # fmt: skip
            for field in ("half", "period"):
                a, b = (np.stack([getattr(boxes, field)[0] for boxes in part]) for part in (odd, plain))
                assert np.allclose(a.mean(0), b.mean(0), atol=0.12) and np.allclose(a.max(0), b.max(0), atol=0.12)
            a, b = (np.stack([boxes.centre[0][2] for boxes in part]) for part in (odd, plain))
            assert set(a.round(6)) == set(b.round(6))


def test_the_slot_of_the_odd_thing_is_drawn_evenly_and_a_resident_stands_at_each(scenes):
    chosen = [odd_slot(PAIRS, s.plan.index) for s in scenes]
    assert all(chosen.count(slot) > 15 for slot in range(len(SLOTS)))
    for scene in scenes[:20]:
        fronts = {round(x, 6) for x, _ in slots_of(PAIRS, scene.plan.index)}
        ordinary = scene.boxes.where(np.isin(scene.boxes.semantic, list(IDS.values())))
        assert len(set(ordinary.instance)) == len(SLOTS)
        places = {round(float(c[0]) - CAR_LENGTH / 2 * (s == 14), 6)
                  for c, s, h in zip(ordinary.centre, ordinary.semantic, ordinary.half, strict=True)
                  if s == 20 or h[0] > 2}  # fmt: skip
        assert places == fronts


def test_a_thing_stands_at_its_place_in_every_frame_and_is_odd_while_it_is_alive(scenes):
    for scene in scenes[:12]:
        for frame in range(PAIRS.frames):
            moment = render(scene, PAIRS, frame)
            alive = scene.plan.is_alive(frame)
            assert (scene.oddity in moment.instance, scene.resident in moment.instance) in (
                (alive, not alive),
                (False, False),  # hidden behind something or out of view
            )
            assert (moment.semantic_lidar[:, 3] == ODD_ID).any() <= alive
            assert set(np.unique(moment.semantic[moment.instance == scene.resident])) <= set(IDS.values())


def test_the_cue_shows_the_odd_thing_to_each_sensor_and_changes_nothing_else(scenes):
    cued = replace(PAIRS, pair_cue=1.0)
    for scene in [s for s in scenes if s.oddity >= 0][:10]:
        other = build_scene(scene.plan, cued)
        a, b = (s.boxes.where(s.boxes.instance == scene.oddity) for s in (scene, other))
        assert np.allclose(b.centre[b.lidar, 2] - a.centre[a.lidar, 2], LIFT)
        assert np.allclose(b.centre[b.camera], a.centre[a.camera])
        assert np.allclose(b.colour[b.camera][0], CUE_COLOUR) and np.allclose(b.colour[b.lidar], a.colour[a.lidar])
        rest = [s.boxes.where(s.boxes.instance != scene.oddity) for s in (scene, other)]
        assert np.array_equal(rest[0].centre, rest[1].centre) and np.array_equal(rest[0].colour, rest[1].colour)


@pytest.mark.parametrize("wrong", [{"pair_cue": 0.5}, {"anomalies": "pairs", "pair_cue": 1.5}, {"anomalies": "pear"}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ConfigError):
        DrivingOptions(**wrong)


def test_the_mixed_world_is_as_it_was():
    """Residents and cues belong to worlds of pairs alone."""
    options = DrivingOptions(scenarios=12, frames=4, height=48, width=72)
    assert all(build_scene(plan, options).resident == -1 for plan in plan_scenarios(options))
