"""Losses, predictions and known answers of images and captions in one space."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from captioned import TINY, squares
from veritrain.losses.contrast import contrast_terms
from veritrain.models.small_clip import SmallClip
from veritrain.tasks.contrastive import TERM_WEIGHTS, ContrastiveTask, flip_labels
from veritrain.training.evaluate import batches_of, predict_set
from veritrain.training.terms import check_terms


@pytest.fixture(scope="module")
def images():
    return squares(groups=6)


@pytest.fixture(scope="module")
def task(images):
    return ContrastiveTask(network=TINY, vocabulary=images.vocabulary)


@pytest.fixture(scope="module")
def batch(images):
    return images.collate([images.sample(index, epoch=1, seed=3) for index in range(8)])


@pytest.fixture(scope="module")
def trained(task, batch):
    """After it was shown one batch up to 120 times; statistics of batches follow quickly: there is one batch alone."""
    torch.manual_seed(0)
    model = task.model().train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.5
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(120):
        terms = task.losses(model(batch), batch)
        loss = torch.stack([task.term_weights[name] * value.mean() for name, value in terms.items()]).sum()
        losses.append(loss.item())
        if losses[-1] < 0.05 * losses[0]:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval(), losses


def test_it_overfits_one_batch(task, batch, trained):
    model, losses = trained
    assert losses[-1] <= 0.1 * losses[0]
    with torch.no_grad():
        scores = task.score(task.predict(model(batch), batch))
    assert min(scores["text_to_image_r1"], scores["image_to_text_r1"]) >= 0.75, "statistics of batches are near by then"


def test_terms_are_a_number_a_sample_and_their_mean_is_clips_loss(task, batch):
    output = task.model()(batch)
    terms = task.losses(output, batch)
    check_terms(terms, task.term_weights, 8)
    assert set(terms) == set(TERM_WEIGHTS) == {"image_to_text", "text_to_image"}
    logits = output["scale"] * output["image"] @ output["text"].T
    assert len(set(batch["caption_ids"].tolist())) == 8, "no caption twice: then it is CLIP's own loss"
    clip = [torch.nn.functional.cross_entropy(one, torch.arange(8)) for one in (logits, logits.T)]
    assert torch.allclose(torch.stack([one.mean() for one in terms.values()]), torch.stack(clip), atol=1e-5)
    assert sum(TERM_WEIGHTS.values()) == 1.0


def test_equal_captions_of_a_batch_are_no_wrong_answers(task, batch):
    same = {**batch, "caption_ids": torch.zeros(8, dtype=torch.int64)}
    output = task.model()(batch)
    assert all(value.abs().max() < 1e-6 for value in task.losses(output, same).values())
    two = {**batch, "caption_ids": torch.tensor([0, 0, 2, 3, 4, 5, 6, 7])}
    match = torch.eye(8, dtype=torch.bool)
    match[0, 1] = match[1, 0] = True
    wanted = contrast_terms(output["image"], output["text"], output["scale"], match)
    found = task.losses(output, two)
    assert all(torch.allclose(found[name], wanted[name]) for name in wanted)
    assert found["image_to_text"][0] < task.losses(output, batch)["image_to_text"][0]


def test_the_loss_reads_which_caption_is_whose(task, batch):
    torch.manual_seed(1)
    output = task.model()(batch)
    flipped = flip_labels(batch)
    assert flipped["pairs"].tolist() == [7, 0, 1, 2, 3, 4, 5, 6]
    for name, value in task.losses(output, batch).items():
        assert (task.losses(output, flipped)[name] - value).abs().mean() > 1e-4


def test_of_several_captions_an_image_is_trained_with_the_one_that_pairs_names(task, images):
    every = squares(groups=6, every=True)
    many = every.collate([every.sample(index, epoch=0, seed=0) for index in range(4)])
    output = task.model()(many)
    assert output["text"].shape[0] == 12 and all(len(one) == 4 for one in task.losses(output, many).values())


def test_no_constant_is_better_than_guessing(task, batch):
    constant = task.constant_losses([batch])
    assert constant == pytest.approx(dict.fromkeys(TERM_WEIGHTS, math.log(8)))
    output = task.model()(batch)
    alike = {**output, "image": torch.ones_like(output["image"]), "text": torch.ones_like(output["text"])}
    for name, value in task.losses(alike, batch).items():
        assert float(value.mean()) == pytest.approx(constant[name], abs=1e-4)


def test_predictions_of_a_set_join_batch_by_batch(task):
    images = squares(groups=6, every=True)
    model = task.model()
    whole, parts = (predict_set(task, model, images, batch_size=size) for size in (12, 5))
    assert whole["image"].shape == (12, 32) and whole["text"].shape == (36, 32)
    assert whole["caption_counts"].tolist() == [3] * 12 and whole["index"].tolist() == list(range(12))
    for name in whole:
        assert np.allclose(whole[name], parts[name], atol=1e-5), name
    assert np.allclose(np.linalg.norm(whole["text"], axis=1), 1, atol=1e-5)


def test_chance_and_known_answers_are_of_every_claim(task):
    images = squares(groups=6, every=True)
    predictions = predict_set(task, task.model(), images)
    chance, score = task.chance(predictions), task.score(predictions)
    assert set(chance) == set(score) and task.claims[0].metric == "text_to_image_r5"
    for claim in task.claims:
        known = task.known_answers(predictions, claim.metric)
        assert task.score(known.perfect)[claim.metric] == 1.0
        assert task.score(known.constant)[claim.metric] == pytest.approx(chance[claim.metric])
        assert task.score(known.inverted)[claim.metric] < chance[claim.metric]
        assert task.chance(known.random(0))[claim.metric] == pytest.approx(chance[claim.metric])


def test_networks_are_fresh_and_have_the_words_of_the_captions(task, images):
    first, second = task.model(), task.model()
    assert isinstance(first, SmallClip) and first.vocabulary == images.vocabulary and first.options == TINY
    assert not torch.equal(first.text.word.weight, second.text.word.weight)
    assert task.kind_of(next(iter(batches_of(images, 1)))) in task.sample_kinds
