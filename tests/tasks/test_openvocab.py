"""The task on drawn images: losses, constants, scores, known answers, and one batch that it can learn by heart."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from veritrain.models.options import DetectorOptions, SmallClipOptions
from veritrain.models.small_clip import SmallImageTower
from veritrain.tasks.openvocab import OpenVocabTask, flip_labels
from veritrain.tasks.openvocab_words import Words
from veritrain.tasks.origin002 import Report002Task

WORDS = Words(base=("red", "green"), novel=("blue",))
TOWER = SmallClipOptions(width=8, embed_dim=16)
SIDE = 64
TERMS = {"cls", "l1", "giou", "contrast"}


def task_of(kind=OpenVocabTask, **changes) -> OpenVocabTask:
    torch.manual_seed(1)
    plain = {"options": DetectorOptions(width=16, heads=2, encoder_layers=0, context_anchor=False), "words": WORDS,
             "texts": torch.randn(6, 16), "tower": lambda: SmallImageTower(TOWER)}  # fmt: skip
    return kind(**{**plain, **changes})


def batch_of(count: int = 4) -> dict:
    """Images with a square of a class's colour each, and one that is empty."""
    rng = np.random.default_rng(0)
    image, targets = torch.full((count, 3, SIDE, SIDE), -0.5), []
    for row in range(count - 1):
        cls, left, top, side = row % 2, *rng.integers(2, 30, 2).tolist(), 24
        image[row, cls, top : top + side, left : left + side] = 1.0
        shares = [(left + side / 2) / SIDE, (top + side / 2) / SIDE, side / SIDE, side / SIDE]
        targets.append([row, cls, *shares])
    placed = torch.tensor([[SIDE, SIDE, SIDE, SIDE, 0, 0]] * count)
    return {"image": image, "targets": torch.tensor(targets), "placed": placed, "index": torch.arange(count),
            "asked": torch.tensor(WORDS.rows("base"))}  # fmt: skip


@pytest.fixture(scope="module")
def output():
    task = task_of()
    return task, task.model().eval()(batch_of())


def test_every_term_is_a_number_an_image_and_reads_the_labels(output):
    task, answers = output
    given, flipped = (task.losses(answers, one) for one in (batch_of(), flip_labels(batch_of(), classes=2)))
    assert set(given) == TERMS == set(task.term_weights)
    for name, values in given.items():
        assert values.shape == (4,) and (given[name] - flipped[name]).abs().max() > 1e-3


def test_without_its_term_the_contrast_is_not_computed_into_the_total():
    assert task_of(term_weights={"cls": 1.0}).losses(task_of().model().eval()(batch_of()), batch_of()).keys() == {"cls"}


def test_a_constant_output_has_one_box_and_one_score(output):
    task, answers = output
    constant = task.constant_output(answers, -2.0)
    assert constant["cell_boxes"].unique().tolist() == pytest.approx([1 / (1 + math.exp(2.0))])
    terms = task.losses(constant, batch_of())
    assert all(values.isfinite().all() for values in terms.values())
    assert float(terms["contrast"][0]) == pytest.approx(float(terms["contrast"][1]))


def test_predictions_carry_their_labels_and_the_known_answers_their_scores(output):
    task, answers = output
    found = task.predict(answers, batch_of())
    assert found["truth_counts"].tolist() == [1, 1, 1, 0] and len(found["box_counts"]) == 4
    known = task.known_answers(found, "base_map_50")
    assert task.score(known.perfect)["base_map_50"] == 1.0
    assert 0 < task.score(known.inverted)["base_map_50"] < 1
    assert task.score(found)["novel_map_50"] is None, "no novel object: undefined, not 0"


def test_vocabularies_have_their_own_classes():
    task = task_of()
    assert replace(task, asked="novel").class_names == ("blue",) and replace(task, asked="base").class_names[0] == "red"
    assert [claim.metric for claim in task.claims] == ["base_map_50", "novel_map_50"]


def test_one_batch_is_learned_by_heart():
    """Its boxes are found, and the loss falls by more than half: a varifocal loss has a floor above 0."""
    task, batch = task_of(), batch_of()
    torch.manual_seed(2)
    network = task.model().train()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    totals = []
    for _ in range(120):
        terms = task.losses(network(batch), batch)
        total = torch.stack([task.term_weights[name] * values.mean() for name, values in terms.items()]).sum()
        totals.append(float(total.detach()))
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
    network.eval()
    with torch.no_grad():
        found = task.predict(network(batch), batch)
    print(totals[0], totals[-1], task.score(found))
    assert totals[-1] < 0.2 * totals[0]
    assert task.score(found)["base_map_50"] > 0.9


class TestReport002:
    def test_it_answers_no_box_and_learns_first_objects(self):
        task, batch = task_of(Report002Task, term_weights={"first_object": 1.0}), batch_of()
        network = task.model().eval()
        found = task.predict(network(batch), batch)
        assert found["box_counts"].tolist() == [0, 0, 0, 0] and task.score(found)["base_map_50"] == 0.0
        losses, counts = task.losses(network(batch), batch), task.term_counts(batch)
        assert losses["first_object"].shape == (4,) and counts["first_object"].tolist() == [True, True, True, False]

    def test_its_constant_is_the_entropy_of_first_objects(self):
        task = task_of(Report002Task, term_weights={"first_object": 1.0})
        wanted = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)) * 3 / 4
        assert task.constant_losses([batch_of()])["first_object"] == pytest.approx(wanted)
