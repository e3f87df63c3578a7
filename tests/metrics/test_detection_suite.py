"""Every detection score against pycocotools on 200 made sets, its parts of the vocabulary, and under weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metrics.made_boxes import coco_judged, crowded, made
from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection_suite import DetectionProtocol, DetectionSuite, names_of
from veritrain.metrics.matching import AREAS
from veritrain.metrics.vocabulary import Vocabulary

N, C = 8, 4
LIMITS = ((1, 10, 100), (1, 2, 7), (3, 5, 500))
GROUPS = np.array([0, 0, 1, 1, 1, 2, 3, 3])


def vocabulary(classes: int, novel: int = 0) -> Vocabulary:
    names = tuple(f"class {number}" for number in range(classes))
    return Vocabulary(names, names[:novel])


def suite(seed: int, novel: int = 2, **options) -> DetectionSuite:
    return DetectionSuite(*made(seed, decimals=6), N, vocabulary(C, novel), **options)


def mean_of_known(values: np.ndarray) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None


@pytest.mark.parametrize("seed", range(200))
def test_it_equals_pycocotools_with_ties_crowds_sizes_and_other_limits(seed):
    detections, truths, images, classes = crowded(seed)
    limits = LIMITS[seed % 3]
    judge = coco_judged(detections, truths, images, classes, limits=limits)
    protocol = DetectionProtocol(max_detections=limits[-1], recalls_at=limits, ties="order")
    ours = DetectionSuite(detections, truths, images, vocabulary(classes), protocol=protocol)
    precision, recall = judge["precision"][..., -1], judge["recall"][:, :, 0]
    areas = list(AREAS)
    expected = {
        "map": precision[..., 0],
        "map_50": precision[0, ..., 0],
        "map_75": precision[5, ..., 0],
        **{f"map_{area}": precision[..., areas.index(area)] for area in areas[1:]},
        **{f"mar_{limit}": recall[..., place] for place, limit in enumerate(limits)},
    }
    for metric, values in expected.items():
        wanted = mean_of_known(values)
        assert ours.value(metric) == (None if wanted is None else pytest.approx(wanted, abs=1e-9)), metric
    for cls, value in enumerate(ours.per_class("map_small")):
        wanted = mean_of_known(precision[:, :, cls, areas.index("small")])
        assert value == (None if wanted is None else pytest.approx(wanted, abs=1e-9))


def test_the_cases_hold_what_they_are_to_show():
    """Crowds, empty images, more detections than the limit, classes without an object, masks, undefined sizes."""
    found = dict.fromkeys(("crowds", "empty", "beyond 100", "absent", "masks", "undefined"), 0)
    for seed in range(200):
        detections, truths, images, classes = crowded(seed)
        pair = np.bincount(detections.images * classes + detections.classes, minlength=1)
        found["crowds"] += bool(truths.crowds.any())
        found["empty"] += len(np.union1d(truths.images, detections.images)) < images
        found["beyond 100"] += pair.max() > 100
        found["absent"] += len(np.unique(truths.classes)) < classes
        found["masks"] += truths.areas is not None
        found["undefined"] += not (truths.own_areas[~truths.crowds] >= 96**2).any()
    assert min(found.values()) >= 8, found


def test_parts_of_the_vocabulary_are_means_over_their_classes():
    ours = suite(3)
    for score in ours.protocol.scores:
        if score.endswith("pooled"):
            continue
        each = np.array([np.nan if value is None else value for value in ours.per_class(score)])
        novel, base = np.nanmean(each[:2]), np.nanmean(each[2:])
        assert ours.value(f"{score}_novel") == pytest.approx(novel)
        assert ours.value(f"{score}_base") == pytest.approx(base)
        harmonic = 2 * base * novel / (base + novel) if base + novel else 0.0
        assert ours.value(f"{score}_harmonic") == pytest.approx(harmonic)
        assert ours.value(score) == pytest.approx(np.nanmean(each))


def test_a_suite_has_every_score_of_every_part_and_no_other():
    names = suite(3).metrics
    assert len(names) == len(set(names)) == 13 * 4
    assert {"map_50_harmonic", "recall_100_pooled_base", "map_voc07", "mar_100_novel"} <= set(names)
    assert len(DetectionSuite(*made(3), N, vocabulary(C)).metrics) == 13
    assert names_of(["map"], vocabulary(C, 1)) == ("map", "map_base", "map_novel", "map_harmonic")
    for wrong in ("map_60", "map_50_seen", "base"):
        with pytest.raises(UsageError):
            suite(3).value(wrong)
    with pytest.raises(UsageError):
        suite(3).each(np.ones((1, 1)), "recall_100_pooled")


@pytest.mark.parametrize(
    "metric", [*names_of(["map_medium", "mar_10", "map_voc07", "recall_100_pooled"], vocabulary(C, 2))]
)
def test_a_group_left_out_is_as_if_it_were_not_there(metric):
    detections, truths = made(7, decimals=6)
    ours = suite(7, groups=GROUPS)
    weights = np.array([[1, 0, 1, 1]])
    kept = np.flatnonzero(GROUPS != 1)
    there, found = np.isin(truths.images, kept), np.isin(detections.images, kept)
    rest = DetectionSuite(
        replace(detections.taken(found), images=np.searchsorted(kept, detections.images[found])),
        truths.taken(there, np.searchsorted(kept, truths.images[there])),
        len(kept),
        vocabulary(C, 2),
    )
    assert ours.under(weights, metric)[0] == pytest.approx(rest.value(metric), abs=1e-12)
    assert rest.value(metric) != ours.value(metric)


def test_recall_100_counts_the_surest_of_an_image_over_all_classes():
    """120 sure boxes of class 0 leave no room for the one right box of class 1."""
    boxes = np.tile([0.0, 0, 10, 10], (121, 1))
    detections = Detections(np.zeros(121, int), boxes, np.r_[np.full(120, 0.9), 0.1], np.r_[np.zeros(120, int), 1])
    truths = Truths([0, 0], boxes[:2], [0, 1])
    ours = DetectionSuite(detections, truths, 1, vocabulary(2))
    assert ours.per_class("recall_100") == [1.0, 0.0] and ours.value("recall_100_pooled") == 0.5
    assert ours.per_class("mar_100") == [1.0, 1.0], "COCO's limit is of each class"
    more = DetectionSuite(detections, truths, 1, vocabulary(2), protocol=DetectionProtocol(recall_top=121))
    assert more.value("recall_121") == 1.0


def test_what_is_undefined_is_none():
    nothing = np.zeros(0, int)
    empty = DetectionSuite(Detections(nothing, [], [], nothing), Truths(nothing, [], nothing), 3, vocabulary(3, 1))
    assert set(empty.values().values()) == {None}
    base_alone = DetectionSuite(*made(3), N, Vocabulary(("a", "b", "c", "d"), ("d",)))
    assert base_alone.value("map_base") is not None
    assert base_alone.value("map_novel") is base_alone.value("map_harmonic") is None, "class d has no object"


def test_without_a_detection_scores_are_zero_and_not_undefined():
    _, truths = made(3)
    nothing = np.zeros(0, int)
    ours = DetectionSuite(Detections(nothing, [], [], nothing), truths, N, vocabulary(C, 1))
    assert {value for value in ours.values().values() if value is not None} == {0.0}
    assert ours.value("map_harmonic") == 0.0


def test_strata_are_the_groups_that_hold_an_object_of_the_kind():
    ours = suite(3, groups=np.arange(N))
    truths = ours.truths
    sizes = truths.own_areas
    assert len(set(truths.images)) > len(set(truths.images[truths.classes < 2])), "some image holds no novel object"
    kinds = {
        "map": np.ones(len(truths), bool),
        "map_50_novel": truths.classes < 2,
        "map_50_harmonic": truths.classes < 2,
        "map_small_base": (truths.classes >= 2) & (sizes <= 32**2),
    }
    for metric, own in kinds.items():
        held = np.isin(np.arange(N), truths.images[own])
        assert ours.strata(metric).tolist() == held.tolist()


def test_the_limit_says_what_it_cannot_reach():
    boxes = np.array([[20.0 * k, 0, 20 * k + 10, 10] for k in range(6)])
    truths = Truths(np.zeros(6, int), boxes, np.zeros(6, int))
    perfect = Detections(truths.images, boxes, np.ones(6), truths.classes)
    narrow = DetectionProtocol(max_detections=4, recalls_at=(1,))
    ours = DetectionSuite(perfect, truths, 1, vocabulary(1), protocol=narrow)
    assert (ours.reach.unreachable, ours.reach.pairs, ours.reach.most) == (2, 1, 6)
    assert ours.value("map_50") == pytest.approx(67 / 101), "recalls up to 4/6"
    assert ours.value("map_voc07") == 1.0, "VOC has no such limit"


@pytest.mark.parametrize(
    "wrong", [{"max_detections": 0}, {"recall_top": 0}, {"recalls_at": (1, 600)}, {"recalls_at": (0,)}]
)
def test_limits_that_do_not_fit_are_refused(wrong):
    with pytest.raises(UsageError):
        DetectionProtocol(**wrong)


def test_groups_of_another_set_are_refused():
    with pytest.raises(UsageError):
        suite(3, groups=np.zeros(3, int))
