"""A run with a network of the reports goes from a folder of frames to a verdict, and its evidence can be made."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from veritrain import cli
from veritrain.experiments.anomaly import EXPERIMENT as anomaly
from veritrain.experiments.inputs import open_samples
from veritrain.experiments.predicting import Wanted, predict_frames, thresholds_of
from veritrain.record import RecordWriter, RunFolder, read_run
from veritrain.tasks.options import AnomalyRecipe

WORDS = ("--epochs", "2", "--controls", "none", "--threads", "1", "--batch_size", "6", "--learning_rate", "1e-3")
CLOUD = {"report001-attention": 200, "report001-voxelwise": 96}
PROBES = (
    "labels_read_twice",
    "loss_under_flipped_labels",
    "best_constant_loss",
    "metric_on_known_answers",
    "between_group_permutation",
    "inputs_exchanged",
)


@pytest.fixture(scope="module", params=list(CLOUD))
def run(request, small_world, tmp_path_factory):
    """(the model's name, its finished run folder); read only."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / request.param)
    asked = ("--data", str(small_world), "--run", str(folder.path), "--model", request.param)
    code = cli.main(["train", "anomaly", *asked, "--cloud", str(CLOUD[request.param]), *WORDS])
    assert code == 0
    return request.param, folder


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_it_ends_with_a_verdict_on_what_the_network_answers(run):
    model, folder = run
    record, verdict = read_run(folder.path), read(folder.verdict)
    claims = ["point_ap"] if model == "report001-voxelwise" else ["frame_auroc"]
    assert [claim.metric for claim in record.claims] == claims
    assert verdict["verdict"] in ("not_shown", "refuted") and folder.report.stat().st_size > 0
    assert {event["name"] for event in record.of("term")} >= {claims[0].split("_")[0]}


def test_its_results_hold_what_was_scored_and_of_how_many(run):
    model, folder = run
    results = read(folder.results)
    levels = {name.rsplit("_", 1)[0] for name in results["metrics"]}
    if model == "report001-voxelwise":
        assert levels == {"frame", "point", "object_point"} and set(results["curves"]) == {"frame", "point"}
        told = results["returns_scored"]
        assert told["scored"] == 16 * CLOUD[model] < told["of"]
        assert 0 < results["metrics"]["point_ap"]["n"] <= told["scored"]
        assert (results["parameters"], results["trainable"]) == (12_566_401, 1_389_889)
    else:
        assert levels == {"frame"} == set(results["curves"]) and results["returns_scored"] is None
        assert results["parameters"] == results["trainable"] == 792_321
    for entry in results["metrics"].values():
        assert entry["value"] is not None and entry["baseline"] is not None and 0 < entry["chance"] < 1


def test_its_recipe_keeps_the_model_and_its_scores_are_found_again(run):
    model, folder = run
    prepared, network = anomaly.reopen(folder)
    assert prepared.recipe.model == model and prepared.data.sets["test"].cloud == CLOUD[model]
    stored, found = read(folder.results)["metrics"], anomaly.plain_scores(prepared, network)["metrics"]
    assert {name: entry["value"] for name, entry in found.items()} == pytest.approx(
        {name: entry["value"] for name, entry in stored.items()}
    )


def test_its_evidence_can_be_made(run, tmp_path):
    _, folder = run
    shutil.copytree(folder.path, tmp_path / "copy")
    copy = RunFolder(tmp_path / "copy")
    prepared, network = anomaly.reopen(copy)
    predictions = anomaly.results_of(prepared, network)[1]
    with RecordWriter(copy) as writer:
        anomaly.make_evidence(prepared, network, predictions, copy, writer, names=PROBES)
    found = {name: read(copy.path / "evidence" / f"{name}.json") for name in PROBES}
    assert {name: (one["status"], one["note"]) for name, one in found.items()} == dict.fromkeys(PROBES, ("done", ""))
    assert set(found["inputs_exchanged"]["values"]["falls"]) == {"image", "points"}
    assert found["loss_under_flipped_labels"]["values"]["total_reads_labels"]
    assert found["labels_read_twice"]["values"]["differing"] == 0


def test_pictures_show_scored_returns_or_none(run, tmp_path):
    _, folder = run
    opened, chosen = open_samples(folder, "test", 2)
    wanted = Wanted(out=tmp_path / "out", attention=True, voxels=True)
    rows = predict_frames(opened, chosen, thresholds_of(folder), wanted)
    assert len(rows) == 2 and all((tmp_path / "out" / row["points"]).is_file() for row in rows)
    assert all(row["attention"] is None and row["highest_pixel"] is None for row in rows)
    assert all((row["voxels"] is None) == (row["returns_scored"] == 0) for row in rows)


def test_positive_weights_are_those_of_the_returns_that_are_given(small_world, tmp_path):
    recipe = AnomalyRecipe(
        data=str(small_world), model="report001-voxelwise", cloud=96, cache=str(tmp_path), most_pos_weight=1e6
    )
    prepared = anomaly.prepare(recipe)
    train = prepared.data.sets["train"]
    labels = np.concatenate([train.sample(k, epoch=0, seed=0)["cloud_labels"] for k in range(len(train))])
    assert prepared.task.pos_weights == {"point": pytest.approx((labels == 0).sum() / (labels == 1).sum())}
