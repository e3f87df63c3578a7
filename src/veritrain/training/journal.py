"""What the loop tells: events into the record, lines into ``train.log``, progress to whoever watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from veritrain.errors import NonFiniteError, UnconnectedTaskError
from veritrain.record import RecordWriter
from veritrain.training.balancing import Unconnected
from veritrain.training.checkpoint import Checkpoint
from veritrain.training.progress import FitSummary, Progress
from veritrain.training.resume import Place
from veritrain.training.step import NotFinite
from veritrain.training.terms import StepNumbers


class Journal:
    """Writes on rank 0; on other ranks ``writer`` is None and nothing is written."""

    def __init__(self, writer: RecordWriter | None, progress: Progress) -> None:
        self._writer, self.progress = writer, progress

    def event(self, event: str, place: Place, **fields: Any) -> None:
        if self._writer is not None:
            self._writer.event(event, step=place.step, epoch=place.last_epoch(), **fields)

    def log(self, line: str) -> None:
        if self._writer is not None:
            self._writer.say(line)

    def note(self, place: Place, kind: str, text: str, **fields: Any) -> None:
        """Something a reader of the run should know; also told at once."""
        self.event("note", place, kind=kind, text=text, **fields)
        self.log(text)
        self.progress.say(text)

    def plan(self, place: Place, *, epochs: int, steps_per_epoch: int) -> None:
        """How far this segment means to go, so that a watcher knows the total."""
        self.event("plan", place, epochs=epochs, steps_per_epoch=steps_per_epoch, total_steps=epochs * steps_per_epoch)

    def step(self, place: Place, numbers: StepNumbers, *, rate: float, with_norm: bool) -> None:
        """One line a term, unweighted and per sample, beside its weight."""
        for name in numbers.sums:
            self.event(
                "term",
                place,
                name=name,
                value=numbers.mean(name),
                weight=numbers.weights[name],
                n=int(numbers.counts[name]),
                split="train",
            )
        if numbers.overflow is not None:
            # A routine event of float16 that was dealt with: no ``nonfinite``, and no norm to record.
            self.event("overflow", place, scale=numbers.overflow, next_scale=numbers.overflow / 2)
        elif with_norm:
            self.event("grad", place, name="total_norm", value=numbers.norm, learning_rate=rate)
        if numbers.balance is not None and numbers.overflow is None:
            self.event("balance", place, **numbers.balance)
        self.progress.step(place.step, numbers.total())

    def epoch(self, place: Place, *, rate: float) -> None:
        mean = place.loss_sum / place.loss_samples if place.loss_samples else None
        self.event("metric", place, name="loss", split="train", value=mean, n=place.loss_samples)
        self.event("metric", place, name="learning_rate", split="train", value=rate, n=None)

    def pace(self, place: Place, numbers: Mapping[str, Any] | None) -> None:
        """How fast the epoch's steps went; nothing where none was made."""
        if numbers is not None:
            self.event("throughput", place, **numbers)

    def scores(self, place: Place, scores: Mapping[str, float | None]) -> None:
        for name, value in scores.items():
            self.event("metric", place, name=name, split="val", value=value, n=None)
        self.event("look", place, split="val", purpose="selection")

    def checkpoint(self, place: Place, saved: Checkpoint, *, averaged: bool) -> None:
        file = str(Path(saved.path.parent.name) / saved.path.name)
        told = {"weights": "average"} if averaged else {}
        self.event("checkpoint", place, file=file, sha256=saved.weights_sha256, **told)

    def nonfinite(self, place: Place, found: NotFinite) -> NonFiniteError:
        """Record what is not finite, and the error that says it."""
        broken = found.numbers.broken()
        place = replace(place, step=place.step + 1, batch=place.batch + 1)
        for name, value in broken.items():
            self.event("nonfinite", place, name=name, found=str(value), split="train", samples=found.samples)
        self.event("stop", place, reason="nonfinite")
        batches = ", ".join(str(number) for number in sorted({sample["batch"] for sample in found.samples}))
        ids = ", ".join(str(sample["id"]) for sample in found.samples[:16])
        more = f" and {len(found.samples) - 16} more" if len(found.samples) > 16 else ""
        error = NonFiniteError(
            f"training stopped before the update of step {place.step} (epoch {place.epoch}, batch {batches}): "
            f"{' and '.join(broken)} not finite{_in_a_row(found.skipped)}",
            expected="finite losses and gradients",
            found="; ".join(f"{name} = {value}" for name, value in broken.items()) + f"; samples {ids}{more}",
            fix="look at these samples; then lower learning_rate, set clip_norm or use precision 32-true",
        )
        self.log(str(error))
        return error

    def unconnected(self, place: Place, found: Unconnected) -> UnconnectedTaskError:
        """Record which tasks do not reach the network, and the error that says it."""
        place = replace(place, step=place.step + 1, batch=place.batch + 1)
        self.event("balance", place, **found.fields)
        self.event("stop", place, reason="unconnected", tasks=list(found.tasks))
        names = " and ".join(f"'{task}'" for task in found.tasks)
        no_path = [task for task in found.tasks if task in found.fields.get("unconnected", ())]
        error = UnconnectedTaskError(
            f"training stopped before the update of step {place.step}: the loss of task {names} does not reach the "
            "network's shared parameters",
            expected="a gradient above 0 at the shared parameters from each task",
            found="; ".join(
                f"{task}: {'no path to any of them' if task in no_path else 'a gradient of exactly 0'}"
                for task in found.tasks
            ),
            fix="let the task's loss read what the network computed from its shared layers (no detached or made-up "
            "tensor, no zero weight in between), or leave the task out",
        )
        self.log(str(error))
        return error

    def averaging(self, place: Place, decay: float) -> None:
        """Which weights all scores of this run belong to."""
        text = f"validation, selection and the checkpoints' network use a moving average of the weights, decay {decay}"
        self.event("note", place, kind="average", text=text, decay=decay)
        self.log(text)

    def end(self, place: Place, summary: FitSummary, metric: str) -> None:
        text = summary.text(metric)
        self.event("stop", place, reason=summary.stop_reason, summary=asdict(summary))
        self.log(text)
        self.progress.end(text)


def _in_a_row(skipped: int) -> str:
    return f", and {skipped} updates in a row overflowed in float16 however small the loss scale" if skipped else ""
