"""Base, novel and their harmonic mean; what a smaller vocabulary leaves of a set."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.made_boxes import made
from veritrain.errors import UsageError
from veritrain.metrics.detection import detection_scores
from veritrain.metrics.matching import match_detections
from veritrain.metrics.vocabulary import Vocabulary, asked_for, harmonic_mean

ZOO = Vocabulary(("ship", "dam", "airport", "vehicle"), ("dam", "airport"))


def test_the_harmonic_mean_of_a_published_table():
    """Base 78.4, novel 16.0: 26.6 (a table of open-vocabulary detection on DIOR)."""
    assert harmonic_mean([78.4], [16.0])[0] == pytest.approx(26.6, abs=0.05)
    base, novel = np.random.default_rng(0).random((2, 50))
    assert harmonic_mean(base, novel) == pytest.approx(2 / (1 / base + 1 / novel))


def test_the_harmonic_mean_is_zero_where_one_is_zero_and_undefined_where_one_is():
    found = harmonic_mean([0.0, 0.5, 0.0, np.nan, np.nan, 0.5], [0.0, 0.0, 0.5, 0.5, 0.0, np.nan])
    assert found[:3].tolist() == [0.0, 0.0, 0.0] and np.isnan(found[3:]).all()


def test_means_of_parts_leave_out_what_is_undefined():
    each = np.array([[0.8, 0.2, np.nan, 0.6], [np.nan, 0.4, 0.2, np.nan]])
    assert ZOO.mean(each, "base").tolist()[:1] == pytest.approx([0.7])
    assert np.isnan(ZOO.mean(each, "base")[1])
    assert ZOO.mean(each, "novel") == pytest.approx([0.2, 0.3])
    assert ZOO.mean(each) == pytest.approx([1.6 / 3, 0.3])
    assert ZOO.mean(each, "harmonic")[0] == pytest.approx(2 * 0.7 * 0.2 / 0.9)
    assert np.isnan(ZOO.mean(each, "harmonic")[1])
    assert (ZOO.classes_of("base"), ZOO.classes_of("novel")) == ((0, 3), (1, 2))
    assert ZOO.classes_of("all") == ZOO.classes_of("harmonic") == (0, 1, 2, 3)


def test_without_novel_classes_there_is_only_the_whole():
    plain = Vocabulary(("ship", "dam"))
    assert plain.parts == ("all",)
    with pytest.raises(UsageError, match="no part 'novel'"):
        plain.mean(np.ones((1, 2)), "novel")


@pytest.mark.parametrize(
    ("names", "novel"),
    [(("a", "a"), ()), (("a", "b"), ("c",)), (("a", "b"), ("a", "b")), ((), ())],
    ids=["twice", "unknown", "all novel", "none"],
)
def test_what_is_no_vocabulary_is_refused(names, novel):
    with pytest.raises(UsageError):
        Vocabulary(names, novel)


def test_a_smaller_vocabulary_keeps_images_with_its_objects_and_numbers_them_anew():
    detections, truths = made(3)
    asked = asked_for(detections, truths, [1, 2])
    assert set(asked.truths.classes) | set(asked.detections.classes) <= {1, 2}
    assert asked.images.tolist() == sorted(set(truths.images[np.isin(truths.classes, [1, 2])]))
    assert (np.diff(asked.images) > 0).all() and asked.truths.images.max() < len(asked.images)
    own = np.isin(truths.classes, [1, 2])
    assert np.array_equal(asked.images[asked.truths.images], truths.images[own])
    there = np.isin(detections.classes, [1, 2]) & np.isin(detections.images, asked.images)
    assert np.array_equal(asked.images[asked.detections.images], detections.images[there])


def test_false_alarms_on_images_without_novel_objects_count_in_one_protocol_alone():
    detections, truths = made(7)
    both = [asked_for(detections, truths, [1], only_images_with=only) for only in (True, False)]
    scores = [
        detection_scores(match_detections(one.detections, one.truths, len(one.images), 4)).per_class_50[1]
        for one in both
    ]
    whole = detection_scores(match_detections(detections, truths, 8, 4)).per_class_50[1]
    assert scores[1] == pytest.approx(whole) and scores[0] > scores[1]
