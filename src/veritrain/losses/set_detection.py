"""The loss of the open-vocabulary detector: classes of all answers, boxes of the matched ones, and the context.

Each layer of queries is matched anew, cells have an assignment of their own, and every term is the sum over layers
(cells are one). A term is (B,): what an image adds to a sum over the batch, divided by the pairs that the batch has per
image and layer. The mean over B is then DETR's number, the sum over the batch divided by its objects; an image with
more objects has a larger share, and one without objects still has its ``cls``: nothing is there, and each answer that
says otherwise is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from veritrain.losses.cell_assignment import assign_cells
from veritrain.losses.set_matching import Pairs, generalised_iou, match, pair_iou
from veritrain.losses.yolo_targets import check_targets
from veritrain.models.detr_answers import Part, layers_of, logits_of

WEIGHTS: Mapping[str, float] = {"cls": 1.0, "l1": 5.0, "giou": 2.0, "contrast": 1.0}
"""Of the terms in the total (Zhu et al. 2021, appendix A.4; contrast as report 002 designed it)."""
TEMPERATURE = 0.07
"""Of the contrast."""
VARIFOCAL_ALPHA, VARIFOCAL_GAMMA = 0.75, 2.0
FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0
ClassLoss = Literal["varifocal", "focal"]


def detection_terms(
    output: Mapping[str, Tensor], targets: Tensor, *, class_loss: ClassLoss = "varifocal"
) -> dict[str, Tensor]:
    """``cls``, ``l1``, ``giou`` and ``contrast``, each (B,), unweighted, summed over layers; see :func:`layer_terms`.

    Args:
        output: of ``models.detr.Detector``, of either kind.
        targets: (T, 6) image index, class, x, y (centre), width, height as shares of the image; T may be 0.
        class_loss: varifocal (the score is to be the IoU of the box) or focal (the score is to be 1).

    Raises:
        DataError: a target cannot be learned (``check_targets``), or an image has more objects than queries.
        NonFiniteError: objects cannot be matched, because an answer is no number.
    """
    found = [layer_terms(output, targets, part, class_loss=class_loss) for part in parts_of(output)]
    return {name: torch.stack([terms[name].sum(0) for terms in found]).sum(0) for name in WEIGHTS}


def parts_of(output: Mapping[str, Tensor]) -> tuple[Part, ...]:
    """What of the output is to learn: cells, queries, or both."""
    known: tuple[tuple[Part, str], ...] = (("cells", "cell_boxes"), ("queries", "boxes"))
    return tuple(part for part, name in known if name in output)


def layer_terms(
    output: Mapping[str, Tensor], targets: Tensor, part: Part, *, class_loss: ClassLoss = "varifocal"
) -> dict[str, Tensor]:
    """The terms of each layer, (L, B) each.

    - ``cls``: varifocal or focal loss of every class of every answer outside of padding.
    - ``l1``: of pairs, the sum of the four differences, in shares of the image.
    - ``giou``: of pairs, 1 - GIoU, in [0, 2).
    - ``contrast``: of pairs, in nats, :func:`contrast_losses`.

    Arguments and errors as :func:`detection_terms`.
    """
    layers = layers_of(output, part)
    boxes, logits = layers["boxes"].float(), logits_of({k: v for k, v in layers.items() if k != "context"})
    check_targets(targets, images=boxes.shape[1], classes=logits.shape[3])
    targets = targets.to(boxes.dtype)
    if part == "cells":
        pairs = assign_cells(boxes, logits, targets, output["cells"], layers["valid"])
    else:
        pairs = match(boxes, logits, targets, valid=layers["valid"])
    own, wanted = boxes[pairs.layer, pairs.image, pairs.answer], targets[pairs.target, 2:]
    labels = targets[pairs.target, 1].long()
    contrast = contrast_losses(
        layers["embeddings"][pairs.layer, pairs.image, pairs.answer],
        labels,
        layers["texts"],
        layers["context"][pairs.image] if "context" in layers else None,
    )
    found = {"l1": (own - wanted).abs().sum(1), "giou": 1 - generalised_iou(own, wanted), "contrast": contrast}
    share = boxes.shape[1] / _per_layer(pairs, len(boxes)).clamp(min=1)
    classes = _class_losses(logits, pairs, labels, pair_iou(own, wanted), class_loss)
    of_images = (classes * layers["valid"][None, :, :, None]).sum((2, 3))
    terms = {"cls": of_images, **{name: _of_images(values, pairs, boxes) for name, values in found.items()}}
    return {name: terms[name] * share[:, None] for name in WEIGHTS}


def focal_losses(logits: Tensor, wanted: Tensor, *, alpha: float = FOCAL_ALPHA, gamma: float = FOCAL_GAMMA) -> Tensor:
    """Lin et al. 2017, equation 5, in nats, unreduced; ``wanted`` 0 or 1, of the same shape as ``logits``."""
    share = logits.sigmoid()
    missed = share + wanted - 2 * share * wanted
    weight = (1 - alpha) + (2 * alpha - 1) * wanted
    return weight * missed**gamma * F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")


def varifocal_losses(
    logits: Tensor, quality: Tensor, *, alpha: float = VARIFOCAL_ALPHA, gamma: float = VARIFOCAL_GAMMA
) -> Tensor:
    """Zhang et al. 2021, VarifocalNet, equation 2, in nats, unreduced: cross-entropy towards the quality, weighted by
    it; where it is 0, by alpha score^gamma. Neither weight has a gradient.

    Args:
        logits: any shape. quality: the same shape, in [0, 1], 0 for what is no object.
    """
    share = logits.detach().sigmoid()
    weight = torch.where(quality > 0, quality, alpha * share**gamma)
    return weight * F.binary_cross_entropy_with_logits(logits, quality, reduction="none")


def contrast_losses(
    embeddings: Tensor, labels: Tensor, texts: Tensor, context: Tensor | None, *, temperature: float = TEMPERATURE
) -> Tensor:
    """The cross-entropy, in nats, of an answer's own class among all classes and the context of its image.

    Where one object fills an image, the context is much like the object's class. What they share is taken out of the
    context, so that an answer is pushed away from its surroundings and never from its own class: with a context that
    equals the class's text it costs what any unrelated class costs, and pushes nowhere.

    Args:
        embeddings: (P, D) of length 1. labels: (P,) int64. texts: (C, D) of length 1.
        context: (P, D) of length 1, of each pair's image; None: classes alone.

    Returns:
        (P,) float.
    """
    compared = embeddings @ texts.T
    if context is not None:
        own = texts[labels]
        rest = context - (context * own).sum(1, keepdim=True) * own
        compared = torch.cat((compared, (embeddings * rest).sum(1, keepdim=True)), 1)
    return F.cross_entropy(compared / temperature, labels, reduction="none")


def _class_losses(logits: Tensor, pairs: Pairs, labels: Tensor, overlap: Tensor, class_loss: ClassLoss) -> Tensor:
    """(L, B, N, C), as what each logit is to be."""
    quality = overlap.detach().clamp(0, 1) if pairs.quality is None else pairs.quality
    places = (pairs.layer, pairs.image, pairs.answer, labels)
    if class_loss == "focal":
        return focal_losses(logits, torch.zeros_like(logits).index_put_(places, torch.ones_like(quality)))
    return varifocal_losses(logits, torch.zeros_like(logits).index_put_(places, quality.to(logits.dtype)))


def _per_layer(pairs: Pairs, layers: int) -> Tensor:
    return torch.bincount(pairs.layer, minlength=layers).float()


def _of_images(losses: Tensor, pairs: Pairs, boxes: Tensor) -> Tensor:
    """(P,) of pairs -> (L, B) sums."""
    layers, images = boxes.shape[:2]
    return (
        losses.new_zeros(layers * images).index_add(0, pairs.layer * images + pairs.image, losses).view(layers, images)
    )
