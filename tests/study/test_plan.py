"""Study files: what they become, and everything that is refused before a cell runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from study.studies import TUNED, TWO_ARMS, loaded, written
from veritrain import cli, config
from veritrain.errors import ConfigError
from veritrain.statistics.power import seeds_for_power
from veritrain.study import plan
from veritrain.study.plan import load_study, recipe_of, told, words_of
from veritrain.tasks.options import RECIPES, AnomalyRecipe

ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_study_becomes_arms_times_seeds(tmp_path):
    study = loaded(tmp_path)
    cells = [*study.final_cells({arm.name: arm.configurations[0] for arm in study.arms})]
    assert [(cell.configuration.arm, cell.seed) for cell in cells] == [
        (arm, seed) for seed in range(6) for arm in ("attention", "concat")
    ]
    assert not [*study.selection_cells()] and study.needed == 6
    assert cells[0].configuration.recipe == AnomalyRecipe(
        data="data", fusion="attention", learning_rate=0.01, epochs=1, controls="none"
    )


def test_configurations_are_tried_first_and_the_seeds_that_follow_are_fresh(tmp_path):
    study = loaded(tmp_path, TUNED, selection={"metric": "point_ap", "seeds": 2})
    cells = [*study.selection_cells()]
    assert len(cells) == 2 * 2 * 3 and {cell.seed for cell in cells} == {0, 1}
    assert study.seeds == (2, 3, 4, 5, 6, 7)
    assert {cell.configuration.recipe.learning_rate for cell in cells} == {0.01, 0.02, 0.03}


@pytest.mark.parametrize(
    ("given", "asked", "seeds"),
    [("needed", None, range(6)), (9, None, range(9)), ([4, 7], None, (4, 7)), ([4, 7], 1, (4,)), (9, 2, range(2))],
)
def test_seeds(tmp_path, given, asked, seeds):
    assert load_study(written(tmp_path, seeds=given), seeds=asked).seeds == tuple(seeds)


def test_a_declared_spread_asks_for_power(tmp_path):
    primary = {**TWO_ARMS["primary"], "minimal_effect": 0.02, "spread": 0.02}
    study = loaded(tmp_path, primary=primary)
    assert study.needed == seeds_for_power(1.0, power=0.8) == len(study.seeds) == 10


def test_the_words_of_a_cell_give_its_recipe_back(tmp_path):
    base = {"learning_rate": 1e-3, "epochs": 2, "augment": "none", "unfreeze": [], "compile": "none",
            "channels_last": True}  # fmt: skip
    study = loaded(tmp_path, base=base, cell_seconds=20)
    cell = next(study.final_cells({"attention": study.arms[0].configurations[0]}))
    words = words_of(cell, "anomaly", Path("some where"), 2)
    assert words[:2] == ["train", "anomaly"] and "--channels_last=true" in words
    parser = cli._parser("train anomaly", "A test.", "veritrain train")
    config.add_recipe(parser, AnomalyRecipe)
    given = config.build(AnomalyRecipe, cli._parse(parser, words[2:]))
    assert given == recipe_of(cell, Path("some where"), 2)
    assert (given.data, given.threads, given.max_seconds, given.channels_last) == ("some where", 2, 20.0, True)


def names(study) -> list[str]:
    return [cell.name for cell in study.final_cells({arm.name: arm.configurations[0] for arm in study.arms})]


def test_the_name_of_a_cell_says_what_is_computed_and_nothing_else(tmp_path):
    before = names(loaded(tmp_path))
    assert len(set(before)) == len(before) and before[0].startswith("attention--seed0--")
    same = loaded(tmp_path, threads=2, processes=1, alpha=0.01, descriptive=[TWO_ARMS["primary"]], seeds=6)
    assert names(same) == before
    for change in ({"base": {"learning_rate": 0.02, "epochs": 1}}, {"controls": "quick"}, {"cell_seconds": 5.0}):
        assert not set(names(loaded(tmp_path, **change))) & set(before), change


@pytest.mark.parametrize("key", plan.SURROUNDINGS)
def test_surroundings_are_recipe_keys_that_decide_nothing(key):
    assert key in config.names_of(AnomalyRecipe)


def test_recipes_differ_in_what_is_computed():
    recipe = AnomalyRecipe(data="a")
    assert plan.changed_keys(recipe, replace(recipe, data="b", seed=3, threads=4, workers=2)) == []
    assert plan.changed_keys(recipe, replace(recipe, epochs=3, fusion="late")) == ["epochs", "fusion"]


def test_a_world_has_a_folder_of_its_own(tmp_path):
    study = loaded(tmp_path, data={"world": "driving", "scenarios": 12})
    other = loaded(tmp_path, data={"world": "driving", "scenarios": 13})
    assert study.world == ("driving", {"scenarios": 12})
    assert study.data_in(tmp_path) != other.data_in(tmp_path) and study.data_in(tmp_path).parent == tmp_path


def test_metrics_in_words():
    assert (told("a"), told(["a"]), told(["a", "b", "c"])) == ("a", "a", "mean of a, b and c")


def test_data_of_the_command_line_take_the_place_of_those_of_the_file(tmp_path):
    """And the file as it is kept names neither: it must not claim data that the cells were not made on."""
    for given in ({"world": "driving", "scenarios": 12}, "data/streets", ""):
        study = load_study(written(tmp_path, data=given), data="else where")
        assert study.world is None and study.data_in(tmp_path) == Path("else where") and study.file.data == ""
        config.dump(study.file, tmp_path / "copy.yaml")
        assert load_study(tmp_path / "copy.yaml", data="else where") == study
    assert names(study) == names(loaded(tmp_path)), "what a cell computes has the same name"


def test_the_copy_in_the_folder_is_the_same_study(tmp_path):
    study = loaded(tmp_path, TUNED, data={"world": "driving", "scenarios": 12}, descriptive=[TWO_ARMS["primary"]])
    config.dump(study.file, tmp_path / "copy.yaml")
    assert load_study(tmp_path / "copy.yaml") == study


# --- refused ------------------------------------------------------------------------------------------------------


def arms(**changes: Any) -> dict[str, Any]:
    return {"arms": {**TWO_ARMS["arms"], **changes}}


def claim(**changes: Any) -> dict[str, Any]:
    return {**TWO_ARMS["primary"], **changes}


WAYS = {"one": {"learning_rate": 0.02}, "two": {"learning_rate": 0.03}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sedes": 3}, "did you mean 'seeds'"),
        ({"task": "anomlay"}, "did you mean 'anomaly'"),
        ({"seeds": "need"}, "did you mean 'needed'"),
        ({"family": "bonferroni"}, "holm"),
        ({"seeds": 0}, "at least 1"),
        ({"seeds": [1, 1]}, "not fresh"),
        ({"data": {"world": "drivin"}}, "did you mean 'driving'"),
        ({"data": {"scenarios": 12}}, "no world to make"),
        ({"data": ""}, "--data FOLDER"),
        ({"base": {"learning_rat": 1}}, "did you mean 'learning_rate'"),
        ({"base": {"seed": 1}}, "the study sets seed itself"),
        ({"base": {"epochs": "many"}}, "many"),
        ({"base": 3}, "base: expected keys and their values, found 3"),
        ({"name": "a/b"}, "not a name"),
        (arms(**{"../x": {}}), "not a name of an arm"),
        (arms(late=None), "no mapping under 'late'"),
        (arms(late={"option": {}}), "did you mean 'options'"),
        (arms(late={"options": {"fusion": "lte"}}), "did you mean 'late'"),
        (arms(late={"options": {"max_seconds": 9}}), "cell_seconds"),
        (arms(late={"configurations": WAYS}), "nothing that chooses"),
        (arms(late={"configurations": {"one": {"learn": 1}, "two": {}}}), "learn"),
        (arms(late={"configurations": {"one": 1, "two": {}}}), "no mapping under 'one'"),
        (arms(late={"select_by": ["point_ap"]}), "nothing to select"),
        ({"arms": {"attention": {}}, "primary": claim(b="attention")}, "never better than itself|at least 2 arms"),
        (arms(**{"Concat": {}}), "one name"),
        ({"selection": {"metric": "point_ap"}}, "nothing to select"),
        ({**arms(late={"configurations": WAYS}), "selection": {"metric": "x", "seed": 1}}, "did you mean 'seeds'"),
        (
            {**arms(late={"configurations": {"one": {}, "two": {"epochs": 1}}}), "selection": {"metric": "x"}},
            "tries one recipe twice",
        ),
        ({"primary": claim(a="atention")}, "did you mean 'attention'"),
        ({"primary": claim(b="attention")}, "never better than itself"),
        ({"primary": claim(metrc="x")}, "did you mean 'metric'"),
        ({"primary": claim(direction="up")}, "direction"),
        ({"primary": claim(minimal_effect=-1)}, "minimal_effect"),
        ({"primary": claim(spread=0.1)}, "minimal_effect beside a spread"),
        ({"primary": claim(spread=1.0, minimal_effect=0.01)}, "would not show"),
        ({"descriptive": [{"a": "attention", "b": "concat", "metrik": "x"}]}, "did you mean 'metric'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, changes, said):
    with pytest.raises(ConfigError, match=said) as caught:
        loaded(tmp_path, **changes)
    assert caught.value.exit_code == 64 and caught.value.file == str(tmp_path / "study.yaml")


def test_an_unknown_key_has_its_line(tmp_path):
    path = written(tmp_path, **arms(late={"options": {"fusion": "late", "drop": 0.1}}))
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "drop:" in text)
    with pytest.raises(ConfigError) as caught:
        load_study(path)
    assert caught.value.line == line


def test_what_yaml_takes_for_something_else_is_no_name(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(written(tmp_path).read_text().replace("  concat:\n", "  no:\n", 1))
    with pytest.raises(ConfigError, match=r"not a name of an arm|arms"):
        load_study(path)


def test_no_such_file(tmp_path):
    with pytest.raises(ConfigError, match="no such recipe"):
        load_study(tmp_path / "nothing.yaml")


# --- the files that are shipped -----------------------------------------------------------------------------------


def test_the_example_is_a_study():
    study = load_study(ROOT / "examples" / "study.yaml")
    assert len(study.seeds) >= study.needed and study.file.task == "anomaly"


@dataclass(frozen=True, kw_only=True)
class AnnouncedJoint:
    """The options that the joint task was announced with; its own recipe takes their place once it exists.

    Attributes:
        data: a data set.
    """

    data: str
    seed: int = 0
    balance: Literal["static", "gradnorm", "upgrad", "pcgrad", "uncertainty"] = "static"
    balance_alpha: float = 1.5
    balance_rate: float = 0.025
    detection_weight: float = 1.0
    view_weight: float = 1.0
    tasks: Literal["both", "detection", "view"] = "both"
    dual: bool = False
    size: Literal["n", "s", "m", "l", "x"] = "n"
    imgsz: int = 320
    epochs: int = 20
    learning_rate: float = 0.01
    max_seconds: float = 0.0
    controls: Literal["none", "quick", "full"] = "quick"
    threads: int = 0
    cache: str = ""


@pytest.fixture
def joint(monkeypatch) -> Mapping[str, Any]:
    """The joint task's recipe and the echo world, as they are or as they were announced."""
    monkeypatch.setattr(plan, "RECIPES", {"joint": AnnouncedJoint, **RECIPES})
    monkeypatch.setattr(plan.catalog, "WORLDS", {"echo": "", **plan.catalog.WORLDS})
    return plan.RECIPES


def test_the_study_of_balancers_has_equal_budgets_and_one_primary_claim(joint):
    study = load_study(ROOT / "recipes" / "joint-balance.yaml")
    tried = {arm.name: len(arm.configurations) for arm in study.arms}
    assert set(tried.values()) == {5} and len(tried) == 8
    rates = [(one.recipe.balance_alpha, one.recipe.balance_rate) for one in study.arm("gradnorm").configurations]
    usual = rates[0][1]
    assert len(set(rates)) == 5 and len({alpha for alpha, rate in rates if rate == usual}) == 3
    assert {alpha for alpha, rate in rates if rate != usual} == {1.5}
    static = study.arm("static").configurations
    ratios = [one.recipe.detection_weight / one.recipe.view_weight for one in static]
    assert ratios == pytest.approx([100, 30, 10, 3, 1], rel=1e-4), "towards detection, whose gains are small"
    assert all(one.recipe.detection_weight + one.recipe.view_weight == pytest.approx(2, abs=1e-6) for one in static)
    assert all(
        [one.options for one in study.arm(arm).configurations] == [{**one.options, "balance": arm} for one in static]
        for arm in ("upgrad", "pcgrad", "uncertainty")
    )
    assert (study.primary.a, study.primary.b) == ("gradnorm", "static") and len(study.seeds) >= study.needed
    assert all(
        one.recipe.max_seconds <= 90 and one.recipe.imgsz == 160 for arm in study.arms for one in arm.configurations
    )
    one_recipe = {config.fingerprint(one.recipe) for arm in study.arms for one in arm.configurations}
    assert len(one_recipe) == 40


def test_the_study_of_real_frames_asks_the_same_and_names_no_folder(joint):
    made, real = (ROOT / "recipes" / f"{name}.yaml" for name in ("joint-balance", "joint-balance-real"))
    assert "data" not in config.read_mapping(real)
    with pytest.raises(ConfigError, match="no data to study"):
        load_study(real)
    one, other = load_study(made), load_study(real, data="somewhere")
    for key in ("arms", "primary", "descriptive", "family", "selection", "alpha", "metrics", "controls"):
        assert getattr(one.file, key) == getattr(other.file, key), key
    assert all(way.recipe.on_broken == "skip" and not way.recipe.max_seconds for way in other.arms[0].configurations)
