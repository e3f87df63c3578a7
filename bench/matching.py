"""Matching and loss of the detector's layers: Veritrain beside plain loops, interleaved, in one run; all must agree.

    python bench/matching.py [--repeats 5]

8 images of 1 to 24 objects, 300 queries, 20 classes, 7 layers; all of it is made. "pair by pair" computes the costs of
each image and layer by itself and GIoU for one query and one object at a time, as the detector of report 002 did (in
numbers instead of tensors, which is faster than its own); "image by image" has whole tensors for each image and layer.
Both then have a loss for each image and layer, whose sum is the same number. Timed is from outputs to gradients. Speed
is a ratio measured side by side; absolute times belong to the machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchvision.ops import box_convert, generalized_box_iou

from veritrain.losses.set_detection import WEIGHTS, contrast_losses, detection_terms, varifocal_losses
from veritrain.losses.set_matching import ALPHA, GAMMA
from veritrain.models.detr_answers import logits_of

IMAGES, QUERIES, CLASSES, LAYERS, WIDTH = 8, 300, 20, 7, 128
Output = Mapping[str, Tensor]
Overlaps = Callable[[Tensor, Tensor], Tensor]


def made_output(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    boxes = (0.5 + 0.3 * normal(LAYERS, IMAGES, QUERIES, 4)).clamp(0.02, 0.98)
    return {
        "boxes": boxes.requires_grad_(),
        "embeddings": F.normalize(normal(LAYERS, IMAGES, QUERIES, WIDTH), dim=-1).requires_grad_(),
        "scale": torch.full((LAYERS,), 14.0),
        "bias": torch.full((LAYERS,), -4.6),
        "valid": torch.ones(IMAGES, QUERIES, dtype=torch.bool),
        "texts": F.normalize(normal(CLASSES, WIDTH), dim=1),
        "context": F.normalize(normal(IMAGES, WIDTH), dim=1),
    }


def made_targets(seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(1, 25, (IMAGES,), generator=generator)
    targets = torch.rand(int(counts.sum()), 6, generator=generator)
    targets[:, 0] = torch.arange(IMAGES).repeat_interleave(counts)
    targets[:, 1] = (targets[:, 1] * CLASSES).floor()
    targets[:, 4:] = 0.02 + 0.4 * targets[:, 4:] ** 2
    return targets


def corners(boxes: Tensor) -> Tensor:
    return box_convert(boxes, "cxcywh", "xyxy")


def whole_overlaps(first: Tensor, second: Tensor) -> Tensor:
    return generalized_box_iou(corners(first), corners(second))


def overlaps_by_loops(first: Tensor, second: Tensor) -> Tensor:
    """GIoU of one pair after the other."""
    rows = []
    others = corners(second).tolist()
    for left, top, right, bottom in corners(first).tolist():
        row = []
        for x1, y1, x2, y2 in others:
            across, down = min(right, x2) - max(left, x1), min(bottom, y2) - max(top, y1)
            meet = max(across, 0.0) * max(down, 0.0)
            union = (right - left) * (bottom - top) + (x2 - x1) * (y2 - y1) - meet
            around = (max(right, x2) - min(left, x1)) * (max(bottom, y2) - min(top, y1))
            row.append(meet / union - (around - union) / around)
        rows.append(row)
    return torch.tensor(rows)


def image_by_image(output: Output, targets: Tensor, overlaps: Overlaps) -> float:
    """Costs, assignment and loss of one image and layer after the other."""
    logits = logits_of({name: value for name, value in output.items() if name != "context"})
    total = torch.zeros(())
    for layer in range(LAYERS):
        for image in range(IMAGES):
            own = targets[targets[:, 0] == image]
            labels, wanted = own[:, 1].long(), own[:, 2:]
            boxes, scores = output["boxes"][layer, image], logits[layer, image]
            with torch.no_grad():
                share = scores.sigmoid()[:, labels]
                right = ALPHA * (1 - share) ** GAMMA * -(share + 1e-8).log()
                wrong = (1 - ALPHA) * share**GAMMA * -(1 - share + 1e-8).log()
                cost = 2 * (right - wrong) + 5 * torch.cdist(boxes, wanted, p=1) - 2 * overlaps(boxes, wanted)
                query, thing = (torch.from_numpy(part) for part in linear_sum_assignment(cost.numpy()))
            found, true = boxes[query], wanted[thing]
            giou = generalized_box_iou(corners(found), corners(true)).diagonal()
            quality = torch.zeros_like(scores)
            quality[query, labels[thing]] = iou_of(found.detach(), true)
            parts = {
                "cls": varifocal_losses(scores, quality).sum(),
                "l1": (found - true).abs().sum(),
                "giou": (1 - giou).sum(),
                "contrast": contrast_losses(
                    output["embeddings"][layer, image, query],
                    labels[thing],
                    output["texts"],
                    output["context"][image].expand(len(query), -1),
                ).sum(),
            }
            total = total + sum(WEIGHTS[name] * value for name, value in parts.items()) / len(targets)
    return ended(total, output)


def iou_of(first: Tensor, second: Tensor) -> Tensor:
    one, two = corners(first), corners(second)
    meet = (torch.minimum(one[:, 2:], two[:, 2:]) - torch.maximum(one[:, :2], two[:, :2])).clamp(min=0).prod(1)
    return meet / (first[:, 2:].prod(1) + second[:, 2:].prod(1) - meet)


def veritrain(output: Output, targets: Tensor) -> float:
    terms = detection_terms(output, targets)
    return ended(sum(WEIGHTS[name] * value.mean() for name, value in terms.items()), output)


def ended(total: Tensor, output: Output) -> float:
    torch.autograd.grad(total, [output["boxes"], output["embeddings"]])
    return float(total.detach())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    output, targets = made_output(), made_targets()
    methods: dict[str, Callable[[], float]] = {
        "pair by pair": lambda: image_by_image(output, targets, overlaps_by_loops),
        "image by image": lambda: image_by_image(output, targets, whole_overlaps),
        "veritrain": lambda: veritrain(output, targets),
    }
    values = {name: method() for name, method in methods.items()}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(options.repeats):
        for name, method in methods.items():
            start = time.process_time()
            method()
            seconds[name].append(time.process_time() - start)
    slowest = statistics.median(seconds["pair by pair"])
    print(f"{len(targets)} objects in {IMAGES} images, {QUERIES} queries, {CLASSES} classes, {LAYERS} layers; ", end="")
    print(f"one thread, median of {options.repeats} interleaved repeats (range)\n")
    print("| method | CPU ms | pair by pair / method | loss |\n|---|---|---|---|")
    for name, times in seconds.items():
        median = statistics.median(times)
        spread = f"{median * 1e3:.0f} ({min(times) * 1e3:.0f} to {max(times) * 1e3:.0f})"
        print(f"| {name} | {spread} | {slowest / median:.1f} | {values[name]:.5f} |")


if __name__ == "__main__":
    main()
