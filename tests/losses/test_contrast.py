"""InfoNCE: worked by hand, equal to cross-entropy, and no match is ever a wrong answer."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from veritrain.losses.contrast import contrast_terms, equal_rows, guess_terms, matches


def rows(seed: int, count: int = 6, dim: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(2, count, dim, generator=generator, dtype=torch.float64)
    return F.normalize(drawn[0], dim=1), F.normalize(drawn[1], dim=1)


def nothing(count: int) -> torch.Tensor:
    return torch.eye(count, dtype=torch.bool)


def test_two_pairs_by_hand():
    image = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    text = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    found = contrast_terms(image, text, torch.tensor(2.0), nothing(2))
    # Logits: 2, 1.2 for image 0; 0, 1.6 for image 1.
    wanted = [math.log1p(math.exp(-0.8)), math.log1p(math.exp(-1.6))]
    assert found["image_to_text"].tolist() == pytest.approx(wanted)
    wanted = [math.log1p(math.exp(-2.0)), math.log1p(math.exp(-0.4))]
    assert found["text_to_image"].tolist() == pytest.approx(wanted)


def test_without_duplicates_it_is_cross_entropy_both_ways():
    image, text = rows(0)
    found = contrast_terms(image, text, torch.tensor(7.0, dtype=torch.float64), nothing(6))
    logits, labels = 7 * image @ text.T, torch.arange(6)
    assert torch.allclose(found["image_to_text"], F.cross_entropy(logits, labels, reduction="none"))
    assert torch.allclose(found["text_to_image"], F.cross_entropy(logits.T, labels, reduction="none"))


def test_guessing_among_n_costs_ln_n_and_a_match_is_no_candidate():
    same = F.normalize(torch.ones(5, 3), dim=1)
    found = contrast_terms(same, same, torch.tensor(9.0), nothing(5))
    assert found["image_to_text"].tolist() == pytest.approx([math.log(5)] * 5, abs=1e-5)
    match = nothing(5)
    match[0, 1] = match[1, 0] = True
    found = contrast_terms(same, same, torch.tensor(9.0), match)
    assert found["text_to_image"].tolist() == pytest.approx([math.log(4)] * 2 + [math.log(5)] * 3, abs=1e-5)
    everything = contrast_terms(same, same, torch.tensor(9.0), torch.ones(5, 5, dtype=torch.bool))
    assert everything["image_to_text"].tolist() == pytest.approx([0.0] * 5, abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_guessing_is_what_a_constant_costs(seed):
    images, captions = torch.randint(0, 4, (2, 7), generator=torch.Generator().manual_seed(seed))
    match, same = matches(images, captions), F.normalize(torch.ones(7, 3), dim=1)
    found, guessed = contrast_terms(same, same, torch.tensor(9.0), match), guess_terms(match)
    assert all(torch.allclose(found[name], guessed[name], atol=1e-5) for name in found)
    assert guessed["image_to_text"].max() < math.log(7), "this batch has duplicates"


def test_a_masked_pair_has_no_gradient_and_others_have():
    image, text = rows(1)
    image.requires_grad_()
    text.requires_grad_()
    match = nothing(6)
    match[0, 3] = True
    terms = contrast_terms(image, text, torch.tensor(5.0, dtype=torch.float64), match)
    terms["image_to_text"][0].backward()
    assert torch.equal(text.grad[3], torch.zeros(5, dtype=torch.float64))
    assert (text.grad[[0, 1, 2, 4, 5]].abs().sum(1) > 0).all() and image.grad.isfinite().all()


def brute_force(images: list[int], captions: list[int]) -> list[list[bool]]:
    pairs = set(zip(images, captions, strict=True))
    return [[(image, caption) in pairs for caption in captions] for image in images]


@pytest.mark.parametrize("seed", range(20))
def test_matches_are_the_pairs_that_the_batch_names(seed):
    generator = torch.Generator().manual_seed(seed)
    images, captions = torch.randint(0, 5, (2, 9), generator=generator)
    found = matches(images, captions)
    assert found.tolist() == brute_force(images.tolist(), captions.tolist())
    assert found.diagonal().all()


def test_equal_images_and_equal_captions_match_and_so_does_a_caption_of_another_row():
    images, captions = torch.tensor([7, 7, 8, 9]), torch.tensor([1, 2, 2, 3])
    found = matches(images, captions)
    assert found[0, 1] and found[1, 0], "two captions of image 7"
    assert found[1, 2] and found[2, 1], "caption 2 of images 7 and 8"
    assert found[0, 2], "row 2 has a caption of image 7"
    assert not found[2, 0], "caption 1 is nobody's but image 7's"
    assert found[3].tolist() == [False, False, False, True]


def test_equal_rows_have_equal_numbers():
    found = equal_rows(torch.tensor([[1, 2, 0], [1, 3, 0], [1, 2, 0]]))
    assert found[0] == found[2] != found[1]


def test_half_precision_is_computed_in_float32():
    image, text = (one.to(torch.bfloat16) for one in rows(3))
    found = contrast_terms(image, text, torch.tensor(50.0), nothing(6))
    assert found["image_to_text"].dtype == torch.float32 and found["image_to_text"].isfinite().all()
