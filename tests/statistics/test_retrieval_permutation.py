"""Retrieval under exchanged captions: against brute force through the metric, and level under the null."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from veritrain.errors import UsageError
from veritrain.metrics.retrieval import found_among, relevance, retrieval_scores
from veritrain.statistics.exchange import givers
from veritrain.statistics.retrieval_permutation import permutation_test_retrieval


def made(seed: int, sizes=(2, 1, 3, 2), words: int = 9, ties: bool = True):
    """Similarities with ties, captions with equal words, groups of different sizes."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    counts = rng.integers(1, 4, len(groups))
    owners = np.repeat(np.arange(len(groups)), counts)
    texts = rng.integers(0, words, len(owners)).astype(str).tolist()
    near = rng.integers(0, 5, (len(groups), len(owners))) / 4 if ties else rng.normal(size=(len(groups), len(owners)))
    return near, relevance(owners, len(groups), texts), groups


def brute(near, relevant, donor, direction, k) -> float:
    """Through ``found_among`` on the whole table of answers; captions that nobody has are not asked."""
    answers = relevant[donor]
    found = found_among(near, answers, k) if direction == "image_to_text" else found_among(near.T, answers.T, k)
    return float(np.nanmean(found))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("asked", [[("text_to_image", 1)], [("image_to_text", 2)],
                                   [("text_to_image", 5), ("image_to_text", 1)]])  # fmt: skip
def test_every_exchange_agrees_with_the_metric(seed, asked):
    near, relevant, groups = made(seed)
    sources = givers(groups)
    every = [
        np.mean([brute(near, relevant, sources[np.array(row)[groups], np.arange(len(groups))], *one) for one in asked])
        for row in itertools.permutations(range(4))
    ]
    found = permutation_test_retrieval(near, relevant, groups, asked)
    assert found.exhaustive and found.n_permutations == 24
    assert found.observed == pytest.approx(every[0]) and found.null_mean == pytest.approx(np.mean(every))
    assert found.p_value == pytest.approx(np.mean([one >= every[0] - 1e-12 for one in every]))
    assert found.null_quantiles == pytest.approx(np.quantile(every, [0.05, 0.5, 0.95]))


def test_the_observed_score_is_the_metric_itself():
    near, relevant, groups = made(3, sizes=(2,) * 8, ties=False)
    scores = retrieval_scores(near, relevant).recall
    for direction, k in itertools.product(("text_to_image", "image_to_text"), (1, 5, 10)):
        found = permutation_test_retrieval(near, relevant, groups, [(direction, k)], n_permutations=5)
        assert found.observed == pytest.approx(scores[f"{direction}_r{k}"])


def test_what_knows_its_captions_is_found_and_noise_is_not():
    sizes = (2,) * 10
    groups = np.repeat(np.arange(10), sizes)
    owners = np.repeat(np.arange(20), 2)
    relevant = relevance(owners, 20)
    rng = np.random.default_rng(0)
    knowing = permutation_test_retrieval(relevant + 0.5 * rng.random((20, 40)), relevant, groups,
                                         [("text_to_image", 1)])  # fmt: skip
    assert knowing.observed == 1.0 and knowing.p_value == pytest.approx(1 / 1000) and knowing.null_mean < 0.2
    rejected = sum(
        (permutation_test_retrieval(rng.random((20, 40)), relevant, groups, [("text_to_image", 1)],
                                    n_permutations=39).p_value or 1) <= 0.05
        for _ in range(60)
    )  # fmt: skip
    assert rejected <= 8, "about three of 60 under the null"


def test_groups_with_the_same_captions_can_show_nothing():
    near, _, groups = made(0, sizes=(1, 1, 1, 1))
    relevant = np.ones(near.shape, bool)
    assert permutation_test_retrieval(near, relevant, groups, [("image_to_text", 1)]).smallest_p == pytest.approx(1.0)


def test_what_does_not_fit_is_refused():
    near, relevant, groups = made(0)
    with pytest.raises(UsageError, match="do not fit"):
        permutation_test_retrieval(near, relevant[:, :-1], groups, [("text_to_image", 1)])
    for asked in ([], [("sideways", 1)]):
        with pytest.raises(UsageError, match="no such recall"):
            permutation_test_retrieval(near, relevant, groups, asked)
