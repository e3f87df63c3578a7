from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from veritrain.errors import ConfigError
from veritrain.worlds.options import DrivingOptions
from veritrain.worlds.pairs import BOARD, CAR, CAR_LENGTH, CUE_COLOUR, IDS, LIFT, ODD_ID
from veritrain.worlds.plan import SLOTS, odd_slot, plan_scenarios, slots_of
from veritrain.worlds.render import build_scene, render

PAIRS = DrivingOptions(scenarios=60, frames=4, height=48, width=72, anomalies="pairs", seed=3)


def things(scene, frame):
    """The boxes of the things at the slots in one frame, by object."""
    there = scene.boxes.where(scene.boxes.frame == frame)
    return {int(one): there.where(there.instance == one) for one in np.unique(there.instance)}


def form(boxes, sensor):
    """What a thing is to one sensor: a car is two boxes, a board is one thin one."""
    return CAR if getattr(boxes, sensor).sum() == 2 else BOARD


@pytest.fixture(scope="module")
def scenes():
    return [build_scene(plan, PAIRS) for plan in plan_scenarios(PAIRS)]


@pytest.fixture(scope="module")
def drawn(scenes):
    """(odd?, boxes) of every thing of every frame."""
    return [
        (one == scene.oddity, boxes)
        for scene in scenes
        for frame in range(PAIRS.frames)
        for one, boxes in things(scene, frame).items()
    ]


def test_two_thirds_of_the_scenarios_hold_pairs_and_the_rest_nothing_odd(scenes):
    assert [scene.plan.kind for scene in scenes].count("static") == 40
    assert {scene.plan.visibility for scene in scenes if scene.plan.kind == "static"} == {"pair"}
    assert all((scene.oddity >= 0) == (scene.plan.kind == "static") for scene in scenes)


def test_four_things_stand_in_every_frame_and_one_is_odd_while_it_is_alive(scenes):
    for scene in scenes:
        for frame in range(PAIRS.frames):
            there = things(scene, frame)
            assert len(there) == len(SLOTS)
            assert (scene.oddity in there) == scene.plan.is_alive(frame)
            fronts = {round(float(b.centre[0, 0]) - CAR_LENGTH / 2 * (b.half[0, 0] > 2), 6) for b in there.values()}
            assert fronts == {round(x, 6) for x, _ in slots_of(PAIRS, scene.plan.index)}


def test_an_odd_thing_is_one_form_to_the_camera_and_the_other_to_the_lidar(drawn):
    assert all({form(b, "camera"), form(b, "lidar")} == {CAR, BOARD} for odd, b in drawn if odd)
    assert all(
        form(b, "camera") == form(b, "lidar") and set(b.semantic) <= set(IDS.values()) for odd, b in drawn if not odd
    )
    assert all(set(b.semantic) == {ODD_ID} for odd, b in drawn if odd)


@pytest.mark.parametrize("sensor", ["camera", "lidar"])
def test_one_sensor_alone_meets_both_forms_equally_often_odd_or_not(drawn, sensor):
    odd = np.mean([form(b, sensor) == CAR for is_odd, b in drawn if is_odd])
    ordinary = np.mean([form(b, sensor) == CAR for is_odd, b in drawn if not is_odd])
    assert 0.35 < odd < 0.65 and 0.42 < ordinary < 0.58


@pytest.mark.parametrize("sensor", ["camera", "lidar"])
@pytest.mark.parametrize("which", [CAR, BOARD])
def test_to_one_sensor_an_odd_thing_is_drawn_as_an_ordinary_one_is(drawn, sensor, which):
    """The same sizes, heights, colours, patterns and turns: only where the sensors disagree tells them apart."""
    seen = [(odd, b.where(getattr(b, sensor))) for odd, b in drawn if form(b, sensor) == which]
    odd, plain = ([b for is_odd, b in seen if is_odd is wanted] for wanted in (True, False))
    assert len(odd) > 15 and len(plain) > 100
    for field in ("half", "period", "pattern", "light"):
        a, b = (np.stack([getattr(boxes, field)[0] for boxes in part]).astype(float) for part in (odd, plain))
        assert a.min() >= b.min() - 0.02 and a.max() <= b.max() + 0.02
        assert np.allclose(a.mean(0), b.mean(0), atol=max(0.05, 4 * b.std() / len(a) ** 0.5))
    heights = [{round(float(boxes.centre[0, 2]), 6) for boxes in part} for part in (odd, plain)]
    colours = [{tuple(boxes.colour[0]) for boxes in part} for part in (odd, plain)]
    assert heights[0] == heights[1] and colours[0] <= colours[1]


def test_the_slot_of_the_odd_thing_is_drawn_evenly(scenes):
    chosen = [odd_slot(PAIRS, scene.plan.index) for scene in scenes]
    assert all(chosen.count(slot) > 5 for slot in range(len(SLOTS)))
    assert all(scene.plan.spot == slots_of(PAIRS, scene.plan.index)[c] for scene, c in zip(scenes, chosen, strict=True))


def test_what_the_sensors_see_is_labelled_odd_only_while_it_is_alive(scenes):
    found = 0
    for scene in scenes[:10]:
        for frame in range(PAIRS.frames):
            moment, alive = render(scene, PAIRS, frame), scene.plan.is_alive(frame)
            seen = (moment.semantic == ODD_ID).any(), (moment.semantic_lidar[:, 3] == ODD_ID).any()
            assert max(seen) <= alive
            found += min(seen)
    assert found > 5


def test_without_the_anomaly_an_ordinary_thing_takes_its_place(scenes):
    scene = next(scene for scene in scenes if scene.oddity >= 0)
    without = build_scene(scene.plan, PAIRS, with_anomaly=False)
    assert without.oddity == -1 and not (without.boxes.semantic == ODD_ID).any()
    assert all(len(things(without, frame)) == len(SLOTS) for frame in range(PAIRS.frames))


def test_the_cue_shows_the_odd_thing_to_each_sensor_and_changes_nothing_else(scenes):
    cued = replace(PAIRS, pair_cue=1.0)
    for scene in [s for s in scenes if s.oddity >= 0][:10]:
        other = build_scene(scene.plan, cued)
        a, b = (s.boxes.where(s.boxes.instance == scene.oddity) for s in (scene, other))
        assert np.allclose(b.centre[b.lidar, 2] - a.centre[a.lidar, 2], LIFT)
        assert np.allclose(b.centre[b.camera], a.centre[a.camera])
        assert np.allclose(b.colour[b.lidar], a.colour[a.lidar])
        fronts = b.where(b.camera & (b.semantic == ODD_ID) & (b.pattern != 0)).colour
        assert np.allclose(fronts, CUE_COLOUR)
        rest = [s.boxes.where(s.boxes.instance != scene.oddity) for s in (scene, other)]
        assert np.array_equal(rest[0].centre, rest[1].centre) and np.array_equal(rest[0].colour, rest[1].colour)


@pytest.mark.parametrize("wrong", [{"pair_cue": 0.5}, {"anomalies": "pairs", "pair_cue": 1.5}, {"anomalies": "pear"}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ConfigError):
        DrivingOptions(**wrong)


def test_the_mixed_world_is_as_it_was():
    """Things of single frames belong to worlds of pairs alone."""
    options = DrivingOptions(scenarios=12, frames=4, height=48, width=72)
    assert all((build_scene(plan, options).boxes.frame == -1).all() for plan in plan_scenarios(options))
