"""Losses of yes-or-no labels, per element and unreduced; what is not labelled costs nothing."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

BinaryLoss = Callable[[Tensor, Tensor, float], Tensor]
"""(logits, labels in {0, 1}, pos_weight) -> losses of the same shape, in float32 at least."""


def _wide(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """16-bit logits in float32: in half precision a sum over a few thousand pixels is infinity."""
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    return logits, labels.to(logits.dtype)


def weighted_bce(logits: Tensor, labels: Tensor, pos_weight: float) -> Tensor:
    """Cross-entropy in nats with positives counted ``pos_weight`` times.

    At logit 0 a positive's gradient is ``pos_weight`` times a negative's.
    """
    logits, labels = _wide(logits, labels)
    weight = torch.as_tensor(pos_weight, dtype=logits.dtype, device=logits.device)
    return F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weight, reduction="none")


def focal(logits: Tensor, labels: Tensor, pos_weight: float, *, gamma: float = 2.0) -> Tensor:
    """Focal loss (Lin et al. 2017, equation 5) with alpha = pos_weight / (1 + pos_weight).

    ``alpha`` belongs to the positives, so rare positives (pos_weight > 1) weigh more, not less; scaled by
    1 / (1 - alpha) so that a negative's weight is that of :func:`weighted_bce`.
    """
    logits, labels = _wide(logits, labels)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    surprise = 1 - torch.exp(-cross_entropy)
    weight = torch.where(labels > 0.5, torch.full_like(labels, pos_weight), torch.ones_like(labels))
    return weight * surprise**gamma * cross_entropy


def label_free(logits: Tensor, labels: Tensor, pos_weight: float) -> Tensor:
    """The loss of report 000: mean(score) + 0.1 std(score). It never reads a label; kept to be caught.

    The batch's value is given back at every element, so that any mean over elements is the report's number.
    """
    scores = _wide(logits, labels)[0].sigmoid()
    return (scores.mean() + 0.1 * scores.std(correction=0)).expand_as(logits)


LOSSES: dict[str, BinaryLoss] = {"bce": weighted_bce, "focal": focal, "origin000": label_free}


def mean_where_labelled(losses: Tensor, labels: Tensor) -> Tensor:
    """(B, ...), (B, ...) with -1 for unknown -> (B,): mean over labelled elements, 0 for a sample without any."""
    known = (labels >= 0).reshape(len(labels), -1)
    return (losses.reshape(len(labels), -1) * known).sum(1) / known.sum(1).clamp(min=1)


def balance_of(positives: int, negatives: int, *, most: float) -> float:
    """pos_weight = negatives / positives of the training split, once, at most ``most``; 1 when a class is absent."""
    if positives == 0 or negatives == 0:
        return 1.0
    return min(negatives / positives, most)
