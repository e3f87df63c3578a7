"""Exact AUROC + AP on millions of scores: Veritrain beside scikit-learn, interleaved, in one run.

    python bench/ranking.py [--n 5000000] [--repeats 7]

Speed is reported as a ratio measured side by side; absolute times belong to the machine. The
scores are made: logistic of a normal with 3 % shifted positives, float32, rounded to 1e-5 (ties).
Peak memory is measured by tracemalloc in passes of their own, since tracing slows both down.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from veritrain.metrics.histogram import ScoreHistogram
from veritrain.metrics.ranking import ranking_scores

Method = Callable[[np.ndarray, np.ndarray], tuple[float | None, float | None]]


def made(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.03
    logits = rng.normal(size=n) + 1.5 * labels - 2
    return np.round(1 / (1 + np.exp(-logits)), 5).astype(np.float32), labels.astype(np.int8)


def by_scikit_learn(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    return roc_auc_score(labels, scores), average_precision_score(labels, scores)


def by_veritrain(scores: np.ndarray, labels: np.ndarray) -> tuple[float | None, float | None]:
    found = ranking_scores(scores, labels)
    return found.auroc, found.ap


def by_histogram(scores: np.ndarray, labels: np.ndarray) -> tuple[float | None, float | None]:
    histogram = ScoreHistogram()
    histogram.update(scores, labels)
    found = histogram.scores()
    return found.auroc, found.ap


METHODS: dict[str, Method] = {
    "scikit-learn, exact": by_scikit_learn,
    "veritrain, exact (also FPR95)": by_veritrain,
    "veritrain, 65,536 bins (also FPR95)": by_histogram,
}


def interleaved(scores: np.ndarray, labels: np.ndarray, repeats: int) -> dict[str, list[float]]:
    """Seconds of each method, each repeat running all of them in a rotated order."""
    seconds: dict[str, list[float]] = {name: [] for name in METHODS}
    names = list(METHODS)
    for repeat in range(repeats):
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            start = time.perf_counter()
            METHODS[name](scores, labels)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def peak_mib(method: Method, scores: np.ndarray, labels: np.ndarray) -> float:
    tracemalloc.start()
    method(scores, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    scores, labels = made(options.n)
    by_scikit_learn(scores[:1000], labels[:1000])
    seconds = interleaved(scores, labels, options.repeats)
    slowest = statistics.median(seconds["scikit-learn, exact"])
    print(f"AUROC and AP of {options.n:,} float32 scores with ties, {labels.mean():.2%} positives, one core,")
    print(f"median of {options.repeats} interleaved repeats (range); scores are made\n")
    print("| method | seconds | scikit-learn / method | AUROC | AP | peak MiB |\n|---|---|---|---|---|---|")
    for name, method in METHODS.items():
        times, (auroc, ap) = seconds[name], method(scores, labels)
        median = statistics.median(times)
        print(
            f"| {name} | {median:.3f} ({min(times):.3f}-{max(times):.3f}) | {slowest / median:.1f} "
            f"| {auroc:.10f} | {ap:.10f} | {peak_mib(method, scores, labels):.0f} |"
        )


if __name__ == "__main__":
    main()
