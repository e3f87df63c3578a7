"""Which cells learn which object: those near it, of its size, that already answer best (after Feng et al. 2021, TOOD).

A cell may learn an object when its centre lies in the object's box, or within three quarters of a cell of the box's
centre, so that an object which is smaller than the cells is learned too; and when the object's size suits the level.
Of these the ``MOST`` with the best score^0.5 x IoU^6 learn it. A cell that several objects want has the one that it
overlaps most.
"""

from __future__ import annotations

import torch
from torch import Tensor

from veritrain.losses.set_matching import PaddedTargets, Pairs, padded_targets, pair_iou

MOST = 10
SCORE_POWER, IOU_POWER = 0.5, 6.0
NEAR = 0.75
"""Cells from the centre of a box across and down."""
SMALLEST, LARGEST = 1.0, 12.0
"""Sides in cells (square root of the area) that a level learns; the finest level has all smaller ones too, the coarsest
all larger ones."""
AT_ONCE = 1 << 24
"""Pairs of cell and object looked at in one go, 64 MB a number. 800 x 800 pixels with 468 objects are 6 million."""
FLOOR = 1e-9
"""What nearness alone is worth: less than any overlap that counts."""


@torch.no_grad()
def assign_cells(boxes: Tensor, logits: Tensor, targets: Tensor, cells: Tensor, valid: Tensor) -> Pairs:
    """The pairs of cells and objects, each cell in at most one.

    An object's best cell has a quality of the highest IoU that one of its cells has, the others less in proportion
    to score^0.5 x IoU^6 (TOOD, section 3.2).

    Args:
        boxes: (1, B, T, 4) centre and size in shares. logits: (1, B, T, C) of the classes, without the context.
        targets: (M, 6) image index, class, centre and size in shares.
        cells: (T, 4) centre and size of each cell. valid: (B, T) bool: cells outside of padding.
    """
    padded = padded_targets(targets, boxes.shape[1])
    if not len(targets):
        nothing = torch.zeros(0, dtype=torch.int64, device=boxes.device)
        return Pairs(layer=nothing, image=nothing, answer=nothing, target=nothing, quality=boxes.new_zeros(0))
    images = max(AT_ONCE // (padded.boxes.shape[1] * len(cells)), 1)
    found = []
    for start in range(0, boxes.shape[1], images):
        part = slice(start, start + images)
        image, *rest = _assigned(
            boxes[0, part].float(), logits[0, part].float(), padded.taken(part), cells, valid[part]
        )
        found.append((image + start, *rest))
    image, cell, target, quality = (torch.cat(one) for one in zip(*found, strict=True))
    return Pairs(layer=torch.zeros_like(image), image=image, answer=cell, target=target, quality=quality.clamp(0, 1))


def _assigned(
    boxes: Tensor, logits: Tensor, padded: PaddedTargets, cells: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image, cell, row of the object and quality of each pair, by image and then by cell."""
    overlap = pair_iou(boxes[:, None], padded.boxes[:, :, None])
    score = logits.sigmoid().mT.gather(1, padded.labels[..., None].expand(-1, -1, boxes.shape[1]))
    fit = score**SCORE_POWER * overlap**IOU_POWER
    able = candidates(padded, cells) & valid[:, None] & padded.real[..., None]
    chosen = _best(fit + FLOOR * _nearness(padded, cells), able) & able
    chosen &= _one_object_each(overlap, chosen)
    image, thing, cell = chosen.nonzero(as_tuple=True)
    best_fit, best_overlap = ((part * chosen).amax(2) for part in (fit, overlap))
    quality = (fit / (best_fit[..., None] + FLOOR) * best_overlap[..., None])[image, thing, cell]
    order = (image * boxes.shape[1] + cell).argsort()
    return image[order], cell[order], padded.rows[image, thing][order], quality[order]


def candidates(padded: PaddedTargets, cells: Tensor) -> Tensor:
    """(B, M, T) bool: cells near enough to an object, and of a level for its size."""
    centre, side = (part[:, :, None] for part in padded.boxes.chunk(2, dim=2))
    place, cell = cells[:, :2], cells[:, 2:]
    away = (place - centre).abs()
    near = (away <= side / 2).all(-1) | (away <= NEAR * cell).all(-1)
    extent = (side / cell).prod(-1).sqrt()
    finest, coarsest = cell.prod(-1) == cell.prod(-1).min(), cell.prod(-1) == cell.prod(-1).max()
    suits = ((extent >= SMALLEST) | finest) & ((extent <= LARGEST) | coarsest)
    return near & suits


def _nearness(padded: PaddedTargets, cells: Tensor) -> Tensor:
    """(B, M, T) in (0, 1]: of cells that overlap nothing yet, those at the centre of an object come first."""
    away = (cells[:, :2] - padded.boxes[:, :, None, :2]) / cells[:, 2:]
    return 1 / (1 + away.square().sum(-1))


def _best(fit: Tensor, able: Tensor) -> Tensor:
    """(B, M, T) -> bool: the ``MOST`` able cells of each object that fit best, and some that are not able where there
    are fewer."""
    ranked = torch.where(able, fit, torch.full_like(fit, -1.0))
    place = ranked.topk(min(MOST, fit.shape[2]), dim=2).indices
    return torch.zeros_like(able).scatter_(2, place, True)


def _one_object_each(overlap: Tensor, chosen: Tensor) -> Tensor:
    """(B, M, T) bool: of the objects that want a cell the one that it overlaps most, of equal ones the first."""
    first = torch.where(chosen, overlap, torch.full_like(overlap, -1.0)).argmax(1)
    return torch.zeros_like(chosen).scatter_(1, first[:, None], True)
