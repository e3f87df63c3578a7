"""Scores under the field's names: those of the tables and of the suite that they come from, base and novel apart."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection_suite import DetectionProtocol, DetectionSuite
from veritrain.metrics.vocabulary import Vocabulary
from veritrain.tasks.openvocab_tables import VocabularyTables

NAMES, NOVEL = ("ship", "dam", "windmill", "airport"), ("windmill", "airport")
GROUPS = [f"g{image // 2}" for image in range(12)]


@pytest.fixture(scope="module")
def boxes():
    rng = np.random.default_rng(4)
    images = np.repeat(np.arange(12), 3)
    corner = rng.uniform(0, 80, (36, 2))
    truth = np.concatenate((corner, corner + rng.uniform(8, 50, (36, 2))), axis=1)
    classes = rng.integers(0, 3, 36)
    moved = truth + rng.normal(0, 3, truth.shape)
    moved[:, 2:] = np.maximum(moved[:, :2] + 1, moved[:, 2:])
    found = np.where(rng.random(36) < 0.7, classes, rng.integers(0, 4, 36))
    return Detections(images, moved, rng.random(36), found), Truths(images, truth, classes)


@pytest.fixture(scope="module")
def tables(boxes):
    return VocabularyTables(*boxes, GROUPS, NAMES, novel=NOVEL, threshold=0.5)


def test_the_names_of_the_contract_are_those_of_the_suite(boxes, tables):
    suite = DetectionSuite(*boxes, 12, Vocabulary(NAMES, NOVEL), protocol=DetectionProtocol(max_detections=100))
    names = {"base_map_50": "map_50_base", "novel_map_50": "map_50_novel", "harmonic_mean": "map_50_harmonic"}
    for metric in ("map", "map_50", "map_75", "map_small", "map_medium", "recall_100", *names):
        assert tables.value(metric) == pytest.approx(suite.value(names.get(metric, metric)))
    base, novel = tables.value("base_map_50"), tables.value("novel_map_50")
    assert tables.value("harmonic_mean") == pytest.approx(2 * base * novel / (base + novel))


def test_each_class_once_is_the_value_itself(tables):
    ones = np.ones((1, tables.n_groups))
    for metric in tables.metrics:
        value = tables.value(metric)
        assert value is None or tables.under(ones, metric)[0] == pytest.approx(value)
        assert tables.strata(metric).shape == (6,) and tables.counts(metric)[0] == 12


def test_classes_are_those_with_an_object(tables):
    assert {name.partition(":")[2] for name in tables.class_metrics} == {"ship", "dam", "windmill"}
    assert tables.value("map_50:airport") is None


def test_one_part_alone_has_no_parts(boxes):
    alone = VocabularyTables(*boxes, GROUPS, NAMES, novel=NAMES)
    assert "base_map_50" not in alone.metrics and "recall_100" in alone.metrics
    with pytest.raises(UsageError, match="base_map_50"):
        alone.value("base_map_50")


def test_chance_of_what_is_not_worked_out_is_undefined(tables):
    assert tables.chance("recall_100") is None and tables.chance("map_small") is None
    assert 0 < tables.chance("map_75") < tables.chance("map_50") < 1
    with pytest.raises(UsageError, match="no permutation test of recall_100"):
        tables.permuted("recall_100")
    assert 0 < tables.permuted("base_map_50").p_value <= 1
