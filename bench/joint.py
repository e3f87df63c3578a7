"""YOLOv5 with a view head: what the loop adds to a step, and what precision, layout and compilation save on a GPU.

``python bench/joint.py`` trains with ``fit`` (recorder on) and with a bare hand-written loop in turns: same network,
same losses, same batches in memory, SGD with momentum as in YOLOv5, gradients clipped in both, both read the loss in
every step. The ratio is images per second of ours over the bare loop's in the same turn; 1 is no cost at all. On a
CPU the same ratio stands beside it in processor time, of everything from network to the last step: what else the
machine does moves it less.

``--variants`` times whole optimiser steps (``training.step.Stepper``) of one size in several arithmetics instead, on
batches that are already on the device: by default yolov5s at 640 pixels with batches of 64 on a GPU. Prints Markdown.
Images are noise and boxes are made: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from clock import device, settled, spread

from veritrain.experiments.joint import MEASURED_EVERY
from veritrain.models.options import YoloOptions
from veritrain.record import RecordWriter, RunFolder
from veritrain.tasks.joint import JointTask, term_weights_of
from veritrain.training.engine import start_engine
from veritrain.training.loop import fit
from veritrain.training.optimise import clip, total_norm
from veritrain.training.options import LoopOptions
from veritrain.training.progress import Silent
from veritrain.training.seeding import seed_everything
from veritrain.training.step import Stepper

CLASSES, VIEWS = 4, 3
BOXES = 4
"""A made image has this many; an echo frame has one or two."""
RATE, MOMENTUM, CLIP = 0.01, 0.937, 10.0
SGD: dict[str, Any] = {
    "optimiser": "sgd", "learning_rate": RATE, "momentum": MOMENTUM, "nesterov": True, "weight_decay": 0.0,
    "schedule": "constant", "warmup_steps": 0, "clip_norm": CLIP, "grad_every_steps": MEASURED_EVERY,
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "float32": {},
    "bf16": {"precision": "bf16-mixed"},
    "bf16, channels-last": {"precision": "bf16-mixed", "channels_last": True},
    "bf16, channels-last, compiled": {"precision": "bf16-mixed", "channels_last": True, "compile": "default"},
}


def task_of(size: str, pixels: int) -> JointTask:
    network = YoloOptions(size=size, classes=CLASSES, views=VIEWS, view_head="pooled")  # type: ignore[arg-type]
    return JointTask(
        network=network,
        class_names=tuple("ABCD"),
        view_names=tuple("XYZ"),
        term_weights=term_weights_of(network, pixels, detection=1.0, view=1.0),
    )


def made_batch(images: int, height: int, width: int, number: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(number)
    place = torch.rand(images * BOXES, 2, generator=generator) * 0.8 + 0.1
    extent = torch.rand(images * BOXES, 2, generator=generator) * 0.3 + 0.02
    owner = torch.arange(images).repeat_interleave(BOXES)[:, None].float()
    kind = torch.randint(0, CLASSES, (images * BOXES, 1), generator=generator).float()
    return {
        "image": torch.rand(images, 3, height, width, generator=generator),
        "targets": torch.cat([owner, kind, place, extent], 1),
        "view": torch.randint(0, VIEWS, (images,), generator=generator),
        "index": torch.arange(images) + number * images,
    }


class PreparedBatches:
    """Two batches, made once and handed out in turn as they are: no data side at all."""

    def __init__(self, images: int, height: int, width: int, batches: int) -> None:
        self.images, self.batches = images, batches
        self.ready = [made_batch(images, height, width, number) for number in range(2)]

    def __len__(self) -> int:
        return self.images * self.batches

    def sample(self, index: int, *, epoch: int, seed: int) -> Mapping[str, Any]:
        return {"index": index}

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        return self.ready[samples[0]["index"] // self.images % 2]


def moved(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.to(device()) for key, value in batch.items()}


def bare(task: JointTask, data: PreparedBatches) -> float:
    """Seconds of the loop that anybody would write with care."""
    seed_everything(0)
    model = task.model().to(device()).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, nesterov=True)
    start = settled()
    for step in range(data.batches):
        batch = moved(data.ready[step % 2])
        optimiser.zero_grad(set_to_none=True)
        terms = task.losses(model(batch), batch)
        loss = sum(values.mean() * task.term_weights[name] for name, values in terms.items())
        assert isinstance(loss, torch.Tensor)
        loss.backward()
        parameters = list(model.parameters())
        clip(parameters, total_norm(parameters), CLIP)
        optimiser.step()
        loss.item()
    return settled() - start


def ours(task: JointTask, data: PreparedBatches) -> float:
    """Seconds of ``fit`` in its epoch, recorder on."""
    seed_everything(0)
    with tempfile.TemporaryDirectory() as parent:
        folder = RunFolder(Path(parent) / "run")
        with RecordWriter(folder) as writer:
            summary = fit(
                task=task,
                model=task.model(),
                train=data,
                validate=lambda model, epoch: {"none": 0.0},
                select=("none", True),
                options=LoopOptions(epochs=1, batch_size=data.images, **SGD),
                writer=writer,
                folder=folder,
                progress=Silent(),
            )
    assert summary.samples_per_second is not None and summary.steps == data.batches
    return len(data) / summary.samples_per_second


def loop_table(given: argparse.Namespace) -> None:
    task = task_of(given.network, max(given.size))
    data = PreparedBatches(given.batch, *given.size, given.steps)
    bare(task, data), ours(task, data)
    times: dict[str, list[float]] = {"bare": [], "ours": []}
    worked: dict[str, list[float]] = {"bare": [], "ours": []}
    for repeat in range(given.repeats):
        for which in ("bare", "ours") if repeat % 2 else ("ours", "bare"):
            before = time.process_time()
            times[which].append({"bare": bare, "ours": ours}[which](task, data) / given.steps * 1000)
            worked[which].append((time.process_time() - before) / given.steps * 1000)
    print("| loop | ms a step, median (range) | images/s | processor time, ms a step |\n|---|---|---|---|")
    for which, values in times.items():
        speed = given.batch / statistics.median(values) * 1000
        print(f"| {which} | {spread(values)} | {speed:.1f} | {spread(worked[which])} |")
    print(f"\nthroughput of ours over the bare loop's: {spread(_over(times), digits=3)}")
    if not torch.cuda.is_available():
        print(f"in processor time: {spread(_over(worked), digits=3)}")


def _over(spent: Mapping[str, Sequence[float]]) -> list[float]:
    """Bare over ours, turn by turn."""
    return [plain / own for plain, own in zip(spent["bare"], spent["ours"], strict=True)]


def variant_table(given: argparse.Namespace) -> None:
    """Variants one after another, since a network of each with its optimiser would not fit together."""
    task = task_of(given.network, max(given.size))
    batch = moved(made_batch(given.batch, *given.size, 0))
    print("| variant | ms a step, median (range) | images/s | over float32 |\n|---|---|---|---|")
    first = None
    for name in given.variants:
        milliseconds = steps_of(task, batch, VARIANTS[name], given)
        median = statistics.median(milliseconds)
        first = first or median
        speed = given.batch / median * 1000
        print(f"| {name} | {spread(milliseconds)} | {speed:.1f} | {first / median:.2f} x |", flush=True)


def steps_of(task: JointTask, batch: Mapping[str, Any], chosen: Mapping[str, Any], given: Any) -> list[float]:
    """Milliseconds a step, one number a turn, once compiled and warm."""
    seed_everything(0)
    options = LoopOptions(**{**SGD, **chosen}, accelerator=device().type)
    stepper = Stepper(start_engine(options), task, task.model().train(), options)
    found, step = [], 0
    for turn in range(-1, given.repeats):
        start = settled()
        for _ in range(given.steps):
            stepper.make([batch], step=step, batch=0, rate=RATE)
            step += 1
        if turn >= 0:
            found.append((settled() - start) / given.steps * 1000)
    stepper.close()
    return found


def main() -> None:
    on_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("n", "s", "m", "l", "x"), default="s" if on_gpu else "n")
    parser.add_argument("--size", default="640x640" if on_gpu else "128x160", help="HxW, multiples of 32")
    parser.add_argument("--batch", type=int, default=64 if on_gpu else 16)
    parser.add_argument(
        "--steps",
        type=int,
        default=10,
        help="of each turn; a run looks at the tasks' gradients in the first and in every 20th",
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--variants", nargs="*", choices=list(VARIANTS), help="all of them when none is named")
    given = parser.parse_args()
    given.size = tuple(int(side) for side in given.size.split("x"))
    if given.threads:
        torch.set_num_threads(given.threads)
    where = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    shape = "x".join(map(str, given.size))
    print(f"yolov5{given.network} with a view head, {shape}, batch {given.batch}, {where}, torch {torch.__version__}; ")
    print(f"{given.steps} steps, {given.repeats} repeats\n")
    if given.variants is None:
        loop_table(given)
    else:
        given.variants = given.variants or list(VARIANTS)
        variant_table(given)


if __name__ == "__main__":
    main()
