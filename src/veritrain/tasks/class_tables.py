"""The tables of exclusive classes: accuracy, macro F1, and the accuracy given a condition.

Of the joint task these are the view of a frame, and the view given the valve: where view and valve go together, a
network that only finds the valve knows much of the view, and the accuracy within each valve shows what it knows beyond
that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError
from veritrain.metrics.calibration import CalibrationTable, brier_of_samples, prior_brier
from veritrain.metrics.multiclass import (
    UNKNOWN,
    chance_scores,
    confusion_of_groups,
    given_counts,
    most_frequent_given,
    rule_answers,
    scores_of_confusions,
    weighted_confusions,
)
from veritrain.statistics.class_permutation import SCORES, permutation_test_classes, permutation_test_given
from veritrain.statistics.intervals import group_bootstrap
from veritrain.statistics.permutation import PermutationResult
from veritrain.tasks.tables import Floats, numbered_groups, value_of


class ClassTables:
    """``<prefix>_accuracy``, ``<prefix>_macro_f1``, ``<prefix>_balanced_accuracy``, ``<prefix>_accuracy_given_<what>``.

    Args:
        probabilities: (N, V) of each class; the most probable one is the answer, of equal ones the lower.
        labels: (N,) 0..V-1, -1 unknown: left out everywhere, and counted.
        groups: (N,) names; samples of a group in their order in time.
        prefix: what is classified, such as "view".
        given: (N, Q) bool, the conditions that each sample meets. given_names: Q. what: their kind, such as "valve".
        given_answers: (N, Q) classes, where the answer depends on the condition (a rule); None: the answer.
    """

    def __init__(
        self,
        probabilities: ArrayLike,
        labels: ArrayLike,
        groups: Sequence[str] | NDArray[Any],
        *,
        prefix: str,
        given: ArrayLike | None = None,
        given_names: Sequence[str] = (),
        what: str = "valve",
        given_answers: ArrayLike | None = None,
    ) -> None:
        self.probabilities, self.labels = np.asarray(probabilities, np.float64), np.asarray(labels, np.int64)
        if self.probabilities.ndim != 2 or not np.isfinite(self.probabilities).all():
            raise UsageError(
                "not probabilities of classes", expected="(N, V) finite", found=f"{self.probabilities.shape}"
            )
        self.n_groups, self._of = numbered_groups(groups)
        self.predicted = np.argmax(self.probabilities, axis=1)
        self.n_classes = self.probabilities.shape[1]
        self._prefix, self._given_names = prefix, tuple(given_names)
        self._confusion = confusion_of_groups(self.labels, self.predicted, self._of, self.n_groups, self.n_classes)
        self._given = None if given is None else np.asarray(given, bool)
        self._answers = self.predicted if given_answers is None else np.asarray(given_answers, np.int64)
        self._given_metric = f"{prefix}_accuracy_given_{what}"
        if self._given is not None:
            self._within = given_counts(self.labels, self._answers, self._given, self._of, self.n_groups)
        scores = tuple(f"{prefix}_{score}" for score in SCORES)
        self.metrics = scores if self._given is None else (*scores, self._given_metric)

    @property
    def class_metrics(self) -> tuple[str, ...]:
        """``<prefix>_accuracy_given_<what>:<condition>`` for every condition with a known sample."""
        if self._given is None:
            return ()
        there = self._within.known.sum(axis=0) > 0
        return tuple(
            f"{self._given_metric}:{name}" for name, found in zip(self._given_names, there, strict=True) if found
        )

    @property
    def unknown(self) -> int:
        """Samples without a known label."""
        return int(np.count_nonzero(self.labels == UNKNOWN))

    def confusion(self) -> list[list[int]]:
        """(V, V) counts, rows the labels, columns the answers."""
        counts: list[list[int]] = self._confusion.sum(axis=0).tolist()
        return counts

    def value(self, metric: str) -> float | None:
        return value_of(self.under, self.n_groups, metric)

    def chance(self, metric: str) -> float | None:
        """Exact expectation of classes drawn uniformly at random."""
        name = self._parsed(metric)[0]
        if name is None:
            return None if self.counts(metric)[0] == 0 else 1 / self.n_classes
        counts = self._confusion.sum(axis=(0, 2))
        return None if counts.sum() == 0 else float(getattr(chance_scores(counts), name)[0])

    def counts(self, metric: str) -> tuple[int, None]:
        """Samples with a known label (and the condition); there are no positives."""
        name, condition = self._parsed(metric)
        if name is not None:
            return int(self._confusion.sum()), None
        assert self._given is not None
        met = self._given.any(axis=1) if condition is None else self._given[:, condition]
        return int(np.count_nonzero(met & (self.labels != UNKNOWN))), None

    def higher_is_better(self, metric: str) -> bool:
        return True

    def under(self, weights: NDArray[Any], metric: str) -> Floats:
        name, condition = self._parsed(metric)
        if name is None:
            return self._within.under(weights) if condition is None else self._within.within(weights)[:, condition]
        scores: Floats = getattr(scores_of_confusions(weighted_confusions(self._confusion, weights)), name)
        return scores

    def strata(self, metric: str) -> NDArray[np.bool_]:
        """Whether the group holds a sample that counts."""
        name, condition = self._parsed(metric)
        if name is not None:
            return np.asarray(self._confusion.sum(axis=(1, 2)) > 0)
        known = self._within.known if condition is None else self._within.known[:, [condition]]
        return np.asarray(known.sum(axis=1) > 0)

    def reach(self, metric: str) -> float:
        return 1.0

    def permuted(self, metric: str) -> PermutationResult:
        """Whole groups exchange their labels, and with them the conditions."""
        name, condition = self._parsed(metric)
        if condition is not None:
            raise UsageError(f"no permutation test of one condition ({metric})", fix=f"ask for {self._given_metric}")
        if name is None:
            assert self._given is not None
            return permutation_test_given(self.labels, self._answers, self._given, self._of)
        return permutation_test_classes(self.labels, self.predicted, self._of, self.n_classes, name)

    def calibration(self, *, bins: int = 10, seed: int = 0) -> dict[str, Any]:
        """For ``results.json``: is the probability of the answer the share of right answers?

        Returns:
            ``error`` (expected calibration error of the answer's probability), its ``ci95`` over groups,
            ``error_if_calibrated`` (what it would be on average if every probability were true), ``brier`` (0..2)
            beside ``brier_of_shares`` (of always stating the shares of the labels), ``bins`` (equal mass), ``n``,
            ``unknown``.
        """
        known = self.labels != UNKNOWN
        confidence = np.clip(self.probabilities.max(axis=1), 0, 1)[known]
        table = CalibrationTable(
            confidence, (self.predicted == self.labels)[known], self._of[known], self.n_groups, bins=bins
        )
        interval = group_bootstrap(
            self.n_groups, table.error, strata=self.strata(f"{self._prefix}_accuracy"), seed=seed
        )
        each = brier_of_samples(self.probabilities, self.labels)[known]
        return {
            "error": interval.estimate,
            "ci95": [interval.low, interval.high],
            "error_if_calibrated": table.calibrated_error(seed=seed).value,
            "brier": float(each.mean()) if each.size else None,
            "brier_of_shares": prior_brier(self._confusion.sum(axis=(0, 2))),
            "bins": [vars(one) for one in table.reliability()],
            "n": int(known.sum()),
            "unknown": self.unknown,
        }

    def _parsed(self, metric: str) -> tuple[str | None, int | None]:
        """The score (None: that of the conditions) and the condition."""
        name, _, condition = metric.partition(":")
        if name == self._given_metric and self._given is not None and condition in ("", *self._given_names):
            return None, self._given_names.index(condition) if condition else None
        score = name.removeprefix(f"{self._prefix}_")
        if name != f"{self._prefix}_{score}" or score not in SCORES or condition:
            raise UsageError(f"no score '{metric}'", expected=", ".join(self.metrics), found=metric)
        return score, None


def known_class_answers(labels: ArrayLike, n_classes: int) -> dict[str, Any]:
    """(N, V) probabilities with known scores: "perfect", "inverted" (never right), "constant" (always class 0), and
    "random", a function of a seed. Unknown labels get class 0."""
    truth = np.maximum(np.asarray(labels, np.int64), 0)
    one_hot = np.eye(n_classes)
    return {
        "perfect": one_hot[truth],
        "inverted": one_hot[(truth + 1) % n_classes],
        "constant": np.tile(one_hot[0], (truth.size, 1)),
        "random": lambda seed: np.random.default_rng(seed).dirichlet(np.ones(n_classes), truth.size),
    }


def shares_of(labels: ArrayLike, n_classes: int) -> Floats:
    """(V,) how often each class is labelled: the answer of the prior, fitted on train.

    Raises:
        UsageError: no label is known.
    """
    truth = np.asarray(labels, np.int64)
    counts = np.bincount(truth[truth != UNKNOWN], minlength=n_classes)
    if not counts.sum():
        raise UsageError("no label is known", expected="at least one class", found=f"{truth.size} unknown")
    return np.asarray(counts / counts.sum())


def rule_given(train_labels: ArrayLike, train_given: ArrayLike, n_classes: int, n_samples: int) -> NDArray[np.int64]:
    """(n_samples, Q) answers of "the most frequent class under each condition", fitted on train."""
    return rule_answers(most_frequent_given(train_labels, train_given, n_classes), n_samples)
