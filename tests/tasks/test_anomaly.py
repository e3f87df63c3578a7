"""The anomaly task: it learns one batch, scores as scikit-learn does, and knows what chance would score."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from tiny_street import HEIGHT, VIEWS, WIDTH, batch_of, tiny_set, tiny_task
from veritrain.losses.binary import LOSSES
from veritrain.tasks.anomaly import LEVELS, labelled

METRICS = [f"{level}_{metric}" for level in (*LEVELS, "object_point") for metric in ("auroc", "ap", "fpr95")]


@pytest.fixture(scope="module")
def batch():
    return batch_of(tiny_set(), range(12))


def random_predictions(seed: int, *, decimals: int = 1) -> dict:
    """Scores with ties at all three levels, some labels unknown."""
    rng = np.random.default_rng(seed)

    def one(shape):
        labels = rng.choice([-1, 0, 0, 0, 1], shape).astype(np.int8)
        return rng.random(shape).round(decimals).astype(np.float32), labels

    found = {"index": np.arange(60)}
    for level, shape in (("frame", 60), ("point", 900), ("pixel", (60, 4, 5))):
        found[f"{level}_scores"], found[f"{level}_labels"] = one(shape)
    found["point_ids"] = rng.choice([1, 14, 22, 29], 900)
    return found


@pytest.mark.parametrize("fusion", ["attention", "concat", "image_only", "points_only"])
def test_one_batch_is_overfitted(fusion):
    task, data = tiny_task(fusion), tiny_set()
    batch = batch_of(data, [1, 2, 7, 8, 0, 3, 4, 5])
    assert batch["frame_label"].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    torch.manual_seed(0)
    model = task.model().train()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    first = last = float("inf")
    for step in range(300):
        terms = task.losses(model(batch), batch)
        total = torch.stack([task.term_weights[name] * values.mean() for name, values in terms.items()]).sum()
        last = total.item()
        first = last if step == 0 else first
        if last < 0.03 * first:
            break
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
    assert last < 0.03 * first
    with torch.no_grad():
        scores = task.score(task.predict(model(batch), batch))
    assert scores["frame_auroc"] == 1.0
    assert scores["point_ap"] > 0.9 or fusion == "image_only", "an image alone does not tell returns of one block apart"
    assert fusion == "points_only" or scores["pixel_ap"] > 0.9


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("decimals", [1, 7])
def test_scores_equal_scikit_learn(seed, decimals):
    predictions = random_predictions(seed, decimals=decimals)
    scores = tiny_task().score(predictions)
    assert sorted(scores) == sorted(METRICS)
    for level in LEVELS:
        labels, values = (predictions[f"{level}_{what}"].reshape(-1) for what in ("labels", "scores"))
        values, labels = values[labels >= 0], labels[labels >= 0]
        fpr, tpr, _ = roc_curve(labels, values, drop_intermediate=False)
        expected = {
            "auroc": roc_auc_score(labels, values),
            "ap": average_precision_score(labels, values),
            "fpr95": fpr[np.argmax(tpr >= 0.95)],
        }
        for metric, value in expected.items():
            assert scores[f"{level}_{metric}"] == pytest.approx(value, abs=1e-9)


def test_every_metric_declares_its_chance_level():
    """The declared level is what random scores reach on these labels, on average."""
    task, predictions = tiny_task(), random_predictions(1)
    chance = task.chance(predictions)
    assert set(chance) == set(task.score(predictions)) and all(value is not None for value in chance.values())
    rng = np.random.default_rng(0)
    draws: dict[str, list[float]] = {name: [] for name in chance}
    for _ in range(400):
        shuffled = dict(predictions)
        for level in LEVELS:
            shuffled[f"{level}_scores"] = rng.random(predictions[f"{level}_labels"].shape)
        for name, value in task.score(shuffled).items():
            draws[name].append(value)
    for name, values in draws.items():
        error = np.std(values) / len(values) ** 0.5
        assert np.mean(values) == pytest.approx(chance[name], abs=4.5 * error), name


def test_chance_does_not_look_at_the_scores():
    task, predictions = tiny_task(), random_predictions(2)
    perfect = {**predictions, "frame_scores": (predictions["frame_labels"] == 1).astype(np.float32)}
    assert task.chance(perfect) == task.chance(predictions)


@pytest.mark.parametrize("label", [0, 1, -1])
def test_a_score_of_one_class_is_undefined_and_never_zero(label):
    predictions = random_predictions(3)
    predictions["frame_labels"] = np.full(60, label, np.int8)
    scores = tiny_task().score(predictions)
    assert [scores[f"frame_{metric}"] for metric in ("auroc", "ap", "fpr95")] == [None] * 3
    assert scores["point_auroc"] is not None
    assert tiny_task().chance(predictions)["frame_ap"] is None


def test_unknown_labels_are_left_out():
    predictions = random_predictions(4)
    loud = {**predictions, "frame_scores": np.where(predictions["frame_labels"] < 0, 99, predictions["frame_scores"])}
    assert tiny_task().score(loud) == tiny_task().score(predictions)
    scores, labels = labelled(predictions, "pixel")
    assert len(scores) == len(labels) == (predictions["pixel_labels"] >= 0).sum() and set(labels) == {0, 1}


@pytest.mark.parametrize("fusion", ["attention", "image_only", "points_only"])
def test_predictions_stand_beside_their_labels(fusion, batch):
    torch.manual_seed(0)
    task = tiny_task(fusion)
    output = task.model().eval()(batch)
    found = task.predict({name: values.detach() for name, values in output.items()}, batch)
    returns = [len(cells) for cells in batch["point_cells"]]
    assert found["point_counts"].tolist() == returns
    assert found["index"].tolist() == batch["index"].tolist()
    assert np.array_equal(found["frame_labels"], batch["frame_label"].numpy())
    assert found["view_scores"].shape == (12, VIEWS.rows, VIEWS.columns)
    assert ("pixel_scores" in found) == (fusion != "points_only")
    if "pixel_scores" in found:
        assert found["pixel_scores"].shape == found["pixel_labels"].shape == (12, HEIGHT, WIDTH)
    for level in LEVELS:
        if f"{level}_scores" in found:
            assert found[f"{level}_scores"].min() >= 0 and found[f"{level}_scores"].max() <= 1
    start = 0
    for sample, count in enumerate(returns):
        part = slice(start, start + count)
        assert np.array_equal(found["point_labels"][part], batch["point_labels"][sample].numpy())
        at = batch["point_cells"][sample].numpy()
        assert np.array_equal(found["point_scores"][part], found["view_scores"][sample].reshape(-1)[at])
        assert np.array_equal(found["point_cells"][part], at)
        start += count
    assert start == len(found["point_scores"])


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_a_loss_per_sample_for_every_weighted_term(loss, batch):
    task = tiny_task(loss=loss)
    terms = task.losses(task.model()(batch), batch)
    assert set(terms) == set(task.term_weights)
    assert all(values.shape == (12,) and torch.isfinite(values).all() for values in terms.values())


def test_the_frame_term_is_weighted_cross_entropy_in_nats(batch):
    task = tiny_task()
    logits = torch.linspace(-3, 3, 12)
    output = {"frame": logits, "point": torch.zeros(12, 16, 72), "pixel": torch.zeros(12, HEIGHT, WIDTH)}
    labels, p = batch["frame_label"], logits.sigmoid()
    expected = -(task.pos_weights["frame"] * labels * p.log() + (1 - labels) * (1 - p).log())
    torch.testing.assert_close(task.losses(output, batch)["frame"], expected)


def test_what_is_unknown_costs_nothing_and_is_not_counted(batch):
    task = tiny_task()
    torch.manual_seed(0)
    output = {name: values.detach() for name, values in task.model()(batch).items()}
    missing = dict(batch)
    for key in LEVELS.values():
        missing[key] = batch[key].clone()
        missing[key][2] = -1
    before, after = task.losses(output, batch), task.losses(output, missing)
    for name in before:
        assert after[name][2] == 0 and before[name][2] > 0
        kept = [i for i in range(12) if i != 2]
        assert torch.equal(after[name][kept], before[name][kept])
        assert task.term_counts(missing)[name].tolist() == [i != 2 for i in range(12)]
        assert task.term_counts(batch)[name].all()
    loud = {name: torch.where(missing[LEVELS[name]] < 0, 50.0, values) for name, values in output.items()}
    quiet = {name: torch.where(missing[LEVELS[name]] < 0, -50.0, values) for name, values in output.items()}
    for name, values in task.losses(loud, missing).items():
        assert torch.equal(values, task.losses(quiet, missing)[name])


@pytest.mark.parametrize(("loss", "reads"), [("bce", True), ("focal", True), ("origin000", False)])
def test_which_losses_read_labels(loss, reads, batch):
    task = tiny_task(loss=loss)
    output = task.model()(batch)
    exchanged = {**batch, **{key: torch.where(batch[key] >= 0, 1 - batch[key], -1) for key in LEVELS.values()}}
    given, other = task.losses(output, batch), task.losses(output, exchanged)
    assert all(torch.equal(given[name], other[name]) != reads for name in given)


def test_the_headline_is_frame_auroc_and_the_second_claim_point_ap():
    claims = tiny_task().claims
    assert [(claim.metric, claim.split) for claim in claims] == [("frame_auroc", "test"), ("point_ap", "test")]
    assert all(claim.higher_is_better and claim.minimal_effect > 0 for claim in claims)
    assert {claim.metric for claim in claims} <= set(METRICS)
