"""Controls that train: on exchanged labels nothing is learned that test labels confirm."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from probes.finished_run import STEPS, finished_run
from veritrain.probes.retraining import PermutedLabelRetraining, ReinitialisedNetworks
from veritrain.training.evaluate import predict_set


def test_true_labels_teach_and_exchanged_ones_do_not(tmp_path):
    found = PermutedLabelRetraining().values(finished_run(tmp_path, trained=False))
    assert found["steps"] == STEPS and len(found["permuted"]) == 2
    assert found["true"]["frame_auroc"] > 0.8
    for control in found["permuted"]:
        assert control["point_ap"] < 0.6 * found["true"]["point_ap"]
    frames = [control["frame_auroc"] for control in found["permuted"]]
    assert min(frames) < 0.9 * found["true"]["frame_auroc"], "12 groups: an exchange may spare most frame labels"


def test_every_control_has_labels_of_its_own_and_the_same_budget(tmp_path):
    run = finished_run(tmp_path, trained=False)
    asked = []

    def fit_again(label_seed, steps):
        asked.append((label_seed, steps))
        return run.task.model()

    PermutedLabelRetraining().values(replace(run, fit_again=fit_again, permuted_runs=3, control_steps=7))
    assert asked == [(None, 7), (1000, 7), (1001, 7), (1002, 7)]


def test_controls_train_on_the_permuted_training_set_and_score_on_true_test_labels(tmp_path):
    run = finished_run(tmp_path, trained=False)
    before = [run.test.label_of(index) for index in range(30)]
    PermutedLabelRetraining().values(replace(run, control_steps=2))
    assert [run.test.label_of(index) for index in range(30)] == before
    assert run.train.labels == "given"


def test_untrained_networks_differ_from_one_another_and_repeat(tmp_path):
    run = finished_run(tmp_path)
    weights = {name: value.clone() for name, value in run.model.state_dict().items()}
    torch.manual_seed(1)
    first = ReinitialisedNetworks().values(run)
    torch.manual_seed(2)
    assert ReinitialisedNetworks().values(run) == first
    assert first["count"] == len(first["scores"]) == 5
    assert len({scores["point_auroc"] for scores in first["scores"]}) == 5
    assert all(torch.equal(value, weights[name]) for name, value in run.model.state_dict().items())


def test_training_beats_all_untrained_networks(tmp_path):
    run = finished_run(tmp_path)
    own = run.task.score(run.predictions)
    for scores in ReinitialisedNetworks().values(run)["scores"]:
        assert scores["frame_auroc"] < own["frame_auroc"] and scores["point_ap"] < own["point_ap"]


def test_the_gain_is_over_the_best_untrained_network_and_paired(tmp_path):
    run = finished_run(tmp_path)
    own = run.task.score(run.predictions)
    found = ReinitialisedNetworks().values(run)
    for claim in run.task.claims:
        others = [scores[claim.metric] for scores in found["scores"]]
        gain = found["gains"][claim.metric]
        assert others[gain["network"]] == max(others)
        assert gain["gain"] == pytest.approx(own[claim.metric] - max(others), abs=2e-3)
        assert gain["ci90"][0] <= gain["gain"] <= gain["ci90"][1]


def test_an_untrained_network_gains_nothing_over_itself(tmp_path):
    run = finished_run(tmp_path)
    best = ReinitialisedNetworks().values(run)["gains"]["frame_auroc"]["network"]
    torch.manual_seed(7000 + best)
    same = predict_set(run.task, run.task.model(), run.test)
    gain = ReinitialisedNetworks().values(replace(run, predictions=same))["gains"]["frame_auroc"]
    assert gain == {"network": best, "gain": 0.0, "ci90": [0.0, 0.0]}
