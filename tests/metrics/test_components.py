"""Component metrics: a case worked by hand, and the same numbers as sets of pixels give."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.errors import UsageError
from veritrain.metrics.components import (
    THRESHOLDS,
    TRACKS,
    ComponentSizes,
    ComponentTable,
    Matches,
    match_components,
    scaled_sizes,
)

ALL = ComponentSizes(called=1, truth=1)


def mask(text: str) -> np.ndarray:
    return np.array([list(row) for row in text.split()])


def scores_of(*images: Matches) -> dict[str, float | None]:
    return ComponentTable(images, [0] * len(images), 1).scores()


def flooded(pixels: set[tuple[int, int]]) -> list[set[tuple[int, int]]]:
    """8-connected components, without an array."""
    left, components = set(pixels), []
    while left:
        component, waiting = set(), [left.pop()]
        while waiting:
            row, column = waiting.pop()
            component.add((row, column))
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            waiting += near
        components.append(component)
    return components


def reference(called: np.ndarray, truth: np.ndarray, sizes: ComponentSizes) -> tuple[list[float], list[float]]:
    """sIoU of truths and PPV of calls from sets of pixels, as the paper words them."""
    void = {(int(r), int(c)) for r, c in zip(*np.nonzero((truth != 0) & (truth != 1)), strict=True)}
    hits = {(int(r), int(c)) for r, c in zip(*np.nonzero(truth == 1), strict=True)}
    marked = {(int(r), int(c)) for r, c in zip(*np.nonzero(called), strict=True)}
    truths = flooded(hits)
    small = set().union(*[k for k in truths if len(k) < sizes.truth])
    truths = [k for k in truths if len(k) >= sizes.truth]
    calls = [call - small for call in flooded(marked - void) if len(call) >= sizes.called]
    calls = [call for call in calls if call]
    siou = []
    for k in truths:
        touching = set().union(*[call for call in calls if call & k])
        others = set().union(*[other for other in truths if other is not k])
        siou.append(len(k & touching) / (len(k | touching) - len(touching & others)))
    everywhere = set().union(*truths)
    return siou, [len(call & everywhere) / len(call) for call in calls]


def reference_f1(siou: list[float], ppv: list[float]) -> float | None:
    if not siou and not ppv:
        return None
    found = []
    for t in range(25, 80, 5):
        tp = sum(value >= t / 100 for value in siou)
        found.append(2 * tp / (2 * tp + (len(siou) - tp) + sum(value < t / 100 for value in ppv)))
    return sum(found) / len(found)


def test_a_case_worked_by_hand():
    """One call bridges two truths, one is a false alarm, one hits three quarters of the third truth."""
    truth = (mask("1100001100 1100001100 0000000000 0000001111") == "1").astype(np.int8)
    called = mask("0111111000 0000000000 0000000000 1100001110") == "1"
    found = match_components(called, truth, ALL)
    # each of the two: 1 pixel of 4 + 6 - 1 = 9, less the one that the call has on the other truth
    assert sorted(found.siou) == [1 / 8, 1 / 8, 3 / 4]
    assert sorted(found.ppv) == [0.0, 2 / 6, 1.0]
    scores = scores_of(found)
    assert scores["mean_siou"] == pytest.approx(1 / 3, abs=1e-15)
    assert scores["mean_ppv"] == pytest.approx(4 / 9, abs=1e-15)
    # t = .25 and .30: 1 hit, 2 missed, 1 false alarm; the other nine: 2 false alarms
    assert scores["mean_f1"] == pytest.approx((2 * 2 / 5 + 9 * 2 / 6) / 11, abs=1e-15)


@pytest.mark.parametrize("sizes", [ALL, ComponentSizes(called=6, truth=3), ComponentSizes(called=3, truth=8)])
def test_random_masks_agree_with_sets_of_pixels(sizes):
    """100 masks with void, of every density: 300 comparisons over the three sizes."""
    rng = np.random.default_rng(sizes.called)
    images, siou, ppv = [], [], []
    for number in range(100):
        shape = tuple(rng.integers(3, 15, 2))
        share = rng.choice([0.1, 0.3, 0.5, 0.8])
        truth = np.where(rng.random(shape) < share, 1, 0).astype(np.int16)
        truth[rng.random(shape) < 0.15] = rng.choice([-1, 255])
        called = np.where(rng.random(shape) < 0.3, truth == 1, rng.random(shape) < rng.choice([0.05, 0.3, 0.6]))
        found, expected = match_components(called, truth, sizes), reference(called, truth, sizes)
        np.testing.assert_allclose(np.sort(found.siou), np.sort(expected[0]), rtol=0, atol=1e-12, err_msg=str(number))
        np.testing.assert_allclose(np.sort(found.ppv), np.sort(expected[1]), rtol=0, atol=1e-12, err_msg=str(number))
        images.append(found)
        siou += expected[0]
        ppv += expected[1]
    scores = scores_of(*images)
    assert scores["mean_siou"] == pytest.approx(np.mean(siou), abs=1e-12)
    assert scores["mean_ppv"] == pytest.approx(np.mean(ppv), abs=1e-12)
    assert scores["mean_f1"] == pytest.approx(reference_f1(siou, ppv), abs=1e-12)
    assert len(siou) > 50 and len(ppv) > 50 and 0.05 < scores["mean_f1"] < 0.95


def test_pixels_that_meet_at_a_corner_are_one_component():
    diagonal = np.eye(5, dtype=np.int8)
    assert match_components(diagonal == 1, diagonal, ALL).siou.tolist() == [1.0]


def test_void_is_never_called_and_parts_a_call():
    truth = mask("00v00") == "v"
    found = match_components(np.ones((1, 5), bool), np.where(truth, 255, 0), ALL)
    assert found.ppv.tolist() == [0.0, 0.0], "two calls, one on either side"


def test_small_calls_are_dropped_and_small_truths_are_no_false_alarm():
    truth = np.zeros((6, 12), np.int8)
    truth[0, :2], truth[3:5, 4:10] = 1, 1
    called = np.zeros_like(truth, bool)
    called[0, :2] = called[5, 0] = True
    called[3:5, 4:10] = True
    sizes = ComponentSizes(called=2, truth=3)
    found = match_components(called, truth, sizes)
    assert found.siou.tolist() == [1.0] and found.ppv.tolist() == [1.0]
    everything = match_components(called, truth, ALL)
    assert len(everything.siou) == 2 and sorted(everything.ppv) == [0.0, 1.0, 1.0]


def test_an_image_that_is_all_anomaly_is_scored():
    """The official loop takes the empty background for a component that is too small; here nothing is voided."""
    whole = np.ones((8, 8), np.int8)
    whole[0, 0] = 0
    found = match_components(whole == 1, whole, ComponentSizes(called=1, truth=5))
    assert found.siou.tolist() == found.ppv.tolist() == [1.0]
    assert match_components(np.ones((8, 8), bool), whole, ComponentSizes(called=1, truth=5)).ppv[0] == 63 / 64


def test_what_is_undefined_is_none():
    nothing, truth = np.zeros((4, 4), bool), np.zeros((4, 4), np.int8)
    truth[1, 1] = 1
    empty, no_call = match_components(nothing, np.zeros_like(truth), ALL), match_components(nothing, truth, ALL)
    no_truth = match_components(truth == 1, np.zeros_like(truth), ALL)
    assert scores_of(empty) == {"mean_siou": None, "mean_ppv": None, "mean_f1": None}
    assert scores_of() == {"mean_siou": None, "mean_ppv": None, "mean_f1": None}
    assert scores_of(no_call) == {"mean_siou": 0.0, "mean_ppv": None, "mean_f1": 0.0}
    assert scores_of(no_truth) == {"mean_siou": None, "mean_ppv": 0.0, "mean_f1": 0.0}


def test_weights_count_groups_as_often_as_they_say():
    rng = np.random.default_rng(0)
    images = [Matches(siou=rng.random(rng.integers(0, 5)), ppv=rng.random(rng.integers(0, 5))) for _ in range(12)]
    groups = np.arange(12) % 4
    weights = rng.integers(0, 4, (10, 4))
    found = ComponentTable(images, groups, 4).under(weights)
    for place, row in enumerate(weights):
        repeated = [image for image, group in zip(images, groups, strict=True) for _ in range(row[group])]
        expected = scores_of(*repeated)
        for name in expected:
            assert getattr(found, name)[place] == pytest.approx(expected[name], abs=1e-12)


def test_the_thresholds_and_sizes_are_the_published_ones():
    assert THRESHOLDS.tolist() == [0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75]
    assert (TRACKS["anomaly"].called, TRACKS["anomaly"].truth) == (500, 100)
    assert (TRACKS["obstacle"].called, TRACKS["obstacle"].truth) == (50, 10)
    assert scaled_sizes("anomaly", 1280 * 720) == TRACKS["anomaly"]
    assert scaled_sizes("anomaly", 96 * 144) == ComponentSizes(called=8, truth=2)
    assert scaled_sizes("obstacle", 96 * 144) == ALL


def test_masks_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="do not match"):
        match_components(np.zeros((2, 3), bool), np.zeros((3, 2), np.int8), ALL)
    with pytest.raises(UsageError, match="at least 1"):
        ComponentSizes(called=0, truth=1)
