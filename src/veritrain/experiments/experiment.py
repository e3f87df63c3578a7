"""From a recipe to a judged run folder: the sequence that all tasks share, and the steps in which they differ.

``Experiment.run`` is the sequence. A task subclasses it, writes the abstract steps, and of the others those in which it
differs.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import nn

from veritrain import config
from veritrain.errors import ConfigError
from veritrain.experiments.data_folder import opening
from veritrain.experiments.run_folder import (
    EXCUSED,
    FREE_ON_RESUME,
    PERMUTED_RUNS,
    demand_same_data,
    environment,
    fingerprint_of,
    make_evidence_of,
    probes_of,
    refuse_changes,
    refuse_existing,
    scored_checkpoint,
    tell_start,
    valued,
)
from veritrain.experiments.short import short_training
from veritrain.losses.options import STATIC, BalanceOptions
from veritrain.probes.probe import FinishedRun, hash_of
from veritrain.record import RecordWriter, RunFolder, write_json
from veritrain.tasks.recipe import Recipe
from veritrain.tasks.task import Batch, Dataset, Predictions, Scores, Task
from veritrain.training import checkpoint as checkpoints
from veritrain.training.checkpoint import Checkpoint
from veritrain.training.engine import native_precision
from veritrain.training.evaluate import predict_set
from veritrain.training.loggers.logger import demand_loggers, start_loggers
from veritrain.training.loop import fit
from veritrain.training.optimise import demand_prefixes
from veritrain.training.options import LoopOptions


class LabelledSet(Dataset, Protocol):
    """A split whose labels can be read alone, and exchanged between groups."""

    def label_of(self, index: int) -> bytes: ...

    def with_permuted_labels(self, label_seed: int) -> Dataset: ...


class RunData(Protocol):
    """What a run asks of its data.

    Attributes:
        sets: train, val and test, labels as this run reads them.
        card: the content of ``data.json``.
        held: a sentence: where the samples are held, and why.
        test_groups: the group of each test sample.
    """

    @property
    def sets(self) -> Mapping[str, LabelledSet]: ...

    @property
    def card(self) -> Mapping[str, Any]: ...

    @property
    def held(self) -> str: ...

    @property
    def test_groups(self) -> Sequence[str]: ...


R = TypeVar("R", bound=Recipe)
D = TypeVar("D", bound=RunData)
T = TypeVar("T", bound=Task)


@dataclass(frozen=True, kw_only=True)
class Prepared(Generic[R, D, T]):
    """What a recipe becomes before any training."""

    recipe: R
    data: D
    task: T


class Experiment(ABC, Generic[R, D, T]):
    """A task's run. First the sequence, then the steps that a task must write, then those that it may.

    Attributes:
        RECIPE: the class of the task's recipe.
        FREE_ON_RESUME: its keys that may change when a run goes on.
    """

    RECIPE: ClassVar[type[Any]]
    FREE_ON_RESUME: ClassVar[tuple[str, ...]] = FREE_ON_RESUME

    # --- the sequence ---------------------------------------------------------------------------------------------

    def run(
        self, recipe: R, folder: RunFolder, *, resume: bool = False, after_epoch: Callable[[], None] = lambda: None
    ) -> None:
        """Train, evaluate and make the evidence; the folder then holds all that a verdict needs.

        Raises:
            RunInUseError, NonFiniteError, Interrupted, StorageError, DataError: as their names say; what was saved
                stays.
            UnconnectedTaskError: the loss of a task does not reach the network.
        """
        demand_loggers(recipe.loggers)
        with RecordWriter(folder) as writer:
            if not resume:
                refuse_existing(folder)
            tracked = config.Tracked(recipe)
            prepared = self.prepare(tracked)  # type: ignore[arg-type]
            self.demand(prepared)
            if resume:
                self.refuse_changes(prepared, recipe, folder)
            # What does not fit (weights, frozen parts, numbers of the loop) is refused before anything is written.
            options = self.loop_options(prepared.recipe)
            torch.manual_seed(recipe.seed)
            model = prepared.task.model()
            demand_prefixes(model, options.unfreeze)
            config.dump(recipe, folder.recipe)
            write_json(folder.environment, environment())
            write_json(folder.data, prepared.data.card)
            start_loggers(tracked.loggers, writer, folder, resume=resume)
            tell_start(writer, prepared.task, resume=resume)
            writer.say(prepared.data.held)
            self.tell_more(prepared, model, writer)
            if recipe.precision == "auto":
                writer.say(f"precision auto is {options.precision} on this machine")
            self._fit(prepared, model, options, writer, folder, resume, after_epoch)
            model.cpu()  # everything after training is small, and is then the same on every machine
            scored, predictions = self._report_test(prepared, model, folder, writer)
            self.write_gallery(scored, predictions, folder)
            self.write_inside(scored, model, folder)
            self.make_evidence(scored, model, predictions, folder, writer, names=probes_of(tracked.controls))
            tracked.refuse_unread(excused=EXCUSED)
            writer.event("end", status="done")

    def prepare(self, recipe: R) -> Prepared[R, D, T]:
        """Read the data and set the task up."""
        if recipe.threads < 0:
            raise ConfigError("threads is a number of CPU threads", expected="0 or more", found=str(recipe.threads))
        if recipe.threads:
            torch.set_num_threads(recipe.threads)
        with opening(recipe):
            data, task = self.open(recipe)
        return Prepared(recipe=recipe, data=data, task=task)

    def _fit(
        self,
        prepared: Prepared[R, D, T],
        model: nn.Module,
        options: LoopOptions,
        writer: RecordWriter,
        folder: RunFolder,
        resume: bool,
        after_epoch: Callable[[], None],
    ) -> None:
        task, data = prepared.task, prepared.data

        def validate(network: nn.Module, epoch: int) -> Scores:
            scores = self.validation_scores(task, predict_set(task, network, data.sets["val"]))
            after_epoch()
            return scores

        fit(
            task=task,
            model=model,
            train=data.sets["train"],
            validate=validate,
            select=self.selected_by(task),
            options=options,
            writer=writer,
            folder=folder,
            resume=resume,
            about=self.about(prepared),
            recipe={
                "fingerprint": self.fingerprint(prepared.recipe),
                "data": self.digest_of(data.card),
                **self.start_digests(prepared),
            },
            balance=self.balance_of(prepared.recipe),
        )

    def _report_test(
        self, prepared: Prepared[R, D, T], model: nn.Module, folder: RunFolder, writer: RecordWriter
    ) -> tuple[Prepared[R, D, T], Predictions]:
        """Load the best checkpoint, look at test once, write results and predictions; what is prepared, as scored."""
        best = checkpoints.best(folder)
        checkpoints.load_weights(best, model)
        writer.event("look", split="val", purpose="threshold")
        writer.event("look", split="test", purpose="final evaluation")
        started = time.monotonic()
        results, predictions = self.results_of(prepared, model)
        results["checkpoint"] = scored_checkpoint(folder, best)
        results.update(self.results_of_training(folder))
        write_json(folder.results, results)
        self.write_predictions(prepared, predictions, folder)
        for name, entry in results["metrics"].items():
            writer.event("metric", name=name, split="test", value=entry["value"], n=entry["n"])
        writer.say(f"evaluated on test in {time.monotonic() - started:.1f} s")
        return self.as_scored(prepared, results), predictions

    def fingerprint(self, recipe: R) -> str:
        """What must not change between a checkpoint and its resumption."""
        return fingerprint_of(recipe, self.FREE_ON_RESUME)

    def plain_scores(self, prepared: Prepared[R, D, T], model: nn.Module) -> dict[str, Any]:
        """The test scores alone, without intervals: what a fresh process compares."""
        scored, predictions = self.scored(prepared, model)
        return {"metrics": valued(scored.task.score(predictions))}

    def finished_run(
        self, prepared: Prepared[R, D, T], model: nn.Module, predictions: Predictions, folder: RunFolder
    ) -> FinishedRun:
        """What the probes work on."""
        data, task, recipe = prepared.data, prepared.task, prepared.recipe

        def fit_again(label_seed: int | None, steps: int) -> nn.Module:
            train = data.sets["train"]
            chosen = train if label_seed is None else train.with_permuted_labels(label_seed)
            balance = self.balance_of(recipe)
            return short_training(task, chosen, self.loop_options(recipe), steps, balance=balance)

        return FinishedRun(
            task=task,
            model=model,
            train=data.sets["train"],
            val=data.sets["val"],
            test=data.sets["test"],
            groups=data.test_groups,
            predictions=predictions,
            fit_again=fit_again,
            flip_labels=lambda batch: self.flip_labels(batch, data),
            blank=lambda name: predict_set(task, model, self.exchanged(data, name)),
            label_of=lambda split, index: data.sets[split].label_of(index),
            control_steps=recipe.control_steps,
            permuted_runs=PERMUTED_RUNS[recipe.controls],
            folder=folder,
            seed=recipe.seed,
            inputs_hash=hash_of(checkpoints.best(folder).weights_sha256, data.card["split_sha256"]),
        )

    def make_evidence(
        self,
        prepared: Prepared[R, D, T],
        model: nn.Module,
        predictions: Predictions,
        folder: RunFolder,
        writer: RecordWriter,
        *,
        names: tuple[str, ...],
    ) -> None:
        """Run the named probes; the look at test is recorded with its purpose."""
        if names:
            make_evidence_of(self.finished_run(prepared, model, predictions, folder), writer, names)

    def reopen(self, folder: RunFolder) -> tuple[Prepared[R, D, T], nn.Module]:
        """A finished run from its folder: data, task, and the network with the best checkpoint's weights.

        Raises:
            RecordError: the folder is no run, or its data are not those it was trained on.
        """
        recipe: R = config.load(self.RECIPE, folder.recipe)
        # The checkpoint holds all weights: a file that training started from may be gone.
        prepared = self.prepare(self.without_start(recipe))
        demand_same_data(folder, prepared.data.card, self.digest_of)
        model, best = prepared.task.model(), checkpoints.best(folder)
        checkpoints.load_weights(best, model)
        return self.with_start(replace(prepared, recipe=recipe), best), model

    # --- the steps that a task writes -----------------------------------------------------------------------------

    @abstractmethod
    def open(self, recipe: R) -> tuple[D, T]:
        """Read the data and set the task up. A key that is not read by the end of the run is an error."""

    @abstractmethod
    def digest_of(self, card: Mapping[str, Any]) -> str:
        """SHA-256 of what a run's data are, from the content of ``data.json``: split, decoded samples, labels."""

    @abstractmethod
    def about(self, prepared: Prepared[R, D, T]) -> dict[str, Any]:
        """JSON content for readers of a checkpoint: the network's options, names of classes, weights of terms."""

    @abstractmethod
    def scored(self, prepared: Prepared[R, D, T], model: nn.Module) -> tuple[Prepared[R, D, T], Predictions]:
        """What is prepared as it is scored (with a threshold of validation, say), and the test predictions."""

    @abstractmethod
    def results_of(self, prepared: Prepared[R, D, T], model: nn.Module) -> tuple[dict[str, Any], Predictions]:
        """The content of ``results.json`` (without the checkpoint), and the test predictions it rests on."""

    @abstractmethod
    def write_predictions(self, prepared: Prepared[R, D, T], predictions: Predictions, folder: RunFolder) -> None:
        """Write ``predictions/``: tables for people as CSV, everything as .npz (no pickles), names as hashes."""

    @abstractmethod
    def write_gallery(self, prepared: Prepared[R, D, T], predictions: Predictions, folder: RunFolder) -> None:
        """Pictures of test samples with labels and predictions, for the report; ``prepared`` is as it was scored."""

    @abstractmethod
    def flip_labels(self, batch: Batch, data: D) -> Batch:
        """A batch with every known label exchanged for another one."""

    @abstractmethod
    def exchanged(self, data: D, name: str) -> Dataset:
        """The test split with the input ``name`` of each sample taken from another group."""

    # --- the steps that a task may write --------------------------------------------------------------------------

    def demand(self, prepared: Prepared[R, D, T]) -> None:
        """Refuse what the data cannot give, before anything is written."""

    def refuse_changes(self, prepared: Prepared[R, D, T], recipe: R, folder: RunFolder) -> None:
        """Refuse to go on with another recipe or other data, before anything is written."""
        card = prepared.data.card
        refuse_changes(folder, recipe, card, free=self.FREE_ON_RESUME, digest_of=self.digest_of)

    def tell_more(self, prepared: Prepared[R, D, T], model: nn.Module, writer: RecordWriter) -> None:
        """Say and record before training what only this task has; ``model`` is untrained."""

    def loop_options(self, recipe: R) -> LoopOptions:
        """How the loop trains, as far as every recipe says it; 0 is none where only a number above 0 means anything."""
        return LoopOptions(
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            accumulate=recipe.accumulate,
            optimiser=recipe.optimiser,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            momentum=recipe.momentum,
            schedule=recipe.schedule,
            warmup_steps=recipe.warmup_steps,
            clip_norm=recipe.clip_norm or None,
            precision=native_precision(recipe.precision),  # type: ignore[arg-type]
            channels_last=recipe.channels_last,
            compile=recipe.compile,
            ema_decay=recipe.ema_decay,
            workers=recipe.workers,
            prefetch=recipe.prefetch,
            seed=recipe.seed,
            checkpoint_every_steps=recipe.checkpoint_every or None,
            keep_checkpoints=recipe.keep_checkpoints,
            max_seconds=recipe.max_seconds or None,
            validate_every=recipe.validate_every,
            patience=recipe.patience or None,
        )

    def selected_by(self, task: T) -> tuple[str, bool]:
        """The validation score that chooses the checkpoint, and whether higher is better: the headline claim's."""
        return task.claims[0].metric, task.claims[0].higher_is_better

    def write_inside(self, prepared: Prepared[R, D, T], model: nn.Module, folder: RunFolder) -> None:
        """Pictures of what happens inside the network; ``prepared`` is as it was scored."""

    def validation_scores(self, task: T, predictions: Predictions) -> Scores:
        """What validation records, with the score that ``selected_by`` names."""
        return task.score(predictions)

    def balance_of(self, recipe: R) -> BalanceOptions:
        """How the losses of several tasks become one update: by their fixed weights."""
        return STATIC

    def results_of_training(self, folder: RunFolder) -> dict[str, Any]:
        """Further content of ``results.json``, from the record of this run's training."""
        return {}

    def as_scored(self, prepared: Prepared[R, D, T], results: Mapping[str, Any]) -> Prepared[R, D, T]:
        """What is prepared, with what ``results`` say was chosen on validation."""
        return prepared

    def start_digests(self, prepared: Prepared[R, D, T]) -> dict[str, str | None]:
        """Recipe key to SHA-256 of the weight file that networks start from (None: there is none): a run that goes on
        must start from the same."""
        return {}

    def without_start(self, recipe: R) -> R:
        """The recipe without its weight files."""
        return recipe

    def with_start(self, prepared: Prepared[R, D, T], best: Checkpoint) -> Prepared[R, D, T]:
        """What was prepared ``without_start``, so that fresh networks start from the files that its recipe names."""
        return prepared
