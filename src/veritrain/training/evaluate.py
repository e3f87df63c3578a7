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
from veritrain.metrics.ranking import SortedScores, chance_auroc
from veritrain.statistics.intervals import group_bootstrap
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
    """

    def __init__(
        self, scores: NDArray[Any], labels: NDArray[Any], groups: NDArray[np.int64], n_groups: int, *, exact: bool
    ) -> None:
        self._exact = SortedScores(scores, labels, groups) if exact and len(np.unique(groups)) == n_groups else None
        if self._exact is None:
            self._counts = group_histograms(scores, labels, groups, n_groups)

    def under(self, weights: NDArray[Any], metric: str) -> NDArray[np.float64]:
        """(K, G) multiplicities -> (K,) values, NaN where undefined."""
        if self._exact is not None:
            return getattr(self._exact.scores(weights), metric)
        positives, negatives = self._counts
        values: NDArray[np.float64] = getattr(scores_of_groups(positives, negatives, weights), metric)
        return values


def group_histograms(
    scores: NDArray[Any], labels: NDArray[Any], groups: NDArray[np.int64], n_groups: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Equal-frequency bins of the pooled scores, so that resolution lies where the scores are."""
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, DENSE_BINS + 1)[1:-1], method="nearest"))
    if labels.any():
        fine = np.quantile(scores[labels == 1], np.linspace(0, 1, DENSE_BINS + 1)[1:-1], method="nearest")
        edges = np.unique(np.concatenate([edges, fine]))
    bins = np.searchsorted(edges, scores, side="right")
    width = len(edges) + 1
    flat = groups * width + bins
    shape = (n_groups, width)
    positives = np.bincount(flat[labels == 1], minlength=n_groups * width).reshape(shape)
    return positives, np.bincount(flat[labels == 0], minlength=n_groups * width).reshape(shape)


Level = tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]


def level_of(predictions: Predictions, level: str, group_of_sample: NDArray[np.int64]) -> Level:
    """Flat known scores, labels and the group of each, for one label level."""
    labels = np.asarray(predictions[f"{level}_labels"])
    scores = np.asarray(predictions[f"{level}_scores"])
    if level == "point":
        groups = np.repeat(group_of_sample, predictions["point_counts"].astype(np.int64))
    else:
        per_sample = labels[0].size if labels.ndim > 1 else 1
        groups = np.repeat(group_of_sample, per_sample)
    known = labels.reshape(-1) >= 0
    return scores.reshape(-1)[known].astype(np.float32), labels.reshape(-1)[known], groups[known]


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
    against = {name: task.score(baseline) for name, baseline in baselines.items()}
    out: dict[str, dict[str, Any]] = {}
    for level in ("frame", "point", "pixel"):
        if f"{level}_auroc" not in plain:
            continue
        _, labels, of = level_of(predictions, level, group_of_sample)
        tables = {
            name: GroupedScores(*level_of(one, level, group_of_sample), len(names), exact=level == "frame")
            for name, one in {"model": predictions, **baselines}.items()
        }
        constant = {name for name, one in baselines.items() if _is_constant(level_of(one, level, group_of_sample)[0])}
        has_positive = np.bincount(of[labels == 1], minlength=len(names)) > 0
        for metric in METRICS:
            key = f"{level}_{metric}"
            up = HIGHER_IS_BETTER[metric]
            entry = {"value": plain[key], "chance": chance[key], "n": len(labels), "positives": int(labels.sum())}
            out[key] = entry | _intervals(tables, against, key, metric, up, has_positive, constant, seed)
    return out


def _intervals(
    tables: Mapping[str, GroupedScores],
    against: Mapping[str, Mapping[str, float | None]],
    key: str,
    metric: str,
    up: bool,
    strata: NDArray[np.bool_],
    constant: Collection[str],
    seed: int,
) -> dict[str, Any]:
    known = {name: value for name, scored in against.items() if (value := scored[key]) is not None}
    best = (max if up else min)(known, key=lambda name: known[name]) if known else None
    sign = 1.0 if up else -1.0
    groups = len(strata)
    own = group_bootstrap(
        groups, lambda w: tables["model"].under(w, metric), strata=strata, seed=seed, n_resamples=RESAMPLES
    )
    gain: list[float | None] | None = None
    if best is not None:
        difference = group_bootstrap(
            groups,
            lambda w: sign * (tables["model"].under(w, metric) - tables[best].under(w, metric)),
            strata=strata,
            seed=seed,
            n_resamples=RESAMPLES,
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
