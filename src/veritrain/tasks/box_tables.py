"""The tables of a detection task: matched once, then scored under weights, at a threshold and under exchanged labels.

Predictions hold boxes image after image, as ``training.evaluate.predict_set`` joins batches:

| key | shape | what it is |
|---|---|---|
| ``box_counts`` | (N,) | detections of each image |
| ``boxes``, ``box_scores``, ``box_classes`` | (D, 4), (D,), (D,) | x1, y1, x2, y2, score, 0-based class |
| ``truth_counts`` | (N,) | labelled objects of each image |
| ``truth_boxes``, ``truth_classes`` | (M, 4), (M,) | in the unit of ``boxes`` |
| ``box_threshold`` | (1,) | only where a baseline has a threshold of its own: the score from which on it calls |
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths, images_of_counts
from veritrain.metrics.detection import DetectionScores, GroupedDetections, detection_scores, none_if_nan
from veritrain.metrics.detection_chance import chance_of_class, chance_of_table, chance_rates
from veritrain.metrics.detection_limit import OutOfReach, out_of_reach
from veritrain.metrics.detection_suite import names_of
from veritrain.metrics.expectation import Expected
from veritrain.metrics.matching import MAX_DETECTIONS, match_detections
from veritrain.metrics.operating_point import IOU, ChosenScore, ThresholdCounts, best_f1_score, counts_at
from veritrain.metrics.vocabulary import Vocabulary, harmonic_mean
from veritrain.statistics.detection_permutation import PairMatches, pair_matches, permutation_test_detections
from veritrain.statistics.permutation import PermutationResult
from veritrain.tasks.tables import Floats, numbered_groups, value_of
from veritrain.tasks.task import KnownAnswers, Predictions

PRECISIONS: dict[str, list[float] | None] = {"map": None, "map_50": [0.5]}
"""Score to the overlaps it is averaged over; None: .50:.05:.95."""
RATES = ("precision", "recall", "f1")


class BoxTables:
    """``map`` and ``map_50``; with a threshold also ``precision``, ``recall`` and ``f1`` there, at an overlap of 0.5.

    All are means over the classes with an object. ``<metric>:<class name>`` is that of one class. With novel classes
    there are also ``<metric>_base``, ``_novel`` and ``_harmonic`` (``metrics.vocabulary``). Equal scores count as one
    threshold; where none are equal these are the reference's numbers (:meth:`as_coco` has those in any case).

    Args:
        detections, truths: of N images, boxes in one unit.
        groups: (N,) names; images of a group in their order in time.
        class_names: C, in the order of the class numbers.
        threshold: chosen on validation (:meth:`best_threshold` of the validation tables).
        max_detections: of one image and class.
        novel: the names of the classes that were not trained on.
    """

    def __init__(
        self,
        detections: Detections,
        truths: Truths,
        groups: Sequence[str] | NDArray[Any],
        class_names: Sequence[str],
        *,
        threshold: float | None = None,
        max_detections: int = MAX_DETECTIONS,
        novel: Sequence[str] = (),
    ) -> None:
        self.n_groups, self._of = numbered_groups(groups)
        self.class_names, self.threshold = tuple(class_names), threshold
        self.vocabulary = Vocabulary(self.class_names, tuple(novel))
        self._detections, self._truths, self._most = detections, truths, max_detections
        self.table = match_detections(
            detections, truths, len(self._of), len(self.class_names), max_detections=max_detections
        )
        self.grouped = GroupedDetections(self.table, self._of, self.n_groups, ties="together")
        self.metrics = names_of((*PRECISIONS, *(RATES if threshold is not None else ())), self.vocabulary)

    @staticmethod
    def of(
        predictions: Predictions,
        groups: Sequence[str] | NDArray[Any],
        class_names: Sequence[str],
        *,
        threshold: float | None = None,
        max_detections: int = MAX_DETECTIONS,
        novel: Sequence[str] = (),
    ) -> BoxTables:
        """From predictions as told at the top of this file; a ``box_threshold`` among them replaces ``threshold``."""
        if threshold is not None and "box_threshold" in predictions:
            threshold = float(predictions["box_threshold"][0])
        return BoxTables(
            detections_of(predictions),
            truths_of(predictions),
            groups,
            class_names,
            threshold=threshold,
            max_detections=max_detections,
            novel=novel,
        )

    @property
    def beyond_limit(self) -> OutOfReach:
        """What the limit of detections puts out of reach."""
        return out_of_reach(self.table.truths, self._most)

    @property
    def class_metrics(self) -> tuple[str, ...]:
        """``<metric>:<class name>`` for every class with an object."""
        there = self.grouped.truths.sum(axis=0) > 0
        names = [name for name, found in zip(self.class_names, there, strict=True) if found]
        scores = [metric for metric in self.metrics if self._parsed(metric)[1] == "all"]
        return tuple(f"{metric}:{name}" for metric in scores for name in names)

    def as_coco(self) -> DetectionScores:
        """What the reference evaluation says, with equal scores in the order of the images."""
        return detection_scores(self.table)

    def best_threshold(self) -> ChosenScore | None:
        """The threshold with the best mean F1 on this set: ask the tables of validation."""
        return best_f1_score(self.table)

    def value(self, metric: str) -> float | None:
        return value_of(self.under, self.n_groups, metric)

    def chance(self, metric: str) -> float | None:
        return self.expected(metric).value

    def expected(self, metric: str) -> Expected:
        """Chance with its standard error (``metrics.detection_chance``); rates are exact. A harmonic mean's is the
        harmonic mean of its parts' expectations, slightly above its own, with the larger of their errors."""
        name, part, cls = self._parsed(metric)
        if part == "harmonic":
            parts = [self.expected(f"{name}_{one}") for one in ("base", "novel")]
            value = none_if_nan(harmonic_mean(*([np.nan if one.value is None else one.value] for one in parts))[0])
            return Expected(value, None if value is None else max(one.standard_error or 0.0 for one in parts))
        if name in PRECISIONS:
            ious, classes = PRECISIONS[name], self.vocabulary.classes_of(part)
            if cls is not None:
                return chance_of_class(self.table, cls, ious)
            return chance_of_table(self.table, ious, classes=classes)
        rates = getattr(chance_rates(self.table, self._called_from(), iou=IOU), name)
        value = none_if_nan((self.vocabulary.mean(rates, part) if cls is None else rates[:, cls])[0])
        return Expected(value, None if value is None else 0.0)

    def counts(self, metric: str) -> tuple[int, int]:
        """Images, and labelled objects (of the class, or of the part of the vocabulary)."""
        _, part, cls = self._parsed(metric)
        chosen = self.vocabulary.classes_of(part) if cls is None else [cls]
        return self.table.n_images, int(self.grouped.truths[:, list(chosen)].sum())

    def higher_is_better(self, metric: str) -> bool:
        return True

    def under(self, weights: NDArray[Any], metric: str) -> Floats:
        name, part, cls = self._parsed(metric)
        if name in PRECISIONS:
            each = self.grouped.average_precision(weights, PRECISIONS[name])
        else:
            each = getattr(self._counts.under(weights), name)
        return self.vocabulary.mean(each, part) if cls is None else np.asarray(each[:, cls])

    def strata(self, metric: str) -> NDArray[np.bool_]:
        """Whether the group holds an object: of the class, of the part of the vocabulary, for a harmonic mean a novel
        one."""
        _, part, cls = self._parsed(metric)
        chosen = [cls] if cls is not None else self.vocabulary.classes_of("novel" if part == "harmonic" else part)
        return np.asarray(self.grouped.truths[:, list(chosen)].sum(axis=1) > 0)

    def reach(self, metric: str) -> float:
        return 1.0

    def permuted(self, metric: str) -> PermutationResult:
        """Whole groups exchange the objects of their images; of scores over all classes, or a part of them."""
        name, part, cls = self._parsed(metric)
        if cls is not None:
            raise UsageError(f"no permutation test of one class ({metric})", fix=f"ask for {name}")
        mean = partial(self.vocabulary.mean, part=part)
        return permutation_test_detections(self._pairs, name, threshold=self.threshold, mean=mean)

    @cached_property
    def _pairs(self) -> PairMatches:
        return pair_matches(self._detections, self._truths, self._of, len(self.class_names), max_detections=self._most)

    @cached_property
    def _counts(self) -> ThresholdCounts:
        return counts_at(self.table, self._called_from(), self._of, self.n_groups)

    def _called_from(self) -> float:
        if self.threshold is None:
            raise UsageError("a rate needs a threshold", fix="choose it with best_threshold() of validation")
        return self.threshold

    def _parsed(self, metric: str) -> tuple[str, str, int | None]:
        """Score, part of the vocabulary, class: a class has no part."""
        name, _, cls = metric.partition(":")
        if name in (*PRECISIONS, *RATES) and (not cls or cls in self.class_names):
            return name, "all", self.class_names.index(cls) if cls else None
        score, _, part = name.rpartition("_")
        if cls or score not in (*PRECISIONS, *RATES) or part not in self.vocabulary.parts:
            raise UsageError(
                f"no score '{metric}'", expected=f"one of {self.metrics}, or one with :CLASS", found=metric
            )
        return score, part, None


def detections_of(predictions: Predictions) -> Detections:
    """What was detected, from predictions."""
    images = images_of_counts(predictions["box_counts"])
    return Detections(images, predictions["boxes"], predictions["box_scores"], predictions["box_classes"])


def truths_of(predictions: Predictions) -> Truths:
    """What is true, from predictions."""
    images = images_of_counts(predictions["truth_counts"])
    return Truths(images, predictions["truth_boxes"], predictions["truth_classes"])


def as_predictions(detections: Detections, like: Predictions, *, threshold: float | None = None) -> Predictions:
    """Other detections on the images and labels of ``like``, image after image; its own boxes are left out.

    Args:
        detections: any order; of equal images the order is kept.
        threshold: the score from which on they are called, where it is not the model's.
    """
    n = len(like["truth_counts"])
    ordered = detections.taken(np.argsort(detections.images, kind="stable"))
    own = {
        "box_counts": np.bincount(ordered.images, minlength=n),
        "boxes": ordered.boxes,
        "box_scores": ordered.scores,
        "box_classes": ordered.classes,
    }
    further = {} if threshold is None else {"box_threshold": np.array([threshold])}
    kept = {key: value for key, value in like.items() if not key.startswith("box")}
    return {**kept, **own, **further}


def known_box_answers(predictions: Predictions, *, max_detections: int = MAX_DETECTIONS) -> KnownAnswers:
    """Detections with known scores on the labels of ``predictions``: the labels themselves beside misses.

    Every labelled object is found exactly; a twin of it, far outside of everything, hits nothing. Perfect: the objects
    alone. Inverted: all misses surer than all hits, a precision of about one half at every recall. Constant: all
    equally sure. Random: random scores, whose expectation is the chance level. An object that is one of very many in
    its image has no twin, so that no hit is cut off.
    """
    truths = truths_of(predictions)
    place = _place_of_its_kind(truths)
    twins = np.flatnonzero(place < max_detections // 2)
    span = float(np.ptp(truths.boxes)) + 1 if len(truths) else 1.0
    images = np.concatenate([truths.images, truths.images[twins]])
    boxes = np.concatenate([truths.boxes, truths.boxes[twins] + 2 * span])
    classes = np.concatenate([truths.classes, truths.classes[twins]])
    hit = np.arange(len(images)) < len(truths)

    def answer(scores: Floats, rows: NDArray[np.bool_] | slice = slice(None)) -> Predictions:
        found = Detections(images[rows], boxes[rows], scores[rows], classes[rows])
        return as_predictions(found, predictions)

    return KnownAnswers(
        perfect=answer(np.ones(len(images)), hit),
        inverted=answer(np.where(hit, 0.25, 0.75)),
        constant=answer(np.full(len(images), 0.5)),
        random=lambda seed: answer(np.random.default_rng(seed).random(len(images))),
        about={"objects": float(len(truths)), "misses": float(len(twins))},
    )


def _place_of_its_kind(truths: Truths) -> NDArray[np.int64]:
    """(M,) how many objects of the same image and class stand before each."""
    order = np.lexsort((truths.classes, truths.images))
    image, cls = truths.images[order], truths.classes[order]
    new = np.concatenate(([True], (image[1:] != image[:-1]) | (cls[1:] != cls[:-1])))[: len(order)]
    starts = np.flatnonzero(new)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return place
