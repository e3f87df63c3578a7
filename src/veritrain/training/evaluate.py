"""From a trained network to results: predictions, scores, chance, baselines and group intervals."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from veritrain.metrics.histogram import scores_of_groups
from veritrain.metrics.ranking import (
    RankingArrays,
    RankingScores,
    SortedScores,
    chance_ap,
    chance_auroc,
    chance_fpr95,
    ranking_scores,
)
from veritrain.statistics.intervals import group_bootstrap
from veritrain.tasks.levels import is_scored, labels_at, levels_of, samples_at, scores_at
from veritrain.tasks.task import Batch, Dataset, Predictions, Task

RESAMPLES = 2000
DENSE_BINS = 2048
METRICS = ("auroc", "ap", "fpr95")
HIGHER_IS_BETTER = {"auroc": True, "ap": True, "fpr95": False}


def batches_of(dataset: Dataset, batch_size: int) -> Iterator[Batch]:
    """The whole set in order, nothing shuffled, nothing dropped."""
    for start in range(0, len(dataset), batch_size):
        indices = range(start, min(start + batch_size, len(dataset)))
        yield dataset.collate([dataset.sample(index, epoch=0, seed=0) for index in indices])


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on ``device``; lists stay where they are."""
    return {key: value.to(device) if isinstance(value, Tensor) else value for key, value in batch.items()}


@torch.no_grad()
def predict_set(task: Task, model: nn.Module, dataset: Dataset, *, batch_size: int = 16) -> Predictions:
    """Predictions over a whole set in evaluation mode; the model's mode is put back afterwards."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    parts = [
        task.predict(model(batch), batch)
        for batch in (on_device(batch, device) for batch in batches_of(dataset, batch_size))
    ]
    model.train(was_training)
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


@torch.no_grad()
def latency_ms(model: nn.Module, dataset: Dataset, *, repeats: int = 20) -> float:
    """Median milliseconds of one forward pass of one sample, after one warm-up."""
    model.eval()
    batch = next(batches_of(dataset, 1))
    model(batch)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        output: Mapping[str, Tensor] = model(batch)
        float(next(iter(output.values())).sum())
        times.append(time.perf_counter() - start)
    return float(np.median(times) * 1000)


class GroupedScores:
    """One level's scores that can be scored again under group multiplicities.

    Frame scores are kept exactly; dense scores as per-group histograms over their own range.

    Args:
        scores, labels: flat, labels 0 or 1 (unknown already left out). groups: (N,) int64 group of each score.
        n_groups: how many groups there are, with or without known labels.
        bins: of dense scores, and as many again where positives lie.
    """

    def __init__(
        self,
        scores: NDArray[Any],
        labels: NDArray[Any],
        groups: NDArray[np.int64],
        n_groups: int,
        *,
        exact: bool,
        bins: int = DENSE_BINS,
    ) -> None:
        self._exact = SortedScores(scores, labels, groups) if exact and len(np.unique(groups)) == n_groups else None
        if self._exact is None:
            self._counts = group_histograms(scores, labels, groups, n_groups, bins=bins)
        self._found: dict[tuple[tuple[int, ...], bytes], RankingArrays] = {}

    def under(self, weights: NDArray[Any], metric: str) -> NDArray[np.float64]:
        """(K, G) multiplicities -> (K,) values, NaN where undefined.

        All three scores come from one pass, and equal weights (equal seeds draw them again for each metric and for
        each comparison) are answered from it.
        """
        key = (weights.shape, np.ascontiguousarray(weights, np.float64).tobytes())
        if key not in self._found:
            self._found[key] = self._under(weights)
        values: NDArray[np.float64] = getattr(self._found[key], metric)
        return values

    def _under(self, weights: NDArray[Any]) -> RankingArrays:
        if self._exact is not None:
            return self._exact.scores(weights)
        positives, negatives = self._counts
        return scores_of_groups(positives, negatives, weights)


def group_histograms(
    scores: NDArray[Any], labels: NDArray[Any], groups: NDArray[np.int64], n_groups: int, *, bins: int = DENSE_BINS
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Equal-frequency bins of the pooled scores, so that resolution lies where the scores are."""
    if not scores.size:
        return np.zeros((n_groups, 1), np.int64), np.zeros((n_groups, 1), np.int64)
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1], method="nearest"))
    if labels.any():
        fine = np.quantile(scores[labels == 1], np.linspace(0, 1, bins + 1)[1:-1], method="nearest")
        edges = np.unique(np.concatenate([edges, fine]))
    width = len(edges) + 1
    flat = groups * width + np.searchsorted(edges, scores, side="right")
    shape = (n_groups, width)
    positives = np.bincount(flat[labels == 1], minlength=n_groups * width).reshape(shape)
    return positives, np.bincount(flat[labels == 0], minlength=n_groups * width).reshape(shape)


Level = tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]


def level_of(predictions: Predictions, level: str, group_of_sample: NDArray[np.int64]) -> Level:
    """Flat known scores, labels and the group of each, for one label level (``tasks.levels``)."""
    labels = labels_at(predictions, level)
    known = labels >= 0
    groups = samples_at(predictions, level, group_of_sample)
    return scores_at(predictions, level)[known].astype(np.float32), labels[known], groups[known]


def scores_with_intervals(
    task: Task,
    predictions: Predictions,
    baselines: Mapping[str, Predictions],
    groups: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Metric name to value, ci95, gain_ci95 (over the best baseline, paired by resample), n, groups, chance.

    Intervals resample whole groups, stratified by whether a group holds a positive.
    """
    names, group_of_sample = np.unique(np.asarray(groups), return_inverse=True)
    chance = task.chance(predictions)
    plain = task.score(predictions)
    out: dict[str, dict[str, Any]] = {}
    for level in levels_of(predictions):
        if f"{level}_auroc" not in plain:
            continue
        every = {"model": predictions, **baselines}
        levels = {n: level_of(one, level, group_of_sample) for n, one in every.items() if is_scored(one, level)}
        labels = levels["model"][1]
        auroc, ap, fpr95 = (plain[f"{level}_{metric}"] for metric in METRICS)
        own = RankingScores(auroc, ap, fpr95, len(labels), int(labels.sum()))
        for metric, entry in ranked_entries(levels, own, len(names), exact=level == "frame", seed=seed).items():
            out[f"{level}_{metric}"] = {**entry, "chance": chance[f"{level}_{metric}"]}
    return out


def ranked_entries(
    levels: Mapping[str, Level],
    own: RankingScores,
    n_groups: int,
    *,
    exact: bool,
    seed: int = 0,
    resamples: int = RESAMPLES,
    bins: int = DENSE_BINS,
) -> dict[str, dict[str, Any]]:
    """auroc, ap and fpr95 to value, chance, n, positives, ci95, gain_ci95, baselines and which of them is best.

    Args:
        levels: "model" and each baseline to flat scores, 0/1 labels and groups, in the same order.
        own: the model's scores, already known.
        n_groups: groups to resample, with or without known labels.
        exact: keep every score (few samples) rather than histograms.
        resamples, bins: of the intervals; values, chance and baselines are exact whatever they are.
    """
    _, labels, of = levels["model"]
    has_positive = np.bincount(of[labels == 1], minlength=n_groups) > 0
    tables = {name: GroupedScores(*level, n_groups, exact=exact, bins=bins) for name, level in levels.items()}
    against = {name: ranking_scores(*level[:2]) for name, level in levels.items() if name != "model"}
    chance = {"auroc": chance_auroc(), "ap": chance_ap(own.n, own.positives), "fpr95": chance_fpr95(own.positives)}
    constant = {name for name, level in levels.items() if _is_constant(level[0])}
    out = {}
    for metric in METRICS:
        scored = {name: getattr(found, metric) for name, found in against.items()}
        entry = {"value": getattr(own, metric), "chance": chance[metric], "n": own.n, "positives": own.positives}
        out[metric] = entry | _intervals(tables, scored, metric, has_positive, constant, seed, resamples)
    return out


def _intervals(
    tables: Mapping[str, GroupedScores],
    against: Mapping[str, float | None],
    metric: str,
    strata: NDArray[np.bool_],
    constant: Collection[str],
    seed: int,
    resamples: int,
) -> dict[str, Any]:
    up = HIGHER_IS_BETTER[metric]
    known = {name: value for name, value in against.items() if value is not None}
    best = (max if up else min)(known, key=lambda name: known[name]) if known else None
    sign = 1.0 if up else -1.0
    groups = len(strata)
    own = group_bootstrap(
        groups, lambda w: tables["model"].under(w, metric), strata=strata, seed=seed, n_resamples=resamples
    )
    gain: list[float | None] | None = None
    if best is not None:
        difference = group_bootstrap(
            groups,
            lambda w: sign * (tables["model"].under(w, metric) - tables[best].under(w, metric)),
            strata=strata,
            seed=seed,
            n_resamples=resamples,
            bounds=(-1.0, 1.0),
        )
        gain = [difference.low, difference.high]
        if metric == "auroc" and best in constant:
            gain = _within_a_half(gain)
    return {
        "ci95": [own.low, own.high],
        "gain_ci95": gain,
        "groups": groups,
        "undefined_resamples": own.undefined,
        "reliable": own.reliable,
        "baseline": None if best is None else known[best],
        "baseline_name": best,
        "baselines": dict(against),
    }


def _is_constant(scores: NDArray[Any]) -> bool:
    return scores.size > 0 and bool((scores == scores[0]).all())


def _within_a_half(gain: list[float | None]) -> list[float | None]:
    """An interval of an AUROC's gain over one score for everything, cut to what is possible.

    The AUROC of a constant is 1/2 in every resample, so that no gain over it lies beyond -1/2 or 1/2. The cut leaves
    out impossible values alone: the interval holds the true gain as often as before.
    """
    reach = chance_auroc()
    return [None if end is None else min(max(end, -reach), reach) for end in gain]
