"""Which cells learn which object, against a loop over objects and cells."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import box_convert, box_iou

from veritrain.losses import cell_assignment
from veritrain.losses.cell_assignment import LARGEST, MOST, NEAR, SMALLEST, assign_cells
from veritrain.losses.set_matching import padded_targets
from veritrain.models.detr_memory import cells_of

SHAPES = ((16, 16), (8, 8), (4, 4), (2, 2))
CELLS = cells_of(SHAPES, torch.zeros(1))
EVERYWHERE = torch.ones(3, len(CELLS), dtype=torch.bool)


def made_answers(classes: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes of three images about as large as their cells are, and logits."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, 3, len(CELLS), 4, generator=generator)
    centre, side = CELLS.chunk(2, dim=1)
    boxes = torch.cat((centre + 0.4 * side * noise[..., :2], 2.5 * side * (0.4 * noise[..., 2:]).exp()), 3)
    return boxes, 2 * torch.randn(1, 3, len(CELLS), classes, generator=generator)


def made_targets(count: int = 12, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.rand(count, 6, generator=generator)
    targets[:, 0] = torch.arange(count) % 2
    targets[:, 1] = (4 * targets[:, 1]).floor()
    targets[:, 4:] = 0.02 + 0.5 * targets[:, 4:] ** 2
    return targets


def by_loops(
    boxes: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor
) -> dict[tuple[int, int], tuple[int, float]]:
    """(image, cell) -> (row of the object, quality)."""
    wants: list[tuple[int, int, int, float, float]] = []
    finest, coarsest = CELLS[0, 2], CELLS[-1, 2]
    for row, (image, label, *box) in enumerate(targets.tolist()):
        ranked = []
        for cell, (x, y, w, h) in enumerate(CELLS.tolist()):
            away = (abs(x - box[0]), abs(y - box[1]))
            inside = away[0] <= box[2] / 2 and away[1] <= box[3] / 2
            near = away[0] <= NEAR * w and away[1] <= NEAR * h
            extent = (box[2] / w * box[3] / h) ** 0.5
            suits = (extent >= SMALLEST or w == finest) and (extent <= LARGEST or w == coarsest)
            if not ((inside or near) and suits):
                continue
            both = box_convert(torch.stack((boxes[0, int(image), cell], torch.tensor(box))), "cxcywh", "xyxy")
            iou = float(box_iou(both[:1], both[1:]))
            fit = float(logits[0, int(image), cell, int(label)].sigmoid()) ** 0.5 * iou**6
            nearness = 1 / (1 + (away[0] / w) ** 2 + (away[1] / h) ** 2)
            ranked.append((fit + 1e-9 * nearness, fit, iou, cell))
        wants += [(int(image), cell, row, fit, iou) for _, fit, iou, cell in sorted(ranked, reverse=True)[:MOST]]
    owned: dict[tuple[int, int], tuple[int, float, float]] = {}
    for image, cell, row, fit, iou in wants:
        if (image, cell) not in owned or iou > owned[image, cell][2]:
            owned[image, cell] = (row, fit, iou)
    found = {}
    for place, (row, fit, _) in owned.items():
        own = [one for one in owned.values() if one[0] == row]
        found[place] = (row, fit / (max(one[1] for one in own) + 1e-9) * max(one[2] for one in own))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_pairs_are_those_of_the_loop(seed):
    boxes, logits = made_answers(seed=seed)
    targets = made_targets(seed=seed + 10)
    pairs = assign_cells(boxes, logits, targets, CELLS, EVERYWHERE)
    wanted = by_loops(boxes, logits, targets)
    found = {
        (image, cell): (target, quality)
        for image, cell, target, quality in zip(
            pairs.image.tolist(), pairs.answer.tolist(), pairs.target.tolist(), pairs.quality.tolist(), strict=True
        )
    }
    assert {place: row for place, (row, _) in found.items()} == {place: row for place, (row, _) in wanted.items()}
    assert len(found) == len(pairs) > len(targets)
    for place, (_, quality) in wanted.items():
        assert found[place][1] == pytest.approx(quality, abs=1e-4)


@pytest.mark.parametrize("side", [0.004, 0.02, 0.06, 0.2, 0.5, 1.0])
def test_an_object_of_any_size_is_learned_wherever_it_lies(side):
    boxes, logits = made_answers()
    generator = torch.Generator().manual_seed(5)
    for _ in range(20):
        centre = torch.rand(2, generator=generator).tolist()
        pairs = assign_cells(boxes, logits, torch.tensor([[0, 1, *centre, side, side]]), CELLS, EVERYWHERE)
        assert 1 <= len(pairs) <= MOST


def test_a_perfect_cell_is_to_have_the_score_one():
    boxes, logits = made_answers()
    target = torch.tensor([[1, 2, *CELLS[100, :2].tolist(), 0.2, 0.15]])
    boxes[0, 1, 100] = target[0, 2:]
    pairs = assign_cells(boxes, logits, target, CELLS, EVERYWHERE)
    own = pairs.answer == 100
    assert own.sum() == 1 and float(pairs.quality[own]) == pytest.approx(1, abs=1e-3)
    assert (pairs.quality[~own] < 1).all() and (pairs.image == 1).all()


def test_padding_learns_nothing():
    boxes, logits = made_answers()
    valid = EVERYWHERE.clone()
    valid[:, CELLS[:, 0] > 0.5] = False
    pairs = assign_cells(boxes, logits, made_targets(), CELLS, valid)
    assert len(pairs) and valid[pairs.image, pairs.answer].all()


def test_images_a_few_at_a_time_are_the_same_pairs(monkeypatch):
    boxes, logits = made_answers()
    whole = assign_cells(boxes, logits, made_targets(), CELLS, EVERYWHERE)
    monkeypatch.setattr(cell_assignment, "AT_ONCE", 1)
    parts = assign_cells(boxes, logits, made_targets(), CELLS, EVERYWHERE)
    for name in ("layer", "image", "answer", "target", "quality"):
        assert torch.equal(getattr(whole, name), getattr(parts, name)), name


def test_no_object_is_no_pair():
    boxes, logits = made_answers()
    pairs = assign_cells(boxes, logits, torch.zeros(0, 6), CELLS, EVERYWHERE)
    assert len(pairs) == 0 and pairs.quality is not None and len(pairs.quality) == 0


def test_images_without_objects_fill_no_place():
    assert padded_targets(made_targets(), 3).real.sum(1).tolist() == [6, 6, 0]
