"""Scores of each kind and size of anomaly against the same normal frames, returns and pixels; descriptive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.anovox_labels import ANOMALY_IDS, NAMES
from veritrain.data.sample import FrameKey
from veritrain.metrics.histogram import scores_of_groups
from veritrain.metrics.ranking import Levels, RankingArrays, chance_ap, chance_auroc, scores_of_levels
from veritrain.statistics.intervals import group_bootstrap
from veritrain.tasks.levels import is_scored, labels_at, levels_of, samples_at, scores_at
from veritrain.tasks.task import Predictions

MEASURED = (("frame", "auroc"), ("point", "ap"), ("object_point", "auroc"), ("object_point", "ap"), ("pixel", "ap"))
LEAST_GROUPS = 4
"""Groups that hold a kind before its scores get an interval."""
RESAMPLES = 500
BINS = 256
POINT_EDGES = PIXEL_EDGES = (1, 12, 50, 200, 1000)
"""Sizes: none, 1 to 11, 12 to 49, ... anomalous returns or pixels in a frame."""

CATEGORIES = {one: "behaviour" if one == 100 else NAMES[one] for one in sorted(ANOMALY_IDS)}
"""Anomaly id to its category, in AnoVox's words."""

Family = Mapping[str, NDArray[np.bool_]]
"""Kind to (N,) bool over the frames of the split: the anomalous frames of that kind."""


class AgainstNormal:
    """One level's scores, sorted once: the positives of any kind against all negatives of the split.

    Args:
        every: "model" and each baseline to its predictions. level: of ``tasks.levels``.
        of_sample: (N,) group of each frame. n_groups: how many groups.
    """

    def __init__(
        self, every: Mapping[str, Predictions], level: str, of_sample: NDArray[np.int64], n_groups: int
    ) -> None:
        own = every["model"]
        labels = labels_at(own, level)
        sample = samples_at(own, level, np.arange(len(of_sample)))
        self._sample, self._of_sample, self._n_groups = sample[labels == 1], of_sample, n_groups
        self._positives, self._negatives = {}, {}
        for name, one in every.items():
            if is_scored(one, level):
                scores = scores_at(one, level).astype(np.float32)
                self._positives[name], self._negatives[name] = scores[labels == 1], np.sort(scores[labels == 0])
        scores = scores_at(own, level).astype(np.float32)
        known = scores[labels >= 0]
        self._edges = _edges(known, self._positives["model"])
        self._alarms = self._histogram(scores[labels == 0], of_sample[sample[labels == 0]])

    def entry(self, frames: NDArray[np.bool_], metrics: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Metric to value, ci95 (None with a reason where it cannot be had), chance, baseline and counts.

        Args:
            frames: (N,) bool, the anomalous frames of the kind.
        """
        chosen = frames[self._sample]
        groups = self._of_sample[self._sample[chosen]]
        holding = np.bincount(groups, minlength=self._n_groups) > 0
        n_negatives, n_positives = len(self._negatives["model"]), int(chosen.sum())
        scored = {name: self._exact(name, chosen) for name in self._positives}
        hits = self._histogram(self._positives["model"][chosen], groups)
        chance = {"auroc": chance_auroc(), "ap": chance_ap(n_negatives + n_positives, n_positives)}
        out: dict[str, dict[str, Any]] = {}
        for metric in metrics:
            values = {name: getattr(found, metric) for name, found in scored.items() if found is not None}
            against = {name: float(value) for name, value in values.items() if name != "model"}
            best = max(against, key=lambda name: against[name]) if against else None
            ends, reason = self._interval(hits, holding, metric) if values else (None, "no such element, or no normal")
            out[metric] = {
                "value": float(values["model"]) if values else None,
                "ci95": ends,
                "no_interval": reason,
                "chance": chance[metric] if values else None,
                "baseline": None if best is None else against[best],
                "baseline_name": best,
                "positives": n_positives,
                "negatives": n_negatives,
                "groups": int(holding.sum()),
            }
        return out

    def _exact(self, name: str, chosen: NDArray[np.bool_]) -> RankingArrays | None:
        positives, negatives = self._positives[name][chosen], self._negatives[name]
        if not positives.size or not negatives.size:
            return None
        level, count = (part[::-1] for part in np.unique(positives, return_counts=True))
        above = negatives.size - np.searchsorted(negatives, level, "right")
        upto = negatives.size - np.searchsorted(negatives, level, "left")
        on, over, at = (part.astype(np.float64) for part in (count, above, upto - above))
        return scores_of_levels(Levels(on, over, at, np.array(float(negatives.size))))

    def _histogram(self, scores: NDArray[np.float32], groups: NDArray[np.int64]) -> NDArray[np.int64]:
        width = len(self._edges) + 1
        flat = groups * width + np.searchsorted(self._edges, scores, side="right")
        return np.bincount(flat, minlength=self._n_groups * width).reshape(self._n_groups, width)

    def _interval(
        self, hits: NDArray[np.int64], holding: NDArray[np.bool_], metric: str
    ) -> tuple[list[float] | None, str | None]:
        found = int(holding.sum())
        if found < LEAST_GROUPS:
            return None, f"groups that hold it: {found}, {LEAST_GROUPS} needed"
        interval = group_bootstrap(
            self._n_groups,
            lambda weights: getattr(scores_of_groups(hits, self._alarms, weights), metric),
            strata=holding,
            n_resamples=RESAMPLES,
        )
        if interval.low is None or interval.high is None:
            return None, "it is undefined when groups are resampled"
        return [interval.low, interval.high], None


def _edges(scores: NDArray[np.float32], positives: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every score where they are few; else equal-frequency bins of all scores and of the positives."""
    distinct = np.unique(scores) if scores.size <= 4096 else None
    if distinct is not None:
        return distinct[1:]
    shares = np.linspace(0, 1, BINS + 1)[1:-1]
    fine = np.quantile(positives, shares, method="nearest") if positives.size else scores[:0]
    return np.unique(np.concatenate([np.quantile(scores, shares, method="nearest"), fine]))


def broken_down(
    families: Mapping[str, Family],
    predictions: Predictions,
    baselines: Mapping[str, Predictions],
    groups: Sequence[str],
) -> dict[str, dict[str, Any]]:
    """Kind to its entry: family, positives (frames), groups, and per ``<level>_<metric>`` its value and ``_`` fields.

    ``<level>_<metric>`` is the value; with ``_ci95``, ``_no_interval`` (why there is none), ``_chance``, ``_baseline``,
    ``_baseline_name`` and ``_positives`` at its end is what goes with it. The negatives are the same for every kind:
    all normal frames, returns and pixels of the split.
    """
    names, of_sample = np.unique(np.asarray(groups), return_inverse=True)
    every = {"model": predictions, **baselines}
    there = [level for level in levels_of(predictions) if is_scored(predictions, level)]
    wanted = {level: [m for one, m in MEASURED if one == level] for level, _ in MEASURED if level in there}
    sides = {level: AgainstNormal(every, level, of_sample, len(names)) for level in wanted}
    out: dict[str, dict[str, Any]] = {}
    for family, kinds in families.items():
        for kind, frames in kinds.items():
            entry: dict[str, Any] = {
                "family": family,
                "positives": int(frames.sum()),
                "groups": len(np.unique(of_sample[frames])),
            }
            for level, metrics in wanted.items():
                for metric, found in sides[level].entry(frames, metrics).items():
                    entry |= _flat(f"{level}_{metric}", found)
            out[kind] = entry
    return out


def _flat(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("ci95", "no_interval", "chance", "baseline", "baseline_name", "positives")
    return {name: found["value"], **{f"{name}_{key}": found[key] for key in kept}}


def kind_families(
    keys: Sequence[FrameKey], predictions: Predictions, sensors_needed: Mapping[str, str]
) -> dict[str, Family]:
    """Scenario type, category of the anomaly's id, and for made worlds the sensors that it takes.

    A frame's category is the anomaly id that most of its returns and pixels carry. "seen by pair" and the like are
    static scenarios of made worlds (``experiments.world_facts``).
    """
    anomalous = predictions["frame_labels"] == 1
    types = [key.kind for key in keys]
    needed = [f"seen by {sensors_needed[key.group]}" if key.group in sensors_needed else None for key in keys]
    return {
        "scenario type": _masks(types, anomalous),
        "category": _masks(_categories(predictions, len(keys)), anomalous),
        "sensors needed (made world)": _masks(needed, anomalous),
    }


def size_families(keys: Sequence[FrameKey], predictions: Predictions, source: AnoVoxFormat) -> dict[str, Family]:
    """Numbers of anomalous returns and pixels in the frame, and the size that the ANOMALY file states."""
    anomalous = predictions["frame_labels"] == 1
    families: dict[str, Family] = {}
    for level, edges, word in (("point", POINT_EDGES, "returns"), ("pixel", PIXEL_EDGES, "pixels")):
        if f"{level}_ids" in predictions:
            bins = np.searchsorted(edges, _counts_of_ids(predictions, level, len(keys)).sum(1), side="right")
            kinds = {_bin_name(place, edges, word): anomalous & (bins == place) for place in range(len(edges) + 1)}
            families[f"anomalous {word} in the frame"] = {name: mask for name, mask in kinds.items() if mask.any()}
    stated = [source.anomaly_values(key).get("size") if hit else None for key, hit in zip(keys, anomalous, strict=True)]
    families["stated size"] = _masks([f"stated {size}" if size else None for size in stated], anomalous)
    return families


def _bin_name(place: int, edges: Sequence[int], word: str) -> str:
    if place == 0:
        return f"0 {word}"
    return f"{edges[-1]} {word} or more" if place == len(edges) else f"{edges[place - 1]} to {edges[place] - 1} {word}"


def _masks(names: Sequence[str | None], anomalous: NDArray[np.bool_]) -> Family:
    array = np.array([name or "" for name in names])
    found = sorted({str(name) for name in array[anomalous]} - {""})
    return {name: anomalous & (array == name) for name in found}


def _categories(predictions: Predictions, n: int) -> list[str | None]:
    """The category of each frame's anomaly, None where no return or pixel carries an anomaly id."""
    there = [level for level in ("point", "pixel") if f"{level}_ids" in predictions]
    counts = sum((_counts_of_ids(predictions, level, n) for level in there), np.zeros((n, len(CATEGORIES)), np.int64))
    words = list(CATEGORIES.values())
    return [words[row.argmax()] if row.any() else None for row in counts]


def _counts_of_ids(predictions: Predictions, level: str, n: int) -> NDArray[np.int64]:
    """(N, C) how many returns or pixels of each frame carry each anomaly id, in the order of CATEGORIES."""
    ids = np.asarray(predictions[f"{level}_ids"])
    per_frame = predictions["point_counts"].astype(np.int64) if level == "point" else ids[0].size
    sample = np.repeat(np.arange(n), per_frame)
    flat = ids.reshape(-1)
    return np.stack([np.bincount(sample[flat == one], minlength=n) for one in CATEGORIES], axis=1)
