"""Every score of a set of detections by name, as it is or with every group counted as often as a bootstrap says.

| score | what it is |
|---|---|
| ``map``, ``map_50``, ``map_75`` | COCO's average precision: mean over overlaps .50:.05:.95, or at one |
| ``map_small``, ``map_medium``, ``map_large`` | ``map`` of objects up to 32^2, up to 96^2, above, in stored pixels |
| ``mar_1``, ``mar_10``, ``mar_100`` | COCO's average recall at so many detections of an image and class |
| ``recall_100``, ``recall_100_pooled`` | at an overlap of 0.5, of an image's 100 surest detections of all classes |
| ``map_voc07``, ``map_voc10`` | VOC's matching at 0.5, read at 11 recalls, or the area under the envelope |

All but ``recall_100_pooled`` are means over the classes that have an object. ``<score>_base``, ``_novel`` and
``_harmonic`` are those of a part of the vocabulary (``metrics.vocabulary``). What is undefined is None, NaN in arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection import GroupedDetections, Ties, none_if_nan
from veritrain.metrics.detection_limit import DIOR_LIMIT, OutOfReach, out_of_reach
from veritrain.metrics.detection_recall import GroupedRecall, surest_of_images
from veritrain.metrics.matching import AREAS, Flags, Floats, MatchTable, RankedDetections, match_ranked
from veritrain.metrics.voc import area_under_envelope, eleven_point, match_voc
from veritrain.metrics.vocabulary import Vocabulary, harmonic_mean

PRECISIONS: dict[str, list[float] | None] = {"map": None, "map_50": [0.5], "map_75": [0.75]}
SIZES = {f"map_{area}": area for area in AREAS if area != "all"}
VOC_RULES = {"map_voc07": eleven_point, "map_voc10": area_under_envelope}
POOLED = "_pooled"
IOU = 0.5


@dataclass(frozen=True, kw_only=True)
class DetectionProtocol:
    """How detections are scored; printed beside every number.

    Attributes:
        max_detections: of one image and class, the surest ones (COCO's maxDets; COCO 100, DIOR 500).
        recalls_at: limits of the average recalls, of an image and class; none above ``max_detections``.
        recall_top: detections of an image over all classes that count for ``recall_<top>``.
        inclusive: VOC's ``+1`` on every side; False for continuous corners (``metrics.voc``).
        ties: "together": equal scores are one threshold. "order": in the order of the images, as pycocotools.

    Raises:
        UsageError: a limit below 1, or a recall at more detections than are kept.
    """

    max_detections: int = DIOR_LIMIT
    recalls_at: tuple[int, ...] = (1, 10, 100)
    recall_top: int = 100
    inclusive: bool = False
    ties: Ties = "together"

    def __post_init__(self) -> None:
        least = min(self.max_detections, self.recall_top, *self.recalls_at)
        if least < 1 or max(self.recalls_at, default=0) > self.max_detections:
            raise UsageError(
                "these limits do not fit",
                expected="1 or more, and no recall at more than max_detections",
                found=f"max_detections {self.max_detections}, recalls_at {self.recalls_at}, top {self.recall_top}",
            )

    @property
    def scores(self) -> tuple[str, ...]:
        """The names of the scores, of the whole vocabulary."""
        top = f"recall_{self.recall_top}"
        recalls = (*(f"mar_{k}" for k in self.recalls_at), top, top + POOLED)
        return (*PRECISIONS, *SIZES, *recalls, *VOC_RULES)


class DetectionSuite:
    """One set of detections beside its labels; matched when a score first asks for it, then only counted.

    Args:
        detections, truths: boxes in pixels of the stored image (areas are those of the annotation).
        n_images: N, with images that have neither label nor detection.
        vocabulary: the C classes.
        groups: (N,) 0-based group of each image (its scene; the image itself where no scene is known); None: one group.
        n_groups: G, when groups without an image may exist.
    """

    def __init__(
        self,
        detections: Detections,
        truths: Truths,
        n_images: int,
        vocabulary: Vocabulary,
        *,
        groups: ArrayLike | None = None,
        n_groups: int | None = None,
        protocol: DetectionProtocol | None = None,
    ) -> None:
        self.detections, self.truths, self.n_images = detections, truths, n_images
        self.vocabulary = vocabulary
        self.protocol = DetectionProtocol() if protocol is None else protocol
        self._of = np.zeros(n_images, np.int64) if groups is None else np.asarray(groups, np.int64)
        if self._of.shape != (n_images,):
            raise UsageError("groups do not fit the images", expected=f"({n_images},)", found=f"{self._of.shape}")
        self.n_groups = int(self._of.max(initial=-1)) + 1 if n_groups is None else n_groups
        n_classes = len(vocabulary.names)
        self._ranked = RankedDetections(detections, n_images, n_classes, self.protocol.max_detections)
        self._precision: dict[str, GroupedDetections] = {}
        self._recall: dict[str, GroupedRecall] = {}

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every score that can be asked for: each of the protocol's, of each part of the vocabulary."""
        return names_of(self.protocol.scores, self.vocabulary)

    @cached_property
    def table(self) -> MatchTable:
        """COCO's match table of all sizes."""
        return match_ranked(self._ranked, self.truths)

    @property
    def reach(self) -> OutOfReach:
        """What the limit of detections puts out of reach."""
        return out_of_reach(self.table.truths, self.protocol.max_detections)

    def value(self, metric: str) -> float | None:
        """The score of the data as they are; None where it is undefined."""
        return none_if_nan(self.under(np.ones((1, self.n_groups)), metric)[0])

    def values(self) -> dict[str, float | None]:
        """Every score of :attr:`metrics`."""
        return {metric: self.value(metric) for metric in self.metrics}

    def under(self, weights: ArrayLike, metric: str) -> Floats:
        """(K, G) multiplicities -> (K,) scores, NaN where undefined; both parts of a harmonic mean under one weight."""
        score, part = self.parsed(metric)
        if not score.endswith(POOLED):
            return self.vocabulary.mean(self.each(weights, score), part)
        if part == "harmonic":
            return harmonic_mean(*(self.under(weights, f"{score}_{one}") for one in ("base", "novel")))
        return self._top().pooled(weights, self.vocabulary.classes_of(part), [IOU])

    def each(self, weights: ArrayLike, score: str) -> Floats:
        """(K, G) multiplicities -> (K, C) scores of each class, NaN where it has no object.

        Raises:
            UsageError: an unknown score, or a pooled one, which has no classes.
        """
        if score in PRECISIONS:
            return self._precisions("all").average_precision(weights, PRECISIONS[score])
        if score in SIZES or score in VOC_RULES:
            return self._precisions(SIZES.get(score, score)).average_precision(weights)
        if score == f"recall_{self.protocol.recall_top}":
            return self._top().recall(weights, [IOU])
        limits = {f"mar_{k}": k for k in self.protocol.recalls_at}
        if score not in limits:
            raise UsageError(f"no score '{score}' of classes", expected=", ".join(self.protocol.scores), found=score)
        return self._recalls(limits[score]).recall(weights)

    def per_class(self, score: str) -> list[float | None]:
        """(C,) the score of each class; None where it has no object."""
        return [none_if_nan(value) for value in self.each(np.ones((1, self.n_groups)), score)[0]]

    def strata(self, metric: str) -> Flags:
        """(G,) whether the group holds an object that the score is about: of its size, and of its part of the
        vocabulary (of a harmonic mean: a novel one, the rarer kind)."""
        score, part = self.parsed(metric)
        classes = self.vocabulary.classes_of("novel" if part == "harmonic" else part)
        truths = self._precisions(SIZES.get(score, "all")).truths
        return np.asarray(truths[:, list(classes)].sum(axis=1) > 0)

    def parsed(self, metric: str) -> tuple[str, str]:
        """The score and the part of the vocabulary that a name asks for. Raises UsageError for another name."""
        if metric in self.protocol.scores:
            return metric, "all"
        score, _, part = metric.rpartition("_")
        if metric not in self.metrics:
            raise UsageError(f"no score '{metric}'", expected=", ".join(self.metrics), found=metric)
        return score, part

    def grouped(self) -> GroupedDetections:
        """COCO's table of all sizes, by group (for curves)."""
        return self._precisions("all")

    def _precisions(self, kind: str) -> GroupedDetections:
        """By a name of ``AREAS`` or of :data:`VOC_RULES`."""
        if kind not in self._precision:
            self._precision[kind] = GroupedDetections(
                self._table_of(kind), self._of, self.n_groups, ties=self.protocol.ties, rule=VOC_RULES.get(kind)
            )
        return self._precision[kind]

    def _table_of(self, kind: str) -> MatchTable:
        if kind in VOC_RULES:
            return self._voc
        return self.table if kind == "all" else match_ranked(self._ranked, self.truths, area=kind)

    @cached_property
    def _voc(self) -> MatchTable:
        size = (self.n_images, len(self.vocabulary.names))
        return match_voc(self.detections, self.truths, *size, iou=IOU, inclusive=self.protocol.inclusive)

    def _recalls(self, limit: int) -> GroupedRecall:
        key = f"class {limit}"
        if key not in self._recall:
            self._recall[key] = GroupedRecall(self.table.limited(limit), self._of, self.n_groups)
        return self._recall[key]

    def _top(self) -> GroupedRecall:
        if "image" not in self._recall:
            top = self.protocol.recall_top
            ranked = RankedDetections(
                surest_of_images(self.detections, top), self.n_images, len(self.vocabulary.names), top
            )
            table = match_ranked(ranked, self.truths, thresholds=[IOU])
            self._recall["image"] = GroupedRecall(table, self._of, self.n_groups)
        return self._recall["image"]


def names_of(scores: Sequence[str], vocabulary: Vocabulary) -> tuple[str, ...]:
    """Scores of every part of the vocabulary: ``map_50``, ``map_50_base``, ``map_50_novel``, ``map_50_harmonic``."""
    return tuple(score if part == "all" else f"{score}_{part}" for score in scores for part in vocabulary.parts)
