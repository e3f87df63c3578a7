"""Checks of the controls on planted runs: permuted labels, permuted retrainings, untrained networks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit.planted import FRAME, POINT, assert_needs, cites, evidence, finding, planted, probed, results

PERMUTED, RETRAINED, UNTRAINED = "between_group_permutation", "permuted_label_retraining", "reinitialised_networks"
LOWER = replace(FRAME, higher_is_better=False)


def permutation(p, metric="frame_auroc"):
    return {metric: {"p_value": p, "observed": 0.9, "null_mean": 0.5, "n_permutations": 9999, "n_groups": 24}}


def retrained(true, *permuted, metric="frame_auroc"):
    return {"steps": 120, "true": {metric: true}, "permuted": [{metric: value} for value in permuted]}


def untrained(*values, metric="frame_auroc"):
    gains = {metric: {"network": 0, "gain": 0.2, "ci90": [0.1, 0.3]}}
    return {"count": len(values), "scores": [{metric: value} for value in values], "gains": gains}


# --- beats_permuted_labels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0001, 0.05])
def test_beats_permuted_labels_passes_up_to_five_percent(p):
    found = probed("beats_permuted_labels", PERMUTED, permutation(p))
    assert (found.status, found.value, found.bound) == ("pass", p, 0.05)
    assert "9999 exchanges" in found.sentence and cites(found) == {f"evidence/{PERMUTED}.json"}


@pytest.mark.parametrize("p", [0.0501, 1.0])
def test_beats_permuted_labels_fails_above(p):
    found = probed("beats_permuted_labels", PERMUTED, permutation(p))
    assert found.status == "fail" and "other groups' labels about as well" in found.sentence


@pytest.mark.parametrize("values", [permutation(None), permutation(0.001, metric="point_ap"), {}])
def test_beats_permuted_labels_is_not_run_when_it_is_undefined(values):
    assert probed("beats_permuted_labels", PERMUTED, values).status == "not_run"


# --- permuted_retraining_fails ------------------------------------------------------------------------------------


def test_permuted_retraining_fails_passes_when_each_is_below():
    found = probed("permuted_retraining_fails", RETRAINED, retrained(0.8, 0.55, 0.79))
    assert (found.status, found.value, found.bound) == ("pass", [0.55, 0.79], 0.8)
    assert "after 120 steps" in found.sentence


@pytest.mark.parametrize("permuted", [(0.55, 0.81), (0.8, 0.5)])
def test_permuted_retraining_fails_fails_when_one_does_as_well(permuted):
    found = probed("permuted_retraining_fails", RETRAINED, retrained(0.8, *permuted))
    assert found.status == "fail" and "did as well as the true one" in found.sentence


@pytest.mark.parametrize(
    "values", [retrained(0.8, 0.5), retrained(0.8), retrained(None, 0.5, 0.5), retrained(0.8, 0.5, None)]
)
def test_permuted_retraining_fails_is_not_run_with_too_few_or_undefined(values):
    assert probed("permuted_retraining_fails", RETRAINED, values).status == "not_run"


# --- beats_untrained ----------------------------------------------------------------------------------------------


def beside(value, *others, **more):
    return finding(
        "beats_untrained", planted(evidence(UNTRAINED, untrained(*others)), results=results(value=value), **more)
    )


def test_beats_untrained_passes_above_the_best_of_five():
    found = beside(0.9, 0.4, 0.5, 0.6, 0.55, 0.45)
    assert (found.status, found.value, found.bound) == ("pass", 0.9, 0.6)


@pytest.mark.parametrize("best", [0.9, 0.95])
def test_beats_untrained_fails_when_one_scores_as_well(best):
    found = beside(0.9, 0.4, 0.5, best, 0.55, 0.45)
    assert found.status == "fail" and "best of 5 untrained networks" in found.sentence


@pytest.mark.parametrize("percent", [90, 95])
@pytest.mark.parametrize(
    ("interval", "status", "said"),
    [
        ([0.02, 0.4], "pass", "gain +0.020 to +0.400 ({} %, groups)"),
        ([-0.02, 0.4], "fail", "may be none"),
        ([0.0, 0.4], "fail", "may be none"),
        ([None, None], "not_run", "no interval of the gain"),
    ],
)
def test_beats_untrained_asks_for_a_gain_over_groups_where_the_evidence_has_one(percent, interval, status, said):
    """Of 90 % since version 3 of the probe, of 95 % in version 2."""
    values = untrained(0.4, 0.5, 0.6, 0.55, 0.45) | {
        "gains": {"frame_auroc": {"network": 2, "gain": 0.2, f"ci{percent}": interval}}
    }
    found = finding("beats_untrained", planted(evidence(UNTRAINED, values), results=results(value=0.8)))
    assert found.status == status and said.format(percent) in found.sentence


def test_beats_untrained_is_not_run_on_evidence_without_intervals_unless_an_untrained_network_does_as_well():
    """Version 1 of the probe had none: two single numbers decide nothing but that one is no higher."""
    values = {name: value for name, value in untrained(0.4, 0.5, 0.6, 0.55, 0.45).items() if name != "gains"}
    judged = [
        finding("beats_untrained", planted(evidence(UNTRAINED, values), results=results(value=one)))
        for one in (0.8, 0.6)
    ]
    assert [one.status for one in judged] == ["not_run", "fail"]


@pytest.mark.parametrize("others", [(), (0.5,) * 4, (0.5, 0.5, 0.5, 0.5, None), (None,) * 5])
def test_beats_untrained_is_not_run_below_five_defined_networks(others):
    assert beside(0.9, *others).status == "not_run"


def test_beats_untrained_is_not_run_without_a_score():
    assert beside(None, *(0.5,) * 5).status == "not_run"
    lame = planted(evidence(UNTRAINED, untrained(*(0.5,) * 5)))
    assert finding("beats_untrained", lame).status == "not_run"


# --- what settles it ----------------------------------------------------------------------------------------------

SUSPICIOUS = {"beats_untrained": "find what the untrained pipeline reads", "permuted_retraining_fails": "a way past"}


@pytest.mark.parametrize(
    ("value", "best", "interval", "chance", "suspicious"),
    [
        (0.844, 0.681, [-0.05, 0.4], 0.5, False),
        (0.0, 0.0, [0.0, 0.0], 0.0, False),
        (0.0, 0.0, [0.0, 0.0], None, False),
        (0.45, 0.51, [-0.1, 0.1], 0.5, False),
        (0.80, 0.90, [-0.2, 0.1], 0.5, True),
        (0.80, 0.90, [-0.2, 0.1], None, True),
    ],
)
def test_an_untrained_network_is_suspicious_only_where_it_scores_above_chance(
    value, best, interval, chance, suspicious
):
    values = untrained(best, *(0.0,) * 4) | {"gains": {"frame_auroc": {"network": 0, "gain": 0.1, "ci90": interval}}}
    found = finding(
        "beats_untrained", planted(evidence(UNTRAINED, values), results=results(value=value, chance=chance))
    )
    assert found.status == "fail"
    assert (SUSPICIOUS["beats_untrained"] in found.to_settle) is suspicious
    assert suspicious or ("train longer" in found.to_settle and "more groups" in found.to_settle)


@pytest.mark.parametrize(
    ("true", "permuted", "chance", "suspicious"),
    [
        (0.0, (0.0, 0.0), 0.0, False),
        (0.0, (0.0, 0.0), None, False),
        (0.48, (0.47, 0.51), 0.5, False),
        (0.8, (0.6, 0.82), 0.5, True),
        (0.8, (0.6, 0.82), None, True),
    ],
)
def test_a_permuted_retraining_is_suspicious_only_where_it_scores_above_chance(true, permuted, chance, suspicious):
    found = probed(
        "permuted_retraining_fails", RETRAINED, retrained(true, *permuted), results=results(value=true, chance=chance)
    )
    assert found.status == "fail"
    assert (SUSPICIOUS["permuted_retraining_fails"] in found.to_settle) is suspicious
    assert suspicious or ("train longer" in found.to_settle and "more groups" in found.to_settle)


@pytest.mark.parametrize(("best", "suspicious"), [(0.2, True), (0.55, False)])
def test_where_lower_is_better_above_chance_is_below_it(best, suspicious):
    found = finding(
        "beats_untrained",
        planted(evidence(UNTRAINED, untrained(best, *(0.9,) * 4)), results=results(value=0.6, chance=0.5), claim=LOWER),
    )
    assert found.status == "fail" and (SUSPICIOUS["beats_untrained"] in found.to_settle) is suspicious


# --- directions, claims, needs ------------------------------------------------------------------------------------


def test_where_lower_is_better_the_comparisons_turn_round():
    others = (0.4, 0.5, 0.6, 0.55, 0.45)
    assert beside(0.3, *others, claim=LOWER).status == "pass"
    assert beside(0.9, *others, claim=LOWER).status == "fail"
    assert probed("permuted_retraining_fails", RETRAINED, retrained(0.3, 0.5, 0.6), claim=LOWER).status == "pass"
    assert probed("permuted_retraining_fails", RETRAINED, retrained(0.7, 0.5, 0.6), claim=LOWER).status == "fail"


def test_each_claim_is_judged_by_its_own_metric():
    record = planted(evidence(PERMUTED, {**permutation(0.001), **permutation(0.5, metric="point_ap")}))
    assert finding("beats_permuted_labels", record).status == "pass"
    assert finding("beats_permuted_labels", record.about(POINT)).status == "fail"


@pytest.mark.parametrize(
    ("check", "probe", "values"),
    [
        ("beats_permuted_labels", PERMUTED, permutation(0.01)),
        ("permuted_retraining_fails", RETRAINED, retrained(0.8, 0.5, 0.5)),
        ("beats_untrained", UNTRAINED, untrained(*(0.5,) * 5)),
    ],
)
def test_without_its_probe_a_control_does_not_run(check, probe, values):
    assert_needs(check, probe, values, results=results())
