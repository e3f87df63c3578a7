"""What detection scores are worth when the scores of the detections say nothing.

Chance keeps the boxes, their classes and what they hit, and puts the detections of each class into a random order. It
is no level that a detector without eyes reaches (its boxes would hit nothing): that is a baseline,
``tasks.constant_boxes``. It tells how much of an average precision comes from the boxes alone, and how much from
knowing which to trust.

Rates at a threshold have an exact expectation. Average precision read at 101 recalls from a *monotone* curve has none
that can be written down: it is the expected maximum over all later hits. Few detections are enumerated, which is exact;
else it is the mean over random orders with its standard error. Only the hits are drawn, as the numbers of false alarms
that fall between them: a random order of f false alarms and h hits spreads the f over h + 1 gaps uniformly, which is a
multinomial draw with uniform Dirichlet shares.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np

from veritrain.metrics.detection import interpolated_precision, mean_of_defined
from veritrain.metrics.expectation import Expected
from veritrain.metrics.matching import Floats, MatchTable
from veritrain.metrics.operating_point import RateArrays, ThresholdCounts, counts_at

DRAWS = 500
MOST_ENUMERATED = 5000
"""Orders up to which chance is exact."""


def chance_average_precision(
    detections: int, hits: int, objects: int, *, draws: int = DRAWS, seed: int = 0
) -> Expected:
    """Expected average precision of one class at one overlap when its detections stand in a uniformly random order.

    Args:
        detections: N counted. hits: K of them hit an object. objects: P to be found, K <= P.
        draws: random orders, where there are more than :data:`MOST_ENUMERATED` different ones.
        seed: of the draws; equal arguments give equal answers.
    """
    if objects == 0:
        return Expected(None, None)
    if hits == 0:
        return Expected(0.0, 0.0)
    return Expected(*_chance(detections, hits, objects, draws, seed))


@functools.lru_cache(maxsize=4096)
def _chance(detections: int, hits: int, objects: int, draws: int, seed: int) -> tuple[float, float]:
    exact = math.comb(detections, hits) <= MOST_ENUMERATED
    if exact:
        places = np.array(list(itertools.combinations(range(detections), hits))) + 1.0
    else:
        rng = np.random.default_rng([seed, detections, hits, objects])
        shares = rng.dirichlet(np.ones(hits + 1), size=draws)
        alarms = np.cumsum(rng.multinomial(detections - hits, shares), axis=1)[:, :hits]
        places = alarms + np.arange(1.0, hits + 1)
    found = np.repeat(np.arange(1.0, hits + 1)[:, None], len(places), axis=1)
    values = interpolated_precision(found, places.T, np.full(len(places), float(objects)))
    return float(values.mean()), 0.0 if exact else float(values.std(ddof=1) / math.sqrt(draws))


def chance_of_table(
    table: MatchTable,
    ious: Sequence[float] | None = None,
    *,
    classes: Sequence[int] | None = None,
    draws: int = DRAWS,
) -> Expected:
    """Expected mean average precision over classes with an object (None: of all) and over overlaps (None: all)."""
    chosen = range(table.n_classes) if classes is None else classes
    values, errors = zip(*(_of_class(table, cls, ious, draws) for cls in chosen), strict=True)
    return _mean(np.array(values), np.array(errors))


def chance_of_class(
    table: MatchTable, cls: int, ious: Sequence[float] | None = None, *, draws: int = DRAWS
) -> Expected:
    """As :func:`chance_of_table`, of one class."""
    value, error = _of_class(table, cls, ious, draws)
    return Expected(None, None) if np.isnan(value) else Expected(float(value), float(error))


def chance_rates(table: MatchTable, threshold: float, *, iou: float) -> RateArrays:
    """(1, C) exact expected precision, recall and F1 when as many are called as now, drawn at random from each class.

    All three are linear in the number of hits among the called, and that number's expectation is called x hits / all.
    """
    every, called = counts_at(table, -np.inf, iou=iou), counts_at(table, threshold, iou=iou)
    seen = np.maximum(every.called, 1)
    expected = ThresholdCounts(called.called * (every.hits / seen), called.called, called.truths)  # type: ignore[arg-type]
    return expected.rates()


def _of_class(table: MatchTable, cls: int, ious: Sequence[float] | None, draws: int) -> tuple[float, float]:
    """Mean over overlaps and its standard error; NaN without an object."""
    rows = table.rows_of(cls)
    columns = range(table.thresholds.size) if ious is None else [table.at(iou) for iou in ious]
    objects = int(table.truths[:, cls].sum())
    if not objects:
        return float("nan"), float("nan")
    each = []
    for t in columns:
        counted = ~table.ignored[rows, t] if table.ignored is not None else np.ones(rows.stop - rows.start, bool)
        hits = int((table.matched[rows, t] & counted).sum())
        # Each class and overlap has its own draws, so that their errors are independent.
        own = cls * table.thresholds.size + t
        found = chance_average_precision(int(counted.sum()), hits, objects, draws=draws, seed=own)
        assert found.value is not None and found.standard_error is not None
        each.append(found)
    values, errors = np.array(each).T
    return float(values.mean()), float(np.sqrt(np.sum(errors**2)) / len(each))


def _mean(values: Floats, errors: Floats) -> Expected:
    known = ~np.isnan(values)
    if not known.any():
        return Expected(None, None)
    error = float(np.sqrt(np.sum(errors[known] ** 2)) / np.count_nonzero(known))
    return Expected(float(mean_of_defined(values[None])[0]), error)
