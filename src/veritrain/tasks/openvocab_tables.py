"""The tables of open-vocabulary detection: one vocabulary, base and novel classes apart, under the names of the field.

| score | what it is |
|---|---|
| ``map``, ``map_50``, ``map_75`` | COCO's average precision of every class that was asked for and has an object |
| ``base_map_50``, ``novel_map_50`` | of the learned classes, of those that were only asked for |
| ``harmonic_mean`` | 2bn / (b + n) of these two |
| ``map_small``, ``map_medium``, ``map_large`` | by size, in pixels of the stored image |
| ``recall_100`` | at an overlap of 0.5, of an image's 100 surest detections of all classes |
| ``precision``, ``recall``, ``f1`` | at the threshold that validation chose |
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection_chance import chance_of_table
from veritrain.metrics.detection_suite import DetectionProtocol, DetectionSuite
from veritrain.metrics.expectation import Expected
from veritrain.statistics.permutation import PermutationResult
from veritrain.tasks.box_tables import RATES, BoxTables, detections_of, truths_of
from veritrain.tasks.tables import Floats
from veritrain.tasks.task import Predictions

PARTS = {
    "base_map_50": ("map_50", "base"),
    "novel_map_50": ("map_50", "novel"),
    "harmonic_mean": ("map_50", "harmonic"),
}
"""Name here -> score and part of the vocabulary."""
FURTHER = ("map_75", "map_small", "map_medium", "map_large", "recall_100")
"""Scores of the whole vocabulary that ``metrics.detection_suite`` has."""


class VocabularyTables(BoxTables):
    """As ``BoxTables``, with base and novel classes, sizes and Recall@100.

    Args:
        novel: those of ``class_names`` that were not learned; with none, or with all, there are no parts to tell apart.
        further: whether the scores of :data:`FURTHER` are among them: three quarters of the time, for what no control
            asks.
        The others as there.
    """

    def __init__(
        self,
        detections: Detections,
        truths: Truths,
        groups: Sequence[str] | NDArray[Any],
        class_names: Sequence[str],
        *,
        threshold: float | None = None,
        max_detections: int = 100,
        novel: Sequence[str] = (),
        further: bool = True,
    ) -> None:
        parted = 0 < len(novel) < len(class_names)
        super().__init__(
            detections,
            truths,
            groups,
            class_names,
            threshold=threshold,
            max_detections=max_detections,
            novel=novel if parted else (),
        )
        rates = RATES if threshold is not None else ()
        self.metrics = ("map", "map_50", *(PARTS if parted else ()), *(FURTHER if further else ()), *rates)

    @staticmethod
    def of(
        predictions: Predictions,
        groups: Sequence[str] | NDArray[Any],
        class_names: Sequence[str],
        *,
        threshold: float | None = None,
        max_detections: int = 100,
        novel: Sequence[str] = (),
        further: bool = True,
    ) -> VocabularyTables:
        """From predictions; a ``box_threshold`` among them replaces ``threshold``."""
        if threshold is not None and "box_threshold" in predictions:
            threshold = float(predictions["box_threshold"][0])
        return VocabularyTables(
            detections_of(predictions),
            truths_of(predictions),
            groups,
            class_names,
            threshold=threshold,
            max_detections=max_detections,
            novel=novel,
            further=further,
        )

    @cached_property
    def suite(self) -> DetectionSuite:
        """Every further score of the same detections."""
        most = self._most
        protocol = DetectionProtocol(
            max_detections=most, recalls_at=tuple(k for k in (1, 10, 100) if k <= most), recall_top=100
        )
        return DetectionSuite(
            self._detections,
            self._truths,
            len(self._of),
            self.vocabulary,
            groups=self._of,
            n_groups=self.n_groups,
            protocol=protocol,
        )

    @property
    def class_metrics(self) -> tuple[str, ...]:
        """``map`` and ``map_50`` of every class with an object."""
        there = self.grouped.truths.sum(axis=0) > 0
        names = [name for name, found in zip(self.class_names, there, strict=True) if found]
        return tuple(f"{metric}:{name}" for metric in ("map", "map_50") for name in names)

    def under(self, weights: NDArray[Any], metric: str) -> Floats:
        """(K, G) multiplicities -> (K,) scores, NaN where undefined."""
        return self.suite.under(weights, metric) if metric in FURTHER else super().under(weights, metric)

    def expected(self, metric: str) -> Expected:
        """As there; of sizes and recall it is not worked out: None."""
        if metric == "map_75":
            return chance_of_table(self.table, [0.75])
        return Expected(None, None) if metric in FURTHER else super().expected(metric)

    def counts(self, metric: str) -> tuple[int, int]:
        """Images, and labelled objects of the part of the vocabulary."""
        return super().counts("map_50" if metric in FURTHER else metric)

    def strata(self, metric: str) -> NDArray[np.bool_]:
        """Whether the group holds an object that the score is about."""
        return self.suite.strata(metric) if metric in FURTHER else super().strata(metric)

    def permuted(self, metric: str) -> PermutationResult:
        """Whole groups exchange the objects of their images."""
        if metric in FURTHER:
            raise UsageError(f"no permutation test of {metric}", fix="ask for map_50, base_map_50 or novel_map_50")
        return super().permuted(metric)

    def _parsed(self, metric: str) -> tuple[str, str, int | None]:
        if metric in PARTS and PARTS[metric][1] in self.vocabulary.parts:
            return (*PARTS[metric], None)
        return super()._parsed(metric)
