"""First labels: what report 002 trained on, and what it declared."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from veritrain.losses.report002 import DECLARED, NO_OBJECT, first_object_counts, first_object_terms, first_objects


def rows(*pairs):
    """(image, class) pairs as targets; the boxes mean nothing here."""
    return torch.tensor([[image, cls, 0.5, 0.5, 0.1, 0.1] for image, cls in pairs]).reshape(-1, 6)


def test_the_first_row_of_each_image_counts():
    targets = rows((2, 4), (0, 7), (0, 1), (2, 3), (0, 1))
    assert first_objects(targets, 4).tolist() == [7, NO_OBJECT, 4, NO_OBJECT]
    assert first_objects(rows(), 2).tolist() == [NO_OBJECT, NO_OBJECT]


def test_the_loss_is_the_cross_entropy_of_that_class_alone():
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    targets = rows((0, 2), (0, 4), (2, 0))
    found = first_object_terms({"logits": logits}, targets)["first_object"]
    assert found[0] == pytest.approx(float(F.cross_entropy(logits[:1], torch.tensor([2]))))
    assert float(found[1]) == 0 and first_object_counts(targets, 3)["first_object"].tolist() == [True, False, True]
    pushed = logits.clone()
    pushed[0, 4] += 1
    assert first_object_terms({"logits": pushed}, targets)["first_object"][0] > found[0], (
        "what the image shows is wrong"
    )


def test_it_declares_a_term_that_nothing_computes():
    found = first_object_terms({"logits": torch.zeros(1, 2)}, rows((0, 1)))
    assert set(DECLARED) - set(found) == {"global_contrast"}
