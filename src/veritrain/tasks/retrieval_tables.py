"""The tables of retrieval: recall at k of captions for images and of images for captions, over groups of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.errors import UsageError
from veritrain.metrics.retrieval import KS, Standing, chance_found, relevance, standing
from veritrain.statistics.permutation import PermutationResult
from veritrain.statistics.retrieval_permutation import permutation_test_retrieval
from veritrain.tasks.tables import Floats, numbered_groups, value_of
from veritrain.tasks.task import Predictions

MEAN = "mean_recall"


class RetrievalTables:
    """``text_to_image_r1`` ... ``image_to_text_r10`` and ``mean_recall``, the mean of all of them.

    A query is an image or a caption, and counts for the group of its image. What is looked through is always the whole
    set: resampling groups weights their queries.

    Args:
        predictions: of N images and M captions: ``image`` (N, D), ``text`` (M, D), whose products are the similarities,
            ``caption_counts`` (N,), how many of the captions are each image's, in order, and ``caption_ids`` (M,),
            equal for equal words: a caption is an answer for every image that has one of the same words.
        groups: (N,) names.

    Raises:
        UsageError: an image without a caption, or other shapes.
    """

    def __init__(self, predictions: Predictions, groups: Sequence[str] | NDArray[Any]) -> None:
        counts = np.asarray(predictions["caption_counts"], np.int64)
        ids = np.asarray(predictions["caption_ids"]).astype(str)
        if len(counts) == 0 or counts.min() < 1 or counts.sum() != len(ids) or len(groups) != len(counts):
            raise UsageError(
                "images and captions do not fit", expected="a caption or more for each image, a group each",
                found=f"{len(counts)} images, {len(groups)} groups, {len(ids)} captions for {int(counts.sum())}",
            )  # fmt: skip
        image, text = (np.asarray(predictions[name], np.float64) for name in ("image", "text"))
        self.n_groups, self._of = numbered_groups(groups)
        owners = np.repeat(np.arange(len(counts)), counts)
        self.similarity = image @ text.T
        self.relevant = relevance(owners, len(counts), ids.tolist())
        self._groups_of = {"image_to_text": self._of, "text_to_image": self._of[owners]}
        self._queries = {name: np.bincount(of, minlength=self.n_groups) for name, of in self._groups_of.items()}
        self._found: dict[tuple[str, int], Floats] = {}
        self._chance: dict[tuple[str, int], float] = {}
        self._standing: dict[str, Standing] = {}
        sides = {
            "text_to_image": (self.similarity.T, self.relevant.T),
            "image_to_text": (self.similarity, self.relevant),
        }
        for name, (near, wanted) in sides.items():
            self._standing[name] = standing(near, wanted)
            for k in KS:
                self._found[name, k] = self._summed(name, self._standing[name].found(k))
                self._chance[name, k] = float(chance_found(wanted, k).mean())
        self.metrics = (*(_name(*one) for one in self._found), MEAN)

    def _summed(self, direction: str, found: Floats) -> Floats:
        """(Q,) of each query -> (G,) sums over the queries of each group."""
        sums = np.bincount(self._groups_of[direction], weights=found, minlength=self.n_groups)
        return np.asarray(sums, np.float64)

    def value(self, metric: str) -> float | None:
        return value_of(self.under, self.n_groups, metric)

    def chance(self, metric: str) -> float | None:
        """The exact expectation when candidates stand in random order."""
        return float(np.mean([self._chance[one] for one in self._asked(metric)]))

    def counts(self, metric: str) -> tuple[int, None]:
        """Queries; there are no positives."""
        return sum(int(self._queries[name].sum()) for name in {name for name, _ in self._asked(metric)}), None

    def higher_is_better(self, metric: str) -> bool:
        return True

    def under(self, weights: NDArray[Any], metric: str) -> Floats:
        parts = [
            np.asarray(weights, np.float64) @ self._found[name, k] / (weights @ self._queries[name])
            for name, k in self._asked(metric)
        ]
        return np.asarray(np.mean(parts, axis=0))

    def strata(self, metric: str) -> NDArray[np.bool_]:
        """Every group holds a query."""
        return np.ones(self.n_groups, bool)

    def reach(self, metric: str) -> float:
        return 1.0

    def permuted(self, metric: str) -> PermutationResult:
        """Whole groups of images exchange their captions."""
        return permutation_test_retrieval(self.similarity, self.relevant, self._of, self._asked(metric))

    def places(self, direction: str) -> Floats:
        """(Q,) where the best answer of each image, or of each caption, stands, from 1; of equals the middle."""
        where = self._standing[direction]
        return np.asarray(where.above + (where.others + where.tied + 1) / 2, np.float64)

    def _asked(self, metric: str) -> list[tuple[str, int]]:
        """The recalls whose mean a metric is."""
        found = [one for one in self._found if metric in (_name(*one), MEAN)]
        if not found:
            raise UsageError(f"no score '{metric}'", expected=", ".join(self.metrics), found=metric)
        return found


def _name(direction: str, k: int) -> str:
    return f"{direction}_r{k}"


def known_retrieval_answers(predictions: Predictions) -> dict[str, Any]:
    """Predictions with known scores on the same captions: "perfect", "inverted" (an image's own captions come last),
    "constant", and "random", a function of a seed."""
    counts, ids = np.asarray(predictions["caption_counts"]), np.asarray(predictions["caption_ids"]).astype(str)
    owners = np.repeat(np.arange(len(counts)), counts)
    own = relevance(owners, len(counts), ids.tolist()).T.astype(np.float32)
    images = np.eye(len(counts), dtype=np.float32)

    def answer(image: NDArray[Any], text: NDArray[Any]) -> Predictions:
        return {**predictions, "image": image, "text": text}

    def at_random(seed: int) -> Predictions:
        rng = np.random.default_rng(seed)
        return answer(rng.normal(size=(len(counts), 64)), rng.normal(size=(len(ids), 64)))

    return {
        "perfect": answer(images, own),
        "inverted": answer(-images, own),
        "constant": same_for_all(predictions, np.zeros(len(ids))),
        "random": at_random,
    }


def same_for_all(predictions: Predictions, scores: NDArray[Any]) -> Predictions:
    """Predictions that look at no image: every image has the captions in the order of ``scores`` (M,)."""
    n = len(predictions["caption_counts"])
    return {**predictions, "image": np.ones((n, 1)), "text": np.asarray(scores, np.float64)[:, None]}
