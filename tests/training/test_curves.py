"""Curves with bands: right at the ends, monotone, inside their bands, undefined where a class is absent."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from veritrain.training.curves import GRID, curves_with_bands


@pytest.fixture(scope="module")
def level():
    rng = np.random.default_rng(0)
    labels = (rng.random(600) < 0.3).astype(np.int8)
    scores = rng.normal(labels * 1.2, 1.0).astype(np.float32)
    return scores, labels, np.repeat(np.arange(20), 30)


def test_the_area_under_the_curve_is_the_auroc(level):
    curve = curves_with_bands(level, 20)["roc"]
    area = np.trapezoid(curve["tpr"], curve["fpr"])
    assert area == pytest.approx(roc_auc_score(level[1], level[0]), abs=0.01)


def test_the_roc_runs_from_the_origin_to_the_corner_and_never_falls(level):
    curve = curves_with_bands(level, 20)["roc"]
    assert curve["fpr"] == GRID.tolist()
    assert curve["tpr"][-1] == 1.0
    assert (np.diff(curve["tpr"]) >= 0).all()


def test_each_curve_lies_in_its_band(level):
    for curve, y in zip(curves_with_bands(level, 20).values(), ("tpr", "precision"), strict=True):
        low, value, high = (np.array(curve[key]) for key in ("low", y, "high"))
        inside = (low - 1e-9 <= value) & (value <= high + 1e-9)
        assert inside.mean() > 0.95
        assert (high - low).max() > 0.02, "20 groups leave room for doubt"


def test_precision_at_full_recall_is_at_least_the_prevalence(level):
    curve = curves_with_bands(level, 20)["pr"]
    assert curve["precision"][-1] >= level[1].mean() - 1e-9


def test_one_class_has_no_curve():
    level = (np.zeros(5, np.float32), np.zeros(5, np.int8), np.arange(5))
    assert curves_with_bands(level, 5) == {"roc": None, "pr": None}
