"""Recall at k of finding texts for images and images for texts, ties exact, each with its chance level.

A query counts as found when at least one of its answers stands among the first k candidates (as CLIP-like papers count;
not the share of its answers). Candidates with equal scores stand in every order equally often: a network that says the
same of everything scores chance and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Counts = NDArray[np.int64]
KS = (1, 5, 10)
DIRECTIONS = ("image_to_text", "text_to_image")


@dataclass(frozen=True)
class RetrievalScores:
    """Both directions; ``None`` where there is no query.

    Attributes:
        recall, chance: ``image_to_text_r1`` ... ``text_to_image_r10`` and ``mean_recall``, the mean of all of them.
        images, captions: queries with an answer, in each direction.
        unanswerable_images, unanswerable_captions: queries without one, which count nowhere.
    """

    recall: dict[str, float | None]
    chance: dict[str, float | None]
    images: int
    captions: int
    unanswerable_images: int
    unanswerable_captions: int


def retrieval_scores(similarity: ArrayLike, relevant: ArrayLike, ks: Sequence[int] = KS) -> RetrievalScores:
    """Recall at each k, both ways.

    Args:
        similarity: (N, M) finite, images by captions, higher is nearer.
        relevant: (N, M) bool, whether the caption is one of the image (:func:`relevance`).
        ks: how many candidates are looked at.

    Raises:
        UsageError: other shapes, a similarity that is no number, or a k below 1.
    """
    scores, answers = _checked(similarity, relevant)
    if not ks or min(ks) < 1:
        raise UsageError("no candidates to look at", expected="each k 1 or more", found=str(tuple(ks)))
    recall: dict[str, float | None] = {}
    chance: dict[str, float | None] = {}
    for name, near, wanted in zip(DIRECTIONS, (scores, scores.T), (answers, answers.T), strict=True):
        where = standing(near, wanted)
        for k in ks:
            recall[f"{name}_r{k}"] = _mean(where.found(k))
            chance[f"{name}_r{k}"] = _mean(chance_found(wanted, k))
    for values in (recall, chance):
        defined = [value for value in values.values() if value is not None]
        values["mean_recall"] = float(np.mean(defined)) if len(defined) == len(values) > 0 else None
    images, captions = answers.any(axis=1), answers.any(axis=0)
    return RetrievalScores(
        recall=recall,
        chance=chance,
        images=int(images.sum()),
        captions=int(captions.sum()),
        unanswerable_images=int((~images).sum()),
        unanswerable_captions=int((~captions).sum()),
    )


def relevance(owners: ArrayLike, n_images: int, captions: Sequence[str] | None = None) -> Booleans:
    """(N, M) bool: which caption is one of which image.

    Args:
        owners: (M,) the image that each caption was written for, 0..N-1.
        n_images: N.
        captions: their words; a caption then also answers for every image that has the same words.

    Raises:
        UsageError: an image that does not exist, or another number of captions.
    """
    of = np.asarray(owners)
    if of.ndim != 1 or (of.size and (of.min() < 0 or of.max() >= n_images)):
        raise UsageError("owners are no images", expected=f"(M,) in 0..{n_images - 1}", found=f"shape {of.shape}")
    if captions is not None and len(captions) != of.size:
        raise UsageError("captions without owners", expected=f"{of.size} captions", found=str(len(captions)))
    found = np.zeros((n_images, of.size), bool)
    found[of, np.arange(of.size)] = True
    if captions is None or not of.size:
        return found
    _, words = np.unique(np.asarray(captions, dtype=str), return_inverse=True)
    has = np.zeros((n_images, words.max() + 1), bool)
    has[of, words] = True
    return has[:, words]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where the best answer of each query stands among the candidates.

    Attributes:
        above: (Q,) candidates that score higher than it.
        tied: (Q,) answers that score as it does, itself among them; 0 without an answer.
        others: (Q,) other candidates that score as it does.
    """

    above: Counts
    tied: Counts
    others: Counts

    def found(self, k: int) -> Floats:
        """(Q,) probability that an answer is among the first k; 0 or 1 without ties, NaN without an answer.

        Of the candidates at the score of a query's best answer, e are none and t are; g stand above. The e + t stand in
        random order on the places g + 1 to g + e + t, of which m = k - g are looked at: 1 - C(e, m) / C(e + t, m).
        """
        looked_at = np.clip(k - self.above, 0, self.others + self.tied)
        return np.where(self.tied > 0, _at_least_one(self.tied, self.others, looked_at), np.nan)


def standing(similarity: Floats, relevant: Booleans) -> Standing:
    """Of (Q, C) queries by candidates."""
    best = np.max(similarity, axis=1, where=relevant, initial=-np.inf)[:, None]
    level = similarity == best
    return Standing(
        above=(similarity > best).sum(axis=1),
        tied=(level & relevant).sum(axis=1),
        others=(level & ~relevant).sum(axis=1),
    )


def found_among(similarity: Floats, relevant: Booleans, k: int) -> Floats:
    """(Q,) probability that an answer is among the first k of its row; 0 or 1 without ties, NaN without an answer.

    Args:
        similarity, relevant: (Q, C), queries by candidates.
    """
    return standing(similarity, relevant).found(k)


def chance_found(relevant: Booleans, k: int) -> Floats:
    """(Q,) the same probability when all candidates stand in random order: 1 - C(n - r, k) / C(n, k)."""
    answers = relevant.sum(axis=1)
    n = relevant.shape[1]
    looked_at = np.full(answers.shape, min(k, n))
    return np.where(answers > 0, _at_least_one(answers, n - answers, looked_at), np.nan)


def _at_least_one(right: Counts, wrong: Counts, drawn: Counts) -> Floats:
    """Probability of drawing one of ``right`` among ``drawn`` of ``right + wrong`` without putting back."""
    none = np.ones(right.shape)
    for already in range(int(drawn.max(initial=0))):
        left = np.maximum(right + wrong - already, 1)
        none *= np.where(already < drawn, np.maximum(wrong - already, 0) / left, 1.0)
    return 1.0 - none


def _mean(values: Iterable[float]) -> float | None:
    array = np.asarray(values, np.float64)
    defined = array[~np.isnan(array)]
    return float(defined.mean()) if defined.size else None


def _checked(similarity: ArrayLike, relevant: ArrayLike) -> tuple[Floats, Booleans]:
    scores, answers = np.asarray(similarity, np.float64), np.asarray(relevant)
    if scores.ndim != 2 or scores.shape != answers.shape or answers.dtype != np.bool_:
        raise UsageError(
            "similarities and answers do not fit",
            expected="(N, M) numbers and (N, M) bool",
            found=f"{scores.shape} and {answers.shape} {answers.dtype}",
        )
    if not np.isfinite(scores).all():
        raise UsageError("similarities are no numbers", found=f"{int((~np.isfinite(scores)).sum())} NaN or infinite")
    return scores, answers
