"""The probe of boxes, judged by the checks that read it: a sound score passes, one that is fed wrongly does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from probes.finished_run import finished_run
from tasks.made_scan import ScanTask, scan
from veritrain.audit.setup import BoxesShareUnit, BoxScoreFollowsPlace
from veritrain.probes.boxes import BoxesShifted, units_of
from veritrain.record import Evidence, RunRecord


def scanned(tmp_path, task=None, **changed):
    predictions, groups = scan(0)
    run = finished_run(tmp_path, trained=False)
    return replace(run, task=task or ScanTask(), predictions={**predictions, **changed}, groups=groups)


def judged(run, check, metric: str = "map_50"):
    values = BoxesShifted().values(run)
    evidence = Evidence(probe="boxes_shifted", version=1, inputs_hash="", values=values, seconds=0.0)
    claim = next(claim for claim in run.task.claims if claim.metric == metric)
    record = RunRecord(path=run.folder.path, kind="run", claims=run.task.claims, claim=claim)
    return check.judge(record, {"boxes_shifted": evidence})


def test_a_sound_task_passes_and_only_claims_about_boxes_have_a_curve(tmp_path):
    run = scanned(tmp_path)
    found = BoxesShifted().values(run)
    assert list(found["curves"]) == ["map_50"] and found["units"]["problem"] is None
    curve = found["curves"]["map_50"]
    assert curve["oracle"] == 1.0 and curve["scores"][-1] < 0.2 and curve["problems"] == ()
    assert curve["beyond_limit"]["unreachable"] == 0
    assert judged(run, BoxScoreFollowsPlace()).status == judged(run, BoxesShareUnit()).status == "pass"
    assert judged(run, BoxScoreFollowsPlace(), "view_macro_f1").status == "not_run"


class OtherUnit(ScanTask):
    """Labels in pixels are scored against boxes in shares of the input."""

    def score(self, predictions):
        return super().score({**predictions, "boxes": predictions["boxes"] / 224})


class WrongImages(ScanTask):
    def score(self, predictions):
        return super().score({**predictions, "box_counts": np.roll(predictions["box_counts"], 1)})


class Blind(ScanTask):
    def score(self, predictions):
        return {"map_50": 1.0, "view_macro_f1": 1.0}


@pytest.mark.parametrize("task", [OtherUnit(), WrongImages(), Blind()], ids=lambda task: type(task).__name__)
def test_a_score_that_is_fed_wrongly_fails(tmp_path, task):
    found = judged(scanned(tmp_path, task), BoxScoreFollowsPlace())
    assert found.status == "fail" and found.sentence.startswith("map_50: ")


def test_predictions_in_another_unit_are_named(tmp_path):
    predictions, _ = scan(0)
    shared = predictions["boxes"] / 224
    found = judged(scanned(tmp_path, boxes=shared), BoxesShareUnit())
    assert found.status == "fail" and "times 224" in found.sentence and "one unit" in found.sentence
    assert units_of({**predictions, "boxes": shared})["best"] > 0.5


def test_labels_that_are_no_corners_are_told_and_not_a_crash(tmp_path):
    predictions, _ = scan(0)
    corners = predictions["truth_boxes"]
    centred = np.c_[(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]]
    run = scanned(tmp_path, truth_boxes=centred)
    assert BoxesShifted().values(run)["curves"] == {}
    assert "centre and size" in judged(run, BoxesShareUnit()).sentence


def test_a_run_without_boxes_has_nothing_to_shift(tmp_path):
    found = BoxesShifted().values(finished_run(tmp_path, trained=False))
    assert found == {"units": None, "curves": {}}
    predictions, groups = scan(0)
    views = {key: value for key, value in predictions.items() if not key.startswith("box")}
    run = replace(finished_run(tmp_path, trained=False), predictions=views, groups=groups)
    assert BoxesShifted().values(run) == found
