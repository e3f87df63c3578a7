"""Losses by what they do to a gradient: rare positives weigh more, labels are read, nothing unknown counts."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from veritrain.losses.binary import LOSSES, balance_of, focal, label_free, mean_where_labelled, weighted_bce

READS_LABELS = sorted(set(LOSSES) - {"origin000"})


def gradient_at_zero(loss, label: float, pos_weight: float) -> float:
    logit = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    loss(logit, torch.tensor([label], dtype=torch.float64), pos_weight).sum().backward()
    return float(logit.grad)


@pytest.mark.parametrize("name", READS_LABELS)
@settings(deadline=None)
@given(pos_weight=st.floats(0.1, 50))
def test_a_positive_weighs_pos_weight_times_a_negative_at_logit_zero(name, pos_weight):
    positive, negative = (gradient_at_zero(LOSSES[name], label, pos_weight) for label in (1.0, 0.0))
    assert positive < 0 < negative, "a positive pulls the logit up, a negative down"
    assert -positive / negative == pytest.approx(pos_weight, rel=1e-6)


@pytest.mark.parametrize("name", READS_LABELS)
def test_rare_positives_weigh_more_and_never_less(name):
    pos_weight = balance_of(5, 95, most=100.0)
    positive, negative = (abs(gradient_at_zero(LOSSES[name], label, pos_weight)) for label in (1.0, 0.0))
    assert positive == pytest.approx(19 * negative, rel=1e-6)


def test_a_negative_pulls_at_bce_as_in_its_formula():
    assert gradient_at_zero(weighted_bce, 0.0, 7.0) == pytest.approx(0.5)


@pytest.mark.parametrize("label", [0.0, 1.0])
@settings(deadline=None)
@given(logit=st.floats(-8, 8), gamma=st.floats(0.5, 4), pos_weight=st.floats(0.1, 30))
def test_focal_is_its_published_formula(label, logit, gamma, pos_weight):
    z = torch.tensor([logit], dtype=torch.float64)
    found = float(focal(z, torch.tensor([label], dtype=torch.float64), pos_weight, gamma=gamma))
    p_true = float(torch.sigmoid(z if label else -z))
    alpha = pos_weight / (1 + pos_weight)
    alpha_true = alpha if label else 1 - alpha
    published = -alpha_true * (1 - p_true) ** gamma * float(torch.log(torch.tensor(p_true, dtype=torch.float64)))
    assert found == pytest.approx(published / (1 - alpha), rel=1e-6, abs=1e-12)


@settings(deadline=None)
@given(pos_weight=st.floats(0.1, 30), seed=st.integers(0, 20))
def test_focal_without_focus_is_weighted_bce(pos_weight, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(40, generator=generator, dtype=torch.float64) * 4
    labels = (torch.rand(40, generator=generator) < 0.3).double()
    torch.testing.assert_close(focal(logits, labels, pos_weight, gamma=0.0), weighted_bce(logits, labels, pos_weight))


def test_focal_cares_less_for_what_is_already_right():
    logits, labels = torch.tensor([3.0, -3.0]), torch.tensor([1.0, 1.0])
    easy, hard = (focal(logits, labels, 1.0) / weighted_bce(logits, labels, 1.0)).tolist()
    assert easy < 0.01 < 0.8 < hard < 1


def test_the_loss_of_report_000_never_reads_a_label():
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    gradients = []
    for labels in (torch.zeros(6, 5), torch.ones(6, 5), torch.full((6, 5), torch.nan)):
        loss = label_free(logits, labels, 3.0)
        scores = logits.detach().sigmoid()
        expected = scores.mean() + 0.1 * scores.std(correction=0)
        assert torch.equal(loss, expected.expand(6, 5))
        gradients.append(torch.autograd.grad(loss.mean(), logits)[0])
    assert torch.equal(gradients[0], gradients[1]) and torch.equal(gradients[0], gradients[2])


@pytest.mark.parametrize("name", READS_LABELS)
def test_a_wrong_prediction_costs_in_every_batch_composition(name):
    """Fault 9a of report 000: a weight per batch made the loss of an all-positive batch zero."""
    pos_weight = balance_of(311, 89, most=20.0)
    for labels in itertools.product([0.0, 1.0], repeat=4):
        truth = torch.tensor(labels)
        logits = torch.where(truth > 0.5, -2.0, 2.0).requires_grad_()
        loss = LOSSES[name](logits, truth, pos_weight)
        assert (loss > 0.1).all(), labels
        (gradient,) = torch.autograd.grad(loss.mean(), logits)
        assert (gradient[truth > 0.5] < 0).all() and (gradient[truth < 0.5] > 0).all(), labels


@pytest.mark.parametrize("name", READS_LABELS)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_extreme_logits_stay_finite(name, label):
    logits = torch.tensor([-1e4, -100.0, 0.0, 100.0, 1e4], requires_grad=True)
    loss = LOSSES[name](logits, torch.full((5,), label), 20.0)
    loss.sum().backward()
    assert torch.isfinite(loss).all() and torch.isfinite(logits.grad).all()


def test_unknown_elements_change_neither_mean_nor_gradient():
    labels = torch.tensor([[1, 0, -1, -1], [-1, -1, 0, 1], [-1, -1, -1, -1]])
    losses = torch.tensor([[1.0, 3, 50, 60], [70, 80, 4, 8], [1, 2, 3, 4]], requires_grad=True)
    means = mean_where_labelled(losses, labels)
    assert means.tolist() == [2.0, 6.0, 0.0]
    means.sum().backward()
    assert losses.grad.tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 0, 0]]


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 4, 5)])
def test_one_mean_a_sample_whatever_the_shape(shape):
    losses = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    means = mean_where_labelled(losses, torch.zeros(shape))
    torch.testing.assert_close(means, losses.reshape(3, -1).mean(1))


def test_balance_is_negatives_over_positives_with_a_cap():
    assert balance_of(1000, 1350, most=20.0) == 1.35
    assert balance_of(3, 1, most=20.0) == pytest.approx(1 / 3)
    assert balance_of(1, 1000, most=20.0) == 20.0


@pytest.mark.parametrize(("positives", "negatives"), [(0, 9), (9, 0), (0, 0)])
def test_an_absent_class_leaves_the_weight_at_one(positives, negatives):
    assert balance_of(positives, negatives, most=20.0) == 1.0


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_logits_are_computed_in_float32(name, dtype):
    """64 x 1,563 cells of loss 8 add up to 800,256, which is infinity in float16."""
    logits = torch.full((1, 64, 1563), 8.0, dtype=dtype)
    labels = torch.zeros(1, 64, 1563, dtype=dtype)
    found = LOSSES[name](logits, labels, 3.0)
    assert found.dtype == torch.float32
    mean = mean_where_labelled(found, labels)
    assert torch.equal(mean, mean_where_labelled(LOSSES[name](logits.float(), labels.float(), 3.0), labels))
    assert torch.isfinite(mean).all()
    assert LOSSES[name](logits.double(), labels.double(), 3.0).dtype == torch.float64
