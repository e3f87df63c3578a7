"""What is told before anything runs: seeds, power, states of cells, time."""

from __future__ import annotations

import pytest
from scipy import stats

from study.studies import DIVERGED, TUNED, TWO_ARMS, entry, filled, loaded
from veritrain.statistics.power import sign_flip_power
from veritrain.study.forecast import forecast, power, told_forecast
from veritrain.study.ledger import Ledger
from veritrain.study.plan import Cell


def test_seeds_and_power_are_those_of_the_test(tmp_path):
    plan = forecast(loaded(tmp_path), Ledger(tmp_path), 2)
    assert plan["needed_seeds"] == 6 and plan["smallest_p"] == 2 / 64
    assert plan["power"]["1"] == sign_flip_power(1.0, 6)
    said = told_forecast(plan)
    assert "seeds: 6 needed for the exact sign-flip test to reach 0.05; 6 planned, smallest p 0.031" in said
    assert "12 cells left, 2 at a time; none is finished to estimate from" in said


def test_too_few_seeds_are_shouted(tmp_path):
    assert "TOO FEW, the claim cannot be shown" in told_forecast(
        forecast(loaded(tmp_path, seeds=5), Ledger(tmp_path), 1)
    )


@pytest.mark.parametrize(("effect", "n"), [(0.5, 20), (1.0, 13), (0.8, 16)])
def test_power_beyond_twelve_pairs_is_students(effect, n):
    bound = stats.t.ppf(0.975, n - 1)
    shifted = stats.nct(n - 1, effect * n**0.5)
    assert power(effect, n, 0.05) == pytest.approx(shifted.sf(bound) + shifted.cdf(-bound))


def test_the_spread_of_finished_pairs_and_the_declared_one(tmp_path):
    primary = {**TWO_ARMS["primary"], "minimal_effect": 0.02, "spread": 0.01}
    study = loaded(tmp_path, primary=primary)
    ledger = filled(study, tmp_path, {"attention": [0.5, 0.6], "concat": [0.46, 0.58]})
    declared, finished = forecast(study, ledger, 1)["at_spread"]
    assert declared == {"of": "declared", "pairs": None, "spread": 0.01, "power": power(2.0, len(study.seeds), 0.05)}
    assert finished["pairs"] == 2 and finished["spread"] == pytest.approx(0.02 / 2**0.5)
    said = told_forecast(forecast(study, ledger, 1))
    assert "needed with power 0.8 at the declared spread" in said and "spread of the 2 finished pairs 0.01414" in said


@pytest.mark.parametrize(
    ("family", "said"),
    [("max_t", "2 claims, one joint max-T sign-flip test (Holm would need 7 seeds)"),
     ("holm", "2 claims, Holm-corrected: 7 seeds needed")],
)  # fmt: skip
def test_what_the_family_needs(tmp_path, family, said):
    claims = [TWO_ARMS["primary"], {**TWO_ARMS["primary"], "metric": "frame_auroc"}]
    plan = forecast(loaded(tmp_path, descriptive=claims, family=family), Ledger(tmp_path), 1)
    assert f"descriptive: {said}" in told_forecast(plan)


def test_cells_are_counted_by_state(tmp_path):
    study = loaded(tmp_path)
    scores = {"attention": [0.5, 0.5, DIVERGED, {**DIVERGED, "exit_code": 1}], "concat": [0.4]}
    ledger = filled(study, tmp_path, scores)
    first, begun = (Cell(configuration=study.arms[0].configurations[0], seed=seed, stage="final") for seed in (0, 4))
    ledger.folder_of(first).path.mkdir(parents=True)
    ledger.folder_of(first).results.write_text("{}")
    (ledger.folder_of(begun).checkpoints / "step-1").mkdir(parents=True)
    plan = forecast(study, ledger, 1)
    assert plan["cells"]["final"] == {
        "finished": 1, "ledger": 2, "diverged": 1, "failed": 1, "interrupted": 1, "to make": 6, "all": 12}  # fmt: skip
    said = told_forecast(plan)
    assert "2 finished (taken from the ledger, run folder gone), 1 diverged, 1 failed (tried again)" in said


def test_time_is_that_of_the_arms_median_cells(tmp_path):
    study = loaded(tmp_path)
    cells = [entry({"point_ap": 0.5}, seconds=seconds) for seconds in (100.0, 300.0, 200.0)]
    ledger = filled(study, tmp_path, {"attention": cells, "concat": [entry({"point_ap": 0.4}, seconds=1000.0)]})
    time = forecast(study, ledger, 2)["time"]
    assert time["cells_left"] == 8 and time["seconds_left"] == (3 * 200 + 5 * 1000) / 2
    assert "about 47 minutes" in told_forecast(forecast(study, ledger, 2))
    assert "about 1.6 hours" in told_forecast(forecast(study, ledger, 1))


def test_arms_that_wait_for_their_choice_are_counted(tmp_path):
    plan = forecast(loaded(tmp_path, TUNED), Ledger(tmp_path), 1)
    assert plan["time"]["cells_left"] == 2 * 3 + 2 * 6
    assert plan["cells"]["final"]["to make"] == 12 and plan["cells"]["selection"]["to make"] == 6


def test_a_finished_study_has_nothing_left(tmp_path):
    study = loaded(tmp_path, seeds=1)
    ledger = filled(study, tmp_path, {"attention": [0.5], "concat": [0.4]})
    assert "nothing left to make" in told_forecast(forecast(study, ledger, 1))


def test_unequal_tuning_is_told(tmp_path):
    study = loaded(tmp_path, TUNED, arms={**TUNED["arms"], "late": {"options": {"fusion": "late"}}})
    said = told_forecast(forecast(study, Ledger(tmp_path), 1))
    assert "not the same number of tried configurations: attention 3, concat 3, late 1" in said
