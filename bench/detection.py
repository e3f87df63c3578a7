"""Target assignment and NMS: Veritrain beside plain loops, interleaved, in one run; both must agree.

    python bench/detection.py [--repeats 5]

Targets are 16 boxes in each of 16 images of 640 pixels. NMS gets 25,200 decoded boxes of one such image, of which about
2,500 labels pass the threshold. All of it is made. Speed is a ratio measured side by side; absolute times belong to the
machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from veritrain.losses.yolo_targets import assign
from veritrain.models.nms import suppress
from veritrain.models.options import COCO_ANCHORS, STRIDES

SIDE = 640
GRIDS = [(SIDE // stride, SIDE // stride) for stride in STRIDES]
ANCHORS = torch.tensor(COCO_ANCHORS) / torch.tensor(STRIDES).view(3, 1, 1)
SHIFTS = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (-0.5, 0.0), (0.0, -0.5))


def made_targets(images: int = 16, boxes: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    targets = torch.rand(images * boxes, 6, generator=generator)
    targets[:, 0] = torch.arange(images).repeat_interleave(boxes)
    targets[:, 1] = (targets[:, 1] * 80).floor()
    targets[:, 4:] = 0.02 + 0.6 * targets[:, 4:] ** 2
    return targets


def made_boxes(rows: int = 25_200, classes: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    centre = torch.rand(rows, 2, generator=generator) * SIDE
    side = 10 + 150 * torch.rand(rows, 2, generator=generator)
    scores = torch.rand(rows, 1 + classes, generator=generator) ** 4
    scores[:, 0] *= torch.rand(rows, generator=generator) < 0.1
    return torch.cat((centre, side, scores), 1)[None]


def assigned_by_loops(targets: Tensor) -> int:
    found = 0
    rows = targets.tolist()
    for pairs, (height, width) in zip(ANCHORS.tolist(), GRIDS, strict=True):
        for dx, dy in SHIFTS:
            for anchor_w, anchor_h in pairs:
                for _, _, x, y, w, h in rows:
                    x, y, w, h = x * width, y * height, w * width, h * height
                    if max(w / anchor_w, anchor_w / w, h / anchor_h, anchor_h / h) >= 4:
                        continue
                    near = (
                        (not dx and not dy)
                        or (dx > 0 and x % 1 < 0.5 and x > 1)
                        or (dy > 0 and y % 1 < 0.5 and y > 1)
                        or (dx < 0 and (width - x) % 1 < 0.5 and width - x > 1)
                        or (dy < 0 and (height - y) % 1 < 0.5 and height - y > 1)
                    )
                    found += near
    return found


def assigned(targets: Tensor) -> int:
    return sum(len(matches) for matches in assign(targets, ANCHORS, GRIDS))


def suppressed_by_loops(decoded: Tensor, confidence: float = 0.1, overlap: float = 0.6) -> int:
    candidates = []
    for x, y, w, h, objectness, *classes in decoded[0].tolist():
        if objectness > confidence:
            box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
            candidates += [(objectness * share, label, *box) for label, share in enumerate(classes)
                           if objectness * share > confidence]  # fmt: skip
    kept: list[tuple[Any, ...]] = []
    for one in sorted(candidates, key=lambda row: -row[0]):
        for two in kept:
            if one[1] == two[1]:
                across, down = min(one[4], two[4]) - max(one[2], two[2]), min(one[5], two[5]) - max(one[3], two[3])
                if across > 0 and down > 0:
                    meet = across * down
                    areas = (one[4] - one[2]) * (one[5] - one[3]) + (two[4] - two[2]) * (two[5] - two[3])
                    if meet / (areas - meet) > overlap:
                        break
        else:
            kept.append(one)
    return len(kept)


def suppressed(decoded: Tensor, confidence: float = 0.1, overlap: float = 0.6) -> int:
    return len(suppress(decoded, confidence=confidence, overlap=overlap, most_boxes=10**6)[0])


def interleaved(methods: dict[str, Callable[[Tensor], int]], given: Tensor, repeats: int) -> None:
    """Print the median seconds of each method, the ratio to the first and what it found."""
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    found = {name: method(given) for name, method in methods.items()}
    for _ in range(repeats):
        for name, method in methods.items():
            start = time.perf_counter()
            method(given)
            seconds[name].append(time.perf_counter() - start)
    slowest = statistics.median(next(iter(seconds.values())))
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"| {name} | {median * 1e3:.2f} | {slowest / median:.1f} | {found[name]:,} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"one thread, median of {options.repeats} interleaved repeats\n")
    print("| method | ms | loops / method | matches or boxes |\n|---|---|---|---|")
    targets = {"assignment, loops": assigned_by_loops, "assignment, veritrain": assigned}
    interleaved(targets, made_targets(), options.repeats)
    interleaved({"NMS, loops": suppressed_by_loops, "NMS, veritrain": suppressed}, made_boxes(), options.repeats)


if __name__ == "__main__":
    main()
