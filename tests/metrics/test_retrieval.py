"""Recall at k: worked by hand, against brute force over orders, and chance against every order there is."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from veritrain.errors import UsageError
from veritrain.metrics.retrieval import chance_found, found_among, relevance, retrieval_scores


def share_found(scores: np.ndarray, relevant: np.ndarray, k: int) -> float:
    """Over every order of the candidates, sorted stably: how often an answer stands among the first k."""
    orders = list(itertools.permutations(range(len(scores))))
    found = 0
    for order in orders:
        ranked = sorted(order, key=lambda one: -scores[one])
        found += any(relevant[one] for one in ranked[:k])
    return float(Fraction(found, len(orders)))


def test_a_case_by_hand():
    """Images A, B, C; captions 0 and 1 are A's, 2 is B's, 3 is C's."""
    similarity = [
        [0.9, 0.1, 0.8, 0.0],  # A: 0 first
        [0.7, 0.6, 0.5, 0.4],  # B: 2 stands third
        [0.2, 0.9, 0.3, 0.8],
    ]  # C: 3 stands second
    found = retrieval_scores(similarity, relevance([0, 0, 1, 2], 3), ks=(1, 2, 3))
    assert [found.recall[f"image_to_text_r{k}"] for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    # Captions: 0 finds A first; 1 finds A third; 2 finds B second (after A); 3 finds C first.
    assert [found.recall[f"text_to_image_r{k}"] for k in (1, 2, 3)] == pytest.approx([2 / 4, 3 / 4, 1])
    # Chance of A, which has 2 of 4 captions: 1/2, 1 - 1/6, 1; of B and C: 1/4, 1/2, 3/4.
    chance = [found.chance[f"image_to_text_r{k}"] for k in (1, 2, 3)]
    assert chance == pytest.approx([(1 / 2 + 1 / 4 + 1 / 4) / 3, (5 / 6 + 1 / 2 + 1 / 2) / 3, (1 + 3 / 4 + 3 / 4) / 3])
    assert [found.chance[f"text_to_image_r{k}"] for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert found.recall["mean_recall"] == pytest.approx((1 / 3 + 2 / 3 + 1 + 2 / 4 + 3 / 4 + 1) / 6)
    assert (found.images, found.captions, found.unanswerable_images) == (3, 4, 0)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("k", [1, 2, 4])
def test_ties_are_the_mean_over_all_orders(seed, k):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 3, (3, 6)).astype(float)
    relevant = rng.random((3, 6)) < 0.4
    found = found_among(scores, relevant, k)
    for row in range(3):
        if relevant[row].any():
            assert found[row] == pytest.approx(share_found(scores[row], relevant[row], k), abs=1e-12)
        else:
            assert np.isnan(found[row])


@pytest.mark.parametrize(("answers", "n", "k"), [(1, 6, 1), (2, 6, 1), (3, 6, 2), (6, 6, 1), (2, 6, 5), (1, 5, 9)])
def test_chance_is_what_a_constant_scores(answers, n, k):
    relevant = (np.arange(n) < answers)[None]
    exact = share_found(np.zeros(n), relevant[0], k)
    assert chance_found(relevant, k)[0] == pytest.approx(exact, abs=1e-12)
    assert found_among(np.zeros((1, n)), relevant, k)[0] == pytest.approx(exact, abs=1e-12)


def test_random_scores_scatter_around_chance():
    rng = np.random.default_rng(5)
    relevant = relevance(np.repeat(np.arange(40), 5), 40)
    draws = [retrieval_scores(rng.random(relevant.shape), relevant).recall for _ in range(200)]
    chance = retrieval_scores(rng.random(relevant.shape), relevant).chance
    for name, level in chance.items():
        values = np.array([draw[name] for draw in draws])
        assert abs(values.mean() - level) < 4 * values.std() / np.sqrt(200), name
    assert chance["image_to_text_r1"] == pytest.approx(5 / 200) and chance["text_to_image_r1"] == pytest.approx(1 / 40)


def test_perfect_is_1_and_the_order_of_images_and_captions_makes_no_difference():
    rng = np.random.default_rng(1)
    relevant = relevance(rng.integers(0, 8, 30), 8)
    similarity = relevant + 0.5 * rng.random(relevant.shape)
    found = retrieval_scores(similarity, relevant)
    assert {value for name, value in found.recall.items() if name.startswith("image_to_text")} == {1.0}
    noisy = rng.normal(size=relevant.shape)
    rows, columns = rng.permutation(8), rng.permutation(30)
    again = retrieval_scores(noisy[rows][:, columns], relevant[rows][:, columns])
    assert again.recall == pytest.approx(retrieval_scores(noisy, relevant).recall)


def test_equal_words_answer_for_each_image_that_has_them():
    words = ["a ship", "two ships", "a ship", "a dam"]
    found = relevance([0, 0, 1, 2], 3, words)
    assert found.tolist() == [[True, True, True, False], [True, False, True, False], [False, False, False, True]]
    assert relevance([0, 0, 1, 2], 3).sum() == 4


def test_what_has_no_answer_is_counted_and_scores_nothing():
    found = retrieval_scores(np.zeros((3, 2)), relevance([0, 0], 3))
    assert (found.images, found.unanswerable_images, found.captions) == (1, 2, 2)
    empty = retrieval_scores(np.zeros((2, 0)), np.zeros((2, 0), bool))
    assert set(empty.recall.values()) == {None} == set(empty.chance.values()) and empty.unanswerable_images == 2


@pytest.mark.parametrize(
    ("similarity", "relevant", "ks", "told"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2), bool), (1,), "do not fit"),
        (np.zeros((2, 3)), np.zeros((2, 3)), (1,), "do not fit"),
        (np.full((2, 3), np.nan), np.ones((2, 3), bool), (1,), "6 NaN or infinite"),
        (np.zeros((2, 3)), np.ones((2, 3), bool), (0, 1), "each k 1 or more"),
    ],
)
def test_what_cannot_be_scored_is_refused(similarity, relevant, ks, told):
    with pytest.raises(UsageError, match=told):
        retrieval_scores(similarity, relevant, ks)


def test_owners_that_do_not_exist_are_refused():
    with pytest.raises(UsageError, match="no images"):
        relevance([0, 3], 3)
    with pytest.raises(UsageError, match="without owners"):
        relevance([0, 1], 3, ["one"])
