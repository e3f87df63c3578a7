"""Attention against torch's own, places against a loop, texts in parts, and a gate that starts as nothing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from veritrain.models import detr_attention
from veritrain.models.detr_attention import (
    Attention,
    ContextGate,
    DeformableAttention,
    FullAttention,
    TextAttention,
    sampled,
)
from veritrain.models.detr_memory import Memory, cells_of, sines

SHAPES = ((4, 6), (2, 3))


def memory_of(width: int = 8, batch: int = 2) -> Memory:
    cells = cells_of(SHAPES, torch.zeros(1))
    generator = torch.Generator().manual_seed(0)
    return Memory(
        tokens=torch.randn(batch, len(cells), width, generator=generator),
        places=sines(cells[:, :2], width),
        cells=cells,
        valid=torch.ones(batch, len(cells), dtype=torch.bool),
        shapes=SHAPES,
    )


@torch.no_grad()
def test_attention_is_torchs():
    torch.manual_seed(0)
    ours, theirs = Attention(8, 2, source=5), torch.nn.MultiheadAttention(8, 2, kdim=5, vdim=5, batch_first=True)
    for layer, weight in (("query", "q_proj_weight"), ("key", "k_proj_weight"), ("value", "v_proj_weight")):
        getattr(theirs, weight).copy_(getattr(ours, layer).weight)
    theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    queries, source = torch.randn(2, 7, 8), torch.randn(2, 9, 5)
    valid = torch.rand(2, 9) > 0.4
    wanted, _ = theirs(queries, source, source, key_padding_mask=~valid)
    torch.testing.assert_close(ours(queries, source, source, valid), wanted, rtol=1e-4, atol=1e-6)


def value_at(grid: torch.Tensor, x: float, y: float) -> torch.Tensor:
    """(C, H, W) at x, y in shares, by the four cells around; nothing outside."""
    rows, columns = grid.shape[1:]
    across, down = x * columns - 0.5, y * rows - 0.5
    left, top = int(torch.tensor(across).floor()), int(torch.tensor(down).floor())
    found = torch.zeros(grid.shape[0])
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < rows and 0 <= column < columns:
                found += (1 - abs(across - column)) * (1 - abs(down - row)) * grid[:, row, column]
    return found


@torch.no_grad()
def test_sampled_values_are_those_of_the_loop():
    batch, count, heads, points = 2, 3, 2, 2
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(batch, 30, 8, generator=generator)
    places = torch.rand(batch, count, heads, 2, points, 2, generator=generator) * 1.4 - 0.2
    weights = torch.rand(batch, count, heads, 2, points, generator=generator)
    found = sampled(values, SHAPES, places, weights)
    for b in range(batch):
        grids = [values[b, :24].T.reshape(8, 4, 6), values[b, 24:].T.reshape(8, 2, 3)]
        for n in range(count):
            for h in range(heads):
                wanted = torch.zeros(4)
                for level, grid in enumerate(grids):
                    for p in range(points):
                        x, y = places[b, n, h, level, p].tolist()
                        wanted += weights[b, n, h, level, p] * value_at(grid[4 * h : 4 * h + 4], x, y)
                torch.testing.assert_close(found[b, n, 4 * h : 4 * h + 4], wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_places_stay_within_a_box_at_the_start_and_move_with_it():
    """Each head looks along a ray of its own, at most to the border: offsets / points are at most 1."""
    layer = DeformableAttention(8, 4, 2, 3)
    offsets = layer.offsets.bias.view(4, 2, 3, 2) / 3
    assert offsets.abs().max() <= 1 + 1e-6 and offsets[:, :, 2].abs().amax(-1).min() > 0.99
    memory = memory_of()
    box = torch.tensor([[[0.3, 0.4, 0.2, 0.2]]]).expand(2, 1, 4)
    query = torch.zeros(2, 1, 8)
    same, moved = layer(query, box, memory), layer(query, box + torch.tensor([0.3, 0.2, 0.0, 0.0]), memory)
    assert (same - moved).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("kind", [FullAttention, DeformableAttention])
def test_nobody_reads_padding(kind):
    torch.manual_seed(0)
    layer = kind(8, 2) if kind is FullAttention else kind(8, 2, 2, 2)
    memory = memory_of()
    memory.valid[:, 3:9] = False
    queries, boxes = torch.randn(2, 5, 8), torch.rand(2, 5, 4)
    before = layer(queries, boxes, memory)
    memory.tokens[:, 3:9] = 99.0
    torch.testing.assert_close(before, layer(queries, boxes, memory))
    memory.tokens[:, 9:] = 99.0
    assert (before - layer(queries, boxes, memory)).abs().max() > 0.1


@torch.no_grad()
def test_many_texts_are_read_in_parts_that_are_the_whole(monkeypatch):
    torch.manual_seed(0)
    layer = TextAttention(8, 2, 6)
    features, texts = torch.randn(2, 9, 8), F.normalize(torch.randn(50, 6), dim=1)
    assert torch.equal(layer(features, texts), features)
    torch.nn.init.normal_(layer.attention.out.weight)
    whole = layer(features, texts)
    monkeypatch.setattr(detr_attention, "MOST_SCORES", 2 * 2 * 50 * 4)
    torch.testing.assert_close(layer(features, texts), whole)
    torch.testing.assert_close(layer(features, texts.flip(0)), whole)
    assert (layer(features, texts[:10]) - whole).abs().max() > 1e-3


@torch.no_grad()
def test_the_gate_starts_as_nothing_and_can_do_both():
    torch.manual_seed(0)
    gate = ContextGate(4, 6)
    features, context = torch.randn(2, 3, 4), F.normalize(torch.randn(2, 6), dim=1)
    assert torch.equal(gate(features, context), features)
    gate.last.bias.copy_(torch.tensor([2.0] * 4 + [0.5] * 4))
    torch.testing.assert_close(gate(features, context), 2 * features + 0.5)
    torch.nn.init.normal_(gate.last.weight)
    assert (gate(features, context) - gate(features, context.flip(0))).abs().max() > 1e-3
