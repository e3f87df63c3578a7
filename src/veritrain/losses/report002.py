"""What report 002 trained on: the class that stands first in each file, as if an image had no other.

Its report declares "contrastive learning and cross-entropy"; the contrast was built and never called. So two terms are
declared here and one is computed, as it was, for the audit to find. Kept to be caught; nothing here trains a detector.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

NO_OBJECT = -1
DECLARED: Mapping[str, float] = {"first_object": 1.0, "global_contrast": 1.0}
"""The terms that the report names, with their weights; ``global_contrast`` is never computed."""


def first_objects(targets: Tensor, images: int) -> Tensor:
    """(images,) int64, the class of each image's first row; NO_OBJECT (-1) where it has none.

    Args:
        targets: (T, 6) image index, class, x, y, width, height; the rows of an image in the order of its file.
    """
    owner, place = targets[:, 0].long(), torch.arange(len(targets), device=targets.device)
    first = torch.full((images,), len(targets), device=targets.device).scatter_reduce(0, owner, place, "amin")
    classes = torch.cat((targets[:, 1].long(), torch.full((1,), NO_OBJECT, device=targets.device)))
    return classes[first]


def first_object_terms(output: Mapping[str, Tensor], targets: Tensor) -> dict[str, Tensor]:
    """``first_object`` (B,), the cross-entropy in nats; 0 for an image without an object (:func:`first_object_counts`).

    Every other class counts as wrong, also those that the image shows.

    Args:
        output: ``logits`` (B, C) of ``models.origin002.OriginDetector``. targets: (T, 6).
    """
    labels = first_objects(targets, len(output["logits"]))
    known = labels != NO_OBJECT
    losses = F.cross_entropy(output["logits"].float(), labels.clamp(min=0), reduction="none")
    return {"first_object": losses * known}


def first_object_counts(targets: Tensor, images: int) -> dict[str, Tensor]:
    """(images,) 1 where there is an object to learn, else 0."""
    return {"first_object": first_objects(targets, images) != NO_OBJECT}
