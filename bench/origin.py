"""The attention network of report 001 (792,321 parameters, batch 8): what the loop adds to a step, and who waits.

``python bench/origin.py`` times ``fit`` against a bare hand-written loop on prepared tensors, at 128x192 and at
512x768: same batches in memory, same loss, Adam at 1e-3 as in the report, interleaved. ``--data FOLDER`` also trains
on a data set (a made one: ``veritrain data make driving FOLDER --size 512x768 --density official``) and tells which
share of a step is waiting for the next batch, with ``--workers`` processes. Prints Markdown tables. Thread counts are
torch's own unless ``--threads`` is given; a GPU is used when there is one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from clock import device, settled, spread

from veritrain.data.loader import EpochLoader, workers_explained
from veritrain.experiments.anomaly import EXPERIMENT
from veritrain.models.options import FusionOptions
from veritrain.models.origin_facts import ORIGIN
from veritrain.record import RecordWriter, RunFolder
from veritrain.tasks.anomaly import AnomalyTask, claims_of
from veritrain.tasks.options import AnomalyRecipe
from veritrain.training.evaluate import on_device
from veritrain.training.loop import fit
from veritrain.training.options import LoopOptions
from veritrain.training.progress import Silent
from veritrain.training.seeding import seed_everything

MODEL = "report001-attention"
BATCH = 8
RATE = 1e-3
SIZES = ("128x192", "512x768")


def task_of() -> AnomalyTask:
    return AnomalyTask(
        network=FusionOptions(),
        loss="bce",
        pos_weights={"frame": 1.0},
        term_weights={"frame": 1.0},
        claims=claims_of(MODEL),
        model_name=MODEL,
    )


class PreparedBatches:
    """Batches of random images and clouds, made once and handed out as they are: no data side at all."""

    def __init__(self, size: tuple[int, int], batches: int) -> None:
        generator = torch.Generator().manual_seed(0)
        returns = ORIGIN[MODEL].returns
        self.ready = []
        for k in range(min(batches, 2)):
            self.ready.append(
                {
                    "image": torch.rand(BATCH, 3, *size, generator=generator) * 2 - 1,
                    "cloud": torch.randn(BATCH, returns, 4, generator=generator) * 20,
                    "cloud_mask": torch.ones(BATCH, returns, dtype=torch.bool),
                    "frame_label": (torch.arange(BATCH) % 2).float(),
                    "index": torch.arange(BATCH) + k * BATCH,
                }
            )
        self.batches = batches

    def __len__(self) -> int:
        return self.batches * BATCH

    def sample(self, index: int, *, epoch: int, seed: int) -> Mapping[str, Any]:
        return {"index": index}

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        return self.ready[samples[0]["index"] // BATCH % len(self.ready)]


def bare(data: PreparedBatches) -> float:
    """Seconds of the loop that anybody would write; it reads its loss every step, as the report's did."""
    seed_everything(0)
    task = task_of()
    model = task.model().to(device()).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    start = settled()
    for step in range(data.batches):
        batch = on_device(data.ready[step % len(data.ready)], device())
        optimiser.zero_grad(set_to_none=True)
        loss = task.losses(model(batch), batch)["frame"].mean()
        loss.backward()
        optimiser.step()
        loss.item()
    return settled() - start


def ours(data: PreparedBatches) -> float:
    """Seconds of ``fit`` in its epoch, recorder on."""
    seed_everything(0)
    task = task_of()
    with tempfile.TemporaryDirectory() as parent:
        folder = RunFolder(Path(parent) / "run")
        with RecordWriter(folder) as writer:
            summary = fit(
                task=task,
                model=task.model(),
                train=data,
                validate=lambda model, epoch: {"none": 0.0},
                select=("none", True),
                options=LoopOptions(
                    epochs=1,
                    batch_size=BATCH,
                    optimiser="adam",
                    learning_rate=RATE,
                    weight_decay=0,
                    schedule="constant",
                ),
                writer=writer,
                folder=folder,
                progress=Silent(),
            )
    assert summary.samples_per_second is not None and summary.steps == data.batches
    return len(data) / summary.samples_per_second


def loop_rows(sizes: Sequence[str], steps: int, repeats: int) -> Iterator[str]:
    for size in sizes:
        height, _, width = size.partition("x")
        data = PreparedBatches((int(height), int(width)), steps)
        bare(data), ours(data)
        times: dict[str, list[float]] = {"bare": [], "ours": []}
        for repeat in range(repeats):
            for which in ("bare", "ours") if repeat % 2 else ("ours", "bare"):
                times[which].append({"bare": bare, "ours": ours}[which](data) / steps * 1000)
        added = [own - plain for own, plain in zip(times["ours"], times["bare"], strict=True)]
        share = statistics.median(added) / statistics.median(times["bare"])
        yield f"| {size} | {spread(times['bare'])} | {spread(times['ours'])} | {spread(added)} | {share:.2%} |"


def waiting_row(folder: str, workers: int, most: int) -> str:
    """One epoch of real reading and training; the first batch, which starts the workers, is left out."""
    recipe = AnomalyRecipe(data=folder, model=MODEL, batch_size=BATCH, workers=workers)
    prepared = EXPERIMENT.prepare(recipe)
    train = prepared.data.sets["train"]
    size = "x".join(str(side) for side in train.sample(0, epoch=0, seed=0)["image"].shape[1:])
    model = prepared.task.model().to(device()).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    loader = EpochLoader(train, batch_size=BATCH, seed=0, workers=workers, pin=torch.cuda.is_available())
    waits, steps = [], []
    with workers_explained():
        batches = loader.epoch(1)
        last = settled()
        for number in range(min(most, loader.batches())):
            batch = on_device(next(batches), device())
            arrived = settled()
            optimiser.zero_grad(set_to_none=True)
            prepared.task.losses(model(batch), batch)["frame"].mean().backward()
            optimiser.step()
            now = settled()
            if number:
                waits.append((arrived - last) * 1000)
                steps.append((now - last) * 1000)
            last = now
        loader.close()
    if not steps:
        return f"| {size} | {workers} | 0 | too few batches | | |"
    share = sum(waits) / sum(steps)
    return f"| {size} | {workers} | {len(steps)} | {spread(steps)} | {spread(waits)} | {share:.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20, help="of each loop and repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--data", default="", help="a data set for the waiting part")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--most", type=int, default=60, help="steps of the waiting part")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    parameters = sum(p.numel() for p in task_of().model().parameters())
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    print(f"{MODEL}: {parameters:,} parameters, batch {BATCH}, {where}; {given.steps} steps, {given.repeats} repeats\n")
    print("| image | bare, ms per step, median (range) | ours | added, paired | added share |\n|---|---|---|---|---|")
    for row in loop_rows(given.sizes, given.steps, given.repeats):
        print(row, flush=True)
    if given.data:
        print("\n| image | workers | steps | step, ms, median (range) | waiting, ms | waiting share |")
        print("|---|---|---|---|---|---|")
        print(waiting_row(given.data, given.workers, given.most))


if __name__ == "__main__":
    main()
