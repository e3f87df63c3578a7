"""From a trained network to results: predictions, scores, chance, baselines and group intervals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from veritrain.metrics.grouped import DENSE_BINS, GroupedScores
from veritrain.metrics.ranking import RankingScores, chance_ap, chance_auroc, chance_fpr95, ranking_scores
from veritrain.statistics.intervals import group_bootstrap
from veritrain.tasks.levels import Level
from veritrain.tasks.ranking_tables import HIGHER_IS_BETTER, METRICS, is_constant
from veritrain.tasks.tables import ScoreTables
from veritrain.tasks.task import Batch, Dataset, Predictions, Task

RESAMPLES = 2000


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
        dict(task.predict(model(batch), batch))
        for batch in (on_device(batch, device) for batch in batches_of(dataset, batch_size))
    ]
    model.train(was_training)
    # Key by key, letting go of the parts: a large split would else be in memory twice.
    return {key: np.concatenate([part.pop(key) for part in parts]) for key in list(parts[0])}


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
    chance = task.chance(predictions)
    plain = task.score(predictions)
    model = task.tables(predictions, groups)
    others = {name: task.tables(one, groups) for name, one in baselines.items()}
    out: dict[str, dict[str, Any]] = {}
    for metric in model.metrics:
        n, positives = model.counts(metric)
        entry = {"value": plain[metric], "chance": chance[metric], "n": n, "positives": positives}
        against = {name: one for name, one in others.items() if metric in one.metrics}
        out[metric] = entry | intervals_of(metric, model, against, seed=seed)
    return out


def entries_of_classes(
    metrics: Sequence[str], model: ScoreTables, baselines: Mapping[str, ScoreTables], *, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """As :func:`scores_with_intervals`, for scores of single classes (``metric:class``) of tables that have them."""
    out: dict[str, dict[str, Any]] = {}
    for metric in metrics:
        n, positives = model.counts(metric)
        entry = {"value": model.value(metric), "chance": model.chance(metric), "n": n, "positives": positives}
        out[metric] = entry | intervals_of(metric, model, baselines, seed=seed)
    return out


def intervals_of(
    metric: str, model: ScoreTables, baselines: Mapping[str, ScoreTables], *, seed: int = 0
) -> dict[str, Any]:
    """ci95, gain_ci95, groups, undefined_resamples, reliable, baseline, baseline_name, baselines of one score."""
    tables = {"model": model, **baselines}
    return _intervals(
        {name: partial(one.under, metric=metric) for name, one in tables.items()},
        {name: one.value(metric) for name, one in baselines.items()},
        model.strata(metric),
        up=model.higher_is_better(metric),
        reach={name: one.reach(metric) for name, one in baselines.items()},
        seed=seed,
    )


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
    constant = {name for name, level in levels.items() if is_constant(level[0])}
    out = {}
    for metric in METRICS:
        entry = {"value": getattr(own, metric), "chance": chance[metric], "n": own.n, "positives": own.positives}
        out[metric] = entry | _intervals(
            {name: partial(table.under, metric=metric) for name, table in tables.items()},
            {name: getattr(found, metric) for name, found in against.items()},
            has_positive,
            up=HIGHER_IS_BETTER[metric],
            reach={name: chance_auroc() if metric == "auroc" and name in constant else 1.0 for name in against},
            seed=seed,
            resamples=resamples,
        )
    return out


def _intervals(
    under: Mapping[str, Callable[[NDArray[Any]], NDArray[np.float64]]],
    against: Mapping[str, float | None],
    strata: NDArray[np.bool_],
    *,
    up: bool,
    reach: Mapping[str, float],
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Of the score ``under["model"]`` and its gain over the best of ``against``, whose own scores are in ``under``."""
    known = {name: value for name, value in against.items() if value is not None}
    best = (max if up else min)(known, key=lambda name: known[name]) if known else None
    sign = 1.0 if up else -1.0
    groups = len(strata)
    own = group_bootstrap(groups, under["model"], strata=strata, seed=seed, n_resamples=resamples)
    gain: list[float | None] | None = None
    if best is not None:
        difference = group_bootstrap(
            groups,
            lambda w: sign * (under["model"](w) - under[best](w)),
            strata=strata,
            seed=seed,
            n_resamples=resamples,
            bounds=(-1.0, 1.0),
        )
        gain = _within([difference.low, difference.high], reach[best])
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


def _within(gain: list[float | None], reach: float) -> list[float | None]:
    """An interval of a gain, cut to what is possible.

    The AUROC of a constant is 1/2 in every resample, so that no gain over it lies beyond -1/2 or 1/2. The cut leaves
    out impossible values alone: the interval holds the true gain as often as before.
    """
    return [None if end is None else min(max(end, -reach), reach) for end in gain]
