"""Layers refine boxes in the space of logits, each from where the one before it ended, and no further back."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from veritrain.models.detr_decoder import EDGE, Decoder, LearnedQueries, inverse_sigmoid
from veritrain.models.detr_memory import Memory, cells_of, sines
from veritrain.models.options import DetectorOptions

SHAPES = ((4, 4), (2, 2))


def decoder(**chosen) -> Decoder:
    torch.manual_seed(0)
    return Decoder(6, 2, DetectorOptions(kind="query", width=16, heads=4, **{"decoder_layers": 3, **chosen}))


def asked(batch: int = 2, queries: int = 5):
    generator = torch.Generator().manual_seed(0)
    cells = cells_of(SHAPES, torch.zeros(1))
    memory = Memory(
        tokens=torch.randn(batch, 20, 16, generator=generator),
        places=sines(cells[:, :2], 16),
        cells=cells,
        valid=torch.ones(batch, 20, dtype=torch.bool),
        shapes=SHAPES,
    )
    texts = F.normalize(torch.randn(3, 6, generator=generator), dim=1)
    context = F.normalize(torch.randn(batch, 6, generator=generator), dim=1)
    boxes = 0.1 + 0.6 * torch.rand(batch, queries, 4, generator=generator)
    return torch.randn(batch, queries, 16, generator=generator), boxes, memory, texts, context


def test_the_inverse_is_the_inverse_and_finite_at_the_ends():
    shares = torch.linspace(EDGE, 1 - EDGE, 30)
    torch.testing.assert_close(inverse_sigmoid(shares).sigmoid(), shares)
    assert inverse_sigmoid(torch.tensor([-1.0, 0.0, 1.0, 2.0])).isfinite().all()


@torch.no_grad()
def test_boxes_start_where_they_were_chosen_and_move_by_logits():
    net, given = decoder(), asked()
    for boxes, *_ in net(*given):
        torch.testing.assert_close(boxes, given[1], rtol=1e-4, atol=1e-5)
    for head in net.boxes:
        head[-1].bias.copy_(torch.tensor([0.2, 0.0, -0.1, 0.0]))
    for steps, (boxes, *_) in enumerate(net(*given), start=1):
        wanted = (given[1].logit() + steps * torch.tensor([0.2, 0.0, -0.1, 0.0])).sigmoid()
        torch.testing.assert_close(boxes, wanted, rtol=1e-4, atol=1e-5)


def test_a_layer_learns_nothing_through_the_boxes_of_the_next():
    net, given = decoder(), asked()
    for head in net.boxes:
        torch.nn.init.normal_(head[-1].weight)
    layers = net(*given)
    heads = [head[-1].weight for head in net.boxes]
    for number, (boxes, *_) in enumerate(layers):
        found = torch.autograd.grad(boxes.sum(), heads, retain_graph=True, allow_unused=True)
        assert [gradient is not None for gradient in found] == [other == number for other in range(3)]


def test_the_learned_start_learns():
    queries = LearnedQueries(5, 16)
    content, start = queries(2)
    assert content.shape == (2, 5, 16) and start.shape == (2, 5, 4)
    assert ((start > 0) & (start < 1)).all() and torch.equal(content[0], content[1])
    net, (_, _, *rest) = decoder(), asked()
    net(content, start, *rest)[0][0].sum().backward()
    assert queries.start.grad is not None and queries.start.grad.any()


@torch.no_grad()
def test_queries_in_another_order_answer_in_that_order():
    net, (queries, boxes, *rest) = decoder(), asked()
    for head in net.boxes:
        torch.nn.init.normal_(head[-1].weight)
    order = torch.tensor([3, 1, 4, 0, 2])
    for one, two in zip(net(queries, boxes, *rest), net(queries[:, order], boxes[:, order], *rest), strict=True):
        torch.testing.assert_close(one[0][:, order], two[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(one[1][:, order], two[1], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_answers_depend_on_where_the_memory_has_what():
    """Report 002's decoder read its own queries instead of the image."""
    for attention in ("deformable", "full"):
        net, (queries, boxes, memory, *rest) = decoder(attention=attention), asked()
        before = net(queries, boxes, memory, *rest)[-1][1]
        memory.tokens[:, :16] = memory.tokens[:, :16].flip(1)
        assert (before - net(queries, boxes, memory, *rest)[-1][1]).abs().max() > 1e-3, attention
