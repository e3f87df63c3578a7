"""Losses, predictions, scores and known answers of boxes and views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from veritrain.losses.yolo import scaled_gains
from veritrain.models.options import YoloOptions
from veritrain.models.yolo_start import WeightFile
from veritrain.tasks.joint import (
    NOTHING_CALLED,
    VIEW_TERM,
    JointTask,
    anchors_in_cells,
    claims_of,
    flip_labels,
    term_weights_of,
)
from veritrain.training.terms import check_terms

NETWORK = YoloOptions(size="n", classes=4, views=3, view_head="pooled")
VALVES, VIEWS = ("AR", "MR", "PR", "TR"), ("PSAX", "PLAX", "A4C")


def task_of(network: YoloOptions = NETWORK, **fields) -> JointTask:
    weights = term_weights_of(network, 64, detection=1.0, view=1.0)
    return JointTask(network=network, class_names=VALVES, view_names=VIEWS, term_weights=weights, **fields)


def made_batch(seed: int = 0) -> dict[str, torch.Tensor]:
    """Eight images with a bright square of its valve's brightness; the view is a stripe. One view is unknown."""
    rng = np.random.default_rng(seed)
    image, targets, views = torch.zeros(8, 3, 64, 64), [], []
    for place in range(8):
        cls, view = place % 4, int(rng.integers(3))
        x, y = rng.integers(12, 52, 2)
        image[place, 0, y - 8 : y + 8, x - 8 : x + 8] = 0.4 + 0.2 * cls
        image[place, 1, :, 20 * view : 20 * view + 6] = 1.0
        targets.append([place, cls, x / 64, y / 64, 0.25, 0.25])
        views.append(view)
    views[-1] = -1
    placed = torch.tensor([[64, 64, 64, 64, 0, 0]] * 8)
    return {"image": image, "targets": torch.tensor(targets), "view": torch.tensor(views), "placed": placed,
            "index": torch.arange(8)}  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    """After it was shown one batch 60 times; statistics of batches follow quickly, as there is one batch alone."""
    torch.manual_seed(0)
    task, batch = task_of(), made_batch()
    model = task.model().train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.5
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(60):
        terms = task.losses(model(batch), batch)
        optimiser.zero_grad()
        torch.stack([task.term_weights[name] * value.mean() for name, value in terms.items()]).sum().backward()
        optimiser.step()
    with torch.no_grad():
        return task, batch, task.predict(model.eval()(batch), batch)


def test_it_overfits_one_batch(trained):
    task, _, predictions = trained
    scores = task.score(predictions)
    assert scores["map_50"] > 0.9 and scores["view_macro_f1"] == 1.0 and scores["view_accuracy_given_valve"] == 1.0


def test_chance_is_far_below_it(trained):
    task, _, predictions = trained
    chance = task.chance(predictions)
    assert set(chance) == set(task.score(predictions))
    assert chance["view_accuracy"] == pytest.approx(1 / 3) and 0.2 < chance["view_macro_f1"] < 0.4


def test_rates_come_with_a_threshold(trained):
    task, _, predictions = trained
    assert {"precision", "recall", "f1"}.isdisjoint(task.score(predictions))
    called = replace(task, threshold=0.1).score(predictions)
    assert called["recall"] > 0.7
    none = replace(task, threshold=NOTHING_CALLED).score(predictions)
    assert none["precision"] is None and none["recall"] == none["f1"] == 0


def test_boxes_lie_in_pixels_of_the_stored_image(trained):
    task, batch, predictions = trained
    assert predictions["truth_counts"].tolist() == [1] * 8 and predictions["box_counts"].sum() == len(
        predictions["boxes"]
    )
    x, y = batch["targets"][0, 2:4].tolist()
    assert np.allclose(predictions["truth_boxes"][0], np.array([x, y, x, y]) * 64 + np.array([-8, -8, 8, 8]), atol=1e-3)
    with torch.no_grad():
        output = {name: torch.zeros(8, 3, side, side, 9) for name, side in (("p3", 8), ("p4", 4), ("p5", 2))}
        output["view"] = torch.zeros(8, 3)
        # The stored images are twice as large, and lie 8 rows below the top.
        moved = {**batch, "placed": torch.tensor([[96, 128, 48, 64, 8, 0]] * 8)}
        found = task.predict(output, moved)
    wanted = (np.array([x, y, x, y]) * 64 + np.array([-8, -8, 8, 8]) - np.array([0, 8, 0, 8])) * 2
    assert np.allclose(found["truth_boxes"][0], np.clip(wanted, 0, [128, 96, 128, 96]), atol=1e-3)


def test_every_term_is_one_number_a_sample_and_weighted_as_yolov5(trained):
    task, batch, _ = trained
    terms = task.losses(task.model()(batch), batch)
    check_terms(terms, task.term_weights, 8)
    assert set(terms) == {name for group in task.term_groups.values() for name in group}
    gains = scaled_gains(64, 4)
    assert {name: task.term_weights[name] for name in gains} == gains and task.term_weights[VIEW_TERM] == 1.0
    halved = term_weights_of(NETWORK, 64, detection=0.5, view=3.0)
    assert halved["cls"] == 0.5 * gains["cls"] and halved[VIEW_TERM] == 3.0


def test_an_unknown_view_neither_counts_nor_costs():
    task, batch = task_of(), made_batch()
    terms = task.losses(task.model()(batch), batch)
    assert terms[VIEW_TERM][-1].item() == 0.0 and bool((terms[VIEW_TERM][:-1] > 0).all())
    counts = task.term_counts(batch)
    assert set(counts) == {VIEW_TERM} and counts[VIEW_TERM].tolist() == [True] * 7 + [False]


@pytest.mark.parametrize(
    ("network", "claims", "groups"),
    [
        (NETWORK, ["map_50", "view_macro_f1"], {"detection", "view"}),
        (YoloOptions(size="n", classes=4), ["map_50"], {"detection"}),
        (YoloOptions(size="n", classes=0, views=3, view_head="p3"), ["view_macro_f1"], {"view"}),
        (replace(NETWORK, dual=True), ["map_50", "view_macro_f1"], {"detection", "view"}),
    ],
)
def test_what_the_network_answers_is_what_is_claimed(network, claims, groups):
    task, batch = task_of(network), made_batch()
    assert [claim.metric for claim in claims_of(network)] == claims and set(task.term_groups) == groups
    with torch.no_grad():
        output = task.model().eval()(batch)
        terms = task.losses(output, batch)
        predictions = task.predict(output, batch)
    assert set(terms) == set(task.term_weights) and set(claims) <= set(task.score(predictions))


def test_known_answers_have_known_scores(trained):
    task, _, predictions = trained
    for claim in task.claims:
        known, metric = task.known_answers(predictions, claim.metric), claim.metric
        assert task.score(known.perfect)[metric] == 1.0
        assert task.score(known.inverted)[metric] <= task.score(known.constant)[metric]
        assert task.score(known.random(0))[metric] < 1.0


def test_the_view_given_the_valve_may_be_answered_by_a_rule(trained):
    task, _, predictions = trained
    rule = {**predictions, "view_answers_given": np.zeros((8, 4), np.int64)}
    labels = predictions["view_labels"]
    right = [np.mean(labels[[k for k in (v, v + 4) if labels[k] >= 0]] == 0) for v in range(4)]
    assert task.score(rule)["view_accuracy_given_valve"] == pytest.approx(np.mean(right))
    assert task.score(rule)["view_accuracy"] == task.score(predictions)["view_accuracy"]


def test_the_best_constant_view_is_the_entropy_of_its_shares():
    task, batch = task_of(), made_batch()
    labels = batch["view"][:-1].numpy()
    shares = np.bincount(labels, minlength=3) / 7
    entropy = -sum(share * np.log(share) for share in shares if share)
    assert task.constant_losses([batch]) == {VIEW_TERM: pytest.approx(entropy * 7 / 8)}


def test_a_small_batch_can_hold_equal_parts_of_the_kinds():
    task = task_of()
    assert task.sample_kinds == (0.0, 1.0, 2.0, 3.0)
    assert task.kind_of({"classes": np.array([2]), "view": 0}) == 2.0
    assert task.kind_of({"classes": np.zeros(0, int), "view": 0}) not in task.sample_kinds
    view = task_of(YoloOptions(size="n", classes=0, views=3, view_head="p3"))
    assert view.sample_kinds == (0.0, 1.0, 2.0) and view.kind_of({"classes": np.array([3]), "view": 1}) == 1.0


def test_noise_instead_of_a_view_reaches_no_parameter():
    task, batch = task_of(noise=True), made_batch()
    model = task.model()
    one, two = (model(batch)["view"] for _ in range(2))
    assert not torch.equal(one, two)
    losses = task.losses(model(batch), batch)
    found = torch.autograd.grad(losses[VIEW_TERM].sum(), list(model.parameters()), allow_unused=True)
    assert all(gradient is None for gradient in found)


def test_fresh_networks_start_from_the_file_unless_from_scratch(tmp_path):
    torch.manual_seed(3)
    source = task_of().model()
    save_file(source.state_dict(), tmp_path / "start.safetensors")
    task = task_of(weights=WeightFile.of(tmp_path / "start.safetensors"))
    started, scratch = task.model().state_dict(), task.from_scratch().model().state_dict()
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in started.items())
    assert not torch.equal(scratch["model.0.conv.weight"], started["model.0.conv.weight"])
    assert task.from_scratch() == task_of()


def test_anchors_are_those_of_the_head():
    model = task_of().model()
    assert torch.equal(anchors_in_cells(NETWORK.anchors, torch.device("cpu")), model.detect.anchors)


def test_flipped_labels_change_every_term():
    task, batch = task_of(), made_batch()
    torch.manual_seed(1)
    output = {name: torch.randn_like(value) for name, value in task.model()(batch).items()}
    flipped = flip_labels(batch, classes=4, views=3)
    given, other = task.losses(output, batch), task.losses(output, flipped)
    for name in given:
        assert not torch.allclose(given[name], other[name]), name
