"""What YOLOv5's raw outputs mean: boxes in pixels, objectness and class probabilities.

For a cell in column c and row r of a level with stride s, and an anchor of w x h pixels, with sigma the logistic
function and t the raw output:

    x = (2 sigma(t_x) - 0.5 + c) s      width  = (2 sigma(t_w))^2 w
    y = (2 sigma(t_y) - 0.5 + r) s      height = (2 sigma(t_h))^2 h

so a centre lies within (-0.5, 1.5) cells of its cell, and a side within (0, 4) times that of its anchor.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from veritrain.models.yolo import LEVELS, Detect


def decode(output: Mapping[str, Tensor], detect: Detect) -> Tensor:
    """Raw ``p3``, ``p4``, ``p5`` -> (B, N, 5 + classes) float32: x, y (centre), width, height in pixels of the
    network's image, objectness and class probabilities in (0, 1).

    Rows go by level, then anchor, row and column of the cell. ``detect`` is the network's head.
    """
    parts = [
        decode_level(output[name], anchors, stride)
        for name, anchors, stride in zip(LEVELS, detect.anchors, detect.strides, strict=True)
    ]
    return torch.cat(parts, 1)


def decode_level(raw: Tensor, anchors: Tensor, stride: int) -> Tensor:
    """(B, A, ny, nx, 5 + classes) raw, (A, 2) anchors in cells -> (B, A * ny * nx, 5 + classes), as :func:`decode`."""
    rows, columns = raw.shape[2:4]
    raw = raw.float()
    cells = cell_corners(rows, columns, raw) - 0.5
    share = raw.sigmoid()
    centre = (share[..., 0:2] * 2 + cells) * stride
    size = (share[..., 2:4] * 2) ** 2 * (anchors.float() * stride).view(1, -1, 1, 1, 2)
    return torch.cat((centre, size, share[..., 4:]), -1).flatten(1, 3)


def cell_corners(rows: int, columns: int, like: Tensor) -> Tensor:
    """(rows, columns, 2): column and row of each cell, on the device and in the type of ``like``."""
    down, across = (torch.arange(count, device=like.device, dtype=like.dtype) for count in (rows, columns))
    row, column = torch.meshgrid(down, across, indexing="ij")
    return torch.stack((column, row), -1)


def corners_of(boxes: Tensor) -> Tensor:
    """(..., 4) x, y (centre), width, height -> left, top, right, bottom."""
    centre, half = boxes[..., :2], boxes[..., 2:4] / 2
    return torch.cat((centre - half, centre + half), -1)
