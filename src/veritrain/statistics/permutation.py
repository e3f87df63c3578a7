"""The between-group permutation test: whole groups exchange their label sequences.

Would these held-out predictions score as well if whole groups had exchanged their labels? Group a
then keeps its scores and is judged by the labels of group pi(a). Exchanging whole sequences keeps
what frames of one scene share, and keeps where in a scene positives stand, so a model that only
knows that position scores as well under the null.

The formulas of AUROC and AP are written here a second time, from counts per score level, so that
this module and ``metrics.ranking`` check each other in the tests.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError
from veritrain.statistics.signflips import max_t_sign_flip, sign_flip_test

__all__ = [
    "PairTables",
    "PermutationResult",
    "between_group_permutation",
    "max_t_sign_flip",
    "pair_tables",
    "permutation_test",
    "permutation_test_dense",
    "permutation_test_frames",
    "permutation_test_tables",
    "sign_flip_test",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Ranking = Literal["auroc", "ap"]
UNKNOWN = -1
# Elements of the (permutations x levels) block held at once.
BLOCK = 1 << 21
# Rounding of a sum must not decide whether a permuted value reaches the observed one.
SLACK = 1e-12


@dataclass(frozen=True)
class PermutationResult:
    """What a between-group permutation test found.

    Attributes:
        p_value: one-sided: share of exchanges that score at least as high as the observed labels.
            (1 + #) / (n_permutations + 1) from random exchanges (Phipson & Smyth, Statistical
            Applications in Genetics and Molecular Biology 9, 2010), # / G! from all of them.
            Exchanges whose score is undefined count as "at least as high". None: the observed
            score is undefined.
        observed: the score with every group's own labels.
        null_mean: mean score over exchanges; what the arrangement alone is worth.
        null_quantiles: (.05, .5, .95) quantiles over exchanges.
        n_permutations: exchanges evaluated, the identity not counted unless exhaustive.
        n_groups: groups G.
        exhaustive: every one of the G! exchanges was evaluated once.
        undefined: exchanges without both classes.
        smallest_p: the least p this test could have given: groups with equal label sequences
            change nothing by exchanging, and B exchanges resolve 1 / (B + 1). Above the level
            wanted, the test cannot show anything.
    """

    p_value: float | None
    observed: float | None
    null_mean: float | None
    null_quantiles: tuple[float, float, float] | None
    n_permutations: int
    n_groups: int
    exhaustive: bool
    undefined: int
    smallest_p: float


@dataclass(frozen=True)
class PairTables:
    """Histograms of the scores of group a where the label map of group b says positive or negative.

    Attributes:
        positives, negatives: (G, G, B) counts; entry [a, b] is group a's scores under group b's
            labels, bins ascending in score. The diagonal is the data as they are.
    """

    positives: NDArray[np.integer]
    negatives: NDArray[np.integer]


def permutation_test(
    statistic: Callable[[Integers], ArrayLike],
    n_groups: int,
    *,
    n_permutations: int = 9999,
    seed: int = 0,
    equal_labels: Sequence[int] = (),
    rows: int = 1024,
) -> PermutationResult:
    """Between-group test of any score that is better when higher.

    Args:
        statistic: takes (K, G) exchanges, row k giving group a the labels of group ``pi[k, a]``,
            and returns (K,) scores, NaN where undefined.
        n_groups: G; when G! <= n_permutations + 1 every exchange is evaluated instead.
        n_permutations: random exchanges B.
        seed: of the exchanges.
        equal_labels: sizes of the sets of groups with equal label sequences, for ``smallest_p``.
        rows: exchanges handed over at once.

    Raises:
        UsageError: fewer than two groups.
    """
    if n_groups < 2 or n_permutations < 1:
        raise UsageError(
            "labels cannot be exchanged",
            expected="at least 2 groups and 1 permutation",
            found=f"{n_groups} groups, {n_permutations} permutations",
        )
    exhaustive = n_groups <= 12 and math.factorial(n_groups) <= n_permutations + 1
    exchanges = (
        _all_exchanges(n_groups, rows) if exhaustive else _random_exchanges(n_groups, n_permutations, seed, rows)
    )
    observed = float(np.asarray(statistic(np.arange(n_groups)[None]), np.float64)[0])
    null = np.concatenate([np.asarray(statistic(block), np.float64) for block in exchanges])
    known = null[~np.isnan(null)]
    reached = int(np.count_nonzero(~(null < observed - SLACK * max(1.0, abs(observed)))))
    p = reached / null.size if exhaustive else (1 + reached) / (null.size + 1)
    least = math.exp(sum(math.lgamma(size + 1) for size in equal_labels) - math.lgamma(n_groups + 1))
    return PermutationResult(
        None if np.isnan(observed) else p,
        None if np.isnan(observed) else observed,
        float(known.mean()) if known.size else None,
        _three_quantiles(known),
        null.size,
        n_groups,
        exhaustive,
        null.size - known.size,
        max(least, 1 / math.factorial(n_groups) if exhaustive else 1 / (null.size + 1)),
    )


def between_group_permutation(
    table: ArrayLike, observed: float | None = None, *, n_permutations: int = 9999, seed: int = 0
) -> PermutationResult:
    """Between-group test of a score that adds up over groups.

    Args:
        table: (G, G), entry [a, b] what group a contributes under the labels of group b (a rank
            sum, a number of matches, a log-likelihood); the score is the sum of [a, pi(a)].
        observed: the score to compare with; the trace when None.
        n_permutations, seed: as :func:`permutation_test`.
    """
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not np.isfinite(values).all():
        raise UsageError("not a table of pairs", expected="finite (G, G)", found=f"shape {values.shape}")
    group = np.arange(values.shape[0])
    shift = 0.0 if observed is None else observed - float(np.trace(values))

    def statistic(exchange: Integers) -> Floats:
        own = (exchange == group).all(axis=1)
        return np.asarray(values[group, exchange].sum(axis=1) + shift * own)

    sizes = np.unique(values, axis=1, return_counts=True)[1]
    return permutation_test(
        statistic, group.size, n_permutations=n_permutations, seed=seed, equal_labels=sizes.tolist()
    )


def permutation_test_frames(
    scores: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    statistic: Ranking = "auroc",
    *,
    n_permutations: int = 9999,
    seed: int = 0,
) -> PermutationResult:
    """Between-group test of frame (image) scores; exact ties, no binning.

    Args:
        scores: (N,) finite, frames of a group in their order in time.
        labels: (N,) 1, 0, or -1 for unknown; unknown frames count nowhere.
        groups: (N,) group of each frame.
        statistic: "auroc" or "ap".
        n_permutations, seed: as :func:`permutation_test`.

    A label sequence that moves to a group of another length is repeated from its start and cut;
    with equal lengths the test is exact, else its null is that of the repeated sequences.

    Raises:
        UsageError: shapes differ, a score is not finite, a label is not -1, 0 or 1.
    """
    values, truth, group = _checked_frames(scores, labels, groups)
    ids = [np.flatnonzero(group == g) for g in range(int(group.max()) + 1)]
    moved = np.empty((len(ids), values.size), np.int8)
    for index in ids:
        for b, source in enumerate(ids):
            moved[b, index] = np.resize(truth[source], index.size)
    down = np.argsort(values, kind="stable")[::-1]
    ends = np.flatnonzero(np.append(np.diff(values[down]) != 0, True))
    moved, owner = moved[:, down], group[down]

    def score(exchange: Integers) -> Floats:
        given = moved[exchange[:, owner], np.arange(owner.size)]
        hits = np.cumsum(given == 1, axis=1, dtype=np.int32)[:, ends]
        alarms = np.cumsum(given == 0, axis=1, dtype=np.int32)[:, ends]
        return _of_cumulative(hits, alarms, statistic)

    sizes = np.unique(moved, axis=0, return_counts=True)[1]
    rows = max(1, BLOCK // values.size)
    return permutation_test(
        score, len(ids), n_permutations=n_permutations, seed=seed, equal_labels=sizes.tolist(), rows=rows
    )


def pair_tables(bins: Sequence[ArrayLike], labels: Sequence[ArrayLike], n_bins: int) -> PairTables:
    """Every group's score histogram under every group's label map, for dense (pixel, point) scores.

    Args:
        bins: per group (n_g,) integers 0..n_bins-1, the binned scores on the common grid, flattened
            (frames first); ascending bins are ascending scores.
        labels: per group (m_g,) 1, 0 or -1 (unknown, counted nowhere), flattened likewise. A map
            that moves to a group with more or fewer frames is repeated from its start and cut.
        n_bins: B; the tables take 2 G^2 B integers.
    """
    own = [np.asarray(b, np.int64).ravel() for b in bins]
    truth = [np.asarray(label).astype(np.int64).ravel() for label in labels]
    if len(own) != len(truth) or any(not _within(b, 0, n_bins) for b in own):
        raise UsageError(
            "bins and labels do not fit",
            expected=f"as many groups of both, bins from 0 to {n_bins - 1}",
            found=f"{len(own)} groups of bins, {len(truth)} of labels",
        )
    if any(not _within(label, UNKNOWN, 2) for label in truth):
        raise UsageError("a label is neither -1, 0 nor 1", fix="mark what is unknown with -1")
    tables = np.zeros((3, len(own), len(own), n_bins), np.int64)
    for a, values in enumerate(own):
        for b, label in enumerate(truth):
            given = np.resize(label, values.size) - UNKNOWN
            tables[:, a, b] = np.bincount(values + n_bins * given, minlength=3 * n_bins).reshape(3, n_bins)
    return PairTables(tables[2], tables[1])


def permutation_test_dense(
    tables: PairTables, statistic: Ranking = "auroc", *, n_permutations: int = 999, seed: int = 0
) -> PermutationResult:
    """Between-group test of dense scores from tables made once per pair of groups.

    The histograms of the pairs (a, pi(a)) add up; scores that share a bin count as tied.
    """
    return permutation_test_tables(
        tables.positives, tables.negatives, statistic, n_permutations=n_permutations, seed=seed
    )


def permutation_test_tables(
    positives: ArrayLike,
    negatives: ArrayLike,
    statistic: Ranking = "auroc",
    *,
    n_permutations: int = 999,
    seed: int = 0,
) -> PermutationResult:
    """As :func:`permutation_test_dense`, from two (G, G, B) arrays laid out as :class:`PairTables`."""
    on, off = np.asarray(positives), np.asarray(negatives)
    if on.ndim != 3 or on.shape[0] != on.shape[1] or on.shape != off.shape:
        raise UsageError("not tables of pairs", expected="two (G, G, B)", found=f"{on.shape} and {off.shape}")
    group = np.arange(on.shape[0])

    def score(exchange: Integers) -> Floats:
        hits, alarms = (
            np.cumsum(np.array([counts[group, row].sum(axis=0) for row in exchange])[:, ::-1], axis=1)
            for counts in (on, off)
        )
        return _of_cumulative(hits, alarms, statistic)

    columns = [on[:, b].tobytes() + off[:, b].tobytes() for b in group]
    sizes = np.unique(np.array([hash(column) for column in columns]), return_counts=True)[1]
    rows = max(1, BLOCK // on.shape[2])
    return permutation_test(
        score, group.size, n_permutations=n_permutations, seed=seed, equal_labels=sizes.tolist(), rows=rows
    )


def _of_cumulative(hits: NDArray[np.integer], alarms: NDArray[np.integer], statistic: Ranking) -> Floats:
    """(K,) scores from positives and negatives at or above each level, (K, U), highest level first."""
    if statistic not in ("auroc", "ap"):
        raise UsageError("unknown statistic", expected="auroc or ap", found=str(statistic))
    tp, fp = np.asarray(hits, np.float64), np.asarray(alarms, np.float64)
    positives, negatives = tp[:, -1], fp[:, -1]
    undefined = np.full(positives.shape, np.nan)
    if statistic == "auroc":
        height = tp[:, 1:] + tp[:, :-1]
        area = np.einsum("ku,ku->k", np.diff(fp, axis=1), height) / 2 + fp[:, 0] * tp[:, 0] / 2
        pairs = positives * negatives
        return np.divide(area, pairs, out=undefined, where=pairs > 0)
    precision = np.divide(tp, tp + fp, out=np.zeros_like(tp), where=tp > 0)
    total = np.einsum("ku,ku->k", np.diff(tp, axis=1, prepend=0), precision)
    return np.divide(total, positives, out=undefined, where=(positives > 0) & (negatives > 0))


def _within(values: Integers, low: int, stop: int) -> bool:
    return bool(values.size and values.min() >= low and values.max() < stop)


def _all_exchanges(n: int, rows: int) -> Iterator[Integers]:
    every = itertools.permutations(range(n))
    while block := list(itertools.islice(every, rows)):
        yield np.array(block)


def _random_exchanges(n: int, count: int, seed: int, rows: int) -> Iterator[Integers]:
    rng = np.random.default_rng(seed)
    for start in range(0, count, rows):
        yield rng.permuted(np.tile(np.arange(n), (min(rows, count - start), 1)), axis=1)


def _three_quantiles(values: Floats) -> tuple[float, float, float] | None:
    if not values.size:
        return None
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return float(low), float(middle), float(high)


def _checked_frames(
    scores: ArrayLike, labels: ArrayLike, groups: ArrayLike
) -> tuple[NDArray[np.generic], NDArray[np.int8], Integers]:
    values, truth = np.asarray(scores), np.asarray(labels)
    group = np.unique(np.asarray(groups), return_inverse=True)[1]
    if values.ndim != 1 or truth.shape != values.shape or group.shape != values.shape:
        raise UsageError(
            "scores, labels and groups do not match",
            expected="three one-dimensional arrays of equal length",
            found=f"{values.shape}, {truth.shape}, {group.shape}",
        )
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad or not np.isin(truth, (UNKNOWN, 0, 1)).all():
        raise UsageError(
            "frames cannot be ranked",
            expected="finite scores, labels -1, 0 or 1",
            found=f"{bad} scores that are not finite, labels {np.unique(truth)[:5].tolist()}",
        )
    return values, truth.astype(np.int8), group
