"""Checks of the held-out score on planted runs: groups behind it, and a fresh process."""

from __future__ import annotations

import pytest

from audit.planted import POINT, assert_needs, cites, finding, planted, probed, results

PROBE = "fresh_process_evaluation"


def both(here, fresh, metric="frame_auroc"):
    return {metric: {"here": here, "fresh": fresh}}


@pytest.mark.parametrize("groups", [10, 24])
def test_enough_groups_passes_from_ten_on(groups):
    found = finding("enough_groups", planted(results=results(groups=groups)))
    assert (found.status, found.value, found.bound) == ("pass", groups, 10)
    assert cites(found) == {"results.json"}


@pytest.mark.parametrize("groups", [9, 1])
def test_enough_groups_fails_below_ten(groups):
    found = finding("enough_groups", planted(results=results(groups=groups)))
    assert found.status == "fail" and f"rests on {groups} groups" in found.sentence


@pytest.mark.parametrize(
    "lame", [{"groups": None}, {"groups": 0}, {"ci95": None}, {"ci95": [None, None]}, {"ci95": [0.1, None]}]
)
def test_enough_groups_fails_without_an_interval(lame):
    found = finding("enough_groups", planted(results=results(**lame)))
    assert found.status == "fail" and "no interval over groups" in found.sentence


def test_enough_groups_is_not_run_without_a_score_of_the_claim():
    assert finding("enough_groups", planted()).status == "not_run"
    assert finding("enough_groups", planted(results=results()).about(POINT)).status == "not_run"


@pytest.mark.parametrize("fresh", [0.9, 0.9 + 9e-7])
def test_reevaluation_agrees_passes_within_rounding(fresh):
    found = probed("reevaluation_agrees", PROBE, both(0.9, fresh))
    assert found.status == "pass" and cites(found) == {f"evidence/{PROBE}.json"}


@pytest.mark.parametrize("fresh", [0.900002, 0.899998, 0.5])
def test_reevaluation_agrees_fails_on_a_difference(fresh):
    found = probed("reevaluation_agrees", PROBE, both(0.9, fresh))
    assert found.status == "fail" and found.value == pytest.approx(abs(fresh - 0.9))
    assert f"{fresh:.6f}" in found.sentence and "0.900000" in found.sentence


@pytest.mark.parametrize("values", [both(0.9, None), both(None, 0.9), both(0.9, 0.9, metric="point_ap"), {}])
def test_reevaluation_agrees_is_not_run_when_it_is_undefined(values):
    assert probed("reevaluation_agrees", PROBE, values).status == "not_run"


def test_reevaluation_agrees_needs_its_probe():
    assert_needs("reevaluation_agrees", PROBE, both(0.9, 0.9))
