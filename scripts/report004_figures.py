"""What the printed figures of report 004 say when they are computed again, from the 14 batches that it logged.

``python scripts/report004_figures.py FILE.csv`` with the columns batch, images_in_batch, total_loss, det_loss,
cls_loss, w_det and w_cls. Prints the table of docs/results.md.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

NOISE = 0.8060595
"""E[log(1 + e^x)], x standard normal: what binary cross-entropy gives for random logits, whatever the labels are."""

PRINTED = {
    "detection loss": "82.4 % better",
    "total loss": "30.6 % better",
    "detection weight": "+275 %",
    "classification weight": "+2,487 %",
    "ratio of the weights": "15:1, reached and stable",
    "classification loss": "nothing",
}
"""What the report says of each."""


@dataclass(frozen=True)
class Batch:
    """One logged batch; losses as printed, which YOLOv5 multiplies by the number of images (detection only)."""

    number: int
    images: int
    total: float
    detection: float
    classification: float
    detection_weight: float
    classification_weight: float


def read(path: Path) -> list[Batch]:
    """The batches of a file.

    Raises:
        SystemExit: a column is missing, a cell is no number, or there are fewer than three batches.
    """
    names = ("batch", "images_in_batch", "total_loss", "det_loss", "cls_loss", "w_det", "w_cls")
    with path.open(newline="", encoding="utf-8") as handle:
        rows = csv.DictReader(handle)
        missing = [name for name in names if name not in (rows.fieldnames or [])]
        if missing:
            raise SystemExit(f"{path.name}: expected the columns {', '.join(names)}; missing: {', '.join(missing)}")
        try:
            found = [[float(row[name]) for name in names] for row in rows]
        except (TypeError, ValueError) as error:
            raise SystemExit(f"{path.name}, line {rows.line_num}: expected a number in every cell; {error}") from error
    if len(found) < 3:
        raise SystemExit(f"{path.name}: expected at least 3 batches, found {len(found)}")
    return [Batch(int(row[0]), int(row[1]), *row[2:]) for row in found]


def change(before: float, after: float) -> str:
    return f"{(after - before) / before:+,.1%}"


def figures(batches: list[Batch]) -> list[tuple[str, str, str]]:
    """(what was printed about, as the report computes it, what it really says), a row each."""
    first, last = batches[0], batches[-1]
    whole = [batch for batch in batches if batch.images == first.images]
    end = whole[-1]
    each = [batch.detection / batch.images for batch in (first, last)]
    between = [batch.detection for batch in whole[1:]]
    ratios = [ratio(batch) for batch in batches]
    return [
        (
            "detection loss",
            f"{first.detection} to {last.detection}: {change(first.detection, last.detection)}",
            f"the last batch holds {last.images} images, the first {first.images}, and the loss is multiplied by their "
            f"number: {each[0]:.4f} to {each[1]:.4f} an image, {change(*each)}; to the last whole batch "
            f"{change(first.detection, end.detection)}, where the {len(between)} whole batches after the first one lie "
            f"between {min(between)} and {max(between)}",
        ),
        (
            "total loss",
            f"{first.total} to {last.total}: {change(first.total, last.total)}",
            f"two sums with different weights. With those of the end the first batch has "
            f"{weighted(first, last):.4f}, and the last whole batch {weighted(end, last):.4f}: "
            f"{change(weighted(first, last), weighted(end, last))}; as printed, the last whole batch has {end.total}, "
            f"{change(first.total, end.total)}",
        ),
        (
            "detection weight",
            f"{first.detection_weight} to {last.detection_weight}: "
            f"{change(first.detection_weight, last.detection_weight)}",
            f"the weights of all later batches sum to {sums(batches[1:])}, where GradNorm keeps them at the number of "
            "tasks, 2",
        ),
        (
            "classification weight",
            f"{first.classification_weight} to {last.classification_weight}: "
            f"{change(first.classification_weight, last.classification_weight)}",
            f"{last.classification_weight / first.classification_weight:.2f} times as much: the factor was printed as "
            "a gain, which is one less",
        ),
        (
            "ratio of the weights",
            f"{ratios[-1]:.1f} to 1",
            f"{ratios[0]:.0f} to 1 at the start; from the second logged batch on between {min(ratios[1:]):.0f} and "
            f"{max(ratios[1:]):.0f}, without settling",
        ),
        ("classification loss", *noise_row(batches)),
    ]


def weighted(batch: Batch, by: Batch) -> float:
    return by.detection_weight * batch.detection + by.classification_weight * batch.classification


def ratio(batch: Batch) -> float:
    return batch.detection_weight / batch.classification_weight


def sums(batches: list[Batch]) -> str:
    found = sorted({round(batch.detection_weight + batch.classification_weight, 3) for batch in batches})
    return f"{found[0]:g}" if len(found) == 1 else f"{found[0]:g} to {found[-1]:g}"


def noise_row(batches: list[Batch]) -> tuple[str, str]:
    values = [batch.classification for batch in batches]
    mean = statistics.fmean(values)
    error = statistics.stdev(values) / math.sqrt(len(values))
    away = f"{(mean - NOISE) / error:+.1f} standard errors away"
    return (
        f"{values[0]} to {values[-1]}: {change(values[0], values[-1])}",
        f"its mean over {len(values)} batches is {mean:.4f} (standard error {error:.4f}); binary cross-entropy of "
        f"random standard normal logits is {NOISE:.4f} on average, whatever the labels: {away}",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    batches = read(parser.parse_args().file)
    print("| figure | the report | computed again | what it says |\n|---|---|---|---|")
    for name, again, says in figures(batches):
        print(f"| {name} | {PRINTED[name]} | {again} | {says} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
