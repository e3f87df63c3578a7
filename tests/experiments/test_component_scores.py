"""Component scores of a split: thresholds from validation, every size stated."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.experiments.component_scores import component_results
from veritrain.metrics.components import ComponentTable, match_components, scaled_sizes
from veritrain.metrics.threshold import best_f1_threshold
from veritrain.tasks.baselines import constant_like


def made(seed: int, *, n: int = 24, noise: float = 0.6) -> dict:
    """Images of 40 x 60 with one block each in every other image; a strip of each is unknown."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((n, 40, 60), np.int8)
    for place in range(0, n, 2):
        row, column = rng.integers(0, 30), rng.integers(0, 50)
        labels[place, row : row + 9, column : column + 8] = 1
    labels[:, :2] = -1
    scores = noise * rng.random(labels.shape) + 0.5 * (labels == 1)
    return {"pixel_labels": labels, "pixel_scores": scores.astype(np.float16)}


GROUPS = [f"g{place // 2:02d}" for place in range(24)]


def test_the_threshold_is_chosen_on_validation_and_applied_to_test():
    test, validation = made(0), made(1)
    found = component_results({"model": test}, {"model": validation}, GROUPS)
    known = validation["pixel_labels"].reshape(-1) >= 0
    pairs = (validation[f"pixel_{name}"].reshape(-1)[known].astype(np.float32) for name in ("scores", "labels"))
    assert found["threshold"] == best_f1_threshold(*pairs).threshold and found["threshold_from"] == "val"
    other = component_results({"model": test}, {"model": made(2, noise=0.2)}, GROUPS)
    assert other["threshold"] != found["threshold"]
    tracks = found["tracks"]
    for name, sizes in (
        ("anomaly, scaled", scaled_sizes("anomaly", 2400)),
        ("obstacle, scaled", scaled_sizes("obstacle", 2400)),
    ):
        called = test["pixel_scores"].astype(np.float32) >= np.float32(found["threshold"])
        images = [match_components(a, b, sizes) for a, b in zip(called, test["pixel_labels"], strict=True)]
        expected = ComponentTable(images, np.zeros(24, int), 1).scores()
        assert {key: tracks[name][key] for key in expected} == expected
        assert (tracks[name]["least_called"], tracks[name]["least_truth"]) == (sizes.called, sizes.truth)


def test_a_score_has_an_interval_over_groups_a_baseline_and_counts():
    test, validation = made(0), made(1)
    baselines = {"prior": constant_like(test)}, {"prior": constant_like(validation)}
    found = component_results({"model": test, **baselines[0]}, {"model": validation, **baselines[1]}, GROUPS)
    assert set(found["tracks"]) == {"anomaly", "obstacle", "anomaly, scaled", "obstacle, scaled"}
    row = found["tracks"]["obstacle"]
    assert (row["least_called"], row["least_truth"], row["truths"], row["groups"]) == (50, 10, 12, 12)
    for score in ("mean_siou", "mean_ppv", "mean_f1"):
        low, high = row[f"{score}_ci95"]
        assert low <= row[score] <= high and row[f"{score}_baseline_name"] == "prior"
        assert row[f"{score}_baseline"] < 0.1 < row[score], "the prior calls every image one component"


def test_a_size_that_no_truth_reaches_leaves_sIoU_undefined():
    row = component_results({"model": made(0)}, {"model": made(1)}, GROUPS)["tracks"]["anomaly"]
    assert row["truths"] == 0 and row["mean_siou"] is None and row["mean_siou_ci95"] is None


@pytest.mark.parametrize("missing", ["pixel_scores", "positives"])
def test_without_a_threshold_there_is_nothing(missing):
    validation = made(1)
    if missing == "positives":
        validation["pixel_labels"] = np.minimum(validation["pixel_labels"], 0)
    else:
        del validation["pixel_scores"]
    assert component_results({"model": made(0)}, {"model": validation}, GROUPS) is None
