"""Between-group permutation of detections: would the same boxes score as well against other groups' labels?

Whole groups exchange the labelled objects of their images, in order; the detections stay. Detections are matched once
with the labels of every group (G matchings of the set), and what was hit is kept as a sparse list. An exchange then
only selects the entries whose pair of groups it joins: 999 exchanges cost about what ten matchings cost.

Equal scores count as one threshold (``ties="together"`` of ``metrics.detection``). In the order of the images instead,
a detector that says the same of every image can gain from where its groups happen to stand, and lose it in an exchange:
it would pass this test without having looked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection import interpolated_precision, mean_of_defined
from veritrain.metrics.matching import IOU_THRESHOLDS, MAX_DETECTIONS, RankedDetections, match_ranked
from veritrain.statistics.exchange import givers, sizes_of_equals
from veritrain.statistics.permutation import PermutationResult, permutation_test

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
N_PERMUTATIONS = 999
Mean = Callable[[Floats], Floats]
"""(K, C) scores of classes, NaN undefined -> (K,), as ``metrics.detection.mean_of_defined``."""


@dataclass(frozen=True)
class PairMatches:
    """What the detections of each group hit among the labels of each group.

    Attributes:
        entry: (S, 4) int64, one row a hit: column of the overlap, class, how many counted detections of its class have
            at least its score, and group of the labels; sorted by the first three.
        owner: (S,) the group of the detection.
        score: (S,) its score.
        scores: per class, (D_c,) all counted scores, ascending.
        truths: (G, G, C) objects that group a is given when it gets the labels of group b.
        thresholds: (T,) overlaps.
        equal_labels: sizes of the sets of groups with equal label sequences.
    """

    entry: Integers
    owner: Integers
    score: Floats
    scores: tuple[Floats, ...]
    truths: Integers
    thresholds: Floats
    equal_labels: tuple[int, ...]


def pair_matches(
    detections: Detections,
    truths: Truths,
    groups: ArrayLike,
    n_classes: int,
    *,
    thresholds: ArrayLike = IOU_THRESHOLDS,
    max_detections: int = MAX_DETECTIONS,
) -> PairMatches:
    """Match the detections with the labels of every group.

    Args:
        detections, truths: of N images; objects that need not be found (crowds, ignored ones) are left out.
        groups: (N,) 0-based group of each image, every number below the greatest present; images of a group in their
            order in time.
        n_classes: C.
        thresholds, max_detections: as ``metrics.matching.match_detections``.
    """
    of = np.asarray(groups, np.int64)
    sources = givers(of)
    ranked = RankedDetections(detections, of.size, n_classes, max_detections)
    truths = truths.taken(~truths.need_not_be_found)
    by_image = np.argsort(truths.images, kind="stable")
    first = np.searchsorted(truths.images[by_image], np.arange(of.size + 1))
    found = tuple(np.sort(ranked.detections.scores[ranked.detections.classes == c]) for c in range(n_classes))
    counts = np.zeros((len(sources), len(sources), n_classes), np.int64)
    entries, owners, scores = [], [], []
    for b, source in enumerate(sources):
        given = _labels_of(truths, by_image, first, source)
        table = match_ranked(ranked, given, thresholds=thresholds)
        np.add.at(counts[:, b], of, table.truths)
        row, column = np.nonzero(table.matched)
        seen = np.zeros(row.size, np.int64)
        for c, own in enumerate(found):
            hits = table.classes[row] == c
            seen[hits] = own.size - np.searchsorted(own, table.scores[row[hits]], "left")
        entries.append(np.stack([column, table.classes[row], seen, np.full(row.size, b)], axis=1))
        owners.append(of[table.images[row]])
        scores.append(table.scores[row])
    entry, owner, score = np.concatenate(entries), np.concatenate(owners), np.concatenate(scores)
    order = np.lexsort((entry[:, 2], entry[:, 1], entry[:, 0]))
    return PairMatches(
        entry[order],
        owner[order],
        score[order],
        found,
        counts,
        table.thresholds,
        tuple(_equal_labels(truths, by_image, first, of, sources)),
    )


def permutation_test_detections(
    pairs: PairMatches,
    metric: str = "map",
    *,
    threshold: float | None = None,
    mean: Mean = mean_of_defined,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
) -> PermutationResult:
    """Between-group test of a detection score; over classes that have an object under the exchange, the plain mean.

    Args:
        pairs: from :func:`pair_matches`.
        metric: "map" (mean over the overlaps of ``pairs``), "map_50", "map_75", or "precision", "recall", "f1" at
            ``threshold`` and an overlap of 0.5.
        threshold: the score from which on a detection is called.
        mean: what makes one number of the classes' scores; of a part of the vocabulary (``metrics.vocabulary``), say.
        n_permutations, seed: as :func:`~veritrain.statistics.permutation.permutation_test`.

    Raises:
        UsageError: an unknown metric, a rate without a threshold, an overlap that was not matched.
    """
    columns = _columns(pairs, metric)
    if metric in ("precision", "recall", "f1"):
        if threshold is None:
            raise UsageError(f"{metric} needs a threshold", fix="choose it on validation with best_f1_score")
        table = _RateTable.of(pairs, threshold, columns[0])

        def statistic(exchange: Integers) -> Floats:
            return mean(table.scores(exchange, metric))

    else:
        kept = np.isin(pairs.entry[:, 0], columns)
        entry, owner = pairs.entry[kept], pairs.owner[kept]

        def statistic(exchange: Integers) -> Floats:
            given = ((entry[entry[:, 3] == row[owner]], row) for row in exchange)
            return mean(np.stack([_precisions(pairs, hits, row, columns) for hits, row in given]))

    return permutation_test(
        statistic, len(pairs.truths), n_permutations=n_permutations, seed=seed, equal_labels=pairs.equal_labels
    )


def _precisions(pairs: PairMatches, entry: Integers, exchange: Integers, columns: list[int]) -> Floats:
    """(C,) average precision under one exchange, of which ``entry`` holds the hits; NaN without an object."""
    objects = pairs.truths[np.arange(exchange.size), exchange].sum(axis=0)
    n_classes = objects.size
    cells = np.searchsorted(entry[:, 0] * n_classes + entry[:, 1], np.arange(pairs.thresholds.size * n_classes + 1))
    values = np.full((len(columns), n_classes), np.nan)
    for i, t in enumerate(columns):
        for cls in np.flatnonzero(objects):
            start, stop = cells[t * n_classes + cls : t * n_classes + cls + 2]
            seen = entry[start:stop, 2, None].astype(np.float64)
            hits = np.arange(1.0, stop - start + 1)[:, None]
            values[i, cls] = interpolated_precision(hits, seen, objects[cls : cls + 1])[0]
    return np.asarray(values.sum(axis=0) / len(columns))


@dataclass(frozen=True)
class _RateTable:
    """Hits (G, G, C) above a threshold; called (C,), the same under every exchange; objects (G, G, C)."""

    hits: Integers
    called: Integers
    truths: Integers

    @staticmethod
    def of(pairs: PairMatches, threshold: float, column: int) -> _RateTable:
        kept = (pairs.entry[:, 0] == column) & (pairs.score >= threshold)
        hits = np.zeros_like(pairs.truths)
        np.add.at(hits, (pairs.owner[kept], pairs.entry[kept, 3], pairs.entry[kept, 1]), 1)
        called = [scores.size - np.searchsorted(scores, threshold, "left") for scores in pairs.scores]
        return _RateTable(hits, np.array(called, np.int64), pairs.truths)

    def scores(self, exchange: Integers, metric: str) -> Floats:
        """(K, G) exchanges -> (K, C) rates, NaN where undefined."""
        group = np.arange(exchange.shape[1])
        hits, objects = (table[group, exchange].sum(axis=1).astype(np.float64) for table in (self.hits, self.truths))
        called = np.broadcast_to(self.called.astype(np.float64), hits.shape)
        top, bottom = {
            "precision": (hits, called),
            "recall": (hits, objects),
            "f1": (2 * hits, called + objects),
        }[metric]
        defined = (objects > 0) & (bottom > 0)
        return np.divide(top, bottom, out=np.full(hits.shape, np.nan), where=defined)


def _columns(pairs: PairMatches, metric: str) -> list[int]:
    single = {"map_50": 0.5, "map_75": 0.75, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    if metric == "map":
        return list(range(pairs.thresholds.size))
    if metric not in single:
        raise UsageError(f"no detection score '{metric}'", expected=f"map, {', '.join(single)}", found=metric)
    found = np.flatnonzero(np.isclose(pairs.thresholds, single[metric], rtol=0, atol=1e-9))
    if not found.size:
        raise UsageError(
            f"{metric} was not matched", expected=str(single[metric]), found=f"{pairs.thresholds.tolist()}"
        )
    return found.tolist()


def _labels_of(truths: Truths, by_image: Integers, first: Integers, source: Integers) -> Truths:
    """The labels of N images when image i gets those of image ``source[i]``."""
    count = first[source + 1] - first[source]
    images = np.repeat(np.arange(source.size), count)
    within = np.arange(images.size) - np.repeat(np.cumsum(count) - count, count)
    rows = by_image[first[source][images] + within]
    return truths.taken(rows, images)


def _equal_labels(
    truths: Truths, by_image: Integers, first: Integers, groups: Integers, sources: Integers
) -> list[int]:
    """Sizes of the sets of groups whose labels are the same to whoever gets them: told by the longest group."""
    longest = np.flatnonzero(groups == np.argmax(np.bincount(groups)))
    told = []
    for source in sources:
        given = _labels_of(truths, by_image, first, source[longest])
        told.append((given.images.tobytes(), given.boxes.tobytes(), given.classes.tobytes()))
    return sizes_of_equals(told)
