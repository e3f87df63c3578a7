"""A kind's curve is scikit-learn's over its positives and all normals; too few are left out by name."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from veritrain.experiments.kind_curves import GRID, LEAST_POSITIVES, curves_by_kind

N, GROUPS = 120, 24


def made(seed):
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(GROUPS), N // GROUPS)
    anomalous = of % 2 == 0
    predictions = {
        "frame_labels": anomalous.astype(np.int8),
        "frame_scores": (rng.random(N) + 0.4 * anomalous).round(1 + seed).astype(np.float32),
    }
    return predictions, [f"t/{group:02d}" for group in of], of


@pytest.mark.parametrize("seed", range(3))
def test_precision_is_that_of_scikit_learn(seed):
    predictions, groups, of = made(seed)
    near = (predictions["frame_labels"] == 1) & (of < 16)
    found = curves_by_kind({"distance": {"near": near}}, predictions, groups)
    one = found["levels"]["frame"]["kinds"]["near"]
    kept = near | (predictions["frame_labels"] == 0)
    precision, recall, _ = precision_recall_curve(near[kept], predictions["frame_scores"][kept])
    expected = [precision[recall >= place - 1e-9].max() for place in GRID[1:]]
    # scikit-learn adds (recall 0, precision 1), which no score reaches: not compared
    reached = [max(p for p, r in zip(precision[:-1], recall[:-1], strict=True) if r >= place - 1e-9) for place in GRID]
    assert np.allclose(one["precision"], reached, atol=6e-5) and np.allclose(one["precision"][1:], expected, atol=6e-5)
    assert one["positives"] == near.sum() and one["groups"] == 8 and one["family"] == "distance"
    assert near.sum() / kept.sum() < one["chance"] < near.sum() / kept.sum() + 0.05
    assert found["recall"] == pytest.approx(GRID.tolist()) and found["levels"]["frame"]["negatives"] == N // 2


def test_too_few_positives_or_groups_are_named():
    predictions, groups, of = made(0)
    anomalous = predictions["frame_labels"] == 1
    rare = anomalous & (np.arange(N) % 5 == 0) & (of < 16)
    narrow = anomalous & (of < 6)
    found = curves_by_kind({"f": {"rare": rare, "narrow": narrow, "all": anomalous}}, predictions, groups)
    level = found["levels"]["frame"]
    assert list(level["kinds"]) == ["all"]
    assert rare.sum() < LEAST_POSITIVES <= narrow.sum()
    assert level["left_out"] == {"rare": f"{rare.sum()} positives in 8 groups", "narrow": "15 positives in 3 groups"}


def test_object_returns_have_curves_of_their_own_and_nothing_scored_has_none():
    predictions, groups, _ = made(1)
    rng = np.random.default_rng(3)
    anomalous = predictions["frame_labels"] == 1
    sample = np.repeat(np.arange(N), 10)
    labels = (anomalous[sample] & (rng.random(sample.size) < 0.4)).astype(np.int8)
    ids = np.where(labels == 1, 30, rng.choice([1, 14], sample.size)).astype(np.int32)
    points = {
        "point_labels": labels,
        "point_scores": rng.random(sample.size).astype(np.float32),
        "point_ids": ids,
        "point_counts": np.full(N, 10),
    }
    found = curves_by_kind({"f": {"all": anomalous}}, {**predictions, **points}, groups)
    level = found["levels"]["object_point"]
    assert level["kinds"]["all"]["positives"] == labels.sum() and level["negatives"] == (ids == 14).sum()
    nothing = {key: value for key, value in predictions.items() if key != "frame_scores"}
    assert curves_by_kind({"f": {"all": anomalous}}, nothing, groups) is None
