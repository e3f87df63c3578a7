"""InfoNCE between images and their texts, both ways, without calling a match a mismatch."""

from __future__ import annotations

import torch
from torch import Tensor


def contrast_terms(image: Tensor, text: Tensor, scale: Tensor, match: Tensor) -> dict[str, Tensor]:
    """CLIP's loss (Radford et al. 2021, figure 3) a sample and a direction; its loss is the mean of the two terms.

    ``image_to_text`` of sample i is the cross-entropy, in nats, of finding text i for image i among the texts of the
    batch, ``text_to_image`` the other way round. What ``match`` says belongs together is no wrong answer: it is left
    out of what sample i is compared with. Guessing among n candidates costs ln n, and a sample without any other
    costs 0.

    Args:
        image, text: (B, D) of length 1, row by row a pair.
        scale: scalar, 1 / temperature (``models.temperature``).
        match: (B, B) bool, image i with text j; the diagonal counts as a match whatever it says (:func:`matches`).

    Returns:
        ``image_to_text`` and ``text_to_image``, each (B,) in float32 or wider.
    """
    logits = scale * (_wide(image) @ _wide(text).T)
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    kept = logits.masked_fill(match & ~own, float("-inf"))
    true = logits.diagonal()
    return {"image_to_text": kept.logsumexp(1) - true, "text_to_image": kept.logsumexp(0) - true}


def guess_terms(match: Tensor) -> dict[str, Tensor]:
    """What :func:`contrast_terms` costs a network that says the same of everything: the logarithm of the candidates.

    Args:
        match: as there.

    Returns:
        The same terms, each (B,) float32, in nats.
    """
    own = torch.eye(len(match), dtype=torch.bool, device=match.device)
    candidates = (~match | own).float()
    return {"image_to_text": candidates.sum(1).log(), "text_to_image": candidates.sum(0).log()}


def matches(images: Tensor, captions: Tensor) -> Tensor:
    """(B, B) bool: whether the batch itself says that image i has text j.

    It does where some pair of the batch is of image i and of a text equal to j: an equal image or an equal caption
    beside it is one step, two captions of one image of which another image has one are two.

    Args:
        images, captions: (B,) integers, equal for equal images and for equal texts.
    """
    same_image = images[:, None] == images[None]
    same_text = captions[:, None] == captions[None]
    # As numbers: there is no product of booleans. At most B pairs are counted, which float32 holds exactly.
    return (same_image.float() @ same_text.float()) > 0


def equal_rows(tokens: Tensor) -> Tensor:
    """(B, L) integers -> (B,) int64, equal for equal rows: numbers for the captions of a batch by their tokens."""
    return torch.unique(tokens, dim=0, return_inverse=True)[1]


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
