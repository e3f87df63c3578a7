"""Intervals of detection scores: joint for the harmonic mean, by scene, honest where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.made_suite import NAMES, suite
from veritrain.errors import UsageError
from veritrain.metrics.detection_suite import DetectionSuite
from veritrain.metrics.vocabulary import harmonic_mean
from veritrain.statistics.detection_intervals import detection_intervals, gain_interval, groups_of
from veritrain.statistics.intervals import bootstrap_values


def test_every_score_has_an_interval_around_it():
    ours = suite()
    metrics = ["map", "map_50_harmonic", "map_small", "mar_10", "recall_100_pooled_novel", "map_voc07_base"]
    found = detection_intervals(ours, metrics, n_resamples=200)
    assert list(found) == metrics
    for metric, interval in found.items():
        assert interval.estimate == pytest.approx(ours.value(metric))
        assert 0 <= interval.low < interval.estimate < interval.high <= 1
        assert interval.n_groups == 24 and interval.reliable


def test_a_harmonic_mean_is_resampled_on_the_same_groups_as_its_parts():
    ours = suite(1)
    draws = {
        part: bootstrap_values(24, lambda w, m=f"map_50_{part}": ours.under(w, m), n_resamples=50, seed=3)
        for part in ("base", "novel", "harmonic")
    }
    assert draws["harmonic"] == pytest.approx(harmonic_mean(draws["base"], draws["novel"]))
    assert np.std(draws["harmonic"]) > 0


def test_one_seed_gives_one_interval():
    first, second, other = (detection_intervals(suite(), ["map"], n_resamples=100, seed=s)["map"] for s in (1, 1, 2))
    assert first == second and first != other


def test_what_is_undefined_has_no_interval():
    ours = suite()
    without = DetectionSuite(
        ours.detections,
        ours.truths.taken(ours.truths.classes % 2 == 0),
        ours.n_images,
        NAMES,
        groups=np.arange(48) // 2,
    )
    interval = detection_intervals(without, ["map_50_novel"], n_resamples=50)["map_50_novel"]
    assert interval.estimate is interval.low is interval.high is None and not interval.reliable


def test_a_gain_is_paired_by_resample():
    good, worse = suite(0, know=0.9), suite(0, know=0.3)
    better = DetectionSuite(good.detections, worse.truths, 48, NAMES, groups=np.arange(48) // 2)
    assert np.array_equal(good.truths.boxes, worse.truths.boxes)
    gain = gain_interval(better, worse, "map_50", n_resamples=200)
    assert gain.estimate == pytest.approx(better.value("map_50") - worse.value("map_50")) and gain.low > 0.2
    same = gain_interval(worse, worse, "map_50", n_resamples=50)
    assert same.estimate == 0.0
    with pytest.raises(UsageError, match="not the same images"):
        gain_interval(suite(scenes=12), worse, "map_50")


def test_images_without_a_scene_are_their_own():
    found = groups_of(["b", None, "a", "b", ""])
    assert found.of.tolist() == [1, 2, 0, 1, 3] and (found.count, found.alone) == (4, 2)
    alone = groups_of([None, None])
    assert alone.of.tolist() == [0, 1] and alone.count == 2
