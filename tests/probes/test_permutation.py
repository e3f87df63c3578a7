"""Labels exchanged between groups: p is small for scores that know, and large for scores that do not."""

from __future__ import annotations

import numpy as np
import pytest

from probes.finished_run import finished_run, with_scores
from veritrain.metrics.histogram import scores_of_counts
from veritrain.metrics.ranking import ranking_scores
from veritrain.probes.permutation import (
    BINS,
    DENSE_PERMUTATIONS,
    FRAME_PERMUTATIONS,
    BetweenGroupPermutation,
    pair_tables,
)


def dense(seed: int, lengths=(3, 3, 3, 3), levels: int = 40):
    """(N, 4, 5) scores of few levels, labels with unknowns, (N,) groups out of order."""
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"g{k}" for k in range(len(lengths))], lengths)[::-1]
    size = (len(groups), 4, 5)
    return rng.integers(0, levels, size) / levels, rng.choice([-1, 0, 0, 1], size).astype(np.int8), groups


def test_the_diagonal_is_the_plain_histogram():
    scores, labels, groups = dense(0)
    positives, negatives = pair_tables(scores, labels, groups)
    assert positives.shape == negatives.shape == (4, 4, BINS)
    for g, name in enumerate(np.unique(groups)):
        own = groups == name
        for table, label in ((positives, 1), (negatives, 0)):
            expected = np.unique(scores[own][labels[own] == label], return_counts=True)[1]
            assert table[g, g][table[g, g] > 0].tolist() == expected.tolist(), "40 levels fit into the bins"
    summed = scores_of_counts(*(np.einsum("aab->b", table) for table in (positives, negatives)))
    plain = ranking_scores(scores[labels >= 0], labels[labels >= 0])
    assert (summed.auroc, summed.ap, summed.fpr95) == pytest.approx((plain.auroc, plain.ap, plain.fpr95))


def test_off_the_diagonal_the_maps_of_the_other_group_apply():
    scores, labels, groups = dense(1, lengths=(3, 2, 4))
    positives, negatives = pair_tables(scores, labels, groups)
    names = np.unique(groups)
    for a, mine in enumerate(names):
        for b, theirs in enumerate(names):
            own, other = np.flatnonzero(groups == mine), np.flatnonzero(groups == theirs)
            kept: dict[int, list[float]] = {0: [], 1: []}
            for k, frame in enumerate(own):
                giver = labels[other[k % len(other)]]
                for place in np.ndindex(giver.shape):
                    if labels[frame][place] >= 0 and giver[place] >= 0:
                        kept[int(giver[place])].append(scores[frame][place])
            for table, label in ((positives, 1), (negatives, 0)):
                counts = np.unique(kept[label], return_counts=True)[1]
                assert table[a, b][table[a, b] > 0].tolist() == counts.tolist()


def test_many_levels_lose_little():
    rng = np.random.default_rng(2)
    labels = rng.choice([-1, 0, 0, 0, 1], (12, 20, 30)).astype(np.int8)
    scores = rng.random(labels.shape) + 0.4 * (labels == 1)
    tables = pair_tables(scores, labels, np.repeat(list("abcd"), 3))
    summed = scores_of_counts(*(np.einsum("aab->b", table) for table in tables))
    plain = ranking_scores(scores[labels >= 0], labels[labels >= 0])
    assert abs(summed.auroc - plain.auroc) < 1e-3 and abs(summed.ap - plain.ap) < 5e-3


def test_constant_scores_make_one_bin():
    _, labels, groups = dense(3)
    positives, negatives = pair_tables(np.full(labels.shape, 0.3), labels, groups)
    assert (positives > 0).sum(2).max() == (negatives > 0).sum(2).max() == 1


LEVELS = ("frame", "view", "point")


def knowing(run) -> dict[str, np.ndarray]:
    return {f"{level}_scores": (run.predictions[f"{level}_labels"] == 1).astype(np.float32) for level in LEVELS}


def test_scores_that_know_are_beyond_all_exchanges(tmp_path):
    run = finished_run(tmp_path, trained=False)
    found = BetweenGroupPermutation().values(with_scores(run, **knowing(run)))
    assert set(found) == {"frame_auroc", "point_ap"}
    assert found["frame_auroc"]["observed"] == found["point_ap"]["observed"] == 1.0
    assert found["frame_auroc"]["p_value"] < 0.01 and found["point_ap"]["p_value"] < 0.01
    assert found["frame_auroc"]["n_permutations"] == FRAME_PERMUTATIONS == 9999
    assert found["point_ap"]["n_permutations"] == DENSE_PERMUTATIONS == 999
    assert found["frame_auroc"]["n_groups"] == 10


@pytest.mark.parametrize("seed", [0, 1])
def test_random_scores_are_one_of_many(tmp_path, seed):
    run = finished_run(tmp_path, trained=False)
    rng = np.random.default_rng(seed)
    random = {f"{level}_scores": rng.random(run.predictions[f"{level}_labels"].shape) for level in LEVELS}
    found = BetweenGroupPermutation().values(with_scores(run, **random))
    assert all(result["p_value"] > 0.05 for result in found.values())


def test_knowing_the_moment_alone_is_not_enough(tmp_path):
    """Scores that depend on the frame's place in its scenario score above chance, and just so after any exchange."""
    run = finished_run(tmp_path, trained=False)
    by_moment = np.tile(np.float32([0.1, 0.9, 0.8]), 10)
    found = BetweenGroupPermutation().values(with_scores(run, frame_scores=by_moment))["frame_auroc"]
    assert found["observed"] > 0.6 and found["p_value"] > 0.9


def test_a_trained_network_is_beyond_the_exchanges(tmp_path):
    found = BetweenGroupPermutation().values(finished_run(tmp_path))
    assert found["frame_auroc"]["p_value"] <= 0.05 and found["point_ap"]["p_value"] <= 0.05
    assert found["point_ap"]["null_mean"] < found["point_ap"]["observed"]
