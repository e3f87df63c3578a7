"""Which query learns which object: the cheapest assignment of one query to each object (Kuhn 1955; Carion et al. 2020).

Costs of all layers and images are one computation; only the assignment itself goes image by image, in SciPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from veritrain.errors import DataError, NonFiniteError
from veritrain.models.yolo_decode import corners_of

ALPHA, GAMMA = 0.25, 2.0
"""Of the focal cost (Lin et al. 2017, equation 5)."""
LEAST_AREA = 1e-12
"""In shares of an image: a bound and nothing added, so that boxes of two pixels have their true overlap."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Weights of the parts of a cost (Zhu et al. 2021, appendix A.4)."""

    label: float = 2.0
    l1: float = 5.0
    giou: float = 2.0


@dataclass(frozen=True, kw_only=True)
class PaddedTargets:
    """The objects of a batch, image by image, filled up to the largest number M.

    Attributes:
        boxes: (B, M, 4) centre and size in shares; whole-image boxes where there is no object.
        labels: (B, M) int64, 0 where there is no object. rows: (B, M) int64, row of ``targets``; 0 where none.
        counts: objects of each image.
    """

    boxes: Tensor
    labels: Tensor
    rows: Tensor
    counts: tuple[int, ...]

    @property
    def real(self) -> Tensor:
        """(B, M) bool: where there is an object."""
        place = torch.arange(self.boxes.shape[1], device=self.boxes.device)
        return place[None] < torch.tensor(self.counts, device=place.device)[:, None]

    def taken(self, images: slice) -> PaddedTargets:
        """Those of some images, in their order."""
        return PaddedTargets(
            boxes=self.boxes[images], labels=self.labels[images], rows=self.rows[images], counts=self.counts[images]
        )


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """P pairs of an answer and an object, by layer, then image, then answer.

    Attributes:
        layer, image, answer: (P,) int64, which answer (a query or a cell).
        target: (P,) int64, the row of ``targets``.
        quality: (P,) float in [0, 1], what the score of the object's class is to be; None: the IoU of the pair.
    """

    layer: Tensor
    image: Tensor
    answer: Tensor
    target: Tensor
    quality: Tensor | None = None

    def __len__(self) -> int:
        return len(self.layer)


def padded_targets(targets: Tensor, images: int) -> PaddedTargets:
    """(T, 6) image index, class, centre and size, in any order -> image by image, each in the order of the rows."""
    owner = targets[:, 0].long()
    order = owner.argsort(stable=True)
    counts = torch.bincount(owner, minlength=images)
    most = int(counts.max()) if len(targets) else 0
    before = counts.cumsum(0) - counts
    place = torch.arange(len(owner), device=owner.device) - before[owner[order]]
    boxes = targets.new_tensor((0.5, 0.5, 1.0, 1.0)).repeat(images, most, 1)
    labels, rows = (owner.new_zeros(images, most) for _ in range(2))
    boxes[owner[order], place] = targets[order, 2:]
    labels[owner[order], place] = targets[order, 1].long()
    rows[owner[order], place] = order
    return PaddedTargets(boxes=boxes, labels=labels, rows=rows, counts=tuple(counts.tolist()))


def every_generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """GIoU of each with each (Rezatofighi et al. 2019, algorithm 1), in (-1, 1]; 1 for equal boxes.

    Args:
        first: (..., N, 4), second: (..., M, 4), centre and size.

    Returns:
        (..., N, M).
    """
    return generalised_iou(first.unsqueeze(-2), second.unsqueeze(-3))


def generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """GIoU of pairs, in (-1, 1]: IoU less the share of the box around both that neither covers; (..., 4) -> (...)."""
    iou, union, around = _overlap(first, second)
    return iou - (around - union) / around.clamp(min=LEAST_AREA)


def pair_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of pairs of boxes, centre and size, in [0, 1]; (..., 4), which broadcast -> (...)."""
    return _overlap(first, second)[0]


def _overlap(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """IoU, area of both together, area of the box around both. Side by side, not as pairs of corners: a quarter of the
    memory of tensors that end in 4."""
    one, two = corners_of(first).unbind(-1), corners_of(second).unbind(-1)
    across = torch.minimum(one[2], two[2]) - torch.maximum(one[0], two[0])
    down = torch.minimum(one[3], two[3]) - torch.maximum(one[1], two[1])
    meet = across.clamp(min=0) * down.clamp(min=0)
    union = (first[..., 2] * first[..., 3] + second[..., 2] * second[..., 3]) - meet
    width = torch.maximum(one[2], two[2]) - torch.minimum(one[0], two[0])
    height = torch.maximum(one[3], two[3]) - torch.minimum(one[1], two[1])
    return meet / union.clamp(min=LEAST_AREA), union, width * height


@torch.no_grad()
def every_cost(boxes: Tensor, logits: Tensor, padded: PaddedTargets, costs: Costs) -> Tensor:
    """(L, B, N, M): what it costs to give an object to a query: focal 2, L1 5 and GIoU 2.

    Args:
        boxes: (L, B, N, 4). logits: (L, B, N, C) of the classes, without the context.
    """
    labels = padded.labels[None, :, None].expand(*boxes.shape[:3], -1)
    share = logits.float().sigmoid().gather(3, labels)
    right = ALPHA * (1 - share) ** GAMMA * -(share + 1e-8).log()
    wrong = (1 - ALPHA) * share**GAMMA * -(1 - share + 1e-8).log()
    found = costs.label * (right - wrong)
    found += costs.l1 * torch.cdist(boxes.float(), padded.boxes[None].expand(len(boxes), -1, -1, -1), p=1)
    found -= costs.giou * every_generalised_iou(boxes.float(), padded.boxes[None])
    return found


@torch.no_grad()
def match(
    boxes: Tensor, logits: Tensor, targets: Tensor, *, costs: Costs | None = None, valid: Tensor | None = None
) -> Pairs:
    """One query for each object, each layer by itself, so that the sum of the costs is least.

    Args:
        boxes: (L, B, N, 4) centre and size. logits: (L, B, N, C) of the classes, without the context.
        targets: (T, 6) image index, class, centre and size in shares; T may be 0, images may have none.
        costs: weights; None: 2, 5 and 2. valid: (B, N) bool: queries that may be chosen; None: all.

    Returns:
        L x T pairs.

    Raises:
        DataError: an image has more objects than queries: some would be learned by none.
        NonFiniteError: boxes or logits are no numbers; it says of which layer and image.
    """
    padded = padded_targets(targets, boxes.shape[1])
    _demand_enough(padded.counts, boxes.shape[2] if valid is None else valid.sum(1).tolist())
    table = every_cost(boxes, logits, padded, costs or Costs())
    if valid is not None:
        # Dearer than any other, and yet a number: SciPy gives up where a whole row is infinite.
        table = torch.where(valid[None, :, :, None], table, torch.full_like(table, 1e6))
    host = table.cpu().numpy()
    rows = padded.rows.tolist()
    found: list[tuple[int, int, int, int]] = []
    for layer, of_layer in enumerate(host):
        for image, count in enumerate(padded.counts):
            if not count:
                continue
            try:
                answers, objects = linear_sum_assignment(of_layer[image, :, :count])
            except ValueError as error:
                raise _not_finite(boxes, logits, layer, image) from error
            found += [
                (layer, image, a, rows[image][o]) for a, o in zip(answers.tolist(), objects.tolist(), strict=True)
            ]
    columns = torch.tensor(found, dtype=torch.int64, device=boxes.device).view(-1, 4).unbind(1)
    return Pairs(layer=columns[0], image=columns[1], answer=columns[2], target=columns[3])


def _demand_enough(counts: tuple[int, ...], queries: int | list[int]) -> None:
    enough = [queries] * len(counts) if isinstance(queries, int) else queries
    for image, (count, most) in enumerate(zip(counts, enough, strict=True)):
        if count > most:
            raise DataError(
                f"image {image} of the batch has more objects than the detector has queries",
                expected=f"{most} objects or fewer",
                found=f"{count} objects",
                fix="ask for more queries, larger images, or cut the images into tiles",
            )


def _not_finite(boxes: Tensor, logits: Tensor, layer: int, image: int) -> NonFiniteError:
    parts: Mapping[str, Tensor] = {"boxes": boxes[layer, image], "logits": logits[layer, image]}
    wrong = [f"{int((~part.isfinite()).sum())} numbers of the {name}" for name, part in parts.items()
             if not part.isfinite().all()]  # fmt: skip
    return NonFiniteError(
        f"objects cannot be matched: layer {layer}, image {image} of the batch",
        expected="finite boxes and logits, and finite targets",
        found=f"{' and '.join(wrong) or 'targets'} that are NaN or infinite",
        fix="lower the learning rate, or clip the gradients",
    )
