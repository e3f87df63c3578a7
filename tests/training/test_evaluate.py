"""Predictions of a whole set, and their scores beside chance, baselines and intervals over groups."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.made_scan import VALVES, VIEWS, ScanTask, scan, valves_in
from tiny_street import tiny_set, tiny_task
from veritrain.data.frames import FrameSet
from veritrain.metrics.ranking import ranking_scores
from veritrain.tasks.baselines import constant_like
from veritrain.tasks.box_tables import as_predictions, truths_of
from veritrain.tasks.class_tables import rule_given, shares_of
from veritrain.tasks.constant_boxes import ConstantBoxes
from veritrain.tasks.levels import labels_at
from veritrain.training.evaluate import (
    batches_of,
    entries_of_classes,
    latency_ms,
    predict_set,
    ranked_entries,
    scores_with_intervals,
)


def flat(seed: int, n: int = 4000, groups: int = 12, *, rate: float = 0.05):
    """Scores that know something, labels, and the group of each."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < rate).astype(np.int8)
    return (rng.random(n) + 0.5 * labels).astype(np.float32), labels, np.sort(rng.integers(0, groups, n))


def network():
    torch.manual_seed(0)
    return tiny_task().model()


@pytest.fixture(scope="module")
def evaluated():
    """Predictions of a network that half knows, over 12 groups."""
    data = tiny_set(12, seed=3)
    predictions = dict(predict_set(tiny_task(), network(), data))
    rng = np.random.default_rng(0)
    for level in ("frame", "point", "pixel"):
        labels = predictions[f"{level}_labels"]
        predictions[f"{level}_scores"] = (0.7 * rng.random(labels.shape) + 0.3 * (labels == 1)).astype(np.float32)
    return predictions, [frame.group for frame in data.frames]


def test_object_levels_are_scored_beside_the_others(evaluated):
    """Among objects only every third normal return counts, so the same scores give a higher AP."""
    predictions, groups = evaluated
    found = scores_with_intervals(tiny_task(), predictions, {}, groups)
    objects, every = found["object_point_ap"], found["point_ap"]
    assert objects["positives"] == every["positives"]
    on_object = (predictions["point_labels"] == 0) & (predictions["point_ids"] == 14)
    assert objects["n"] - objects["positives"] == on_object.sum() > 0
    assert objects["value"] > every["value"] and objects["chance"] > every["chance"]


def test_every_baseline_stands_in_the_entry_and_one_that_lacks_a_level_is_left_out(evaluated):
    predictions, groups = evaluated
    partial = {key: values for key, values in predictions.items() if key != "pixel_scores"}
    baselines = {"prior": constant_like(predictions), "frames and returns": partial}
    found = scores_with_intervals(tiny_task(), predictions, baselines, groups)
    assert found["point_ap"]["baselines"] == {
        "prior": pytest.approx((predictions["point_labels"] == 1).sum() / (predictions["point_labels"] >= 0).sum()),
        "frames and returns": found["point_ap"]["value"],
    }
    assert list(found["pixel_ap"]["baselines"]) == ["prior"]


def test_a_level_without_a_known_label_is_undefined(evaluated):
    predictions, groups = evaluated
    nothing = {**predictions, "pixel_labels": np.full_like(predictions["pixel_labels"], -1)}
    entry = scores_with_intervals(tiny_task(), nothing, {"prior": constant_like(nothing)}, groups)["pixel_ap"]
    assert entry["value"] is entry["baseline"] is entry["chance"] is None and entry["n"] == 0


def test_fewer_bins_and_resamples_move_the_interval_and_not_the_value():
    level = flat(3, 20_000)
    own = ranking_scores(*level[:2])
    fine, coarse = (
        ranked_entries({"model": level}, own, 12, exact=False, resamples=n, bins=bins)["ap"]
        for n, bins in ((1000, 2048), (300, 128))
    )
    assert fine["value"] == coarse["value"] == own.ap and fine["ci95"] != coarse["ci95"]
    assert coarse["ci95"] == pytest.approx(fine["ci95"], abs=0.02)


def test_results_hold_what_a_reader_needs(evaluated):
    predictions, groups = evaluated
    task = tiny_task()
    found = scores_with_intervals(task, predictions, {"prior": constant_like(predictions)}, groups)
    plain, chance = task.score(predictions), task.chance(predictions)
    assert set(found) == set(plain)
    for name, entry in found.items():
        assert entry["value"] == plain[name] and entry["chance"] == chance[name]
        assert entry["groups"] == 12 and entry["reliable"] and entry["baseline_name"] == "prior"
        low, high = entry["ci95"]
        assert low < entry["value"] < high
        labels = labels_at(predictions, name.rpartition("_")[0])
        assert entry["n"] == (labels >= 0).sum() and entry["positives"] == (labels == 1).sum()


def test_a_gain_is_positive_when_it_is_better_in_either_direction(evaluated):
    predictions, groups = evaluated
    task = tiny_task()
    knowing = dict(predictions)
    for level in ("frame", "point", "pixel"):
        knowing[f"{level}_scores"] = predictions[f"{level}_scores"] + 2 * (predictions[f"{level}_labels"] == 1)
    found = scores_with_intervals(task, knowing, {"half": predictions}, groups)
    assert found["frame_fpr95"]["value"] == 0.0 and found["frame_auroc"]["value"] == 1.0
    assert all(entry["gain_ci95"][0] > 0 for entry in found.values())


def test_a_gain_over_one_score_for_everything_ends_at_one_half(evaluated):
    predictions, groups = evaluated
    task = tiny_task()
    nearly = dict(predictions)
    for level in ("frame", "point", "pixel"):
        known = predictions[f"{level}_labels"] == 1
        nearly[f"{level}_scores"] = (0.05 * predictions[f"{level}_scores"] + known).astype(np.float32)
    nearly["frame_scores"][np.flatnonzero(predictions["frame_labels"] == 1)[0]] = 0.0
    found = scores_with_intervals(task, nearly, {"prior": constant_like(predictions)}, groups)
    for level in ("frame", "point", "pixel"):
        entry = found[f"{level}_auroc"]
        assert -0.5 <= entry["gain_ci95"][0] <= entry["value"] - 0.5 <= entry["gain_ci95"][1] <= 0.5
    other = scores_with_intervals(task, nearly, {"half": predictions}, groups)["frame_auroc"]
    assert other["gain_ci95"][1] > other["value"] - other["baseline"], "only where the baseline cannot move"


def test_the_baseline_itself_gains_nothing(evaluated):
    predictions, groups = evaluated
    found = scores_with_intervals(tiny_task(), predictions, {"itself": predictions}, groups)
    for entry in found.values():
        low, high = entry["gain_ci95"]
        assert low <= 0 <= high and high - low < 1e-6
        assert entry["baseline"] == entry["value"]


def test_the_best_baseline_is_chosen_for_each_metric(evaluated):
    predictions, groups = evaluated
    blind = dict(predictions)
    for level in ("frame", "point", "pixel"):
        blind[f"{level}_scores"] = 1 - predictions[f"{level}_scores"]
    found = scores_with_intervals(tiny_task(), predictions, {"inverted": blind, "same": predictions}, groups)
    assert {entry["baseline_name"] for entry in found.values()} == {"same"}
    alone = scores_with_intervals(tiny_task(), predictions, {}, groups)["frame_auroc"]
    assert alone["baseline"] is alone["gain_ci95"] is alone["baseline_name"] is None


def test_an_undefined_score_is_null_everywhere(evaluated):
    predictions, groups = evaluated
    one_class = {**predictions, "frame_labels": np.zeros(36, np.int8)}
    entry = scores_with_intervals(tiny_task(), one_class, {"prior": constant_like(one_class)}, groups)["frame_auroc"]
    assert entry["value"] is entry["baseline"] is entry["gain_ci95"] is None and entry["ci95"] == [None, None]


def test_few_groups_are_marked():
    data = tiny_set(4)
    predictions = predict_set(tiny_task(), network(), data)
    found = scores_with_intervals(tiny_task(), predictions, {}, [frame.group for frame in data.frames])
    assert not any(entry["reliable"] for entry in found.values())


def input_free(train, predictions, n: int) -> dict:
    """Constant boxes, the shares of the views, and the view most frequent under each valve, fitted on ``train``."""
    frames = len(train["truth_counts"])
    boxes = ConstantBoxes.fit(truths_of(train), frames, len(VALVES)).predict(n)
    return {
        **as_predictions(boxes, predictions, threshold=0.0),
        "view_probabilities": np.tile(shares_of(train["view_labels"], VIEWS), (n, 1)),
        "view_given": rule_given(train["view_labels"], valves_in(train), VIEWS, n),
    }


def test_a_task_of_boxes_and_classes_is_reported_like_one_of_rankings():
    train, (predictions, groups) = scan(9)[0], scan(0)
    task = ScanTask(threshold=0.5)
    baseline = input_free(train, predictions, len(groups))
    found = scores_with_intervals(task, predictions, {"constant boxes": baseline}, groups)
    plain, chance = task.score(predictions), task.chance(predictions)
    assert set(found) == set(plain) and {"map", "map_50", "f1", "view_accuracy_given_valve"} <= set(found)
    for name, entry in found.items():
        assert entry["value"] == pytest.approx(plain[name]) and entry["chance"] == pytest.approx(chance[name])
        assert entry["groups"] == 12 and entry["reliable"] and entry["baseline_name"] == "constant boxes"
        assert entry["ci95"][0] < entry["value"] < entry["ci95"][1]
        assert entry["gain_ci95"][0] > 0, name
        assert entry["n"] > 0 and (entry["positives"] is None) == name.startswith("view")
    assert found["map_50"]["baseline"] == pytest.approx(task.score(baseline)["map_50"])
    itself = scores_with_intervals(task, predictions, {"itself": predictions}, groups)
    assert all(entry["gain_ci95"][0] <= 0 <= entry["gain_ci95"][1] for entry in itself.values())


def test_single_classes_have_entries_of_their_own():
    predictions, groups = scan(0)
    task = ScanTask()
    tables, baseline = (
        task.tables(predictions, groups),
        task.tables(input_free(predictions, predictions, len(groups)), groups),
    )
    found = entries_of_classes(["map_50:AR", "view_accuracy_given_valve:MR"], tables, {"constant": baseline})
    boxes = found["map_50:AR"]
    assert boxes["value"] == tables.value("map_50:AR") and boxes["gain_ci95"][0] > 0
    assert boxes["positives"] == (truths_of(predictions).classes == 0).sum()
    assert found["view_accuracy_given_valve:MR"]["baseline"] == baseline.value("view_accuracy_given_valve:MR")


def test_the_interval_of_boxes_widens_with_fewer_patients():
    widths = []
    for patients in (40, 12):
        predictions, groups = scan(3, patients)
        low, high = scores_with_intervals(ScanTask(), predictions, {}, groups)["map_50"]["ci95"]
        widths.append(high - low)
    assert widths[1] > widths[0]


@pytest.mark.parametrize("size", [1, 5, 24, 100])
def test_batches_cover_the_set_in_order(size):
    batches = list(batches_of(tiny_set(), size))
    assert torch.cat([batch["index"] for batch in batches]).tolist() == list(range(24))
    assert max(len(batch["index"]) for batch in batches) == min(size, 24)


def test_predictions_do_not_depend_on_the_batch_size_and_leave_the_mode():
    task, data, model = tiny_task(), tiny_set(), network().train()
    whole, parts = (predict_set(task, model, data, batch_size=size) for size in (24, 5))
    assert model.training and set(whole) == set(parts)
    for key in whole:
        tolerance = 1e-3 if key.startswith("pixel") else 1e-5
        np.testing.assert_allclose(whole[key].astype(float), parts[key].astype(float), atol=tolerance)
    statistics = [buffer.clone() for buffer in model.buffers()]
    predict_set(task, model, data)
    assert all(torch.equal(a, b) for a, b in zip(statistics, model.buffers(), strict=True)), "evaluation trains nothing"


def test_latency_is_a_time():
    few = FrameSet(tiny_set().frames[:1], tiny_set().views)
    assert 0 < latency_ms(network(), few, repeats=3) < 5000
