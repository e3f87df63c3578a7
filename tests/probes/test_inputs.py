"""An input that matters makes the score fall when it is exchanged; one that is ignored does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from probes.finished_run import finished_run, trained_network
from veritrain.data.frames import ExchangedInput
from veritrain.probes.inputs import InputsExchanged
from veritrain.training.evaluate import predict_set


@pytest.mark.parametrize("fusion", ["image_only", "points_only"])
def test_the_only_input_matters(tmp_path, fusion):
    run = finished_run(tmp_path, fusion=fusion)
    found = InputsExchanged().values(run)
    (name,) = found["inputs"]
    assert name == {"image_only": "image", "points_only": "points"}[fusion]
    low, high = found["falls"][name]["frame_auroc"]["ci95"]
    assert low < found["falls"][name]["frame_auroc"]["fall"] < high
    assert found["falls"][name]["frame_auroc"]["fall"] > 0.2


def test_the_fall_is_the_difference_of_two_plain_scores(tmp_path):
    run = finished_run(tmp_path)
    found = InputsExchanged().values(run)
    assert found["inputs"] == ["image", "points"] and set(found["falls"]) == {"image", "points"}
    own = run.task.score(run.predictions)
    for name, falls in found["falls"].items():
        other = run.task.score(predict_set(run.task, run.model, ExchangedInput(run.test, name)))
        for metric, tolerance in (("frame_auroc", 1e-9), ("point_ap", 5e-3)):
            assert falls[metric]["fall"] == pytest.approx(own[metric] - other[metric], abs=tolerance)


def test_an_input_that_is_ignored_falls_by_exactly_nothing(tmp_path):
    """A network that claims to read both sensors and looks at the image alone."""
    run = finished_run(tmp_path, fusion="image_only")
    model = trained_network("image_only")
    honest = model.inputs
    try:
        model.inputs = ("image", "points")
        falls = InputsExchanged().values(replace(run, model=model))["falls"]
    finally:
        model.inputs = honest
    assert falls["points"]["frame_auroc"] == {"fall": 0.0, "ci95": [pytest.approx(0.0), pytest.approx(0.0)]}
    assert falls["image"]["frame_auroc"]["fall"] > 0.2
