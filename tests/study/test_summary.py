"""What a study found: hand-worked pairs, scipy's intervals, corrections, words and reasons."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from study.studies import DIVERGED, TUNED, TWO_ARMS, entry, filled, loaded
from veritrain.errors import DataError
from veritrain.statistics.comparison import holm
from veritrain.statistics.signflips import max_t_sign_flip
from veritrain.study.ledger import Ledger
from veritrain.study.summary import columns, summarise

A = [0.74, 0.73, 0.76, 0.77, 0.72, 0.75]
B = [0.70, 0.71, 0.72, 0.70, 0.69, 0.71]
"""Gains 0.04, 0.02, 0.04, 0.07, 0.03, 0.04: mean 0.04, sum of squared deviations 0.0014."""
THREE = {**TWO_ARMS["arms"], "late": {"options": {"fusion": "late"}}}


def found(tmp_path, scores, **changes):
    study = loaded(tmp_path, **changes)
    return summarise(study, filled(study, tmp_path, scores))


def test_six_pairs_by_hand(tmp_path):
    claim = found(tmp_path, {"attention": A, "concat": B})["claims"][0]
    # t(0.975, 5) = 2.5706; standard error sqrt(0.0014 / 5 / 6) = 0.0068313
    assert claim["gain"] == pytest.approx(0.04) and claim["n"] == claim["planned"] == 6
    assert (claim["low"], claim["high"]) == (pytest.approx(0.0224397, abs=1e-6), pytest.approx(0.0575603, abs=1e-6))
    assert claim["p"] == 2 / 64 and claim["word"] == "improves" and claim["why"] == ""
    assert (claim["mean_a"], claim["mean_b"]) == (pytest.approx(0.745), pytest.approx(0.705))


def test_the_other_way_round_it_is_worse_and_a_loss_that_is_lower_is_better(tmp_path):
    def of(primary):
        (claim,) = found(tmp_path, {"attention": A, "concat": B}, primary={**TWO_ARMS["primary"], **primary})["claims"]
        return claim["word"], claim["gain"]

    assert of({"a": "concat", "b": "attention"}) == ("worse", pytest.approx(-0.04))
    assert of({"direction": "lower"}) == ("worse", pytest.approx(-0.04))
    assert of({"a": "concat", "b": "attention", "direction": "lower"}) == ("improves", pytest.approx(0.04))
    assert of({"minimal_effect": 0.1})[0] == "equivalent within 0.1"


def test_five_pairs_show_nothing_and_it_says_so(tmp_path):
    summary = found(tmp_path, {"attention": A, "concat": B}, seeds=5)
    assert summary["claims"][0]["word"] == "not shown" and summary["claims"][0]["p"] == 2 / 32
    assert "5 seeds are fewer than the 6 that the primary claim needs." in summary["notes"]


def test_intervals_of_arms_are_students(tmp_path):
    arms = {arm["arm"]: arm for arm in found(tmp_path, {"attention": A, "concat": B})["arms"]}
    (score,) = arms["attention"]["scores"]
    low, high = stats.t.interval(0.95, 5, np.mean(A), stats.sem(A))
    assert (score["mean"], score["low"], score["high"]) == pytest.approx((np.mean(A), low, high))
    assert (score["chance"], score["baseline"], score["groups"], score["values"]) == (0.1, 0.2, 12, A)


SHIFT = [0.012, -0.004, 0.011, 0.013, 0.009, 0.012, 0.02]


@pytest.mark.parametrize("family", ["holm", "max_t"])
def test_descriptive_claims_are_one_family_and_the_primary_one_stands_alone(tmp_path, family):
    rng = np.random.default_rng(0)
    base = rng.uniform(0.6, 0.7, 7)
    scores = {"attention": base + 0.05 + rng.normal(0, 0.01, 7), "concat": base, "late": base + np.array(SHIFT)}
    claims = [{"a": "late", "b": "concat", "metric": "point_ap"}, {"a": "attention", "b": "late", "metric": "point_ap"},
              {"a": "concat", "b": "attention", "metric": "point_ap", "direction": "lower"}]  # fmt: skip
    summary = found(tmp_path, {arm: list(map(float, values)) for arm, values in scores.items()},
                    arms=THREE, descriptive=claims, family=family, seeds=7)  # fmt: skip
    primary, *rest = summary["claims"]
    gains = np.array([scores[one["a"]] - scores[one["b"]] for one in claims]).T
    alone = [stats.permutation_test((column,), np.mean, permutation_type="samples", n_resamples=2**7).pvalue
             for column in gains.T]  # fmt: skip
    assert [claim["p"] for claim in rest] == pytest.approx(alone)
    expected = holm(alone) if family == "holm" else max_t_sign_flip(gains)
    assert [claim["p_family"] for claim in rest] == pytest.approx(list(expected))
    assert primary["p_family"] == primary["p"] == 2 / 128
    assert (primary["role"], {claim["role"] for claim in rest}) == ("primary", {"descriptive"})


def test_a_claim_may_lose_its_word_in_a_family(tmp_path):
    claim = TWO_ARMS["primary"]
    claims = [claim, {**claim, "b": "late"}, {**claim, "a": "late"}]
    summary = found(tmp_path, {"attention": A, "concat": B, "late": B}, arms=THREE, descriptive=claims, family="holm")
    assert [claim["word"] for claim in summary["claims"]] == ["improves", "not shown", "not shown", "not shown"]
    assert summary["claims"][1]["p_family"] == pytest.approx(3 * 2 / 64)


@pytest.mark.parametrize("family", ["holm", "max_t"])
def test_a_claim_without_all_its_pairs_is_open_and_still_counts(tmp_path, family):
    claims = [
        {"a": "attention", "b": "concat", "metric": "point_ap"},
        {"a": "late", "b": "concat", "metric": "point_ap"},
    ]
    summary = found(
        tmp_path, {"attention": A, "concat": B, "late": B[:4]}, arms=THREE, descriptive=claims, family=family
    )
    whole, part = summary["claims"][1:]
    assert (part["word"], part["why"], part["p"], part["p_family"]) == ("open", "4 of 6 pairs", None, None)
    assert part["gain"] == pytest.approx(0.0)
    assert whole["p_family"] == pytest.approx(2 * 2 / 64 if family == "holm" else 2 / 64)


@pytest.mark.parametrize(
    ("missing", "word", "why"),
    [
        (None, "open", "5 of 6 pairs"),
        ({**DIVERGED, "exit_code": 1}, "open", "5 of 6 pairs"),
        (DIVERGED, "not shown", "1 of 6 pairs have no value: 1 run diverged"),
        (entry({"point_ap": None}), "not shown", "1 of 6 pairs have no value: the metric is undefined in some runs"),
    ],
)
def test_why_a_claim_has_no_word_yet_or_none_at_all(tmp_path, missing, word, why):
    claim = found(tmp_path, {"attention": [*A[:5], missing], "concat": B})["claims"][0]
    assert (claim["word"], claim["why"], claim["n"], claim["p"]) == (word, why, 5, None)


def test_an_arm_that_waits_for_its_choice_keeps_its_claims_open(tmp_path):
    study = loaded(tmp_path, TUNED)
    claim = summarise(study, Ledger(tmp_path))["claims"][0]
    assert (claim["word"], claim["why"]) == ("open", "no configuration chosen yet for attention and concat")


def test_nothing_at_all_is_summarised(tmp_path):
    summary = summarise(loaded(tmp_path), Ledger(tmp_path))
    assert summary["claims"][0]["word"] == "open" and summary["claims"][0]["gain"] is None
    assert [arm["n"] for arm in summary["arms"]] == [0, 0] and not summary["made_data"]


def test_different_data_are_never_summarised(tmp_path):
    with pytest.raises(DataError):
        found(tmp_path, {"attention": A, "concat": [*B[:5], entry({"point_ap": 0.7}, data="e" * 64)]})


def test_columns_are_those_of_the_claims_then_the_further_ones(tmp_path):
    study = loaded(tmp_path, primary={**TWO_ARMS["primary"], "metric": ["a", "b"]}, metrics=["c", "a", "c"])
    assert columns(study) == [(("a", "b"), "test"), (("c",), "test"), (("a",), "test")]


def test_what_a_reader_must_know(tmp_path):
    cut = entry({"point_ap": 0.7}, stop_reason="time", steps=5, version="0.0.9")
    study = loaded(tmp_path)
    ledger = filled(study, tmp_path, {"attention": A, "concat": [*B[:5], cut]})
    ledger.register(study)
    more = loaded(tmp_path, seeds=7)
    ledger.register(more)
    notes = "\n".join(summarise(more, ledger)["notes"])
    for said in (
        "number of seeds was changed from 6 to 7 after 12 cells",
        "1 of 6 cells of 'concat' were ended by the time budget",
        "Not all cells made the same number of optimiser steps: attention 8, concat 5 to 8.",
        "12 of 14 final cells are taken from the ledger",
        "versions 0.0.9, 0.1.0",
    ):
        assert said in notes
    study = loaded(tmp_path, arms={"attention": TUNED["arms"]["attention"], "concat": TWO_ARMS["arms"]["concat"]},
                   selection=TUNED["selection"])  # fmt: skip
    assert (
        "Not all arms tried the same number of configurations: attention 3, concat 1."
        in summarise(study, ledger)["notes"]
    )


def test_arms_below_the_trivial_baseline_are_named(tmp_path):
    scores = {"attention": A, "concat": [0.2, 0.15, 0.1, 0.2, 0.2, 0.2]}
    said = "Not above the best trivial baseline (0.200) in point_ap: concat."
    assert said in found(tmp_path, scores)["notes"]
    lower = found(tmp_path, scores, primary={**TWO_ARMS["primary"], "direction": "lower"})
    for summary in (lower, found(tmp_path, {"attention": A, "concat": B})):
        assert not any("trivial" in note for note in summary["notes"])


def test_failed_cells_are_listed_with_their_error(tmp_path):
    summary = found(tmp_path, {"attention": [*A[:5], DIVERGED], "concat": B})
    assert summary["failed"] == [
        {"cell": "attention, seed 5", "exit_code": 4, "diverged": True, "error": "not finite"}
    ]  # fmt: skip
    assert summary["arms"][0]["diverged"] == 1
