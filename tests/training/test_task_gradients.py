"""Gradients of single tasks, against autograd by hand."""

from __future__ import annotations

import pytest
import torch

from training.balance_toy import PairNet, PairSet, PairTask
from veritrain.training.task_gradients import TaskGradients


@pytest.fixture
def net():
    torch.manual_seed(0)
    return PairNet()


def losses_of(net, indices):
    batch = PairSet().batch(indices)
    terms = PairTask().losses(net(batch), batch)
    return [terms["near"].sum(), terms["view"].sum()]


def by_hand(net, loss, parameters):
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return torch.cat(
        [torch.zeros(p.numel()) if g is None else g.flatten() for p, g in zip(parameters, found, strict=True)]
    )


def test_rows_paths_and_inner_products(net):
    parameters = list(net.parameters())
    gradients = TaskGradients(parameters, 2)
    gradients.clear()
    losses = losses_of(net, range(6))
    gradients.add(losses)
    rows = torch.stack([by_hand(net, loss, parameters) for loss in losses])
    assert torch.equal(gradients.rows(), rows)
    assert torch.allclose(gradients.gramian(range(len(parameters))), rows.double() @ rows.double().T, rtol=1e-12)
    names = [name for name, _ in net.named_parameters()]
    assert [names[place] for place in gradients.shared()] == [name for name in names if name.startswith("trunk")]
    inside = rows[:, : sum(p.numel() for p in net.trunk.parameters())].double()
    assert torch.allclose(gradients.gramian(gradients.shared()), inside @ inside.T, rtol=1e-12)


def test_micro_batches_add_up_and_clear_forgets(net):
    whole, parts = (TaskGradients(net.shared_parameters(), 2) for _ in range(2))
    whole.clear()
    whole.add(losses_of(net, range(8)))
    for _ in range(2):
        parts.clear()
        parts.add(losses_of(net, range(3)))
        parts.add(losses_of(net, range(3, 8)))
    assert torch.allclose(parts.rows(), whole.rows(), atol=1e-6)


def test_grad_is_not_touched_and_the_graph_stays(net):
    losses = losses_of(net, range(4))
    gradients = TaskGradients(list(net.parameters()), 2)
    gradients.clear()
    gradients.add(losses)
    assert all(parameter.grad is None for parameter in net.parameters())
    sum(losses).backward()
    assert net.trunk[0].weight.grad is not None


def test_a_loss_without_a_path_has_a_row_of_zeros_and_says_so(net):
    gradients = TaskGradients(net.shared_parameters(), 3)
    gradients.clear()
    leaf = torch.randn(4, requires_grad=True)
    gradients.add([losses_of(net, range(4))[0], leaf.sum(), torch.tensor(2.0)])
    assert [gradients.has_path(task, [0]) for task in range(3)] == [True, False, False]
    assert not gradients.rows()[1:].any() and gradients.rows()[0].any()


def test_frozen_parameters_are_left_out(net):
    net.trunk[2].weight.requires_grad_(False)
    gradients = TaskGradients(list(net.parameters()), 2)
    gradients.clear()
    gradients.add(losses_of(net, range(4)))
    frozen = [name for name, _ in net.named_parameters()].index("trunk.2.weight")
    assert frozen not in gradients.shared() and len(gradients.shared()) == 3


def test_filled_gradients_lie_as_their_parameters_do():
    """Fused optimisers take both in the order of memory."""
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(3, 4, 3, bias=False).to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 6, 6)
    losses = [layer(x).square().mean(), layer(x).abs().mean()]
    gradients = TaskGradients(list(layer.parameters()), 2)
    gradients.clear()
    gradients.add(losses)
    gradients.fill(torch.tensor([2.0, 3.0], dtype=torch.float64))
    (expected,) = torch.autograd.grad(2 * layer(x).square().mean() + 3 * layer(x).abs().mean(), layer.weight)
    assert layer.weight.grad.stride() == layer.weight.stride() != torch.empty(4, 3, 3, 3).stride()
    torch.testing.assert_close(layer.weight.grad, expected)


def test_fill_weighs_what_is_shared_and_leaves_heads_their_own(net):
    losses = losses_of(net, range(6))
    gradients = TaskGradients(list(net.parameters()), 2)
    gradients.clear()
    gradients.add(losses)
    gradients.fill(torch.tensor([0.25, 3.0]))
    found = {name: p.grad for name, p in net.named_parameters()}
    trunk = [p for name, p in net.named_parameters() if name.startswith("trunk")]
    expected = torch.autograd.grad(0.25 * losses[0] + 3.0 * losses[1], trunk, retain_graph=True)
    assert all(torch.allclose(p.grad, g, atol=1e-5) for p, g in zip(trunk, expected, strict=True))
    (own,) = torch.autograd.grad(losses[1], [net.view.weight])
    assert torch.equal(found["view.weight"], own)


def test_what_no_task_reaches_has_no_gradient(net):
    gradients = TaskGradients(list(net.parameters()), 1)
    gradients.clear()
    gradients.add([losses_of(net, range(4))[0]])
    gradients.fill(torch.tensor([1.0]))
    assert net.view.weight.grad is None and net.box.weight.grad is not None


@pytest.mark.parametrize(("kind", "wide"), [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)])
def test_rows_are_wide_and_grads_have_the_parameters_type(kind, wide):
    parameter = torch.nn.Parameter(torch.ones(3, dtype=kind))
    gradients = TaskGradients([parameter], 2)
    gradients.clear()
    gradients.add([(parameter * 2).sum(), parameter.sum()])
    gradients.fill(torch.ones(2))
    assert gradients.rows().dtype == wide and parameter.grad.dtype == kind
    assert parameter.grad.tolist() == [3.0, 3.0, 3.0]
