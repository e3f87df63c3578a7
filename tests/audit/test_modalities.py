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


# --- names_matter -------------------------------------------------------------------------------------------------

WORDS = "texts_exchanged"


def other_words(metric="frame_auroc", **arms):
    falls = {arm: None if one is None else {"way": 0, "value": 0.1, "fall": one[1], "ci95": [one[0], one[2]]}
             for arm, one in arms.items()}  # fmt: skip
    return {"arms": {}, "falls": {metric: falls}}


FALLS = other_words(shuffled=(0.05, 0.1, 0.2), nonsense=(0.01, 0.1, 0.2))


def test_names_matter_passes_when_other_words_find_clearly_less():
    found = probed("names_matter", WORDS, FALLS)
    assert found.status == "pass" and found.value == {"shuffled": 0.05, "nonsense": 0.01}
    assert "shuffled 0.100, fall +0.100 [+0.050, +0.200]" in found.sentence
    assert cites(found) == {f"evidence/{WORDS}.json"}


@pytest.mark.parametrize("low", [0.0, -0.1])
def test_names_matter_fails_when_one_kind_of_word_may_do_as_well(low):
    found = probed("names_matter", WORDS, other_words(shuffled=(0.05, 0.1, 0.2), nonsense=(low, 0.1, 0.2)))
    assert found.status == "fail" and "does not clearly fall when class names are nonsense" in found.sentence


@pytest.mark.parametrize(
    "lame",
    [
        {"arms": None, "falls": {}},
        other_words(shuffled=None, nonsense=(0.1, 0.2, 0.3)),
        other_words(shuffled=(None, 0.1, None), nonsense=(0.1, 0.2, 0.3)),
    ],
    ids=["no texts are read", "an undefined score", "no interval"],
)
def test_names_matter_is_not_run_without_intervals(lame):
    assert probed("names_matter", WORDS, lame).status == "not_run"


def test_names_matter_is_about_the_claim_in_focus():
    assert finding("names_matter", planted(evidence(WORDS, FALLS)).about(POINT)).status == "not_run"
    assert_needs("names_matter", WORDS, FALLS)
