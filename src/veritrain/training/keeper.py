"""Keeps a training: what is saved with each checkpoint, which ones stay, and how a run goes on from one."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from veritrain.errors import CheckpointError
from veritrain.record import RunFolder
from veritrain.training import checkpoint as checkpoints
from veritrain.training.journal import Journal
from veritrain.training.optimise import learning_rate_at
from veritrain.training.options import LoopOptions
from veritrain.training.resume import Place, check_same_recipe
from veritrain.training.step import Stepper
from veritrain.training.storage import bytes_needed, check_room


class Keeper:
    """Saves and restores one training.

    Args:
        stepper: of ``model``: its optimiser, loss scale, balancer and moving average are saved too.
        recipe: flat names to values that must be equal when the run goes on (``resume.recipe_of``).
        surroundings: what bitwise equality depends on beside the recipe; a change is noted.
        about: JSON content for readers of a checkpoint (class names, the network's options).
        metric: name of the selection score.
        leads: whether this rank writes.
    """

    def __init__(
        self,
        folder: RunFolder,
        model: nn.Module,
        stepper: Stepper,
        options: LoopOptions,
        journal: Journal,
        *,
        recipe: Mapping[str, Any],
        surroundings: Mapping[str, Any],
        about: Mapping[str, Any],
        metric: str,
        leads: bool,
    ) -> None:
        self._folder, self._model, self._stepper, self._options = folder, model, stepper, options
        self._optimiser, self._average = stepper.optimiser, stepper.average
        self._journal, self._metric, self._leads = journal, metric, leads
        self._content: dict[str, Any] = {
            "recipe": recipe,
            "surroundings": surroundings,
            "about": about,
            "epochs": options.epochs,
            "select": metric,
        }

    def save(self, place: Place) -> None:
        """Write a checkpoint, point at it if it is the best, then drop old ones.

        Raises:
            StorageError: no room; earlier checkpoints are intact.
        """
        if not self._leads:
            return
        state = {**self._content, "place": asdict(place)}
        if self._stepper.scale is not None:
            state["loss_scale"] = self._stepper.scale.state()
        if self._average is not None:
            state["average"] = {"updates": self._average.updates}
        balance = self._stepper.balance.state()
        if balance is not None:
            state["balance"] = balance
        saved = checkpoints.save(
            self._folder,
            step=place.step,
            model=self._model,
            optimiser=self._optimiser,
            state=state,
            average=None if self._average is None else self._average.model,
        )
        self._journal.checkpoint(place, saved, averaged=self._average is not None)
        self._point_at_best(place)
        checkpoints.prune(self._folder, keep=self._options.keep_checkpoints)

    def _point_at_best(self, place: Place) -> None:
        if place.best_step is not None and place.best_epoch is not None and place.best_value is not None:
            checkpoints.point_at_best(
                self._folder,
                step=place.best_step,
                epoch=place.best_epoch,
                metric=self._metric,
                value=place.best_value,
            )

    def begin(self) -> None:
        """Before the first step of a new run.

        Raises:
            CheckpointError: the folder holds checkpoints already.
            StorageError: no room for one checkpoint.
        """
        there = checkpoints.steps(self._folder)
        if there:
            raise CheckpointError(
                "the run has checkpoints already",
                expected="a new run folder",
                found=f"{len(there)} checkpoints, the newest {there[0].name}",
                fix="go on with --resume, or choose another --run",
                file=self._folder.checkpoints,
            )
        self._check_room(Place())

    def restore(self, steps_per_epoch: int, allow_changes: Collection[str]) -> Place:
        """Weights and optimiser of the newest whole checkpoint, and its place; the beginning when there is none.

        Raises:
            CheckpointError: there are checkpoints and none verifies, or the recipe changed.
            StorageError: no room for one checkpoint.
        """
        removed = checkpoints.clean(self._folder) if self._leads else []
        passed_over: list[tuple[Path, str]] = []
        found = checkpoints.newest(self._folder, warn=lambda path, reason: passed_over.append((path, reason)))
        place = Place() if found is None else self._load(found, steps_per_epoch, allow_changes)
        for path, reason in passed_over:
            self._journal.note(
                place, "bad_checkpoint", f"passed over {path.name}: {reason}; going on from step {place.step}"
            )
        name = None if found is None else found.path.name
        self._journal.event("resume", place, checkpoint=name, unfinished_saves=removed)
        self._journal.log(f"resumed from {name or 'the beginning: no checkpoint yet'}")
        self._check_room(place)
        return place

    def _load(self, found: checkpoints.Checkpoint, steps_per_epoch: int, allowed: Collection[str]) -> Place:
        state = found.state
        changes = check_same_recipe(state["recipe"], self._content["recipe"], allowed=allowed)
        checkpoints.load_raw(found, self._model)
        checkpoints.load_optimiser(found, self._optimiser)
        if self._stepper.scale is not None and "loss_scale" in state:
            self._stepper.scale.restore(state["loss_scale"])
        if "balance" in state:
            self._stepper.balance.restore(state["balance"])
        self._load_average(found)
        place = Place(**state["place"])
        if changes:
            self._journal.note(place, "changed", "allowed changes: " + "; ".join(changes))
        if state["surroundings"] != json.loads(json.dumps(self._content["surroundings"])):
            text = (
                f"other surroundings, so not bitwise equal: {state['surroundings']} -> {self._content['surroundings']}"
            )
            self._journal.note(place, "surroundings", text)
        self._note_new_horizon(place, state["epochs"], steps_per_epoch)
        return place

    def _load_average(self, found: checkpoints.Checkpoint) -> None:
        """As it was saved; where ``ema_decay`` is new, it begins with the weights of this checkpoint."""
        if self._average is None:
            return
        if "average" in found.state:
            checkpoints.load_weights(found, self._average.model)
            self._average.updates = found.state["average"]["updates"]
        else:
            self._average.restart(self._model)

    def _note_new_horizon(self, place: Place, before: int, steps_per_epoch: int) -> None:
        """The cosine schedule ends at the asked epochs: another number of them changes the rate at once."""
        options = self._options
        if before == options.epochs:
            return
        now = learning_rate_at(place.step, options, steps_per_epoch)
        text = f"epochs {before} -> {options.epochs}; the learning rate goes on at {now:.4g}"
        self._journal.note(place, "horizon", text, before=before, after=options.epochs, learning_rate=now)

    def _check_room(self, place: Place) -> None:
        if not self._leads:
            return
        average = None if self._average is None else self._average.model
        needed = bytes_needed(self._model, self._optimiser, average)
        warning = check_room(self._folder, needed=needed, keep=self._options.keep_checkpoints)
        if warning:
            self._journal.note(place, "storage", warning)
