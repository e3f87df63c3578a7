"""Non-maximum suppression: of boxes of one class that overlap, the surest stays (Girshick et al. 2014, section 2)."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

from veritrain.errors import ConfigError
from veritrain.models.yolo_decode import corners_of

CLASS_OFFSET = 7680
"""Pixels by which each class is moved away from the one before it, so that classes do not suppress each other.

As in the original, in float32: a coordinate of class 79 is then known to a sixteenth of a pixel."""
MOST_CANDIDATES = 30_000
MOST_BOXES = 300


def suppress(
    decoded: Tensor,
    *,
    confidence: float = 0.001,
    overlap: float = 0.6,
    multi_label: bool = True,
    most_boxes: int = MOST_BOXES,
    most_candidates: int = MOST_CANDIDATES,
) -> list[Tensor]:
    """The boxes that stay, for each image, surest first.

    The score of a class is objectness times its probability. Candidates have an objectness and a score above
    ``confidence``; only the ``most_candidates`` surest compete. A box goes when a surer one of its class overlaps it
    by an IoU above ``overlap``. There is no time limit. Of equal scores the earlier candidate is the surer one, by
    the order of the rows and then of the classes, so that equal inputs give equal boxes.

    The defaults are those of validation; for detections to look at take 0.25, 0.45 and one label a box.

    Args:
        decoded: (B, N, 5 + classes) as ``models.yolo_decode.decode`` gives it.
        multi_label: a box may be of every class whose score passes, else of its likeliest class alone.

    Returns:
        For each image (n, 6) float32: left, top, right, bottom in pixels, score, class.

    Raises:
        ConfigError: a threshold outside [0, 1].
    """
    for name, value in (("confidence", confidence), ("overlap", overlap)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} is a share", expected="a number in [0, 1]", found=str(value))
    found = []
    for rows in decoded.float():
        boxes = _candidates(rows, confidence, multi_label)[:most_candidates]
        apart = boxes[:, :4] + boxes[:, 5:6] * CLASS_OFFSET
        found.append(boxes[nms(apart, boxes[:, 4], overlap)[:most_boxes]])
    return found


def _candidates(rows: Tensor, confidence: float, multi_label: bool) -> Tensor:
    """(N, 5 + classes) -> (n, 6) as :func:`suppress`, surest first."""
    rows = rows[rows[:, 4] > confidence]
    scores = rows[:, 5:] * rows[:, 4:5]
    if multi_label:
        row, label = (scores > confidence).nonzero(as_tuple=True)
    else:
        best, label = scores.max(1)
        row = (best > confidence).nonzero().squeeze(1)
        label = label[row]
    score = scores[row, label]
    boxes = torch.cat((corners_of(rows[row, :4]), score[:, None], label[:, None].to(score.dtype)), 1)
    return boxes[score.argsort(descending=True, stable=True)]
