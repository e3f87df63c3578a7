"""YOLOv5's detection loss: boxes by CIoU, objectness of every cell, classes of the matched ones.

Two forms of one computation: :func:`batch_loss`, which is the original's number, and :func:`terms`, which has one
number a sample and no gains, for a loop that records unweighted terms. The original multiplies its loss by the batch
size, so that a last batch of 2 images looks like a quarter of one of 8; terms are means over samples and do not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from veritrain.losses.yolo_targets import ANCHOR_T, Matches, assign, check_targets, last_writer
from veritrain.models.options import STRIDES
from veritrain.models.yolo import LEVELS
from veritrain.models.yolo_decode import corners_of

BALANCE = (4.0, 1.0, 0.4)
"""Weights of the objectness of P3, P4 and P5."""
GAINS: Mapping[str, float] = {"box": 0.05, "obj": 1.0, "cls": 0.5}
"""At 640 pixels, 80 classes and 3 levels."""
EPS = 1e-7
LEAST_HEIGHT = 1e-16
"""In cells: a predicted height is brought up to this before a width is divided by it. The original does not, and in
float32 its gradient there is not a number."""


@dataclass(frozen=True, kw_only=True)
class BatchLoss:
    """The original's numbers for a batch: ``total`` = (box + obj + cls) x batch size; the parts carry their gains."""

    total: Tensor
    box: Tensor
    obj: Tensor
    cls: Tensor


def scaled_gains(
    image_size: int, classes: int, *, levels: int = len(STRIDES), gains: Mapping[str, float] = GAINS
) -> dict[str, float]:
    """Gains for an image size in pixels, a number of classes and of levels, as the original's training scales them.

    box x 3 / levels; cls x classes / 80 x 3 / levels; obj x (image_size / 640)^2 x 3 / levels.
    """
    share = 3 / levels
    return {
        "box": gains["box"] * share,
        "obj": gains["obj"] * (image_size / 640) ** 2 * share,
        "cls": gains["cls"] * classes / 80 * share,
    }


def complete_iou(first: Tensor, second: Tensor) -> Tensor:
    """CIoU of pairs (Zheng et al. 2020, equations 8 to 11), in about (-1.5, 1]; 1 for equal boxes.

    Args:
        first, second: (M, 4) x, y (centre), width, height.

    IoU - (rho^2 / c^2 + v alpha): rho the distance of the centres, c the diagonal of the box around both, v =
    4 / pi^2 (atan(w2 / h2) - atan(w1 / h1))^2 and alpha = v / (1 - IoU + v), which takes no gradient.
    """
    one, two = corners_of(first), corners_of(second)
    meet = (torch.minimum(one[:, 2:], two[:, 2:]) - torch.maximum(one[:, :2], two[:, :2])).clamp(min=0).prod(1)
    iou = meet / (first[:, 2:].prod(1) + second[:, 2:].prod(1) - meet + EPS)
    around = torch.maximum(one[:, 2:], two[:, 2:]) - torch.minimum(one[:, :2], two[:, :2])
    apart = (first[:, :2] - second[:, :2]).square().sum(1) / (around.square().sum(1) + EPS)
    turn = (_slant(second) - _slant(first)).square() * (4 / math.pi**2)
    with torch.no_grad():
        alpha = turn / (turn - iou + (1 + EPS))
    return iou - (apart + turn * alpha)


def _slant(boxes: Tensor) -> Tensor:
    return torch.atan(boxes[:, 2] / boxes[:, 3].clamp(min=LEAST_HEIGHT))


@dataclass(frozen=True, kw_only=True)
class _Level:
    """Losses of one level before any mean: box and cls of each match (M,), obj of each image (B,)."""

    image: Tensor
    box: Tensor
    cls: Tensor
    obj: Tensor


def batch_loss(
    output: Mapping[str, Tensor],
    targets: Tensor,
    anchors: Tensor,
    *,
    gains: Mapping[str, float] = GAINS,
    anchor_t: float = ANCHOR_T,
) -> BatchLoss:
    """The original's loss of a batch, to compare numbers with; training uses :func:`terms`.

    Args:
        output: raw ``p3``, ``p4``, ``p5`` (B, A, ny, nx, 5 + classes).
        targets: (T, 6) image index, class, x, y, width, height as shares of the image.
        anchors: (3, A, 2) in cells (``Detect.anchors``).

    Raises:
        DataError: a target cannot be learned (``check_targets``).
    """
    levels = _levels(output, targets, anchors, anchor_t)
    zero = levels[0].obj.new_zeros(())
    box = sum((level.box.mean() for level in levels if len(level.box)), zero) * gains["box"]
    obj = sum((level.obj.mean() for level in levels), zero) * gains["obj"]
    cls = sum((level.cls.mean() for level in levels if len(level.cls)), zero) * gains["cls"]
    return BatchLoss(total=(box + obj + cls) * len(levels[0].obj), box=box, obj=obj, cls=cls)


def terms(
    output: Mapping[str, Tensor], targets: Tensor, anchors: Tensor, *, anchor_t: float = ANCHOR_T
) -> dict[str, Tensor]:
    """``box``, ``obj``, ``cls``, each (B,) and without gains; their means over B are the original's parts before gains.

    ``obj`` of a sample is the mean over its cells (x balance, summed over levels). ``box`` and ``cls`` of a sample are
    the sum over its matches, divided by the matches that the batch has per image: a sample with more boxes has a larger
    share, as in the original, and one without boxes has 0. ``cls`` is 0 where there is one class.

    Arguments and errors as :func:`batch_loss`.
    """
    levels = _levels(output, targets, anchors, anchor_t)
    return {
        "box": _stacked([_shares(level.box, level) for level in levels]),
        "obj": _stacked([level.obj for level in levels]),
        "cls": _stacked([_shares(level.cls, level) for level in levels]),
    }


def _stacked(levels: list[Tensor]) -> Tensor:
    return torch.stack(levels).sum(0)


def _shares(losses: Tensor, level: _Level) -> Tensor:
    """(M,) losses of matches -> (B,) whose mean is their mean; by a mask, because a sum in the order of threads would
    not be the same twice on a GPU."""
    images = len(level.obj)
    own = level.image[None] == torch.arange(images, device=losses.device)[:, None]
    return (losses[None] * own).sum(1) * (images / max(len(losses), 1))


def _levels(output: Mapping[str, Tensor], targets: Tensor, anchors: Tensor, anchor_t: float) -> list[_Level]:
    """The three levels in float32 or wider, whatever the network computes in."""
    raws = [output[name] if output[name].dtype == torch.float64 else output[name].float() for name in LEVELS]
    check_targets(targets, images=len(raws[0]), classes=raws[0].shape[-1] - 5)
    grids = [(raw.shape[2], raw.shape[3]) for raw in raws]
    found = assign(targets.to(raws[0].dtype), anchors, grids, anchor_t=anchor_t)
    return [
        _level(raw, matches, pairs, weight)
        for raw, matches, pairs, weight in zip(raws, found, anchors, BALANCE, strict=True)
    ]


def _level(raw: Tensor, matches: Matches, anchors: Tensor, weight: float) -> _Level:
    """(B, A, ny, nx, 5 + classes) and what the level learns, anchors (A, 2) in cells."""
    _, per_cell, rows, columns, width = raw.shape
    cell = ((matches.image * per_cell + matches.anchor) * rows + matches.row) * columns + matches.column
    own = raw.reshape(-1, width)[cell]
    centre = own[:, :2].sigmoid() * 2 - 0.5
    side = (own[:, 2:4].sigmoid() * 2) ** 2 * anchors.to(raw.dtype)[matches.anchor]
    iou = complete_iou(torch.cat((centre, side), 1), matches.box)
    objectness = F.binary_cross_entropy_with_logits(
        raw[..., 4], _wanted(iou, cell, raw[..., 4]), reduction="none"
    ).mean((1, 2, 3))
    return _Level(
        image=matches.image, box=1 - iou, cls=_class_losses(own[:, 5:], matches.label), obj=objectness * weight
    )


def _wanted(iou: Tensor, cell: Tensor, like: Tensor) -> Tensor:
    """The objectness that each cell should have: the CIoU of its match, at least 0; 0 without a match."""
    if not len(cell):
        return torch.zeros_like(like)
    writer = last_writer(cell, like.numel())
    values = iou.detach().clamp(min=0)[writer.clamp(min=0)]
    return torch.where(writer >= 0, values, torch.zeros_like(values)).view(like.shape)


def _class_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """(M, classes) logits -> (M,) mean binary cross-entropy over the classes, in nats; 0 for a single class."""
    if logits.shape[1] == 1:
        return logits.new_zeros(len(logits))
    wanted = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(1)
