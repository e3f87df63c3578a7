"""A fresh process, from the saved weights: the same scores, or a difference that shows."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from probes.finished_run import with_scores
from veritrain.errors import RecordError
from veritrain.experiments.anomaly import EXPERIMENT as anomaly
from veritrain.experiments.evaluation import predictions_on_test
from veritrain.probes.probe import run_probe
from veritrain.probes.reevaluation import FreshProcessEvaluation
from veritrain.record import RecordWriter, RunFolder
from veritrain.tasks.options import AnomalyRecipe


@pytest.fixture(scope="module")
def run(small_world, tmp_path_factory):
    """A real finished run of one epoch on the image alone, the quickest."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "small")
    cache = str(tmp_path_factory.mktemp("decoded"))
    recipe = AnomalyRecipe(
        data=str(small_world), cache=cache, epochs=1, controls="none", threads=1, width=8, fusion="image_only"
    )
    anomaly.run(recipe, folder)
    prepared, model = anomaly.reopen(folder)
    predictions = predictions_on_test(recipe, prepared.data, prepared.task, model)
    return anomaly.finished_run(prepared, model, predictions, folder)


@pytest.fixture(scope="module")
def fresh(run):
    return FreshProcessEvaluation().values(run)


def test_a_fresh_process_finds_the_same_scores(run, fresh):
    stored = json.loads(run.folder.results.read_text(encoding="utf-8"))["metrics"]
    assert set(fresh) == set(stored)
    for name, found in fresh.items():
        assert found["fresh"] == pytest.approx(found["here"], abs=1e-9)
        assert found["here"] == pytest.approx(stored[name]["value"], abs=1e-9)


def test_other_predictions_than_those_of_the_weights_show(run, fresh):
    polished = with_scores(run, frame_scores=(run.predictions["frame_labels"] == 1).astype(np.float32))
    found = FreshProcessEvaluation().values(polished)
    assert found["frame_auroc"]["here"] == 1.0
    assert found["frame_auroc"]["fresh"] == fresh["frame_auroc"]["fresh"] < 1.0


def test_weights_that_cannot_be_read_crash_the_probe_and_not_the_run(run, tmp_path):
    broken = replace(run, folder=RunFolder(tmp_path / "run"))
    with RecordWriter(broken.folder) as writer:
        evidence = run_probe(FreshProcessEvaluation(), broken, writer)
    assert evidence.status == "crashed" and RecordError.__name__ in evidence.note
    assert "the fresh evaluation failed" in evidence.note
