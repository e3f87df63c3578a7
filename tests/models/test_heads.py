"""Heads: a logit per cell, and a frame that is as anomalous as its strongest evidence."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from veritrain.models.heads import DenseHead, FrameHead, MultiscaleHead, top_mean


def logits_and_mask(seed: int, *, share: float = 0.5, size=(4, 40)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, generator=generator), torch.rand(size, generator=generator) < share


def test_a_logit_per_cell_from_that_cell_alone():
    torch.manual_seed(0)
    head = DenseHead(5, 7)
    features = torch.randn(2, 5, 4, 6, requires_grad=True)
    logits = head(features)
    assert logits.shape == (2, 4, 6)
    (gradient,) = torch.autograd.grad(logits[1, 2, 3], features)
    assert torch.nonzero(gradient.abs().sum(1)).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("k", [1, 3, 8, 40, 100])
def test_top_mean_is_the_mean_of_the_largest_under_the_mask(k):
    logits, mask = logits_and_mask(k)
    for found, row, there in zip(top_mean(logits, mask, k), logits, mask, strict=True):
        best = sorted(row[there].tolist(), reverse=True)[:k]
        assert float(found) == pytest.approx(sum(best) / len(best), abs=1e-6)


def test_fewer_cells_than_k_are_a_mean_over_fewer():
    logits = torch.tensor([[5.0, 1.0, 3.0, 100.0]])
    assert top_mean(logits, torch.tensor([[True, False, True, False]]), 3).tolist() == [4.0]


def test_no_cell_at_all_gives_zero_and_a_finite_gradient():
    logits = torch.randn(2, 6, requires_grad=True)
    mask = torch.tensor([[False] * 6, [True] * 6])
    found = top_mean(logits, mask, 3)
    found.sum().backward()
    assert found[0] == 0 and not logits.grad[0].any()
    assert torch.isfinite(logits.grad).all() and logits.grad[1].sum() == pytest.approx(1.0)


def test_what_is_masked_never_enters():
    logits, mask = logits_and_mask(3)
    loud = torch.where(mask, logits, torch.full_like(logits, 1e6))
    assert torch.equal(top_mean(logits, mask, 8), top_mean(loud, mask, 8))


def test_the_frame_logit_is_the_mean_over_views():
    head = trained_head(2, "mean")
    views = [logits_and_mask(4), logits_and_mask(5)]
    each = torch.stack([top_mean(*view, head.k) for view in views], dim=1)
    torch.testing.assert_close(head(views), (head.scale * each + head.shift).mean(1))


def test_a_mean_trains_the_quiet_view_as_much_as_the_loud_one():
    """What a smooth maximum does not."""
    loud, quiet = torch.full((1, 40), 5.0, requires_grad=True), torch.full((1, 40), -5.0, requires_grad=True)
    mask = torch.ones(1, 40, dtype=torch.bool)
    for join, ratio in (("mean", 1.0), ("noisy_or", 1.0), ("smooth_max", math.exp(-10))):
        given = torch.autograd.grad(FrameHead(2, join)([(loud, mask), (quiet, mask)]).sum(), [loud, quiet])
        assert given[1].sum() / given[0].sum() == pytest.approx(ratio, rel=1e-4)


def test_a_smooth_maximum_over_views():
    head = FrameHead(2, "smooth_max")
    first, second = logits_and_mask(4), logits_and_mask(5)
    each = torch.stack([top_mean(*view, head.k) for view in (first, second)], dim=1)
    found = head([first, second])
    torch.testing.assert_close(found, each.exp().sum(1).log())
    assert (found > each.max(1).values).all() and (found < each.max(1).values + 0.7).all()


def test_evidence_in_one_view_is_enough_for_a_smooth_maximum():
    head = FrameHead(2, "smooth_max")
    quiet, all_there = torch.full((1, 40), -6.0), torch.ones(1, 40, dtype=torch.bool)
    loud = quiet.clone()
    loud[0, :8] = 6.0
    silent = head([(quiet, all_there), (quiet, all_there)]).item()
    for views in ([loud, quiet], [quiet, loud]):
        assert head([(view, all_there) for view in views]).item() > 5.9
    assert silent < -5


def told(head, *evidence):
    """The frame logit in evaluation where each view's evidence is one number."""
    mask = torch.ones(1, 40, dtype=torch.bool)
    return head.eval()([(torch.full((1, 40), float(value), dtype=torch.float64), mask) for value in evidence]).item()


def test_a_noisy_or_is_the_mean_while_it_trains():
    views = [logits_and_mask(4), logits_and_mask(5)]
    assert torch.equal(trained_head(2, "noisy_or")(views), trained_head(2, "mean")(views))
    assert not torch.equal(trained_head(2, "noisy_or").eval()(views), trained_head(2, "mean").eval()(views))


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, -2), (-7, 2), (-4, -4), (40, -1), (-60, -50)])
def test_a_noisy_or_multiplies_what_is_left_of_doubt(first, second):
    """By hand: 1 - p = (1 - p_1)(1 - p_2), with p_v the sigmoid of the evidence moved by log(sqrt(2) - 1)."""
    moved = math.log(math.sqrt(2) - 1)
    doubt = 1.0
    for value in (first, second):
        doubt /= 1 + math.exp(value + moved)
    found = told(FrameHead(2, "noisy_or"), first, second)
    if doubt > 1 - 1e-9:
        assert found == pytest.approx(math.log(sum(math.exp(value + moved) for value in (first, second))), abs=1e-6)
    else:
        assert found == pytest.approx(math.log((1 - doubt) / doubt), rel=1e-6, abs=1e-6)


def test_undecided_views_make_an_undecided_frame_and_one_view_speaks_for_itself():
    assert told(FrameHead(2, "noisy_or"), 0, 0) == pytest.approx(0, abs=1e-6)
    assert told(FrameHead(3, "noisy_or"), 0, 0, 0) == pytest.approx(0, abs=1e-6)
    assert [told(FrameHead(1, "noisy_or"), value) for value in (-3, 5)] == pytest.approx([-3, 5], abs=1e-5)


def test_what_a_quiet_view_says_hardly_counts_in_a_noisy_or():
    """A scene in which the image is sure of nothing, and one in which it is sure of much: the LiDAR's alarm stays."""
    spread = {
        join: told(FrameHead(2, join), -0.5, 2) - told(FrameHead(2, join), -4, 2) for join in ("mean", "noisy_or")
    }
    assert spread["mean"] == pytest.approx(1.75) and spread["noisy_or"] < 0.3


def test_a_noisy_or_of_nothing_at_all_stays_finite():
    assert told(FrameHead(2, "noisy_or"), -1e6, -1e6) < -600


def test_where_the_evidence_lies_does_not_matter():
    head = FrameHead(1)
    logits, mask = logits_and_mask(6)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(head([(logits, mask)]), head([(logits[:, order], mask[:, order])]))


def test_scale_and_shift_are_trained():
    head = FrameHead(2)
    head([logits_and_mask(7), logits_and_mask(8)]).sum().backward()
    assert head.scale.grad.abs().min() > 0 and head.shift.grad.abs().min() > 0


def plain_head(head, views):
    """A smooth maximum that knows no empty views."""
    strongest = torch.stack([top_mean(logits, mask, head.k) for logits, mask in views], dim=1)
    return torch.logsumexp(head.scale * strongest + head.shift, dim=1)


def trained_head(views: int, join="mean") -> FrameHead:
    head = FrameHead(views, join)
    with torch.no_grad():
        head.scale.uniform_(0.5, 2, generator=torch.Generator().manual_seed(1))
        head.shift.uniform_(-3, 3, generator=torch.Generator().manual_seed(2))
    return head


@pytest.mark.parametrize("seed", range(4))
def test_frames_with_returns_get_the_same_bits_and_gradients(seed):
    head = trained_head(2, "smooth_max")
    views = [logits_and_mask(seed), logits_and_mask(seed + 50)]
    found, expected = head(views), plain_head(head, views)
    assert torch.equal(found, expected)
    wanted = torch.autograd.grad(expected.sum(), [head.scale, head.shift])
    assert all(map(torch.equal, torch.autograd.grad(found.sum(), [head.scale, head.shift]), wanted))


@pytest.mark.parametrize("join", ["mean", "smooth_max", "noisy_or"])
@pytest.mark.parametrize("shift", [-50.0, 0.0, 50.0])
def test_a_view_without_a_cell_changes_nothing(shift, join):
    head = trained_head(2, join)
    logits, mask = logits_and_mask(9)
    empty = torch.zeros_like(mask)
    alone = FrameHead(1)
    with torch.no_grad():
        head.shift[1] = shift
        alone.scale.copy_(head.scale[:1])
        alone.shift.copy_(head.shift[:1])
    torch.testing.assert_close(head([(logits, mask), (logits, empty)]), alone([(logits, mask)]))
    some = empty.clone()
    some[2] = True
    mixed = head([(logits, mask), (logits, some)])
    assert torch.equal(mixed[2], head([(logits, mask), (logits, torch.ones_like(mask))])[2]), "row by row"
    torch.testing.assert_close(mixed[[0, 1, 3]], alone([(logits, mask)])[[0, 1, 3]])


def test_without_any_cell_the_logit_is_0_and_trains_nothing():
    head = trained_head(2)
    logits = torch.randn(3, 12, requires_grad=True)
    mask = torch.tensor([[False] * 12, [True] * 12, [False] * 12])
    found = head([(logits, mask), (logits, mask)])
    assert found[0] == found[2] == 0 and found[1] != 0
    found[[0, 2]].sum().backward()
    for gradient in (logits.grad, head.scale.grad, head.shift.grad):
        assert torch.equal(gradient, torch.zeros_like(gradient))


def test_multiscale_is_the_mean_of_three_heads_at_first():
    torch.manual_seed(0)
    head = MultiscaleHead(3, 4)
    features = torch.randn(2, 3, 6, 10)
    maps = []
    for scale, part in zip((1, 2, 4), head.heads, strict=True):
        coarse = F.avg_pool2d(features, scale, ceil_mode=True)
        maps.append(F.interpolate(part(coarse).unsqueeze(1), size=(6, 10), mode="bilinear").squeeze(1))
    torch.testing.assert_close(head(features), torch.stack(maps).mean(0))


def test_multiscale_sees_its_surroundings_where_a_dense_head_does_not():
    torch.manual_seed(0)
    features = torch.randn(1, 3, 16, 16, requires_grad=True)
    reach = {}
    for head in (DenseHead(3, 8), MultiscaleHead(3, 8)):
        (gradient,) = torch.autograd.grad(head(features)[0, 8, 8], features)
        seen = torch.nonzero(gradient[0].abs().sum(0))
        reach[type(head)] = int((seen.max(0).values - seen.min(0).values).max()) + 1
    assert reach[DenseHead] == 1 and 4 <= reach[MultiscaleHead] <= 8
