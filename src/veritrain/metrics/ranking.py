"""AUROC, average precision and FPR at 95 % TPR from one sort, ties exact, each with its chance level.

A ranking score changes only where a positive stands: between two positives the ROC runs flat and
recall does not move. So it is enough to sort each class once and to look up, at every distinct
score of a positive (a *level*), how many negatives lie above it and how many lie on it. This needs
no argsort and no bit tricks, keeps every dtype exact, and is what makes it several times faster
than sorting score-label pairs (``bench/ranking.py`` measures it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError

Floats = NDArray[np.float64]
TPR = 0.95
# Elements of the (resamples x samples) block that SortedScores holds at once: 16 MiB of float64.
BLOCK = 1 << 21


@dataclass(frozen=True)
class RankingScores:
    """The three scores of one ranking; ``None`` where a class is absent.

    Attributes:
        auroc: area under the ROC curve, 0..1, higher is better.
        ap: average precision, 0..1, higher is better.
        fpr95: false positive rate at the first threshold with TPR >= 0.95, 0..1, lower is better.
        n: number of samples.
        positives: number of samples with label 1.
    """

    auroc: float | None
    ap: float | None
    fpr95: float | None
    n: int
    positives: int


class RankingArrays(NamedTuple):
    """The three scores of K rankings, each (K,) float64; NaN where a class is absent."""

    auroc: Floats
    ap: Floats
    fpr95: Floats


class Levels(NamedTuple):
    """Counts at the distinct scores of positives, highest first.

    ``positives``, ``above``, ``at`` are (..., U) float64: positives on the level, negatives strictly
    above it, negatives on it. ``negatives`` is (...): all negatives.
    """

    positives: Floats
    above: Floats
    at: Floats
    negatives: Floats


def ranking_scores(scores: ArrayLike, labels: ArrayLike) -> RankingScores:
    """AUROC, AP and FPR95 of one ranking (higher score = more positive), exact under ties.

    Args:
        scores: (N,) finite numbers of any real dtype; float64 is never rounded to float32.
        labels: (N,) 0 or 1, integer or bool.

    Returns:
        AUROC by the trapezoid rule, that is P(s+ > s-) + P(s+ = s-) / 2 (Hanley & McNeil, Radiology
        143, 1982); AP as the step-wise sum of (R_i - R_{i-1}) P_i over thresholds, without
        interpolation (scikit-learn's ``average_precision_score``); FPR95 at the first threshold
        whose TPR reaches 0.95 on the ROC with no point dropped (Liang et al., ICLR 2018).

    Raises:
        UsageError: shapes differ, a score is NaN or infinite, or a label is neither 0 nor 1.
    """
    positives, negatives = split_by_label(scores, labels)
    n = positives.size + negatives.size
    if not positives.size or not negatives.size:
        return RankingScores(None, None, None, n, positives.size)
    arrays = scores_of_levels(_levels(positives, negatives))
    return RankingScores(float(arrays.auroc), float(arrays.ap), float(arrays.fpr95), n, positives.size)


def auroc(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """Area under the ROC curve, 0..1; see :func:`ranking_scores`."""
    return ranking_scores(scores, labels).auroc


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """Average precision, 0..1; see :func:`ranking_scores`."""
    return ranking_scores(scores, labels).ap


def fpr_at_tpr(scores: ArrayLike, labels: ArrayLike, tpr: float = TPR) -> float | None:
    """FPR at the first threshold with TPR >= ``tpr`` (0 < tpr <= 1); see :func:`ranking_scores`."""
    positives, negatives = split_by_label(scores, labels)
    _check_tpr(tpr)
    if not positives.size or not negatives.size:
        return None
    return float(scores_of_levels(_levels(positives, negatives), tpr).fpr95)


def roc_points(scores: ArrayLike, labels: ArrayLike, limit: int = 512) -> tuple[Floats, Floats] | None:
    """The ROC for a figure: ``(fpr, tpr)``, each (<= limit,), from (0, 0) to (1, 1).

    Points on a straight line between two corners are left out; further ones are thinned evenly
    along the curve. Compute scores with :func:`ranking_scores`, not from these. None: one class.
    """
    positives, negatives = split_by_label(scores, labels)
    if not positives.size or not negatives.size:
        return None
    levels = _levels(positives, negatives)
    hits = np.cumsum(levels.positives)
    before_after = np.stack([hits - levels.positives, hits], axis=1)
    tp = np.concatenate(([0.0], before_after.ravel(), [positives.size]))
    fp = np.concatenate(([0.0], np.stack([levels.above, levels.above + levels.at], 1).ravel(), [negatives.size]))
    keep = thinned(tp.size, limit)
    return fp[keep] / negatives.size, tp[keep] / positives.size


def pr_points(scores: ArrayLike, labels: ArrayLike, limit: int = 512) -> tuple[Floats, Floats] | None:
    """The precision-recall steps for a figure: ``(recall, precision)``, each (<= limit,).

    One point per distinct score of a positive, recall ascending, thinned evenly; the first is the
    highest threshold that finds anything and the last has recall 1. No point (0, 1) is invented.
    None when a class is absent.
    """
    positives, negatives = split_by_label(scores, labels)
    if not positives.size or not negatives.size:
        return None
    levels = _levels(positives, negatives)
    hits = np.cumsum(levels.positives)
    keep = thinned(hits.size, limit)
    precision = hits / (hits + levels.above + levels.at)
    return hits[keep] / positives.size, precision[keep]


def chance_auroc() -> float:
    """Expected AUROC of a random order: 0.5 for every n and every number of positives."""
    return 0.5


def chance_ap(n: int, positives: int) -> float | None:
    """Expected AP of a uniformly random order without ties; above the prevalence for finite n.

    With R positives of N and H_N the N-th harmonic number:
    (R-1)/(N-1) (1 - H_N/N) + H_N/N (Bestgen, "Exact expected average precision of the random
    baseline", Prague Bulletin of Mathematical Linguistics 103, 2015). None when a class is absent.
    """
    if not 0 < positives < n:
        return None
    mean_reciprocal = _harmonic(n) / n
    return (positives - 1) / (n - 1) * (1 - mean_reciprocal) + mean_reciprocal


def chance_fpr95(positives: int, tpr: float = TPR) -> float | None:
    """Expected FPR at TPR >= ``tpr`` of a random order without ties: k/(R+1), k = ceil(tpr R).

    Each negative falls into one of the R+1 gaps between R positives with equal probability, and k
    of these gaps lie above the k-th positive. None without positives.
    """
    _check_tpr(tpr)
    return float(hits_needed(positives, tpr)) / (positives + 1) if positives > 0 else None


class SortedScores:
    """A ranking sorted once and scored many times under group multiplicities (for the bootstrap).

    Args:
        scores: (N,) finite numbers.
        labels: (N,) 0 or 1.
        groups: (N,) group of each sample, any sortable dtype.

    Attributes:
        group_ids: (G,) the distinct groups, sorted: the order of every weight vector.
        strata: (G,) bool, whether the group holds a positive.
    """

    def __init__(self, scores: ArrayLike, labels: ArrayLike, groups: ArrayLike) -> None:
        positives, negatives = split_by_label(scores, labels)
        self.group_ids, group = np.unique(np.asarray(groups), return_inverse=True)
        if group.shape != (positives.size + negatives.size,):
            raise _shape_error("groups", group.shape, positives.size + negatives.size)
        is_positive = np.asarray(labels) == 1
        down = np.argsort(positives, kind="stable")[::-1]
        self._positive_groups = group[is_positive][down]
        self._starts = _run_starts(positives[down])
        level = positives[down][self._starts]
        order = np.argsort(negatives, kind="stable")
        self._negative_groups = group[~is_positive][order[::-1]]
        self._above = negatives.size - np.searchsorted(negatives[order], level, "right")
        self._upto = negatives.size - np.searchsorted(negatives[order], level, "left")
        self.strata = np.bincount(self._positive_groups, minlength=self.group_ids.size) > 0

    def scores(self, weights: ArrayLike, tpr: float = TPR) -> RankingArrays:
        """The three scores with group g counted ``weights[k, g]`` times: O(N) per k, no sort.

        Args:
            weights: (K, G) or (G,) multiplicities >= 0; ones give the plain scores.
            tpr: the operating point of ``fpr95``.
        """
        table = np.atleast_2d(np.asarray(weights, dtype=np.float64))
        if table.ndim != 2 or table.shape[1] != self.group_ids.size:
            raise _shape_error("weights", table.shape, self.group_ids.size)
        if not self._positive_groups.size or not self._negative_groups.size:
            undefined = np.full(table.shape[0], np.nan)
            return RankingArrays(undefined, undefined, undefined)
        rows = max(1, BLOCK // (self._positive_groups.size + self._negative_groups.size))
        parts = [self._block(table[i : i + rows], tpr) for i in range(0, table.shape[0], rows)]
        return RankingArrays(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _block(self, weights: Floats, tpr: float) -> RankingArrays:
        on_level = np.add.reduceat(weights[:, self._positive_groups], self._starts, axis=1)
        running = np.zeros((weights.shape[0], self._negative_groups.size + 1))
        np.cumsum(weights[:, self._negative_groups], axis=1, out=running[:, 1:])
        above = running[:, self._above]
        return scores_of_levels(Levels(on_level, above, running[:, self._upto] - above, running[:, -1]), tpr)


def scores_of_levels(levels: Levels, tpr: float = TPR) -> RankingArrays:
    """The three scores from counts per level; leading axes are kept, NaN where a class is absent."""
    hits = np.cumsum(levels.positives, axis=-1)
    total = hits[..., -1]
    defined = (total > 0) & (levels.negatives > 0)
    retrieved = hits + levels.above + levels.at
    precision = np.divide(hits, retrieved, out=np.zeros_like(hits), where=retrieved > 0)
    ap = np.einsum("...u,...u->...", levels.positives, precision)
    # Pairs in the wrong order, ties as half: small for a good ranking, so 1 - x keeps its digits.
    wrong = np.einsum("...u,...u->...", levels.positives, levels.above + levels.at / 2)
    first = np.argmax(hits >= hits_needed(total, tpr)[..., None], axis=-1)[..., None]
    false_alarms = np.take_along_axis(levels.above + levels.at, first, axis=-1)[..., 0]
    return RankingArrays(
        1 - _ratio(wrong, total * levels.negatives, defined),
        _ratio(ap, total, defined),
        _ratio(false_alarms, levels.negatives, defined),
    )


def hits_needed(positives: ArrayLike, tpr: float = TPR) -> Floats:
    """Least k with k / positives >= tpr, in float64 as a TPR is computed; elementwise."""
    total = np.maximum(np.asarray(positives, dtype=np.float64), 1)
    k = np.ceil(tpr * total)
    k = np.where((k - 1) / total >= tpr, k - 1, k)
    return np.where(k / total < tpr, k + 1, k)


def split_by_label(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scores of positives and of negatives, in the scores' own dtype, after every check."""
    values, truth = np.asarray(scores), np.asarray(labels)
    if values.ndim != 1 or truth.shape != values.shape:
        raise UsageError(
            "scores and labels do not match",
            expected="two one-dimensional arrays of equal length",
            found=f"shapes {values.shape} and {truth.shape}",
            fix="flatten both in the same order",
        )
    check_finite(values)
    is_positive, is_negative = truth == 1, truth == 0
    other = truth.size - int(np.count_nonzero(is_positive)) - int(np.count_nonzero(is_negative))
    if other:
        raise UsageError(
            f"{other} of {truth.size} labels are neither 0 nor 1",
            expected="labels 0 or 1",
            found=f"values such as {truth[~(is_positive | is_negative)][0]!s}",
            fix="mask unknown labels out first: keep = labels >= 0",
        )
    values = values.astype(np.uint8) if values.dtype == np.bool_ else values
    return values[is_positive], values[is_negative]


def check_finite(values: NDArray[Any]) -> None:
    """Raise a UsageError naming how many scores are NaN or infinite, if any is."""
    if values.dtype.kind not in "biuf":
        raise UsageError("scores are not real numbers", expected="float or integer", found=f"dtype {values.dtype}")
    finite = np.isfinite(values)
    if not finite.all():
        nan = int(np.count_nonzero(np.isnan(values)))
        raise UsageError(
            f"{values.size - int(np.count_nonzero(finite))} of {values.size} scores are not finite",
            expected="finite numbers",
            found=f"{nan} NaN, {values.size - int(np.count_nonzero(finite)) - nan} infinite",
            fix="find out what produced them; a model that outputs NaN has no ranking",
        )


def thinned(n: int, limit: int) -> NDArray[np.int64]:
    """Indices of at most ``limit`` (>= 2) of ``n`` points, evenly spread, first and last included."""
    if limit < 2:
        raise UsageError("a curve needs both of its ends", expected="limit >= 2", found=str(limit))
    return np.unique(np.linspace(0, n - 1, min(n, limit)).round().astype(np.int64))


def _levels(positives: NDArray[Any], negatives: NDArray[Any]) -> Levels:
    level, count = np.unique(positives, return_counts=True)
    ascending = np.sort(negatives)
    upto = negatives.size - np.searchsorted(ascending, level, "left")
    above = negatives.size - np.searchsorted(ascending, level, "right")
    down = slice(None, None, -1)
    return Levels(
        count[down].astype(np.float64),
        above[down].astype(np.float64),
        (upto - above)[down].astype(np.float64),
        np.float64(negatives.size),  # type: ignore[arg-type]
    )


def _ratio(top: Floats, bottom: Floats, defined: NDArray[np.bool_]) -> Floats:
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=defined)


def _run_starts(ordered: NDArray[Any]) -> NDArray[np.int64]:
    return np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])) if ordered.size else ordered)


def _harmonic(n: int) -> float:
    if n <= 1_000_000:
        return float(np.sum(1.0 / np.arange(1, n + 1)))
    # Euler-Maclaurin: the next term is 1/(120 n^4), below 1e-26 here.
    return float(np.log(n) + np.euler_gamma + 1 / (2 * n) - 1 / (12 * n * n))


def _check_tpr(tpr: float) -> None:
    if not 0 < tpr <= 1:
        raise UsageError("an operating point is a rate", expected="0 < tpr <= 1", found=str(tpr))


def _shape_error(name: str, shape: tuple[int, ...], size: int) -> UsageError:
    return UsageError(f"{name} have the wrong shape", expected=f"last axis {size}", found=f"shape {shape}")
