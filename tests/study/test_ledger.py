"""What a study knows of its cells: what counts as finished, what is chosen, and what must not be compared."""

from __future__ import annotations

import json
from dataclasses import make_dataclass

import pytest

from study.studies import DIVERGED, TUNED, TWO_ARMS, entry, filled, loaded
from veritrain.errors import ConfigError, DataError, RecordError
from veritrain.study.ledger import Ledger, data_digest, paired_values, value_of
from veritrain.study.plan import Cell
from veritrain.tasks.options import AnomalyRecipe


@pytest.fixture
def study(tmp_path):
    return loaded(tmp_path)


def cell_of(study, arm="attention", seed=0) -> Cell:
    return Cell(configuration=study.arm(arm).configurations[0], seed=seed, stage="final")


def test_it_comes_back_as_it_was_with_a_line_a_cell(study, tmp_path):
    ledger = filled(study, tmp_path, {"attention": [0.5, float("nan")], "concat": [0.4]})
    ledger.register(study)
    ledger.save(study)
    again = Ledger(tmp_path)
    assert again.finished(cell_of(study)) == ledger.cells[cell_of(study).name]
    assert again.cells[cell_of(study, seed=1).name]["metrics"]["test"]["point_ap"]["value"] is None
    assert (again.recipes, again.registered) == (ledger.recipes, ledger.registered)
    lines = (tmp_path / "study.json").read_text().splitlines()
    assert sum(line.startswith(('"attention--', '"concat--')) for line in lines) == 3
    again.save(study)
    assert (tmp_path / "study.json").read_text().splitlines() == lines


def test_seconds_of_all_tries_are_added(study, tmp_path):
    ledger, cell = Ledger(tmp_path), cell_of(study)
    ledger.put(cell, {"status": "interrupted", "seconds": 5.0})
    assert ledger.finished(cell) is None and not ledger.is_settled(cell)
    ledger.put(cell, entry({"point_ap": 0.5}, seconds=7.0))
    assert ledger.finished(cell)["seconds"] == 12.0


@pytest.mark.parametrize(
    ("change", "finished"),
    [
        ({}, True),
        ({"epochs": 2}, False),  # another default today
        ({"fusion": "bilinear pooling"}, False),  # a value that nobody knows any more
        ({"forgotten_key": 1}, False),
    ],
)
def test_a_cell_counts_only_with_an_equal_recipe(study, tmp_path, change, finished):
    ledger = filled(study, tmp_path, {"attention": [0.5]})
    fingerprint = ledger.cells[cell_of(study).name]["recipe"]
    ledger.recipes[fingerprint].update(change)
    assert (ledger.finished(cell_of(study)) is not None) == finished


def test_a_key_that_came_later_makes_no_old_result_a_stranger(study, tmp_path):
    ledger = filled(study, tmp_path, {"attention": [0.5]})
    del ledger.recipes[ledger.cells[cell_of(study).name]["recipe"]]["dropout"]
    assert ledger.finished(cell_of(study)) is not None


def test_a_cell_from_before_the_frame_was_a_mean_is_not_todays(study, tmp_path):
    ledger = filled(study, tmp_path, {"attention": [0.5]})
    del ledger.recipes[ledger.cells[cell_of(study).name]["recipe"]]["frame_join"]
    assert ledger.finished(cell_of(study)) is None


def test_surroundings_are_not_kept(study, tmp_path):
    ledger = filled(study, tmp_path, {"attention": [0.5]})
    (recipe,) = ledger.recipes.values()
    assert "data" not in recipe and "threads" not in recipe and recipe["fusion"] == "attention"


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 99}', "\x00"])
def test_what_is_no_ledger_is_refused(tmp_path, text):
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(RecordError) as caught:
        Ledger(tmp_path)
    assert caught.value.exit_code == 66 and caught.value.file == str(tmp_path / "study.json")


# --- choosing -----------------------------------------------------------------------------------------------------


def tried(study, out, scores, seeds=(0,)) -> Ledger:
    """A ledger in which the attention arm's configurations have these validation scores."""
    ledger = Ledger(out)
    for one, score in zip(study.arm("attention").configurations, scores, strict=True):
        for seed in seeds:
            cell = Cell(configuration=one, seed=seed, stage="selection")
            ledger.put(cell, score if isinstance(score, dict) else entry({"point_ap": score}))
    return ledger


@pytest.mark.parametrize(
    ("scores", "direction", "chosen"),
    [
        ([0.5, 0.7, 0.6], "higher", "rate 0.01"),
        ([0.5, 0.7, 0.6], "lower", "rate 0.03"),
        ([0.5, 0.7, 0.7], "higher", "rate 0.01"),  # of equal ones the first
        ([0.5, None, 0.6], "higher", "rate 0.02"),
        ([0.5, DIVERGED, 0.4], "higher", "rate 0.03"),
        ([None, DIVERGED, None], "higher", None),
    ],
)
def test_the_best_on_validation_is_chosen(tmp_path, scores, direction, chosen):
    study = loaded(tmp_path, TUNED, selection={"metric": "point_ap", "direction": direction})
    found = tried(study, tmp_path, scores).choose(study)
    assert (found["attention"].name if "attention" in found else None) == chosen and "concat" not in found


def test_nothing_is_chosen_before_all_were_tried_or_while_one_failed_otherwise(tmp_path):
    study = loaded(tmp_path, TUNED)
    for last in ({**DIVERGED, "exit_code": 1}, {"status": "interrupted", "seconds": 1.0}):
        assert tried(study, tmp_path, [0.5, 0.7, last]).choose(study) == {}


def test_a_choice_stands_until_what_is_chosen_among_changes(tmp_path):
    study = loaded(tmp_path, TUNED)
    ledger = tried(study, tmp_path, [0.5, 0.7, 0.6])
    assert ledger.choose(study)["attention"].name == "rate 0.01"
    ledger.put(Cell(configuration=study.arm("attention").configurations[0], seed=0, stage="selection"),
               entry({"point_ap": 0.9}))  # fmt: skip
    assert ledger.choose(study)["attention"].name == "rate 0.01"
    other = loaded(tmp_path, TUNED, selection={"metric": "point_ap", "direction": "lower"})
    assert ledger.choose(other)["attention"].name == "rate 0.02"


def test_the_mean_over_selection_seeds_decides(tmp_path):
    study = loaded(tmp_path, TUNED, selection={"metric": "point_ap", "seeds": 2})
    ledger = tried(study, tmp_path, [0.6, 0.5, 0.4], seeds=(0, 1))
    best = Cell(configuration=study.arm("attention").configurations[1], seed=1, stage="selection")
    ledger.put(best, entry({"point_ap": 0.8}))
    assert ledger.choose(study)["attention"].name == "rate 0.01"
    assert ledger.choices["attention"]["scores"] == pytest.approx([0.6, 0.65, 0.4])


# --- comparing ----------------------------------------------------------------------------------------------------


def test_values_are_paired_by_seed(study, tmp_path):
    ledger = filled(study, tmp_path, {"attention": [0.5, 0.6, None, entry({"point_ap": None})], "concat": [0.4, None]})
    assert paired_values(study, ledger, study.primary) == [
        (0, 0.5, 0.4), (1, 0.6, None), (2, None, None), (3, None, None), (4, None, None), (5, None, None)]  # fmt: skip


def test_a_metric_of_several_is_their_mean():
    scores = entry({"a": 0.2, "b": 0.6, "c": None})
    assert value_of(scores, ("a", "b"), "test") == pytest.approx(0.4)
    assert value_of(scores, ("a", "c"), "test") is None and value_of(scores, ("a", "z"), "val") is None


@pytest.mark.parametrize("other", ["e" * 64, None])
def test_runs_of_different_data_are_not_compared(study, tmp_path, other):
    ledger = filled(study, tmp_path, {"attention": [0.5], "concat": [entry({"point_ap": 0.4}, data=other)]})
    with pytest.raises(DataError, match="not made on the same data") as caught:
        ledger.demand_one_data([cell_of(study), cell_of(study, "concat")])
    assert caught.value.exit_code == 65 and "concat--seed0" in caught.value.found
    ledger.demand_one_data([cell_of(study)])
    if other is None:
        with pytest.raises(DataError, match="no digest"):
            ledger.demand_one_data([cell_of(study, "concat")])


CARD = {"split_sha256": "s", "splits": {"train": {"groups": ["a"], "contents": ["1"], "positives": 3}}}


def test_the_digest_is_of_split_groups_contents_and_labels():
    digest = data_digest(CARD)
    assert digest == data_digest(json.loads(json.dumps({**CARD, "licence": "other"})))
    train = CARD["splits"]["train"]
    for change in ({"contents": ["2"]}, {"groups": ["b"]}, {"labels_sha256": "l"}, {"positives": 4}):
        assert data_digest({**CARD, "splits": {"train": {**train, **change}}}) not in (digest, None)
    assert data_digest({**CARD, "split_sha256": "t"}) not in (digest, None)
    assert data_digest({}) is None and data_digest({"splits": []}) is None


def test_the_primary_claim_is_fixed_once_a_cell_is_finished(study, tmp_path):
    changed = loaded(tmp_path, primary={**TWO_ARMS["primary"], "metric": "frame_auroc"})
    ledger = Ledger(tmp_path)
    ledger.register(study)
    ledger.register(changed)
    assert ledger.registered["claim"]["metric"] == "frame_auroc", "nothing was seen yet"
    ledger = filled(study, tmp_path, {"attention": [0.5]})
    ledger.register(study)
    with pytest.raises(ConfigError, match="primary claim changed"):
        ledger.register(changed)
    with pytest.raises(ConfigError, match="primary claim changed"):
        ledger.register(loaded(tmp_path, alpha=0.1))


def test_a_change_of_seeds_is_kept(study, tmp_path):
    ledger = filled(study, tmp_path, {"attention": [0.5]})
    ledger.register(study)
    ledger.register(loaded(tmp_path, seeds=8))
    (change,) = ledger.registered["changes"]
    assert (len(change["from"]), len(change["to"]), change["finished_before"]) == (6, 8, 1)
    ledger.register(loaded(tmp_path, seeds=8))
    assert len(ledger.registered["changes"]) == 1


def test_a_later_recipe_class_with_more_keys_reads_the_ledger(study, tmp_path, monkeypatch):
    ledger = filled(study, tmp_path, {"attention": [0.5]})
    ledger.save(study)
    later = make_dataclass("Later", [("novelty", int, 3)], bases=(AnomalyRecipe,), frozen=True, kw_only=True)
    monkeypatch.setattr("veritrain.study.plan.RECIPES", {"anomaly": later})
    again = loaded(tmp_path)
    assert Ledger(tmp_path).finished(cell_of(again)) is not None
    changed = loaded(tmp_path, base={**TWO_ARMS["base"], "novelty": 4})
    assert Ledger(tmp_path).finished(cell_of(changed)) is None
