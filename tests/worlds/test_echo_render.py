"""Frames as they are drawn: near-duplicates within a recording, boxes tight around coloured jets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from veritrain.worlds.echo_anatomy import PLANES
from veritrain.worlds.echo_plan import plan_recordings
from veritrain.worlds.echo_render import Renderer
from veritrain.worlds.options import EchoWorldOptions

OPTIONS = EchoWorldOptions(patients=20, videos=4, frames=3, height=120, width=160, seed=2, confounding=0.0)
RECORDINGS = plan_recordings(OPTIONS)


def renderer(recording):
    return Renderer(recording, OPTIONS.height, OPTIONS.width)


def coloured(image):
    return np.ptp(image.astype(int), axis=2) > 24


@pytest.fixture(scope="module")
def first_frames():
    """One recording of each plane and its first frame."""
    one_each = {(one.view, one.valve): one for one in RECORDINGS}
    return {pair: (one, renderer(one).frame(0)) for pair, one in one_each.items()}


def test_every_plane_is_drawn_with_its_jet(first_frames):
    assert set(first_frames) == set(PLANES)
    for (_, valve), (_, picture) in first_frames.items():
        assert picture.image.shape == (120, 160, 3) and picture.image.dtype == np.uint8
        assert set(picture.boxes) == {valve}


def test_a_frame_does_not_depend_on_what_was_drawn_before():
    one = renderer(RECORDINGS[0])
    one.frame(0)
    np.testing.assert_array_equal(one.frame(2).image, renderer(RECORDINGS[0]).frame(2).image)


def test_the_box_is_tight_around_the_jet():
    # Without the jet the same frame differs only where the jet is: in its box, and up to each of its edges.
    for recording in RECORDINGS[:8]:
        with_jet = renderer(recording).frame(1)
        plain = renderer(recording)
        plain.recording = replace(recording, jets=())
        (left, top, right, bottom), difference = (
            with_jet.boxes[recording.valve],
            (with_jet.image != plain.frame(1).image).any(axis=2),
        )
        rows, columns = np.nonzero(difference)
        assert rows.size > 20
        assert left <= columns.min() and columns.max() < right and top <= rows.min() and rows.max() < bottom
        slack = [columns.min() - left, right - 1 - columns.max(), rows.min() - top, bottom - 1 - rows.max()]
        assert max(slack) <= 3, "the flow beneath can by chance have the same colour"


def test_the_jet_is_coloured_and_blood_elsewhere_is_too(first_frames):
    inside, outside = [], []
    for recording, picture in first_frames.values():
        left, top, right, bottom = picture.boxes[recording.valve]
        mask = coloured(picture.image)
        inside.append(mask[top:bottom, left:right].mean())
        mask[top:bottom, left:right] = False
        outside.append(mask[:, :140].sum() / picture.image[..., 0].size)
    assert min(inside) > 0.25
    assert np.median(outside) > 0.01, "colour alone does not tell where the jet is"


def test_blood_that_flows_as_it_should_is_painted():
    painted = []
    for recording in RECORDINGS[:8]:
        flowing, still = (renderer(replace(recording, jets=())) for _ in range(2))
        still._flows = lambda anatomy, phase: []
        painted.append((flowing.frame(1).image != still.frame(1).image).any(axis=2).mean())
    assert np.median(painted) > 0.01, "streams in the colour box are the distractors"


def test_frames_of_a_recording_are_near_duplicates_and_recordings_are_not():
    def likeness(one, two):
        return np.corrcoef(one.astype(float).ravel(), two.astype(float).ravel())[0, 1]

    within, between = [], []
    for one, other in zip(RECORDINGS[0:8:2], RECORDINGS[1:9:2], strict=True):
        first, second, foreign = (
            renderer(one).frame(0).image,
            renderer(one).frame(1).image,
            renderer(other).frame(0).image,
        )
        within.append(likeness(first, second))
        between.append(likeness(first, foreign))
        assert not np.array_equal(first, second)
    assert min(within) > 0.8 > max(between)


def test_outside_the_fan_it_is_black_but_for_the_machines_marks(first_frames):
    for recording, picture in first_frames.values():
        outside = np.ones(120 * 160, bool)
        outside[renderer(recording).fan.pixels.place] = False
        assert (picture.image.reshape(-1, 3)[outside].max(axis=1) > 0).mean() < 0.04


def test_tissue_is_brighter_than_blood(first_frames):
    for recording, picture in first_frames.values():
        one = renderer(recording)
        u, v = one._heart_places(np.random.default_rng(0))
        anatomy = PLANES[recording.view, recording.valve].draw(recording.patient.build, recording.phase)
        blood = np.min([shape.distance(u, v) for shape in anatomy.cavities], axis=0)
        grey, mask = picture.image.reshape(-1, 3), coloured(picture.image).ravel()
        place, near = one.fan.pixels.place, one.fan.smooth(np.asarray(one.fan.radius + 0 * blood))
        depth = one.fan.smooth(blood)
        plain = ~mask[place] & (near > 30)
        inside, wall = grey[place[plain & (depth < -3)]].mean(), grey[place[plain & (depth > 0) & (depth < 6)]].mean()
        assert wall > inside + 20


def test_empty_recordings_have_no_box():
    assert renderer(replace(RECORDINGS[3], jets=())).frame(0).boxes == {}
