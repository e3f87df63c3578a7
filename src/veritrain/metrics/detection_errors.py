"""The worst misses and the surest false alarms, each with what was nearest to it.

The kinds are those of Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020,
section 2.2, told for misses too: what would have to change for this object to be found?
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from veritrain.metrics.boxes import Detections, Truths, paired_iou
from veritrain.metrics.matching import MAX_DETECTIONS, Floats, Integers, RankedDetections, hits_of, pairs_within

IOU = 0.5
NEAR = 0.1
"""The overlap from which on a detection is near an object rather than on background (TIDE's background threshold)."""
MissKind = Literal["below threshold", "class", "place", "shared", "nothing near"]
AlarmKind = Literal["duplicate", "class", "place", "background"]


@dataclass(frozen=True)
class Miss:
    """An object that no called detection of its class took.

    Attributes:
        image, cls, box, area: of the object, in the unit of the boxes.
        kind: "below threshold" (a detection of its class overlaps it enough, but is not called), "shared" (a called one
            does, but took another object), "class" (a called one of another class does), "place" (called ones overlap
            it by less than enough), "nothing near" (below 0.1).
        overlap: the greatest with a called detection of any class; ``of_class`` its class, ``score`` its score; None
            where nothing touches it.
        from_threshold: the greatest threshold at which a detection of its class overlaps it enough; None: none.
    """

    image: int
    cls: int
    box: tuple[float, ...]
    area: float
    kind: MissKind
    overlap: float
    of_class: int | None
    score: float | None
    from_threshold: float | None


@dataclass(frozen=True)
class FalseAlarm:
    """A called detection without an object.

    Attributes:
        image, cls, box, score: of the detection.
        kind: "duplicate" (an object of its class that it overlaps enough was taken), "class" (enough with one of
            another class), "place" (an overlap of 0.1 or more with one), "background".
        overlap: the greatest with an object of any class, ``of_class`` its class; None where it touches none.
    """

    image: int
    cls: int
    box: tuple[float, ...]
    score: float
    kind: AlarmKind
    overlap: float
    of_class: int | None


@dataclass(frozen=True)
class DetectionErrors:
    """All errors at one threshold and overlap.

    Attributes:
        misses: worst first: least overlap with any call, then the largest object. alarms: surest first.
        images: (N, 2) misses and false alarms of each image.
    """

    misses: tuple[Miss, ...]
    alarms: tuple[FalseAlarm, ...]
    images: Integers
    threshold: float
    iou: float

    def worst_images(self, limit: int) -> list[int]:
        """The images with most misses, then most false alarms, then the lower number; none without an error."""
        order = np.lexsort((np.arange(len(self.images)), -self.images[:, 1], -self.images[:, 0]))
        return [int(image) for image in order[:limit] if self.images[image].any()]

    def as_json(self, limit: int) -> dict[str, Any]:
        """How many of each kind, the first ``limit`` of both lists, and the worst images."""
        return {
            "threshold": self.threshold,
            "iou": self.iou,
            "misses": {"of_kind": _counted(self.misses), "worst": [asdict(one) for one in self.misses[:limit]]},
            "false_alarms": {"of_kind": _counted(self.alarms), "surest": [asdict(one) for one in self.alarms[:limit]]},
            "worst_images": self.worst_images(limit),
        }


def detection_errors(
    detections: Detections,
    truths: Truths,
    n_images: int,
    n_classes: int,
    *,
    threshold: float,
    iou: float = IOU,
    max_detections: int = MAX_DETECTIONS,
) -> DetectionErrors:
    """Every miss and false alarm; objects that need not be found are no misses, and what hits them no false alarm.

    Args:
        as :func:`~veritrain.metrics.detection_confusion.detection_confusion`.
    """
    every = RankedDetections(detections, n_images, n_classes, max_detections).detections
    called = every.scores >= threshold
    ranked = RankedDetections(every.taken(called), n_images, n_classes, max_detections)
    calls = ranked.detections
    hit = hits_of(ranked, truths, iou=iou)
    missed = ~truths.need_not_be_found
    missed[hit[hit >= 0]] = False
    misses = _misses(truths, np.flatnonzero(missed), every, calls, (n_images, n_classes), iou)
    alarms = _alarms(truths, calls, np.flatnonzero(hit < 0), (n_images, n_classes), iou)
    of_each = [np.array([one.image for one in misses], np.int64), np.array([one.image for one in alarms], np.int64)]
    counts = np.stack([np.bincount(images, minlength=n_images) for images in of_each], axis=1)
    misses.sort(key=lambda one: (one.overlap, -one.area, one.image))
    alarms.sort(key=lambda one: (-one.score, one.image))
    return DetectionErrors(tuple(misses), tuple(alarms), counts, threshold, iou)


def _misses(
    truths: Truths, rows: Integers, every: Detections, calls: Detections, size: tuple[int, int], iou: float
) -> list[Miss]:
    objects = truths.taken(rows)
    near = _nearest(objects, calls, size[0])
    own = _nearest(objects, calls, size[0], same_class=size[1])
    other = _nearest(objects, every, size[0], same_class=size[1], least=iou, surest=True)
    found = []
    for k, row in enumerate(rows):
        overlap, call = float(near[1][k]), int(near[0][k])
        kind: MissKind = "nothing near"
        if own[1][k] >= iou:
            kind = "shared"
        elif other[0][k] >= 0:
            kind = "below threshold"
        elif overlap >= iou:
            kind = "class"
        elif overlap >= NEAR:
            kind = "place"
        found.append(
            Miss(
                image=int(truths.images[row]),
                cls=int(truths.classes[row]),
                box=tuple(truths.boxes[row].tolist()),
                area=float(truths.own_areas[row]),
                kind=kind,
                overlap=overlap,
                of_class=int(calls.classes[call]) if call >= 0 else None,
                score=float(calls.scores[call]) if call >= 0 else None,
                from_threshold=float(every.scores[other[0][k]]) if other[0][k] >= 0 else None,
            )
        )
    return found


def _alarms(truths: Truths, calls: Detections, rows: Integers, size: tuple[int, int], iou: float) -> list[FalseAlarm]:
    alone = calls.taken(rows)
    near = _nearest(alone, truths, size[0])
    own = _nearest(alone, truths, size[0], same_class=size[1])
    found = []
    for k, row in enumerate(rows):
        overlap, other = float(near[1][k]), int(near[0][k])
        kind: AlarmKind = "background"
        if own[1][k] >= iou:
            kind = "duplicate"
        elif overlap >= iou:
            kind = "class"
        elif overlap >= NEAR:
            kind = "place"
        found.append(
            FalseAlarm(
                image=int(calls.images[row]),
                cls=int(calls.classes[row]),
                box=tuple(calls.boxes[row].tolist()),
                score=float(calls.scores[row]),
                kind=kind,
                overlap=overlap,
                of_class=int(truths.classes[other]) if other >= 0 else None,
            )
        )
    return found


def _nearest(
    asking: Detections | Truths,
    asked: Detections | Truths,
    n_images: int,
    *,
    same_class: int = 0,
    least: float = 0.0,
    surest: bool = False,
) -> tuple[Integers, Floats]:
    """(n,) which of ``asked`` in the same image (and class, given C) each of ``asking`` overlaps most, and by how much.

    -1 and 0 where it touches none. ``surest``: of those that overlap by ``least``, the one with the greatest score.
    """
    n = len(asking)
    key = [one.classes if same_class else np.zeros(len(one), np.int64) for one in (asking, asked)]
    # Any order of "scores" does: only the pairs are asked for. It is by row, so that rows can be told.
    flat = Detections(asking.images, asking.boxes, np.zeros(n), key[0])
    order = np.lexsort((np.arange(n), key[0], asking.images))
    ranked = RankedDetections(flat, n_images, max(1, same_class), max(1, n))
    labels = Truths(asked.images, asked.boxes, key[1])
    found, value = np.full(n, -1, np.int64), np.zeros(n)
    for own, other in pairs_within(ranked, labels):
        iou = paired_iou(ranked.detections.boxes[own], labels.boxes[other])
        kept = (iou > 0) & (iou >= least)
        own, other, iou = own[kept], other[kept], iou[kept]
        rank = asked.scores[other] if surest and isinstance(asked, Detections) else iou
        best = np.lexsort((-rank, own))
        first = best[np.flatnonzero(np.diff(own[best], prepend=-1))]
        rows = order[own[first]]
        found[rows], value[rows] = other[first], iou[first]
    return found, value


def _counted(errors: tuple[Miss, ...] | tuple[FalseAlarm, ...]) -> dict[str, int]:
    kinds = [one.kind for one in errors]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}
