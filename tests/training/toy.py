"""A small task with everything that makes resuming hard: dropout, BatchNorm, augmentation, workers.

``python toy.py --run DIR ...`` trains it in a process of its own and prints the SHA-256 of the final weights.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from veritrain.errors import VeritrainError
from veritrain.record import Claim, RecordWriter, RunFolder
from veritrain.training import step
from veritrain.training.average import WeightAverage
from veritrain.training.engine import is_writer
from veritrain.training.loop import fit
from veritrain.training.options import LoopOptions
from veritrain.training.progress import FitSummary, Silent
from veritrain.training.seeding import seed_everything


class ToySet:
    """Noisy 1 x 8 x 8 images whose mean tells the class; the noise is drawn anew each epoch."""

    def __init__(
        self, samples: int = 48, *, bad: int | None = None, seconds: float = 0.0, stop_after: int | None = None
    ) -> None:
        self.samples, self.bad, self.seconds, self.stop_after = samples, bad, seconds, stop_after
        self.read: list[tuple[int, int]] = []
        self.lose_worker_at: int | None = None

    def __len__(self) -> int:
        return self.samples

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        self.read.append((epoch, index))
        if len(self.read) == self.stop_after:
            os.kill(os.getpid(), signal.SIGTERM)
        if index == self.lose_worker_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.seconds:
            time.sleep(self.seconds)
        label = index % 2
        image = np.random.default_rng((seed, epoch, index)).normal(label, 1.0, (1, 8, 8)).astype(np.float32)
        if index == self.bad:
            image[0, 0, 0] = np.nan
        return {"image": image, "label": label, "index": index, "id": f"toy/{index}"}

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            "image": torch.from_numpy(np.stack([s["image"] for s in samples])),
            "label": torch.tensor([s["label"] for s in samples], dtype=torch.float32),
            "index": torch.tensor([s["index"] for s in samples]),
            "id": [s["id"] for s in samples],
        }


class ToyNet(nn.Module):
    """Convolution, BatchNorm, dropout, one logit; ``width`` makes its checkpoints larger."""

    inputs = ("image",)

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(width * 36, 1)

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        return {"logit": self.head(self.body(batch["image"]).flatten(1)).squeeze(1)}


class ToyTask:
    """Binary classification with a second, small term."""

    name = "toy"
    claims = (Claim(metric="accuracy", split="val"),)
    term_weights: Mapping[str, float] = {"bce": 1.0, "size": 0.01}

    def __init__(self, width: int = 4) -> None:
        self.width = width

    def model(self) -> nn.Module:
        return ToyNet(self.width)

    def losses(self, output: Mapping[str, Tensor], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        bce = nn.functional.binary_cross_entropy_with_logits(output["logit"], batch["label"], reduction="none")
        return {"bce": bce, "size": output["logit"].square()}


class Loud(ToyTask):
    """A weight so large that the first scales overflow: 65,536 x 256 / 4 samples is beyond float16's 65,504."""

    term_weights: Mapping[str, float] = {"bce": 256.0}

    def losses(self, output: Mapping[str, Tensor], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        assert output["logit"].dtype == torch.float32, "losses are computed in full precision"
        return {"bce": super().losses(output, batch)["bce"]}


def weights_hash(model: nn.Module, *, buffers: bool = True) -> str:
    """SHA-256 over names and bytes of all parameters, and of all buffers."""
    digest = hashlib.sha256()
    tensors = model.state_dict() if buffers else dict(model.named_parameters())
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Validation:
    """Accuracy on fixed samples; may wait, so that a signal can find it running."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        held_out = ToySet(32)
        self.batch = held_out.collate([held_out.sample(i, epoch=0, seed=7) for i in range(32)])

    def __call__(self, model: nn.Module, epoch: int) -> dict[str, float | None]:
        time.sleep(self.seconds)
        device = next(model.parameters()).device
        logit = model({"image": self.batch["image"].to(device)})["logit"].cpu()
        right = (logit > 0).float() == self.batch["label"]
        return {"accuracy": float(right.float().mean())}


class Lines(Silent):
    """Collects what is said."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def epoch(self, line: str) -> None:
        self.lines.append(line)

    def say(self, line: str) -> None:
        self.lines.append(line)

    end = say


@dataclass
class Done:
    summary: FitSummary
    model: nn.Module


def fit_toy(
    folder: RunFolder,
    *,
    samples: int = 48,
    data: ToySet | None = None,
    task: ToyTask | None = None,
    validate: Any = None,
    resume: bool = False,
    lines: list[str] | None = None,
    about: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    allow_changes: Any = (),
    higher: bool = True,
    begin: Callable[[RecordWriter], None] = lambda writer: None,
    **chosen: Any,
) -> Done:
    """``fit`` of the toy in this process, on one thread; ``begin`` is called with the open writer before it."""
    torch.set_num_threads(1)
    options = LoopOptions(**{"batch_size": 4, "warmup_steps": 3, "accelerator": "cpu", **chosen})
    task = task or ToyTask()
    seed_everything(3)
    model = task.model()
    with RecordWriter(folder) as writer:
        begin(writer)
        summary = fit(
            task=task,
            model=model,
            train=data or ToySet(samples),
            validate=validate or Validation(),
            select=("accuracy", higher),
            options=options,
            writer=writer,
            folder=folder,
            resume=resume,
            progress=Lines([] if lines is None else lines),
            about=about,
            recipe=recipe,
            allow_changes=allow_changes,
        )
    return Done(summary, model)


class Child:
    """``main`` in a forked process: a real process to signal, without the seconds that importing torch takes."""

    def __init__(self, *arguments: str) -> None:
        self.output = tempfile.TemporaryFile()  # noqa: SIM115 - read after the process ended
        self.pid = os.fork()
        if self.pid == 0:
            self._be_the_child(arguments)
        self.code: int | None = None

    def _be_the_child(self, arguments: Sequence[str]) -> None:
        os.dup2(self.output.fileno(), 1)
        os.dup2(self.output.fileno(), 2)
        code = 70
        try:
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            signal.signal(signal.SIGINT, signal.default_int_handler)
            code = main(arguments)
        except KeyboardInterrupt:
            code = 130
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def kill(self, number: int) -> None:
        os.kill(self.pid, number)

    def ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def wait(self, seconds: float = 120) -> tuple[int, str]:
        """Exit code (negative: killed by that signal) and everything it printed."""
        until = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > until:
                self.kill(signal.SIGKILL)
                raise TimeoutError(f"no end after {seconds} s")
            time.sleep(0.005)
        self.output.seek(0)
        return int(self.code or 0), self.output.read().decode()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--samples", type=int, default=48)
    parser.add_argument("--bad", type=int, default=None)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--every", type=int, default=None)
    parser.add_argument("--sample-seconds", type=float, default=0.0)
    parser.add_argument("--validation-seconds", type=float, default=0.0)
    parser.add_argument("--lose-worker-at", type=int, default=None, help="the worker that reads this index is killed")
    parser.add_argument("--group", default="", help="lead a process group of our own")
    parser.add_argument("--unfreeze", action="store_true")
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--ema", type=float, default=0.0)
    parser.add_argument("--print-average", action="store_true", help="of every rank; only rank 0 saves one")
    parser.add_argument("--loud", action="store_true", help="gradients that overflow in float16")
    parser.add_argument("--stop-after", type=int, default=None, help="SIGTERM to ourselves after so many samples read")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.group:
        os.setpgrp()
    options = LoopOptions(
        epochs=given.epochs, batch_size=4, workers=given.workers, accumulate=given.accumulate, warmup_steps=3,
        checkpoint_every_steps=given.every, accelerator="cpu", unfreeze=((2, "body"),) if given.unfreeze else (),
        precision=given.precision, ema_decay=given.ema,
    )  # fmt: skip
    seed_everything(3)
    task = Loud(given.width) if given.loud else ToyTask(given.width)
    model = task.model()
    data = ToySet(given.samples, bad=given.bad, seconds=given.sample_seconds, stop_after=given.stop_after)
    data.lose_worker_at = given.lose_worker_at
    folder = RunFolder(given.run)
    averages = watched_averages() if given.print_average else []
    try:
        with RecordWriter(folder) if is_writer() else nullcontext() as writer:
            fit(
                task=task,
                model=model,
                train=data,
                validate=Validation(given.validation_seconds),
                select=("accuracy", True),
                options=options,
                writer=writer,
                folder=folder,
                resume=given.resume,
                progress=Silent(),
            )
    except VeritrainError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    # Under DDP, running statistics differ between ranks until the next forward pass; parameters must not.
    alone = "RANK" not in os.environ
    print(weights_hash(model) if alone else f"rank {os.environ['RANK']} {weights_hash(model, buffers=False)}")
    for average in averages:
        print(f"average {os.environ.get('RANK')} {weights_hash(average.model, buffers=False)}")
    return 0


def watched_averages() -> list[WeightAverage]:
    """Filled with the moving averages of every stepper that is made from now on."""
    made: list[WeightAverage] = []

    class Watched(WeightAverage):
        def __init__(self, model: nn.Module, decay: float, *, ramp: float = 0.0) -> None:
            super().__init__(model, decay, ramp=ramp)
            made.append(self)

    step.WeightAverage = Watched  # type: ignore[misc]
    return made


if __name__ == "__main__":
    sys.exit(main())
