from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from veritrain.worlds.options import DrivingOptions
from veritrain.worlds.plan import plan_scenarios


@pytest.fixture(scope="module")
def plans():
    return plan_scenarios(DrivingOptions(scenarios=720))


def test_the_shares_of_types_and_visibilities_are_as_stated():
    plans = plan_scenarios(DrivingOptions())
    assert Counter(plan.kind for plan in plans) == {"static": 48, "normality": 12, "sudden_braking": 12}
    static = Counter(plan.visibility for plan in plans if plan.kind == "static")
    assert static == {"camera": 8, "lidar": 24, "both": 8, "pair": 8}


@pytest.mark.parametrize(
    "feature",
    [
        lambda plan: plan.town,
        lambda plan: plan.weather.name,
        lambda plan: plan.lane,
        lambda plan: plan.speed > 0.75,
        lambda plan: plan.weather.light > 0.8,
        lambda plan: plan.first_counter % 2,
        lambda plan: plan.first_counter > 4500,
        lambda plan: plan.ego_y > 0,
        lambda plan: plan.id[0] < "8",
    ],
)
def test_no_background_value_predicts_the_type(plans, feature):
    """A table of counts that differs from independence no more than chance does (chi-squared, p > 0.001)."""
    from scipy.stats import chi2_contingency

    values = sorted({feature(plan) for plan in plans}, key=str)
    kinds = sorted({plan.kind for plan in plans})
    table = [[sum(feature(plan) == v and plan.kind == k for plan in plans) for v in values] for k in kinds]
    assert chi2_contingency(table).pvalue > 0.001


def test_the_frame_number_does_not_predict_the_anomaly(plans):
    static = [plan for plan in plans if plan.kind == "static"]
    shares = np.mean([[plan.is_alive(frame) for frame in range(12)] for plan in static], axis=0)
    assert np.ptp(shares) < 0.06
    assert 0.5 < shares.mean() < 0.65
    assert all(0 < sum(plan.is_alive(frame) for frame in range(12)) < 12 for plan in static)


def test_braking_takes_a_part_of_the_scenario(plans):
    windows = [plan.alive for plan in plans if plan.kind == "sudden_braking"]
    assert {length for _, length in windows} <= {3, 4, 5}
    assert all(first + length <= 12 for first, length in windows), "in one piece"
    assert len({first for first, _ in windows}) > 5


def test_the_variant_nobody_tunes_on_is_another_world():
    standard, held_out = (plan_scenarios(DrivingOptions(scenarios=6, variant=v)) for v in ("standard", "held_out"))
    assert {plan.id for plan in standard}.isdisjoint(plan.id for plan in held_out)
