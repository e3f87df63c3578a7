"""Voxel protocols: what each counts, by hand and by dictionaries."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.errors import UsageError
from veritrain.metrics.ranking import ranking_scores
from veritrain.metrics.voxels import MISSED, highest_per_cell, kept_labels, meet


def protocol_scores(cells, scores, stored, labels, protocol):
    """(scores, labels) that a protocol ranks."""
    table = meet(np.array(cells), {"model": np.array(scores)}, np.array(stored))
    there = table.place >= 0
    given = np.append(np.array(labels, np.int8), np.int8(-1))[table.place]
    kept = kept_labels(given, there, table.scored, protocol)
    return table.scores["model"][kept >= 0].tolist(), kept[kept >= 0].tolist()


def test_a_voxel_has_the_highest_score_of_its_returns():
    cells, highest = highest_per_cell(np.array([7, 3, 7, 9, 3]), np.array([0.1, 0.5, 0.8, 0.2, 0.4]))
    assert cells.tolist() == [3, 7, 9]
    assert highest.tolist() == [np.float32(0.5), np.float32(0.8), np.float32(0.2)]
    assert highest_per_cell(np.array([], np.int64), np.array([]))[0].size == 0


def test_the_protocols_differ_in_what_is_missed_and_what_is_extra():
    """Stored 1 (normal), 2 (anomalous, no return), 3 (anomalous), 4 (unknown); returns in 1, 3, 4 and 8."""
    given = ([1, 3, 3, 4, 8, -1], [0.2, 0.1, 0.6, 0.5, 0.9, 0.99], [4, 1, 3, 2], [-1, 0, 1, 1])
    near = pytest.approx
    assert protocol_scores(*given, "intersection") == (near([0.2, 0.6]), [0, 1])
    assert protocol_scores(*given, "union") == (near([0.2, MISSED, 0.6]), [0, 1, 1])
    assert protocol_scores(*given, "union_extra_normal") == (near([0.2, MISSED, 0.6, 0.9]), [0, 1, 1, 0])


def test_a_missed_anomaly_costs_union_and_not_intersection():
    given = ([1, 3], [0.2, 0.6], [1, 2, 3], [0, 1, 1])
    inside, outside = (
        ranking_scores(*map(np.array, protocol_scores(*given, one))) for one in ("intersection", "union")
    )
    assert (inside.auroc, inside.ap, inside.fpr95) == (1.0, 1.0, 0.0)
    assert (outside.auroc, outside.fpr95) == (0.5, 1.0)
    assert outside.ap == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_random_grids_agree_with_dictionaries(seed):
    rng = np.random.default_rng(seed)
    cells, scores = rng.integers(-1, 60, 300), rng.random(300).astype(np.float32)
    stored = rng.permutation(80)[:50]
    labels = rng.choice([-1, 0, 1], 50)
    best: dict[int, float] = {}
    for cell, score in zip(cells.tolist(), scores.tolist(), strict=True):
        if cell >= 0:
            best[cell] = max(score, best.get(cell, 0.0))
    truth = dict(zip(stored.tolist(), labels.tolist(), strict=True))
    inside = sorted((best[cell], label) for cell, label in truth.items() if cell in best and label >= 0)
    both = sorted((best.get(cell, MISSED), label) for cell, label in truth.items() if label >= 0)
    given = (cells, scores, stored, labels)
    assert sorted(zip(*protocol_scores(*given, "intersection"), strict=True)) == inside
    assert sorted(zip(*protocol_scores(*given, "union"), strict=True)) == both


def test_grids_that_cannot_be_scored_are_refused():
    with pytest.raises(UsageError, match="stored twice"):
        meet(np.array([1]), {"model": np.array([0.5])}, np.array([2, 2]))
    with pytest.raises(UsageError, match="below"):
        meet(np.array([1]), {"model": np.array([-3.0])}, np.array([2]))
    with pytest.raises(UsageError, match="not finite"):
        meet(np.array([1]), {"model": np.array([np.nan])}, np.array([2]))
    with pytest.raises(UsageError, match="intersection"):
        kept_labels(np.zeros(1, np.int8), np.ones(1, bool), np.ones(1, bool), "both")
