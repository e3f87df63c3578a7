"""Component metrics of SegmentMeIfYouCan: how well whole anomalies are found, not how many pixels.

Source: Chan et al., "SegmentMeIfYouCan: A Benchmark for Anomaly Segmentation", NeurIPS 2021 Datasets and Benchmarks,
section 4.2, and the benchmark's published evaluation. A predicted component is a *call* here, an annotated one a
*truth*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from veritrain.errors import UsageError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
THRESHOLDS: Floats = np.arange(25, 76, 5) / 100
"""t = .25, .30, ..., .75: what an sIoU must reach for a hit, and a PPV for a call that is no false alarm."""
EIGHT_NEIGHBOURS = np.ones((3, 3), np.int8)


@dataclass(frozen=True, kw_only=True)
class ComponentSizes:
    """The least sizes in pixels: smaller calls are dropped, smaller truths become void (1 keeps everything)."""

    called: int
    truth: int

    def __post_init__(self) -> None:
        if self.called < 1 or self.truth < 1:
            raise UsageError("a least size is a number of pixels", expected="at least 1", found=f"{self}")


TRACKS: dict[str, ComponentSizes] = {
    "anomaly": ComponentSizes(called=500, truth=100),
    "obstacle": ComponentSizes(called=50, truth=10),
}
"""The official sizes of the two tracks."""

REFERENCE_PIXELS = {"anomaly": 1280 * 720, "obstacle": 1920 * 1080}
"""Image sizes that the official sizes are for: the smaller of RoadAnomaly21's two, and RoadObstacle21's."""


@dataclass(frozen=True, kw_only=True)
class Matches:
    """One image: ``siou`` (T,) of its truths and ``ppv`` (C,) of its calls, each in [0, 1]."""

    siou: Floats
    ppv: Floats


class ComponentArrays(NamedTuple):
    """The three scores of K weightings, each (K,) float64 in [0, 1], NaN where undefined."""

    mean_siou: Floats
    mean_ppv: Floats
    mean_f1: Floats


def scaled_sizes(track: str, pixels: int) -> ComponentSizes:
    """The sizes of a track for an image of ``pixels`` pixels: the same share of the image, rounded, at least 1.

    Args:
        track: "anomaly" or "obstacle". pixels: height times width.
    """
    official, share = TRACKS[track], pixels / REFERENCE_PIXELS[track]
    return ComponentSizes(called=max(1, round(official.called * share)), truth=max(1, round(official.truth * share)))


def match_components(called: NDArray[np.bool_], truth: NDArray[np.integer], sizes: ComponentSizes) -> Matches:
    """sIoU of every truth and PPV of every call of one image.

    In the official order: void is never called; 8-connected components are labelled; calls smaller than
    ``sizes.called`` are dropped; truths smaller than ``sizes.truth`` become void; then void is cut out of everything,
    so that a call keeps its number but loses those pixels (a call that lies only there is gone).

    sIoU of truth k with K_k the calls that touch it: |k & K_k| / (|k | K_k| - |pixels of K_k on other truths|).
    PPV of call i: |i & any truth| / |i|.

    Args:
        called: (H, W) bool, score at or above the threshold.
        truth: (H, W) 1 anomalous, 0 normal, any other value void.

    Raises:
        UsageError: shapes differ or are not two-dimensional.
    """
    if called.shape != truth.shape or called.ndim != 2:
        raise UsageError("masks do not match", expected="two (H, W)", found=f"{called.shape} and {truth.shape}")
    judged = (truth == 0) | (truth == 1)
    truths, n_truths = ndimage.label(truth == 1, EIGHT_NEIGHBOURS)
    calls, n_calls = ndimage.label(called & judged, EIGHT_NEIGHBOURS)
    too_few = np.bincount(calls.ravel(), minlength=n_calls + 1) < sizes.called
    calls = np.where(too_few[calls], 0, calls)
    too_small = np.bincount(truths.ravel(), minlength=n_truths + 1) < sizes.truth
    too_small[0] = False  # the official loop would void the background of an image that is nearly all anomaly
    judged &= ~too_small[truths]
    pairs = truths[judged].astype(np.int64) * (n_calls + 1) + calls[judged]
    table = np.bincount(pairs, minlength=(n_truths + 1) * (n_calls + 1)).reshape(n_truths + 1, n_calls + 1)
    return _matches(table)


def _matches(table: Counts) -> Matches:
    """From the (truths + 1, calls + 1) table of shared pixels; row and column 0 are the background."""
    on_truth = table[1:, 1:]
    call_sizes, hits = table[:, 1:].sum(0), on_truth.sum(0)
    touching = (on_truth > 0).astype(np.int64)
    shared = on_truth.sum(1)
    elsewhere = touching @ hits - shared
    union = table[1:].sum(1) + touching @ call_sizes - shared - elsewhere
    there, called = table[1:].sum(1) > 0, call_sizes > 0
    return Matches(siou=shared[there] / union[there], ppv=hits[called] / call_sizes[called])


class ComponentTable:
    """Counts of every group, so that a data set can be scored again under group multiplicities.

    Scores pool the components of all images: mean sIoU over truths (undefined without a truth), mean PPV over calls
    (undefined without a call), mean F1 over t of 2 TP / (2 TP + FN + FP) with TP = sIoU >= t, FN = sIoU < t, FP =
    PPV < t (undefined without either; 0 where only one of the two exists).

    Args:
        images: the matches of each image. groups: (N,) its group number. n_groups: G.

    Attributes:
        truths, calls: (G,) int64 numbers of components.
    """

    def __init__(self, images: Sequence[Matches], groups: ArrayLike, n_groups: int) -> None:
        of = np.asarray(groups, np.int64)
        self.truths, self.calls = np.zeros(n_groups, np.int64), np.zeros(n_groups, np.int64)
        self._siou, self._ppv = np.zeros(n_groups), np.zeros(n_groups)
        self._hits = np.zeros((n_groups, len(THRESHOLDS)), np.int64)
        self._alarms = np.zeros((n_groups, len(THRESHOLDS)), np.int64)
        for image, group in zip(images, of, strict=True):
            self.truths[group] += image.siou.size
            self.calls[group] += image.ppv.size
            self._siou[group] += image.siou.sum()
            self._ppv[group] += image.ppv.sum()
            self._hits[group] += (image.siou[:, None] >= THRESHOLDS).sum(0)
            self._alarms[group] += (image.ppv[:, None] < THRESHOLDS).sum(0)

    def under(self, weights: ArrayLike) -> ComponentArrays:
        """(K, G) multiplicities -> the three scores."""
        table = np.atleast_2d(np.asarray(weights, np.float64))
        truths, calls = table @ self.truths, table @ self.calls
        hits, alarms = table @ self._hits, table @ self._alarms
        f1 = _ratio(2 * hits, hits + truths[:, None] + alarms)  # TP + FN = truths
        return ComponentArrays(_ratio(table @ self._siou, truths), _ratio(table @ self._ppv, calls), f1.mean(1))

    def scores(self) -> dict[str, float | None]:
        """mean_siou, mean_ppv and mean_f1 of the data as they are; None where undefined."""
        found = self.under(np.ones((1, self.truths.size)))._asdict()
        return {name: None if np.isnan(value[0]) else float(value[0]) for name, value in found.items()}


def _ratio(top: Floats, bottom: Floats) -> Floats:
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)
