"""The training loop. Read :meth:`Loop.run` first.

What it promises (docs/architecture.md): resume is bitwise equal; checkpoints survive kills; signals end between
steps; what is not finite stops before the update; selection sees validation only; loss terms are recorded
unweighted; progress is told; nothing is executed from a file.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from veritrain.data.loader import EpochLoader, workers_explained
from veritrain.errors import ConfigError, Interrupted, did_you_mean
from veritrain.losses.options import STATIC, BalanceOptions
from veritrain.record import RecordWriter, RunFolder, finite_or_none
from veritrain.tasks.task import Batch, Dataset, Task
from veritrain.training.balancing import Unconnected
from veritrain.training.engine import start_engine
from veritrain.training.journal import Journal
from veritrain.training.keeper import Keeper
from veritrain.training.optimise import freeze, learning_rate_at, rates_at
from veritrain.training.options import LoopOptions
from veritrain.training.pace import Pace
from veritrain.training.progress import FitSummary, Progress, Silent, clock, progress_for
from veritrain.training.resume import Place, recipe_of, surroundings
from veritrain.training.seeding import derive, seed_everything
from veritrain.training.signals import Abandon, Signals
from veritrain.training.step import NotFinite, Stepper

Validate = Callable[[nn.Module, int], Mapping[str, float | None]]


def fit(
    *,
    task: Task,
    model: nn.Module,
    train: Dataset,
    validate: Validate,
    select: tuple[str, bool],
    options: LoopOptions,
    writer: RecordWriter | None,
    folder: RunFolder,
    resume: bool = False,
    progress: Progress | None = None,
    about: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    allow_changes: Collection[str] = (),
    balance: BalanceOptions = STATIC,
) -> FitSummary:
    """Train ``model`` until the asked work is done; it is left with the weights of the last step, never averaged.

    Under ``torchrun`` all ranks call this; rank 0 writes, the others pass ``writer=None``.

    Args:
        task: its ``losses`` and ``term_weights`` (see ``terms.py`` for samples without a label), and its
            ``term_groups`` where it declares any (see ``balancing.py``).
        model: called as ``model(batch)``; trained in place, moved to the chosen device.
        validate: ``validate(model, epoch)`` scores the validation split; the model is in evaluation mode, without
            gradients, not compiled, and outside of mixed precision; it is the moving average of the weights with
            ``ema_decay``. Called on rank 0 only.
        select: (metric of ``validate``, whether higher is better): decides which checkpoint is the best.
        resume: go on from the newest whole checkpoint; from the beginning when there is none yet.
        progress: told what happens; by default a bar on a terminal, plain lines elsewhere, on stderr.
        about: JSON content for readers of a checkpoint: class names, thresholds, the network's options.
        recipe: JSON content that must be the same when the run is resumed.
        allow_changes: names in ``recipe`` or ``options`` that may differ from the checkpoint's.
        balance: how the tasks' losses become one update.

    Raises:
        Interrupted: SIGINT or SIGTERM; the last step was finished and saved.
        NonFiniteError: a loss or gradient is not finite; the weights are those before the step. With 16-mixed a
            gradient alone may overflow now and then, see ``LoopOptions.precision``.
        StorageError: no room for a checkpoint; earlier ones are intact.
        DataError: a sample cannot be read, or a worker died or hung.
        CheckpointError: the run has checkpoints and ``resume`` is off, none verifies, or the recipe changed.
        ConfigError: ``select`` names no score, the task's terms do not fit their weights, or the balancer does not
            go with the options.
        UnconnectedTaskError: the loss of a task does not reach the network; the weights are the untrained ones.
    """
    loop = Loop(
        task, model, train, validate, select, options, writer, folder, progress, about or {}, recipe or {}, balance
    )
    try:
        with loop.signals, workers_explained():
            loop.begin(resume=resume, allow_changes=allow_changes)
            return loop.run()
    finally:
        loop.close()


class Loop:
    """One training. Between steps, its only state that matters is ``place``, the weights and the optimiser's."""

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        train: Dataset,
        validate: Validate,
        select: tuple[str, bool],
        options: LoopOptions,
        writer: RecordWriter | None,
        folder: RunFolder,
        progress: Progress | None,
        about: Mapping[str, Any],
        recipe: Mapping[str, Any],
        balance: BalanceOptions,
    ) -> None:
        self.model, self.validate, self.select, self.options = model, validate, select, options
        self.fabric = start_engine(options)
        self.world, self.leads = self.fabric.world_size, self.fabric.global_rank == 0
        self.signals = Signals()
        self.journal = Journal(writer, (progress or progress_for()) if self.leads else Silent())
        self.loader = EpochLoader(
            train,
            batch_size=options.batch_size,
            seed=options.seed,
            workers=options.workers,
            timeout=options.worker_timeout,
            drop_remainder=options.drop_remainder,
            world=self.world,
            rank=self.fabric.global_rank,
            pin=self.fabric.device.type == "cuda",
            prefetch=options.prefetch,
            packed=True,
        )
        self.stepper = Stepper(self.fabric, task, model, options, balance=balance, unpack=self.loader.unpack)
        average = self.stepper.average
        self.scored = model if average is None else average.model
        self.keeper = Keeper(
            folder,
            model,
            self.stepper,
            options,
            self.journal,
            recipe=recipe_of(options, recipe, samples=len(train), world=self.world, balance=balance),
            surroundings=surroundings(self.fabric.device.type, self.world),
            about=about,
            metric=select[0],
            leads=self.leads,
        )
        self.steps_per_epoch = -(-self.loader.batches() // options.accumulate)
        self.place = Place()
        self.began, self.seconds_before = time.monotonic(), 0.0
        self.trained_samples, self.trained_seconds = 0, 0.0
        self.scoring_seconds = 0.0

    # ---- the story -------------------------------------------------------------------------------------------

    def begin(self, *, resume: bool, allow_changes: Collection[str]) -> None:
        """Stand at the beginning of a new run, or where an old one was saved."""
        if resume:
            self.place = self.keeper.restore(self.steps_per_epoch, allow_changes)
            self.seconds_before = self.place.seconds
        else:
            self.keeper.begin()
        if self.stepper.average is not None:
            self.journal.averaging(self.place, self.options.ema_decay)
        if unmeasured := self.stepper.balance.note():
            self.journal.note(self.place, "balance", unmeasured)

    def run(self) -> FitSummary:
        """Epochs of training and validation until there is a reason to stop."""
        total = self.options.epochs * self.steps_per_epoch
        self.journal.plan(self.place, epochs=self.options.epochs, steps_per_epoch=self.steps_per_epoch)
        self.journal.progress.start(total_steps=total, done_steps=self.place.step)
        reason = self._reason_to_stop()
        while reason is None:
            started = time.monotonic()
            self._train_epoch()
            self._score_epoch(started)
            reason = self._reason_to_stop()
        return self._finish(reason)

    def _train_epoch(self) -> None:
        """From where ``place`` stands to the end of the epoch, or until the time is up."""
        place, options = self.place, self.options
        freeze(self.model, options.unfreeze, place.epoch)
        started, before, pace = time.monotonic(), self.trained_samples, Pace()
        for window in pace.watch(_windows(self.loader.epoch(place.epoch, start=place.batch), options.accumulate)):
            self._step(window)
            received = self._agree()
            if received is not None:
                self._end_by_signal(received)
            if self._time_is_up():
                break
            if options.checkpoint_every_steps and place.step % options.checkpoint_every_steps == 0:
                self.keeper.save(self.place)
        self.trained_seconds += time.monotonic() - started
        self.journal.pace(place, pace.numbers(self.trained_samples - before))

    def _step(self, window: list[Batch]) -> None:
        place, options = self.place, self.options
        rates = rates_at(place.step, options, self.steps_per_epoch)
        try:
            numbers = self.stepper.make(window, step=place.step, batch=place.batch, rate=rates)
        except NotFinite as found:
            raise self.journal.nonfinite(place, found) from found
        except Unconnected as found:
            raise self.journal.unconnected(place, found) from found
        place.step, place.batch = place.step + 1, place.batch + len(window)
        place.loss_sum += numbers.total() * numbers.samples
        place.loss_samples += numbers.samples
        place.overflows += numbers.overflow is not None
        self.trained_samples += numbers.samples
        self.journal.step(place, numbers, rate=rates.weights, with_norm=place.step % options.grad_every_steps == 0)

    def _score_epoch(self, started: float) -> None:
        """Validate, select, save. An epoch cut short by the time budget is scored and stays unfinished.

        With ``validate_every`` above 1 only every so many epochs are scored, and whatever training ends with.
        """
        place = self.place
        whole = place.batch >= self.loader.batches()
        if whole:
            rate = learning_rate_at(max(place.step - 1, 0), self.options, self.steps_per_epoch)
            self.journal.epoch(place, rate=rate)
        score = None
        if not whole or self._is_scored():
            scores = self._scores()
            score = self._told(scores, improved=self._select(scores))
            self._agree()  # on the time that scoring took; a signal is answered after the next step
        line = self._epoch_line(score, time.monotonic() - started)
        if whole:
            self.stepper.balance.end_epoch()
            place.next_epoch()
        self.keeper.save(self.place)
        self.journal.log(line)
        self.journal.progress.epoch(line)

    def _is_scored(self) -> bool:
        epoch, options = self.place.epoch, self.options
        return epoch % options.validate_every == 0 or epoch == options.epochs or self._time_is_up()

    def _reason_to_stop(self) -> str | None:
        place, options = self.place, self.options
        if place.epoch > options.epochs:
            return "epochs"
        if options.patience is not None and place.stale >= options.patience:
            return "patience"
        return "time" if self._time_is_up() else None

    def _finish(self, reason: str) -> FitSummary:
        place = self.place
        summary = FitSummary(
            epochs_done=place.epoch - 1,
            steps=place.step,
            best_epoch=place.best_epoch,
            best_value=place.best_value,
            seconds=self._seconds(),
            samples_per_second=self.trained_samples / self.trained_seconds if self.trained_samples else None,
            stop_reason=reason,
            begun=place.batch > 0,
            overflows=place.overflows,
        )
        self.journal.end(place, summary, self.select[0])
        return summary

    # ---- ends that nobody planned ----------------------------------------------------------------------------

    def _agree(self) -> int | None:
        """The signal that any rank received; and all ranks take the times of the slowest."""
        received, seconds = self.signals.received, self._seconds()
        if self.world > 1:
            ours = (received or 0, seconds, self.scoring_seconds)
            worst = torch.tensor(ours, dtype=torch.float64, device=self.fabric.device)
            torch.distributed.all_reduce(worst, op=torch.distributed.ReduceOp.MAX)
            number, seconds, self.scoring_seconds = worst.tolist()
            received = int(number) or None
        self.place.seconds = seconds
        return received

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began

    def _time_is_up(self) -> bool:
        """Whether no step is left of the budget once the coming validation has taken as long as the last one."""
        budget = self.options.max_seconds
        return budget is not None and self.place.seconds + self.scoring_seconds >= budget

    def _end_by_signal(self, number: int) -> None:
        name = signal.Signals(number).name
        self.keeper.save(self.place)
        self.journal.event("signal", self.place, name=name)
        self.journal.event("stop", self.place, reason=name)
        text = f"{name} after step {self.place.step}: the step was finished and saved"
        self.journal.log(text)
        raise Interrupted(text, signal_number=number, fix="run again with --resume to go on")

    def close(self) -> None:
        """End workers and progress, whatever happened."""
        self.loader.close()
        self.stepper.close()
        self.journal.progress.end("")

    # ---- validation and selection ----------------------------------------------------------------------------

    def _scores(self) -> Mapping[str, float | None]:
        """Validation scores, the same on all ranks. Neither a signal nor an error in here loses training."""
        place, started = self.place, time.monotonic()
        seed_everything(derive(self.options.seed, "validate", place.step))
        scores: Mapping[str, float | None] = {}
        try:
            if self.leads:
                self.scored.eval()
                alone = self.world == 1
                with self.signals.abandonable() if alone else contextlib.nullcontext(), torch.no_grad():
                    scores = dict(self.validate(self.scored, place.epoch))
        except Abandon:
            self._end_by_signal(self.signals.received or signal.SIGTERM)
        except Exception:
            self.keeper.save(self.place)
            raise
        scores = self.fabric.broadcast(scores) if self.world > 1 else scores
        self.scoring_seconds = time.monotonic() - started
        self.journal.scores(place, scores)
        return scores

    def _select(self, scores: Mapping[str, float | None]) -> bool:
        """Whether this is the best so far; of equal ones the first stays. Undefined is never the best."""
        metric, higher = self.select
        if metric not in scores:
            raise ConfigError(f"select: no score '{metric}'", found=metric, fix=did_you_mean(metric, scores))
        place, value = self.place, finite_or_none(scores[metric])
        best = place.best_value
        better = value is not None and (best is None or (value > best if higher else value < best))
        place.stale = 0 if better else place.stale + 1
        if better:
            place.best_value, place.best_epoch, place.best_step = value, place.epoch, place.step
        return better

    def _told(self, scores: Mapping[str, float | None], *, improved: bool) -> str:
        value = scores[self.select[0]]
        score = "undefined" if value is None else f"{value:.4g}" + (" (best so far)" if improved else "")
        return f"val {self.select[0]} {score}  "

    def _epoch_line(self, score: str | None, seconds: float) -> str:
        place = self.place
        loss = f"{place.loss_sum / place.loss_samples:.4g}" if place.loss_samples else "-"
        rate = self.trained_samples / self.trained_seconds if self.trained_seconds else 0.0
        left = clock(seconds * (self.options.epochs - place.epoch))
        return (
            f"epoch {place.epoch}/{self.options.epochs}  step {place.step}  loss {loss}  "
            f"{score or ''}{clock(seconds)}  {rate:.4g} samples/s  ETA {left}"
        )


def _windows(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Micro-batches of one optimiser step; the last of an epoch may be fewer."""
    window: list[Batch] = []
    for batch in batches:
        window.append(batch)
        if len(window) == size:
            yield window
            window = []
    if window:
        yield window
