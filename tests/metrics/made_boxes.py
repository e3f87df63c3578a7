"""Made detections and labels, and what the reference evaluations say about them."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from veritrain.metrics.boxes import Detections, Truths


def made(
    seed: int, images: int = 8, classes: int = 4, *, decimals: int = 1, per_image: int = 20
) -> tuple[Detections, Truths]:
    """Whole-number boxes, so that overlaps tie and meet thresholds exactly; with one decimal, scores tie as well.

    The last class has no labelled object, some images have neither label nor detection, half of the detections lie near
    an object, and objects of one class overlap each other.
    """
    rng = np.random.default_rng(seed)

    def boxes(count: int) -> np.ndarray:
        corner = rng.integers(0, 150, (count, 2))
        return np.concatenate([corner, corner + rng.integers(1, 120, (count, 2))], axis=1).astype(float)

    m, d = int(rng.integers(0, 4 * images)), int(rng.integers(0, per_image * images))
    truths = Truths(rng.integers(0, images, m), boxes(m), rng.integers(0, classes - 1, m))
    at, found, cls = rng.integers(0, images, d), boxes(d), rng.integers(0, classes, d)
    if m:
        near, source = rng.random(d) < 0.5, rng.integers(0, m, d)
        moved = truths.boxes[source] + rng.integers(-12, 13, (d, 4))
        moved = np.concatenate([np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])], axis=1)
        found, at = np.where(near[:, None], moved, found), np.where(near, truths.images[source], at)
        cls = np.where(near & (rng.random(d) < 0.9), truths.classes[source], cls)
    return Detections(at, found, np.round(rng.random(d), decimals), cls), truths


def crowded(seed: int) -> tuple[Detections, Truths, int, int]:
    """As :func:`made`, of 1 to 8 images and 2 to 4 classes, some with hundreds of detections in an image; a part of the
    objects are crowds, and in half of the cases areas are those of masks, not of boxes."""
    rng = np.random.default_rng([seed, 1])
    images, classes = int(rng.choice([1, 2, 8])), int(rng.integers(2, 5))
    per_image = int(rng.choice([20, 300])) if images < 8 else 20
    detections, truths = made(seed, images, classes, decimals=int(rng.choice([1, 2, 6])), per_image=per_image)
    crowds = rng.random(len(truths)) < rng.choice([0.0, 0.2, 0.5])
    areas = None
    if rng.random() < 0.5:
        areas = truths.own_areas * rng.uniform(0.3, 1.0, len(truths)).round(2)
    return detections, replace(truths, crowds=crowds, areas=areas), images, classes


def coco_sets(detections: Detections, truths: Truths, images: int, classes: int) -> tuple[COCO, COCO]:
    """The same labels and detections as the reference holds them."""
    with contextlib.redirect_stdout(io.StringIO()):
        labels = COCO()
        labels.dataset = {
            "images": [{"id": i} for i in range(images)],
            "categories": [{"id": c, "name": str(c)} for c in range(classes)],
            "annotations": [
                {"id": k + 1, **annotation(*row[:3]), "iscrowd": int(row[3]), "area": float(row[4])}
                for k, row in enumerate(
                    zip(
                        truths.images,
                        truths.boxes,
                        truths.classes,
                        truths.need_not_be_found,
                        truths.own_areas,
                        strict=True,
                    )
                )
            ],
        }
        labels.createIndex()
        rows = zip(detections.images, detections.boxes, detections.classes, detections.scores, strict=True)
        found = [{**annotation(*row[:3]), "score": float(row[3])} for row in rows]
        if found:
            return labels, labels.loadRes(found)
        nothing = COCO()
        nothing.dataset = {**labels.dataset, "annotations": []}
        nothing.createIndex()
        return labels, nothing


def annotation(image: int, box: np.ndarray, cls: int) -> dict:
    x1, y1, x2, y2 = (float(value) for value in box)
    return {
        "image_id": int(image),
        "category_id": int(cls),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
    }


def coco_precision(
    detections: Detections, truths: Truths, images: int, classes: int, *, most: int = 100, evaluation: type = COCOeval
) -> np.ndarray:
    """(T, C, A) average precision at each overlap, of each class and size (in the order of AREAS); NaN undefined."""
    judge = coco_judged(detections, truths, images, classes, limits=(1, 2, most), evaluation=evaluation)
    precision = np.asarray(judge["precision"])[..., 2]
    return np.where((precision > -1).all(axis=1), precision.mean(axis=1), np.nan)


def coco_judged(
    detections: Detections,
    truths: Truths,
    images: int,
    classes: int,
    *,
    limits: tuple[int, ...],
    evaluation: type = COCOeval,
) -> dict:
    """The reference's ``eval``: precision (T, R, C, A, M) and recall (T, C, A, M), -1 undefined.

    Never its summary, which reads maxDets 100 whatever was asked for.
    """
    labels, found = coco_sets(detections, truths, images, classes)
    with contextlib.redirect_stdout(io.StringIO()):
        judge = evaluation(labels, found, "bbox")
        judge.params.maxDets = list(limits)
        judge.evaluate()
        judge.accumulate()
    return judge.eval
