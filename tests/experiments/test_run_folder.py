from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest

from veritrain import catalog, config
from veritrain.errors import CheckpointError, RecordError, UsageError
from veritrain.experiments import run_folder
from veritrain.experiments.run_folder import (
    FREE_ON_RESUME,
    demand_same_data,
    environment,
    fingerprint_of,
    make_evidence_of,
    probes_of,
    refuse_changes,
    refuse_existing,
    valued,
)
from veritrain.probes.probe import FinishedRun
from veritrain.record import RecordWriter, RunFolder
from veritrain.tasks.options import RECIPES, JointRecipe


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def digest_of(card) -> str:
    return str(card["digest"])


def stored(folder: RunFolder, recipe: JointRecipe, digest: str = "a") -> None:
    config.dump(recipe, folder.recipe)
    folder.data.write_text(json.dumps({"digest": digest}), encoding="utf-8")


def test_a_folder_with_checkpoints_is_a_run(folder):
    refuse_existing(folder)
    (folder.checkpoints / "step-1").mkdir(parents=True)
    with pytest.raises(UsageError, match="this run exists"):
        refuse_existing(folder)


def test_every_free_key_is_a_key_of_every_recipe():
    for recipe in RECIPES.values():
        assert set(FREE_ON_RESUME) <= config.names_of(recipe)


def test_what_may_change_changes_no_fingerprint():
    recipe = JointRecipe(data="here")
    same = replace(recipe, data="there", epochs=99, workers=3, controls="none", loggers=["mlflow"])
    assert fingerprint_of(same, FREE_ON_RESUME) == fingerprint_of(recipe, FREE_ON_RESUME)
    for change in ({"seed": 1}, {"size": "s"}, {"balance": "gradnorm"}, {"shift": 0.1}):
        assert fingerprint_of(replace(recipe, **change), FREE_ON_RESUME) != fingerprint_of(recipe, FREE_ON_RESUME)


def test_a_resumed_run_keeps_its_recipe_and_its_data(folder):
    recipe = JointRecipe(data="here")
    refuse_changes(folder, recipe, {"digest": "a"}, free=FREE_ON_RESUME, digest_of=digest_of)
    stored(folder, recipe)
    refuse_changes(folder, replace(recipe, epochs=99), {"digest": "a"}, free=FREE_ON_RESUME, digest_of=digest_of)
    with pytest.raises(CheckpointError, match="the recipe changed") as caught:
        refuse_changes(folder, replace(recipe, imgsz=64), {"digest": "a"}, free=FREE_ON_RESUME, digest_of=digest_of)
    assert "imgsz = 160" in str(caught.value) and "imgsz = 64" in str(caught.value)
    with pytest.raises(RecordError, match="data set changed"):
        refuse_changes(folder, recipe, {"digest": "b"}, free=FREE_ON_RESUME, digest_of=digest_of)
    with pytest.raises(RecordError, match="data set changed"):
        demand_same_data(folder, {"digest": "b"}, digest_of)


def test_a_run_of_an_earlier_version_is_refused_by_the_keys_it_lacked(folder, monkeypatch):
    """Before anything is written; with equal hashes it goes on."""
    recipe = JointRecipe(data="here")
    stored(folder, recipe)
    lines = [line for line in folder.recipe.read_text(encoding="utf-8").splitlines() if not line.startswith("zoom")]
    folder.recipe.write_text("\n".join(lines) + "\n", encoding="utf-8")
    folder.checkpoints.mkdir()
    own = fingerprint_of(recipe, FREE_ON_RESUME)
    for saved in (own, "another"):
        state = {"recipe": {"fingerprint": saved}}
        monkeypatch.setattr(run_folder.checkpoints, "newest", lambda _, state=state: SimpleNamespace(state=state))
        if saved == own:
            refuse_changes(folder, recipe, {"digest": "a"}, free=FREE_ON_RESUME, digest_of=digest_of)
            continue
        with pytest.raises(CheckpointError, match="earlier version") as caught:
            refuse_changes(folder, recipe, {"digest": "a"}, free=FREE_ON_RESUME, digest_of=digest_of)
        assert "no zoom" in str(caught.value)


def test_controls_say_which_probes_run():
    assert probes_of("none") == () and probes_of("quick") == probes_of("full") == tuple(catalog.PROBES)


def test_a_score_alone_is_an_entry():
    assert valued({"map": 0.5, "f1": None}) == {"map": {"value": 0.5}, "f1": {"value": None}}


def test_the_environment_names_packages_and_no_person():
    found = environment()
    assert found["packages"]["torch"] and not {"user", "host", "hostname"} & set(found)


class Cheap:
    name, version, cost = "cheap_one", 1, "cheap"

    def values(self, run):
        return {}


class Training(Cheap):
    name, cost = "training_one", "training"

    def values(self, run):
        for seed in (None, 1000):
            run.fit_again(seed, run.control_steps)
        raise RuntimeError("broken")


def test_the_controls_tell_where_they_are(folder, monkeypatch, capsys):
    """A line when each begins and one when it ends; the trainings among them as well."""
    monkeypatch.setattr(catalog, "resolve", lambda kind, name: {"cheap_one": Cheap, "training_one": Training}[name])
    trained = []
    run = FinishedRun(**{
        **dict.fromkeys(one.name for one in fields(FinishedRun)), "folder": folder, "inputs_hash": "a",
        "control_steps": 432, "permuted_runs": 1, "fit_again": lambda seed, steps: trained.append((seed, steps)),
    })  # fmt: skip
    with RecordWriter(folder) as writer:
        make_evidence_of(run, writer, ("cheap_one", "training_one"))
    told = [re.sub(r"in [0-9.e-]+ s", "in T s", line) for line in capsys.readouterr().err.splitlines()]
    assert told == [
        "running the controls, 2 of them; among them 2 trainings of 432 steps",
        "control 1 of 2, cheap_one: begins",
        "control 1 of 2, cheap_one: done in T s",
        "control 2 of 2, training_one: begins",
        "  training 1 of 2, 432 steps, labels as they are: begins",
        "  training 1 of 2, 432 steps, labels as they are: done in T s",
        "  training 2 of 2, 432 steps, labels permuted: begins",
        "  training 2 of 2, 432 steps, labels permuted: done in T s",
        "control 2 of 2, training_one: crashed in T s RuntimeError: broken",
    ]
    assert trained == [(None, 432), (1000, 432)]
