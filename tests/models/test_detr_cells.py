"""What a cell's numbers mean, and what the head starts from."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from veritrain.models.detr_cells import MOST_GROWTH, Answer, CellHead
from veritrain.models.detr_memory import Memory, cells_of, sines
from veritrain.models.options import DetectorOptions

SHAPES = ((4, 4), (2, 2))


def memory_of(batch: int = 2) -> Memory:
    cells = cells_of(SHAPES, torch.zeros(1))
    valid = torch.ones(batch, len(cells), dtype=torch.bool)
    valid[0, 3] = False
    tokens = torch.randn(batch, len(cells), 16, generator=torch.Generator().manual_seed(0)) * valid[..., None]
    return Memory(tokens=tokens, places=sines(cells[:, :2], 16), cells=cells, valid=valid, shapes=SHAPES)


def head(**chosen) -> CellHead:
    torch.manual_seed(0)
    return CellHead(6, DetectorOptions(width=16, heads=4, **chosen))


def said(seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    texts, context = torch.randn(2, 2, 6, generator=torch.Generator().manual_seed(seed))
    return F.normalize(texts, dim=1), F.normalize(context, dim=1)


@torch.no_grad()
def test_a_box_starts_at_its_cell_and_twice_as_large():
    found = head()(memory_of(), *said())
    cells = cells_of(SHAPES, torch.zeros(1))
    assert found["cell_boxes"].shape == (1, 2, 20, 4)
    torch.testing.assert_close(found["cell_boxes"][0, 0], torch.cat((cells[:, :2], 2 * cells[:, 2:]), 1))


@torch.no_grad()
def test_the_same_numbers_mean_the_same_in_cells_of_every_level():
    net = head()
    net.box.bias.copy_(torch.tensor([0.5, -1.0, math.log(3), math.log(0.5)]))
    boxes, cells = net(memory_of(), *said())["cell_boxes"][0, 1], cells_of(SHAPES, torch.zeros(1))
    torch.testing.assert_close(boxes[:, 0], cells[:, 0] + 0.5 * cells[:, 2])
    torch.testing.assert_close(boxes[:, 1], cells[:, 1] - cells[:, 3])
    torch.testing.assert_close(boxes[:, 2:], cells[:, 2:] * torch.tensor([6.0, 1.0]))
    net.box.bias.fill_(1e6)
    assert net(memory_of(), *said())["cell_boxes"][..., 2:].max() <= 2 * 0.5 * math.exp(MOST_GROWTH) * 1.001


@torch.no_grad()
def test_scores_start_near_one_in_a_hundred():
    texts, context = said()
    found = head()(memory_of(), texts, context)
    logits = found["cell_scale"] * found["cell_embeddings"] @ texts.T + found["cell_bias"]
    assert float(found["cell_bias"]) == pytest.approx(-4.6) and logits.sigmoid().median() < 0.1
    torch.testing.assert_close(found["cell_embeddings"].norm(dim=-1), torch.ones(1, 2, 20))
    assert torch.equal(found["cell_valid"], memory_of().valid)


@torch.no_grad()
def test_an_answer_is_the_same_whatever_the_level_holds_elsewhere():
    """Levels share their convolutions, and no level reads another."""
    net, memory = head(), memory_of()
    before = net(memory, *said())["named"]
    memory.tokens[:, 16:] += 1.0
    after = net(memory, *said())["named"]
    torch.testing.assert_close(before[:, :16], after[:, :16])
    assert (before[:, 16:] - after[:, 16:]).abs().max() > 1e-3


@torch.no_grad()
def test_gate_and_texts_are_read_where_they_are_on():
    (texts, context), (other_texts, other_context) = said(), said(2)
    for chosen, reads in (({}, True), ({"gate": False, "text_conditioning": False}, False)):
        net = head(**chosen)
        for name, parameter in net.named_parameters():
            if name.endswith(("gate.last.weight", "attention.out.weight")):
                torch.nn.init.normal_(parameter)
        named = net(memory_of(), texts, context)["named"]
        for changed in (net(memory_of(), other_texts, context), net(memory_of(), texts, other_context)):
            assert bool((named - changed["named"]).abs().max() > 1e-3) == reads


def test_the_scale_is_bounded_as_clips_is():
    answer = Answer(8, 6)
    with torch.no_grad():
        answer.temperature.log_scale.fill_(20.0)
    assert float(answer(torch.randn(1, 2, 8))[1]) == pytest.approx(100, rel=1e-4)
