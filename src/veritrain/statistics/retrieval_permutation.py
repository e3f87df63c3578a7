"""Between-group permutation of retrieval: whole groups of images exchange their captions.

As ``statistics.permutation`` does for frame scores. The k-th image of group a then has the captions of the k-th image
of group b (repeated from the first where b has fewer); captions that say the same belong to whoever has one of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError
from veritrain.metrics.retrieval import DIRECTIONS, Standing
from veritrain.statistics.exchange import givers, sizes_of_equals
from veritrain.statistics.permutation import PermutationResult, permutation_test

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
N_PERMUTATIONS = 999


def permutation_test_retrieval(
    similarity: ArrayLike,
    relevant: ArrayLike,
    groups: ArrayLike,
    asked: Sequence[tuple[str, int]],
    *,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
) -> PermutationResult:
    """Test of the mean of some recalls.

    Args:
        similarity: (N, M) finite, images by captions. relevant: (N, M) bool, whether the caption is one of the image.
        groups: (N,) 0-based group of each image, every number below the greatest present.
        asked: directions (``metrics.retrieval.DIRECTIONS``) with how many candidates are looked at.

    Raises:
        UsageError: nothing asked for or an unknown direction, shapes that differ, fewer than two groups.
    """
    scores, answers = np.asarray(similarity, np.float64), np.asarray(relevant, np.bool_)
    of = np.asarray(groups, np.int64)
    if scores.ndim != 2 or answers.shape != scores.shape or of.shape != scores.shape[:1]:
        raise UsageError("similarities, answers and groups do not fit", expected="(N, M), (N, M) and (N,)",
                         found=f"{scores.shape}, {answers.shape} and {of.shape}")  # fmt: skip
    if not asked or any(direction not in DIRECTIONS for direction, _ in asked):
        raise UsageError("no such recall", expected=" or ".join(DIRECTIONS), found=str(list(asked)))
    sources = givers(of)
    places = {"image_to_text": _Places(scores), "text_to_image": _Places(scores.T)}
    captions_of = [np.flatnonzero(row) for row in answers]
    sizes = np.array([len(row) for row in captions_of])
    image = np.arange(len(of))

    def statistic(exchange: Integers) -> Floats:
        return np.array([_score(sources[row[of], image]) for row in exchange])

    def _score(donor: Integers) -> float:
        """Image i has the captions of image ``donor[i]``."""
        images, captions = np.repeat(image, sizes[donor]), np.concatenate([captions_of[one] for one in donor])
        pairs = {"image_to_text": (images, captions), "text_to_image": (captions, images)}
        standings = {direction: places[direction].of(*pairs[direction]) for direction in {one for one, _ in asked}}
        return float(np.mean([np.nanmean(standings[direction].found(k)) for direction, k in asked]))

    equal = sizes_of_equals([answers[row].tobytes() for row in sources])
    return permutation_test(statistic, len(sources), n_permutations=n_permutations, seed=seed, equal_labels=equal)


class _Places:
    """Of every query and candidate: how many candidates score higher, and how many the same; sorted once."""

    def __init__(self, near: Floats) -> None:
        ordered = np.sort(near, axis=1)
        width = near.shape[1]
        after = np.stack([np.searchsorted(row, own, side="right") for row, own in zip(ordered, near, strict=True)])
        before = np.stack([np.searchsorted(row, own, side="left") for row, own in zip(ordered, near, strict=True)])
        self._above, self._level = (width - after).astype(np.int32), (after - before).astype(np.int32)

    def of(self, queries: Integers, candidates: Integers) -> Standing:
        """The standing of the best answer of each query, the answers being these pairs, each once."""
        count = len(self._above)
        above, level = self._above[queries, candidates], self._level[queries, candidates]
        best = np.full(count, self._above.shape[1], np.int64)
        np.minimum.at(best, queries, above)
        first = above == best[queries]
        tied = np.bincount(queries[first], minlength=count)
        there = np.zeros(count, np.int64)
        there[queries[first]] = level[first]
        return Standing(above=best, tied=tied, others=there - tied)
