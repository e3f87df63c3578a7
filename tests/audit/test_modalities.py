"""Checks of the declared inputs on planted runs."""

from __future__ import annotations

import pytest

from audit.planted import POINT, assert_needs, cites, evidence, finding, planted, probed

PROBE = "inputs_exchanged"


def exchanged(metric="frame_auroc", **intervals):
    falls = {name: {metric: {"fall": middle, "ci95": [low, high]}} for name, (low, middle, high) in intervals.items()}
    return {"inputs": list(intervals), "falls": falls}


BOTH = exchanged(image=(0.05, 0.1, 0.2), points=(0.001, 0.02, 0.04))


def test_inputs_matter_passes_when_each_fall_is_above_nothing():
    found = probed("inputs_matter", PROBE, BOTH)
    assert found.status == "pass" and found.value == {"image": 0.05, "points": 0.001}
    assert "image +0.100 [+0.050, +0.200]" in found.sentence and cites(found) == {f"evidence/{PROBE}.json"}


@pytest.mark.parametrize("low", [0.0, -0.01])
def test_inputs_matter_fails_when_one_interval_holds_no_fall(low):
    found = probed("inputs_matter", PROBE, exchanged(image=(0.05, 0.1, 0.2), points=(low, 0.02, 0.04)))
    assert found.status == "fail" and "does not clearly fall without points (" in found.sentence
    assert found.on_fail is None and found.to_settle.startswith("train without points")


def test_two_unused_inputs_are_both_named():
    found = probed("inputs_matter", PROBE, exchanged(image=(-0.1, 0.0, 0.1), points=(-0.1, 0.0, 0.1)))
    assert "without image and points" in found.sentence


@pytest.mark.parametrize(
    "lame",
    [
        {"inputs": [], "falls": {}},
        exchanged(image=(0.05, 0.1, 0.2), points=(None, 0.1, None)),
        exchanged(image=(0.05, 0.1, 0.2), points=(0.01, None, 0.2)),
        {**BOTH, "inputs": ["image", "points", "radar"]},
        {**BOTH, "falls": {**BOTH["falls"], "points": {}}},
    ],
    ids=["no inputs", "no interval", "no fall", "an input left out", "an input without this metric"],
)
def test_inputs_matter_is_not_run_unless_each_declared_input_has_an_interval(lame):
    assert probed("inputs_matter", PROBE, lame).status == "not_run"


def test_inputs_matter_is_about_the_claim_in_focus():
    record = planted(evidence(PROBE, BOTH))
    assert finding("inputs_matter", record.about(POINT)).status == "not_run"
    assert_needs("inputs_matter", PROBE, BOTH)
