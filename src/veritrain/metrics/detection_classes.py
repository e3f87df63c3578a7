"""Scores of single classes with what stands behind them; classes without an object apart, their false alarms counted.

A class without a labelled object has no average precision, and a mean over the other classes says nothing of what was
detected of it. So a detector of 20 classes on images of 12 is scored on 12, and its detections of the other 8 would be
free. Here they are listed: how many, how many of them are called, and how sure the surest is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from veritrain.metrics.detection_suite import DetectionSuite

CLASS_SCORES = ("map", "map_50", "map_75", "map_small", "map_medium", "map_large", "recall_100", "map_voc07")


@dataclass(frozen=True)
class ClassRow:
    """One class that has an object.

    Attributes:
        name, novel: of the vocabulary.
        objects, images: objects to be found, and images that hold one.
        detections: counted detections of the class. called: those at or above the threshold; None without one.
        scores: score to value; None where undefined (no object of that size).
    """

    name: str
    novel: bool
    objects: int
    images: int
    detections: int
    called: int | None
    scores: dict[str, float | None]


@dataclass(frozen=True)
class AbsentClass:
    """One class without an object: every counted detection of it is a false alarm.

    Attributes:
        name, novel: of the vocabulary. ignored: detections on crowds or ignored objects.
        false_alarms: all other detections, in ``images`` images. called: those at or above the threshold; None without.
        surest: the greatest score of one; None without any.
    """

    name: str
    novel: bool
    false_alarms: int
    called: int | None
    images: int
    ignored: int
    surest: float | None


@dataclass(frozen=True)
class ClassReport:
    """Every class of a vocabulary, once: ``present`` or ``absent``, in the order of their numbers."""

    present: tuple[ClassRow, ...]
    absent: tuple[AbsentClass, ...]

    @property
    def undetected(self) -> tuple[str, ...]:
        """Classes with objects of which nothing is detected at all; their average precision is 0."""
        return tuple(row.name for row in self.present if not row.detections)

    def as_json(self) -> dict[str, Any]:
        return {
            "present": [asdict(row) for row in self.present],
            "absent": [asdict(row) for row in self.absent],
            "undetected": list(self.undetected),
            "false_alarms_of_absent": sum(row.false_alarms for row in self.absent),
        }


def class_report(
    suite: DetectionSuite, *, threshold: float | None = None, scores: Sequence[str] = CLASS_SCORES
) -> ClassReport:
    """The classes of a scored set.

    Args:
        threshold: the score from which on a detection is called, chosen on validation; None: nothing is called.
        scores: names of scores that classes have.
    """
    each = {score: suite.per_class(score) for score in scores}
    table, vocabulary = suite.table, suite.vocabulary
    present: list[ClassRow] = []
    absent: list[AbsentClass] = []
    # The overlap does not matter for what cannot be hit; whether a crowd or another size took it is that of the least.
    ignored = np.zeros(len(table.scores), bool) if table.ignored is None else table.ignored[:, 0]
    for cls, name in enumerate(vocabulary.names):
        rows = table.rows_of(cls)
        free = ignored[rows]
        alarms = table.scores[rows][~free]
        called = None if threshold is None else int((alarms >= threshold).sum())
        objects = table.truths[:, cls]
        if objects.any():
            values = {score: each[score][cls] for score in scores}
            counted = rows.stop - rows.start
            above = None if threshold is None else int((table.scores[rows] >= threshold).sum())
            present.append(
                ClassRow(
                    name, name in vocabulary.novel, int(objects.sum()), int((objects > 0).sum()), counted, above, values
                )
            )
        else:
            images = len(np.unique(table.images[rows][~free]))
            surest = float(alarms.max()) if alarms.size else None
            absent.append(
                AbsentClass(name, name in vocabulary.novel, alarms.size, called, images, int(free.sum()), surest)
            )
    return ClassReport(tuple(present), tuple(absent))
