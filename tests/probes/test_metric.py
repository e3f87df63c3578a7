"""The metric probe, judged by the check that reads it: honest scores pass, inverted and biased ones do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from probes.finished_run import finished_run, with_scores
from tasks.made_scan import ScanTask, scan
from veritrain.audit.setup import MetricUnitTested
from veritrain.probes.metric import MetricOnKnownAnswers
from veritrain.record import Evidence, RunRecord


def judged(run, metric: str) -> str:
    values = MetricOnKnownAnswers().values(run)
    evidence = Evidence(probe="metric_on_known_answers", version=1, inputs_hash="", values=values, seconds=0.0)
    claim = next(claim for claim in run.task.claims if claim.metric == metric)
    record = RunRecord(path=run.folder.path, kind="run", claims=run.task.claims, claim=claim)
    return MetricUnitTested().judge(record, {"metric_on_known_answers": evidence}).status


@pytest.fixture
def run(tmp_path):
    return finished_run(tmp_path, trained=False)


def test_known_answers_get_their_known_scores(run):
    found = MetricOnKnownAnswers().values(run)
    assert set(found) == {"frame_auroc", "point_ap"}
    auroc, ap = found["frame_auroc"], found["point_ap"]
    assert (auroc["perfect"], auroc["inverted"], auroc["constant"], auroc["chance"]) == (1.0, 0.0, 0.5, 0.5)
    assert ap["perfect"] == 1.0
    assert ap["inverted"] == pytest.approx(ap["prevalence"]), "all positives come last, as one tie"
    assert ap["constant"] == pytest.approx(ap["prevalence"])
    for answers in found.values():
        assert abs(answers["random_mean"] - answers["chance"]) < 5 * answers["random_standard_error"]
    labels = run.predictions["point_labels"]
    assert ap["prevalence"] == pytest.approx((labels == 1).sum() / (labels >= 0).sum())


def test_an_honest_metric_passes_whatever_the_network_says(run):
    for scores in (np.zeros(30, np.float32), run.predictions["frame_labels"].astype(np.float32)):
        other = with_scores(run, frame_scores=scores)
        assert MetricOnKnownAnswers().values(other) == MetricOnKnownAnswers().values(run)
    assert judged(run, "frame_auroc") == judged(run, "point_ap") == "pass"


def faulty(run, change):
    """The run with a task whose predictions pass through ``change(level, scores, labels)`` before they are scored."""

    class Faulty(type(run.task)):
        def score(self, predictions):
            spoilt = dict(predictions)
            for level in ("frame", "point"):
                if f"{level}_scores" in spoilt:
                    spoilt[f"{level}_scores"] = change(spoilt[f"{level}_scores"], spoilt[f"{level}_labels"])
            return super().score(spoilt)

    return replace(run, task=Faulty(**vars(run.task)))


@pytest.mark.parametrize("metric", ["frame_auroc", "point_ap"])
@pytest.mark.parametrize(
    "change",
    [
        lambda scores, labels: -scores,
        lambda scores, labels: scores + 0.5 * (labels == 1),
        lambda scores, labels: np.zeros_like(scores),
        lambda scores, labels: np.roll(scores, 1),
    ],
    ids=["inverted", "peeks at the labels", "always the same", "off by one"],
)
def test_a_metric_that_is_fed_wrongly_fails(run, metric, change):
    assert judged(faulty(run, change), metric) == "fail"


def test_one_class_is_undefined_and_not_zero(run):
    found = MetricOnKnownAnswers().values(with_scores(run, frame_labels=np.zeros(30, np.int8)))["frame_auroc"]
    assert found["perfect"] is found["constant"] is found["random_mean"] is None


def scanned(tmp_path, task):
    predictions, groups = scan(0)
    return replace(finished_run(tmp_path, trained=False), task=task, predictions=predictions, groups=groups)


def test_boxes_and_views_have_known_answers_too(tmp_path):
    run = scanned(tmp_path, ScanTask())
    found = MetricOnKnownAnswers().values(run)
    assert set(found) == {"map_50", "view_macro_f1"}
    for metric, answers in found.items():
        assert answers["perfect"] == 1.0 > answers["random_mean"]
        assert judged(run, metric) == "pass"
    assert found["view_macro_f1"]["inverted"] == 0.0 and found["map_50"]["inverted"] == pytest.approx(0.5)


class OtherUnit(ScanTask):
    """Labels in pixels are scored against boxes in shares of the image, as report 002 did."""

    def score(self, predictions):
        return super().score({**predictions, "boxes": predictions["boxes"] / 224})


class LeastSureFirst(ScanTask):
    def score(self, predictions):
        return super().score({**predictions, "box_scores": -predictions["box_scores"]})


class OffByOne(ScanTask):
    def score(self, predictions):
        return super().score({**predictions, "view_probabilities": np.roll(predictions["view_probabilities"], 1, 0)})


@pytest.mark.parametrize(
    ("task", "metric"), [(OtherUnit(), "map_50"), (LeastSureFirst(), "map_50"), (OffByOne(), "view_macro_f1")]
)
def test_a_metric_of_boxes_or_views_that_is_fed_wrongly_fails(tmp_path, task, metric):
    assert judged(scanned(tmp_path, task), metric) == "fail"
