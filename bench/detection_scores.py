"""COCO's average precision of made detections: Veritrain beside pycocotools and faster-coco-eval, in turns.

    python bench/detection_scores.py [--images 2000] [--classes 4] [--repeats 5]

Speed is reported as a ratio measured side by side; absolute times belong to the machine. Each image has 0 to 6 objects
and 60 detections, two in three of them near an object. Timed is what turns detections and labels in memory into the ten
overlaps' average precision of each class: the reference's own data sets are built before, its printing is muted.
Seconds are those of the processor, all threads together, so that what else runs on the machine matters little.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection import GroupedDetections, detection_scores
from veritrain.metrics.matching import match_detections

PER_IMAGE = 60
Method = Callable[[], float]


def made(images: int, classes: int, seed: int = 0) -> tuple[Detections, Truths]:
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(images), rng.integers(0, 7, images))
    corner = rng.uniform(0, 500, (owner.size, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 140, corner.shape)], axis=1)
    truths = Truths(owner, boxes, rng.integers(0, classes, owner.size))
    at = np.repeat(np.arange(images), PER_IMAGE)
    corner = rng.uniform(0, 500, (at.size, 2))
    found = np.concatenate([corner, corner + rng.uniform(10, 140, corner.shape)], axis=1)
    cls = rng.integers(0, classes, at.size)
    near = np.flatnonzero(rng.random(at.size) < 2 / 3)
    source = rng.integers(0, owner.size, near.size)
    at[near], cls[near] = owner[source], truths.classes[source]
    found[near] = np.sort((boxes[source] + rng.normal(0, 8, (near.size, 4))).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    return Detections(at, found, rng.random(at.size), cls), truths


def rows_of(boxes: Truths | Detections) -> list[dict[str, Any]]:
    wide = np.concatenate([boxes.boxes[:, :2], boxes.boxes[:, 2:] - boxes.boxes[:, :2]], axis=1).tolist()
    named = zip(boxes.images.tolist(), boxes.classes.tolist(), wide, strict=True)
    return [{"image_id": image, "category_id": cls, "bbox": box} for image, cls, box in named]


def by_reference(kind: Any, sets: Any, detections: Detections, truths: Truths, images: int, classes: int) -> Method:
    """An evaluation of pycocotools' form on data sets that are built here."""
    with contextlib.redirect_stdout(io.StringIO()):
        labels = sets()
        labels.dataset = {
            "images": [{"id": i} for i in range(images)],
            "categories": [{"id": c, "name": str(c)} for c in range(classes)],
            "annotations": [
                {**row, "id": k + 1, "iscrowd": 0, "area": row["bbox"][2] * row["bbox"][3]}
                for k, row in enumerate(rows_of(truths))
            ],
        }
        labels.createIndex()
        scores = zip(rows_of(detections), detections.scores.tolist(), strict=True)
        found = labels.loadRes([{**row, "score": score} for row, score in scores])

    def run() -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            judge = kind(labels, found, "bbox")
            judge.params.areaRng, judge.params.areaRngLbl = [judge.params.areaRng[0]], ["all"]
            judge.evaluate()
            judge.accumulate()
        precision = np.asarray(judge.eval["precision"])[..., 0, 2]
        return float(precision[precision > -1].mean())

    return run


def methods(detections: Detections, truths: Truths, images: int, classes: int) -> dict[str, Method]:
    def ours() -> float:
        value = detection_scores(match_detections(detections, truths, images, classes)).map
        assert value is not None
        return value

    found = {"pycocotools": by_reference(COCOeval, COCO, detections, truths, images, classes), "veritrain": ours}
    try:
        from faster_coco_eval.core import COCO as FasterCOCO
        from faster_coco_eval.core import COCOeval_faster
    except ImportError:
        return found
    return {**found, "faster-coco-eval": by_reference(COCOeval_faster, FasterCOCO, detections, truths, images, classes)}


def interleaved(named: dict[str, Method], repeats: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of each method, each repeat running all of them in a rotated order, and what each found."""
    seconds: dict[str, list[float]] = {name: [] for name in named}
    values: dict[str, float] = {}
    names = list(named)
    for repeat in range(repeats):
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            start = time.process_time()
            values[name] = named[name]()
            seconds[name].append(time.process_time() - start)
    return seconds, values


def bootstrap_seconds(detections: Detections, truths: Truths, images: int, classes: int) -> float:
    """2,000 resamples of 40 groups from one table, all ten overlaps."""
    grouped = GroupedDetections(match_detections(detections, truths, images, classes), np.arange(images) % 40, 40)
    weights = np.random.default_rng(0).multinomial(40, np.full(40, 1 / 40), size=2000)
    start = time.process_time()
    grouped.mean_average_precision(weights)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    detections, truths = made(options.images, options.classes)
    seconds, values = interleaved(methods(detections, truths, options.images, options.classes), options.repeats)
    slowest = statistics.median(seconds["pycocotools"])
    print(f"{options.images:,} made images, {len(truths):,} objects of {options.classes} classes, ", end="")
    print(f"{len(detections):,} detections, median of {options.repeats} interleaved repeats (range)\n")
    print("| method | CPU seconds | pycocotools / method | mAP .50:.95 |\n|---|---|---|---|")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(
            f"| {name} | {median:.3f} ({min(times):.3f}-{max(times):.3f}) | {slowest / median:.1f} "
            f"| {values[name]:.12f} |"
        )
    taken = bootstrap_seconds(detections, truths, options.images, options.classes)
    print(f"\n2,000 resamples of 40 groups from one match table: {taken:.1f} CPU seconds")


if __name__ == "__main__":
    main()
