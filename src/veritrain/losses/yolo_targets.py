"""Which cells and anchors of YOLOv5 learn which box.

A target fits an anchor when neither side is 4 times longer or shorter than the anchor's (``anchor_t``). A target that
fits is given to the cell that holds its centre and to the cells beside it that are nearer than half a cell, at most one
across and one down; never beyond the image. One target may fit anchors of several levels, and one anchor of one cell
may get several targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from veritrain.errors import DataError

ANCHOR_T = 4.0
HALF = 0.5
ROUNDING = 1e-4
"""How far outside [0, 1] a centre may be, from rounding."""


@dataclass(frozen=True, kw_only=True)
class Matches:
    """What one level learns; M matches in a fixed order: the centre's cells, then those to the left, above, to the
    right and below, each by anchor and then by target.

    Attributes:
        image, anchor, row, column, label: (M,) int64.
        box: (M, 4) float32, x and y (centre) from the corner of the cell, width and height, all in cells; x and y are
            in (-0.5, 1.5).
        target: (M,) int64, the row of the target.
    """

    image: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    label: Tensor
    box: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.image)


def check_targets(targets: Tensor, *, images: int, classes: int) -> None:
    """Refuse targets that would be lost in silence or break an index.

    Args:
        targets: (T, 6) image index, class, x, y (centre), width, height; the last four as shares of the image.

    Raises:
        DataError: the shape, an index or a class is impossible, a centre lies outside of the image, or a side is not
            above 0: such a box would match no anchor and never be learned. The first row at fault is named.
    """
    if targets.dim() != 2 or targets.shape[1] != 6:
        raise DataError("targets are no table of boxes", expected="(T, 6)", found=f"{tuple(targets.shape)}")
    if not len(targets):
        return
    # Comparisons that are true of good numbers, so that NaN fails each; one look at the device for all of them.
    image, label, centre, side = targets[:, 0], targets[:, 1], targets[:, 2:4], targets[:, 4:6]
    good = (image >= 0) & (image < images) & (label >= 0) & (label < classes)
    good &= ((centre >= -ROUNDING) & (centre <= 1 + ROUNDING)).all(1)
    good &= ((side > 0) & torch.isfinite(side)).all(1)
    if bool(good.all()):
        return
    row = int((~good).nonzero()[0])
    raise DataError(
        f"target {row} is no box that can be learned",
        expected=f"image in 0..{images - 1}, class in 0..{classes - 1}, centre in [0, 1], width and height above 0",
        found=", ".join(f"{value:g}" for value in targets[row].tolist()),
        fix="mend or drop the label; `veritrain data check` names its file and line",
    )


def assign(
    targets: Tensor,
    anchors: Tensor,
    grids: Sequence[tuple[int, int]],
    *,
    anchor_t: float = ANCHOR_T,
) -> list[Matches]:
    """The matches of each level, without a loop over targets, anchors or cells.

    Args:
        targets: (T, 6) as :func:`check_targets` demands them; T may be 0.
        anchors: (levels, A, 2) width and height in cells of their level.
        grids: rows and columns of each level.
        anchor_t: largest ratio of a side to an anchor's, either way round.
    """
    return [_assign_level(targets, pairs, grid, anchor_t) for pairs, grid in zip(anchors, grids, strict=True)]


def _assign_level(targets: Tensor, anchors: Tensor, grid: tuple[int, int], anchor_t: float) -> Matches:
    rows, columns = grid
    extent = torch.tensor((columns, rows), device=targets.device, dtype=targets.dtype)
    centre, side = targets[:, 2:4] * extent, targets[:, 4:6] * extent
    ratio = side[None] / anchors[:, None].to(targets.dtype)
    anchor, target = (torch.maximum(ratio, 1 / ratio).amax(2) < anchor_t).nonzero(as_tuple=True)
    near, shift = _neighbours(centre[target], extent)
    turn, match = near.nonzero(as_tuple=True)
    anchor, target = anchor[match], target[match]
    inside = (centre[target] - shift[turn]).long()
    column = inside[:, 0].clamp(0, columns - 1)
    row = inside[:, 1].clamp(0, rows - 1)
    corner = torch.stack((column, row), 1)
    return Matches(
        image=targets[target, 0].long(),
        anchor=anchor,
        row=row,
        column=column,
        label=targets[target, 1].long(),
        box=torch.cat((centre[target] - corner, side[target]), 1),
        target=target,
    )


def _neighbours(centre: Tensor, extent: Tensor) -> tuple[Tensor, Tensor]:
    """(M, 2) centres in cells, (2,) columns and rows -> whether a cell learns (5, M), and what is taken from the centre
    to fall into it (5, 2): its own cell, left, above, right, below.

    A cell beside the image is none: the centre has to be more than one cell away from that side.
    """
    back = extent - centre
    before = (centre % 1 < HALF) & (centre > 1)
    after = (back % 1 < HALF) & (back > 1)
    near = torch.stack((torch.ones_like(before[:, 0]), before[:, 0], before[:, 1], after[:, 0], after[:, 1]))
    shift = torch.tensor(((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1)), device=centre.device, dtype=centre.dtype)
    return near, shift * HALF


def last_writer(cells: Tensor, size: int) -> Tensor:
    """(M,) cell numbers in 0..size - 1 -> (size,) the largest m that names the cell, -1 where none does.

    Where several matches meet, the last one decides about objectness; the largest number is the same in whatever order
    a device writes.
    """
    order = torch.arange(len(cells), device=cells.device)
    nobody = torch.full((size,), -1, device=cells.device, dtype=order.dtype)
    return nobody.scatter_reduce_(0, cells, order, "amax")
