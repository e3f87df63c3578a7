"""Labels exchanged between groups: p is small for scores that know, and large for scores that do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from probes.finished_run import finished_run, with_scores
from tasks.made_scan import ScanTask, scan
from veritrain.probes.permutation import BetweenGroupPermutation
from veritrain.tasks.ranking_tables import DENSE_PERMUTATIONS, FRAME_PERMUTATIONS

LEVELS = ("frame", "view", "point")


def knowing(run) -> dict[str, np.ndarray]:
    return {f"{level}_scores": (run.predictions[f"{level}_labels"] == 1).astype(np.float32) for level in LEVELS}


def test_scores_that_know_are_beyond_all_exchanges(tmp_path):
    run = finished_run(tmp_path, trained=False)
    found = BetweenGroupPermutation().values(with_scores(run, **knowing(run)))
    assert set(found) == {"frame_auroc", "point_ap"}
    assert found["frame_auroc"]["observed"] == found["point_ap"]["observed"] == 1.0
    assert found["frame_auroc"]["p_value"] < 0.01 and found["point_ap"]["p_value"] < 0.01
    assert found["frame_auroc"]["n_permutations"] == FRAME_PERMUTATIONS == 9999
    assert found["point_ap"]["n_permutations"] == DENSE_PERMUTATIONS == 999
    assert found["frame_auroc"]["n_groups"] == 10


@pytest.mark.parametrize("seed", [0, 1])
def test_random_scores_are_one_of_many(tmp_path, seed):
    run = finished_run(tmp_path, trained=False)
    rng = np.random.default_rng(seed)
    random = {f"{level}_scores": rng.random(run.predictions[f"{level}_labels"].shape) for level in LEVELS}
    found = BetweenGroupPermutation().values(with_scores(run, **random))
    assert all(result["p_value"] > 0.05 for result in found.values())


def test_knowing_the_moment_alone_is_not_enough(tmp_path):
    """Scores that depend on the frame's place in its scenario score above chance, and just so after any exchange."""
    run = finished_run(tmp_path, trained=False)
    by_moment = np.tile(np.float32([0.1, 0.9, 0.8]), 10)
    found = BetweenGroupPermutation().values(with_scores(run, frame_scores=by_moment))["frame_auroc"]
    assert found["observed"] > 0.6 and found["p_value"] > 0.9


def test_a_trained_network_is_beyond_the_exchanges(tmp_path):
    found = BetweenGroupPermutation().values(finished_run(tmp_path))
    assert found["frame_auroc"]["p_value"] <= 0.05 and found["point_ap"]["p_value"] <= 0.05
    assert found["point_ap"]["null_mean"] < found["point_ap"]["observed"]


@pytest.mark.parametrize("know", [0.8, 0.0])
def test_boxes_and_views_are_exchanged_like_frames(tmp_path, know):
    predictions, groups = scan(0, know=know)
    run = replace(finished_run(tmp_path, trained=False), task=ScanTask(), predictions=predictions, groups=groups)
    found = BetweenGroupPermutation().values(run)
    assert set(found) == {"map_50", "view_macro_f1"}
    for result in found.values():
        assert result["p_value"] < 0.01 if know else result["p_value"] > 0.05
        assert result["n_groups"] == 12
