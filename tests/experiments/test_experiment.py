"""The sequence of a run, on a toy task that writes little more than it must."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.toy import ToySet, ToyTask
from veritrain import config
from veritrain.errors import CheckpointError, ConfigError, DataError, RecordError, UsageError
from veritrain.experiments.experiment import Experiment, Prepared
from veritrain.experiments.run_folder import FREE_ON_RESUME
from veritrain.losses.options import STATIC
from veritrain.record import Claim, RecordWriter, RunFolder, read_run, sha256_of
from veritrain.tasks.recipe import Recipe
from veritrain.training import checkpoint as checkpoints
from veritrain.training.checkpoint import Checkpoint
from veritrain.training.evaluate import predict_set


@dataclass(frozen=True, kw_only=True)
class ToyRecipe(Recipe):
    """A toy."""

    epochs: int = 2
    batch_size: int = 8
    learning_rate: float = 0.01
    clip_norm: float = 0.0
    control_steps: int = 3
    samples: int = 24
    start: str = ""
    idle: int = 0
    controls: str = "none"  # type: ignore[assignment]


class LabelledToys(ToySet):
    """Toys with labels that can be asked for, and remember by which seeds they were permuted."""

    def __init__(self, samples: int) -> None:
        super().__init__(samples)
        self.permuted: list[int] = []

    def label_of(self, index: int) -> bytes:
        return bytes([index % 2])

    def with_permuted_labels(self, label_seed: int) -> LabelledToys:
        self.permuted.append(label_seed)
        return self


class ScoredToy(ToyTask):
    """The toy with answers and a score; ``threshold`` stands for what a task chooses on validation."""

    claims = (Claim(metric="accuracy", split="test"),)

    def __init__(self, start: str = "", threshold: float | None = None) -> None:
        super().__init__()
        self.start, self.threshold = start, threshold

    def model(self) -> torch.nn.Module:
        if self.start and not Path(self.start).is_file():
            raise CheckpointError("the file to start from has gone", file=self.start)
        return super().model()

    def predict(self, output, batch):
        return {"scores": output["logit"].numpy(), "labels": batch["label"].numpy(), "index": batch["index"].numpy()}

    def score(self, predictions):
        return {"accuracy": float(((predictions["scores"] > 0) == predictions["labels"]).mean())}


@dataclass(frozen=True, kw_only=True)
class ToyData:
    """As many samples in each part as the recipe says."""

    sets: Mapping[str, LabelledToys]
    card: Mapping[str, Any]
    held: str = "held nowhere"
    test_groups: tuple[str, ...] = ()


PreparedToy = Prepared[ToyRecipe, ToyData, ScoredToy]


@dataclass
class ToyExperiment(Experiment[ToyRecipe, ToyData, ScoredToy]):
    """Only what a task must write; ``told`` keeps what it was asked for."""

    told: list[Any] = field(default_factory=list)
    RECIPE = ToyRecipe

    def open(self, recipe):
        sets = {part: LabelledToys(recipe.samples) for part in ("train", "val", "test")}
        card = {"split_sha256": "s", "samples": recipe.samples, "data": recipe.data}
        self.told.append("open")
        return ToyData(sets=sets, card=card), ScoredToy(recipe.start)

    def digest_of(self, card):
        return f"samples {card['samples']}"

    def about(self, prepared):
        return {"classes": ["low", "high"]}

    def scored(self, prepared, model):
        return prepared, predict_set(prepared.task, model, prepared.data.sets["test"])

    def results_of(self, prepared, model):
        self.told.append({name: value.clone() for name, value in model.state_dict().items()})
        _, predictions = self.scored(prepared, model)
        accuracy = prepared.task.score(predictions)["accuracy"]
        metrics = {"accuracy": {"value": accuracy, "n": len(predictions["labels"])}}
        return {"metrics": metrics, "selection": {"threshold": 0.25}}, predictions

    def write_predictions(self, prepared, predictions, folder):
        self.told.append("write_predictions")

    def write_gallery(self, prepared, predictions, folder):
        self.told.append(("write_gallery", prepared.task.threshold))

    def flip_labels(self, batch, data):
        return {**batch, "label": 1 - batch["label"]}

    def exchanged(self, data, name):
        self.told.append(("exchanged", name))
        return data.sets["val"]


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def recipe(**changes: Any) -> ToyRecipe:
    return ToyRecipe(data="toys", threads=1, **changes)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def was_scored(experiment: ToyExperiment, checkpoint: Checkpoint) -> bool:
    """Whether results were made with these weights."""
    (weights,) = [one for one in experiment.told if isinstance(one, dict)]
    return all(torch.equal(value, weights[name]) for name, value in checkpoint.weights().items())


def test_a_task_that_writes_what_it_must_makes_a_whole_run(folder):
    experiment, epochs = ToyExperiment(), []
    experiment.run(recipe(), folder, after_epoch=lambda: epochs.append(1))
    for name in ("recipe", "record", "train_log", "data", "results", "environment"):
        assert getattr(folder, name).stat().st_size > 0, name
    record = read_run(folder.path)
    assert record.events[0]["event"] == "start" and record.events[0]["task"] == "toy"
    assert record.events[-1] == {**record.events[-1], "event": "end", "status": "done"}
    looks = [(look["split"], look["purpose"]) for look in record.of("look")]
    assert looks[-2:] == [("val", "threshold"), ("test", "final evaluation")]
    assert {split for split, _ in looks[:-2]} == {"val"}, "test is looked at once"
    assert "held nowhere" in folder.train_log.read_text(encoding="utf-8") and len(epochs) == 2
    order = [one if isinstance(one, str) else one[0] for one in experiment.told if not isinstance(one, dict)]
    assert order == ["open", "write_predictions", "write_gallery"]


def test_what_is_scored_is_the_best_checkpoint(folder):
    experiment = ToyExperiment()
    experiment.run(recipe(), folder)
    best = checkpoints.best(folder)
    assert was_scored(experiment, best)
    results = read(folder.results)
    assert results["checkpoint"]["sha256"] == best.weights_sha256
    scored = [row.value for row in read_run(folder.path).rows if (row.name, row.split) == ("accuracy", "test")]
    assert scored == [results["metrics"]["accuracy"]["value"]]
    assert best.state["about"] == {"classes": ["low", "high"]}
    expected = {"fingerprint": experiment.fingerprint(recipe()), "data": "samples 24"}
    assert best.state["recipe"] == {**best.state["recipe"], **expected}


@pytest.mark.parametrize(("higher", "epoch"), [(False, 1), (True, 2)])
def test_a_task_may_choose_the_checkpoint_by_a_score_of_its_own(folder, higher, epoch):
    class Counting(ToyExperiment):
        def selected_by(self, task):
            return "validations", higher

        def validation_scores(self, task, predictions):
            self.told.append("validated")
            return {**task.score(predictions), "validations": float(self.told.count("validated"))}

    experiment = Counting()
    experiment.run(recipe(), folder)
    assert read(folder.results)["checkpoint"]["epoch"] == epoch
    assert was_scored(experiment, checkpoints.best(folder)), "not the weights of the last step"
    names = {row.name for row in read_run(folder.path).rows if row.split == "val"}
    assert {"accuracy", "validations"} <= names


def test_by_itself_the_headline_claim_chooses():
    task = ScoredToy()
    assert ToyExperiment().selected_by(task) == ("accuracy", True)
    assert ToyExperiment().validation_scores(task, {"scores": np.ones(4), "labels": np.array([1, 1, 1, 0])}) == {
        "accuracy": 0.75
    }
    assert ToyExperiment().balance_of(recipe()) is STATIC


def test_pictures_show_the_run_as_it_was_scored(folder):
    class Chosen(ToyExperiment):
        def as_scored(self, prepared, results):
            return replace(prepared, task=ScoredToy(threshold=results["selection"]["threshold"]))

        def results_of_training(self, folder):
            return {"steps": len(read_run(folder.path).of("term"))}

    experiment = Chosen()
    experiment.run(recipe(), folder)
    assert ("write_gallery", 0.25) in experiment.told
    assert list(read(folder.results))[-2:] == ["checkpoint", "steps"] and read(folder.results)["steps"] > 0


def test_a_key_that_nothing_reads_ends_the_run_with_its_name(folder):
    with pytest.raises(ConfigError, match="nothing read") as caught:
        ToyExperiment().run(recipe(idle=1), folder)
    assert caught.value.found == "idle"
    assert not [line for line in read_run(folder.path).events if line["event"] == "end" and line["status"] == "done"]


def test_what_the_data_cannot_give_is_refused_before_anything_is_written(folder):
    class Demanding(ToyExperiment):
        def demand(self, prepared):
            raise DataError("no normal toys", expected="some", found=str(prepared.recipe.samples))

    with pytest.raises(DataError, match="no normal toys"):
        Demanding().run(recipe(), folder)
    assert not folder.recipe.exists() and not folder.data.exists() and not folder.checkpoints.exists()


def test_a_run_goes_on_with_more_epochs_and_with_nothing_else(folder):
    ToyExperiment().run(recipe(), folder)
    with pytest.raises(UsageError, match="this run exists"):
        ToyExperiment().run(recipe(), folder)
    before = folder.recipe.read_bytes(), folder.record.read_bytes()
    with pytest.raises(CheckpointError, match="the recipe changed"):
        ToyExperiment().run(recipe(learning_rate=0.02), folder, resume=True)
    assert before == (folder.recipe.read_bytes(), folder.record.read_bytes())
    ToyExperiment().run(recipe(epochs=3), folder, resume=True)
    starts = read_run(folder.path).of("start")
    assert [start["resumed"] for start in starts] == [False, True]
    assert checkpoints.newest(folder).state["place"]["step"] == 9, "three epochs of three steps"


def test_what_may_change_is_the_task_s_to_extend(folder):
    class Free(ToyExperiment):
        FREE_ON_RESUME = (*FREE_ON_RESUME, "batch_size")

    one, other = recipe(), recipe(batch_size=4)
    assert Free().fingerprint(one) == Free().fingerprint(other)
    assert ToyExperiment().fingerprint(one) != ToyExperiment().fingerprint(other)


def test_a_reopened_run_gives_the_same_scores_and_refuses_other_data(folder):
    experiment = ToyExperiment()
    experiment.run(recipe(), folder)
    prepared, model = experiment.reopen(folder)
    assert prepared.recipe == config.load(ToyRecipe, folder.recipe)
    stored = read(folder.results)["metrics"]["accuracy"]["value"]
    assert experiment.plain_scores(prepared, model) == {"metrics": {"accuracy": {"value": stored}}}
    text = folder.recipe.read_text(encoding="utf-8")
    folder.recipe.write_text(text.replace("samples: 24", "samples: 23"), encoding="utf-8")
    with pytest.raises(RecordError, match="data set changed"):
        experiment.reopen(folder)


class Started(ToyExperiment):
    """Fresh networks start from a file."""

    def start_digests(self, prepared):
        return {"start": sha256_of(Path(prepared.recipe.start)) if prepared.recipe.start else None}

    def without_start(self, recipe):
        return replace(recipe, start="")

    def with_start(self, prepared, best):
        self.told.append(best.state["recipe"]["start"])
        return replace(prepared, task=ScoredToy(prepared.recipe.start))


def test_a_run_that_started_from_a_file_opens_without_it_and_goes_on_with_no_other(folder, tmp_path):
    file, experiment = tmp_path / "start", Started()
    file.write_text("one", encoding="utf-8")
    digest = sha256_of(file)
    experiment.run(recipe(start=str(file)), folder)
    assert checkpoints.best(folder).state["recipe"]["start"] == digest
    file.write_text("another", encoding="utf-8")
    with pytest.raises(CheckpointError, match="start"):
        experiment.run(recipe(start=str(file), epochs=3), folder, resume=True)
    file.unlink()
    prepared, _ = experiment.reopen(folder)
    assert prepared.recipe.start == prepared.task.start == str(file) and experiment.told[-1] == digest
    with pytest.raises(CheckpointError, match="has gone"):
        prepared.task.model()


def test_probes_get_the_steps_of_the_task(folder):
    experiment = ToyExperiment()
    experiment.run(recipe(), folder)
    prepared, model = experiment.reopen(folder)
    prepared, predictions = experiment.scored(prepared, model)
    run = experiment.finished_run(prepared, model, predictions, folder)
    sets = prepared.data.sets
    assert (run.train, run.val, run.test) == (sets["train"], sets["val"], sets["test"])
    assert run.label_of("val", 3) == b"\x01" and run.inputs_hash == read_run(folder.path).basis()
    blank = run.blank("image")
    assert experiment.told[-1] == ("exchanged", "image")
    assert np.array_equal(blank["scores"], predict_set(prepared.task, model, sets["val"])["scores"])
    assert torch.equal(run.flip_labels({"label": torch.tensor([0, 1])})["label"], torch.tensor([1, 0]))
    assert [run.fit_again(seed, 1).training for seed in (None, 7)] and sets["train"].permuted == [7]


def test_no_probe_is_no_look_at_test(folder):
    experiment = ToyExperiment()
    experiment.run(recipe(), folder)
    prepared, model = experiment.reopen(folder)
    _, predictions = experiment.scored(prepared, model)
    with RecordWriter(folder) as writer:
        experiment.make_evidence(prepared, model, predictions, folder, writer, names=())
        assert "controls" not in [look["purpose"] for look in read_run(folder.path).of("look")]
        experiment.make_evidence(prepared, model, predictions, folder, writer, names=("labels_read_twice",))
    record = read_run(folder.path)
    assert [look["purpose"] for look in record.of("look")].count("controls") == 1
    assert set(record.evidence) == {"labels_read_twice"}


def test_every_number_of_the_recipe_that_the_loop_knows_reaches_it():
    chosen = {
        "epochs": 3, "batch_size": 5, "accumulate": 2, "optimiser": "sgd", "learning_rate": 0.5, "weight_decay": 0.1,
        "momentum": 0.8, "schedule": "step", "warmup_steps": 7, "clip_norm": 2.0, "precision": "16-mixed",
        "channels_last": True, "compile": "default", "ema_decay": 0.9, "workers": 1, "prefetch": 3, "seed": 4,
        "keep_checkpoints": 5, "max_seconds": 9.0, "validate_every": 2, "patience": 6,
    }  # fmt: skip
    options = ToyExperiment().loop_options(recipe(**chosen, checkpoint_every=8))
    assert {name: getattr(options, name) for name in chosen} == chosen and options.checkpoint_every_steps == 8
    off = ToyExperiment().loop_options(recipe())
    assert off.clip_norm is off.max_seconds is off.patience is off.checkpoint_every_steps is None


def test_the_steps_stand_in_the_page_on_adding_a_task():
    page = (Path(__file__).parents[2] / "docs" / "add_a_task.md").read_text(encoding="utf-8")
    sequence = {"run", "prepare", "fingerprint", "plain_scores", "finished_run", "make_evidence", "reopen"}
    steps = {name for name, value in vars(Experiment).items() if callable(value) and not name.startswith("_")}
    assert steps - sequence >= Experiment.__abstractmethods__
    assert not [name for name in sorted(steps - sequence) if f"`{name}" not in page]
