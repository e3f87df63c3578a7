"""What the loop costs per step: ours against a bare hand-written PyTorch loop, on a network of about 500 parameters.

Run ``python bench/loop.py``; prints a Markdown table. Both loops read the same data through the same kind of
DataLoader order, use the same optimiser and schedule, run in turns in one process on one thread, and the recorder
is on. CPU time stands beside wall time, because another process on the machine stretches only the latter; ours
includes start-up and the checkpoint at the end. Memory is the peak resident size of a process of its own per loop.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from veritrain.record import Claim, RecordWriter, RunFolder
from veritrain.training.seeding import seed_everything

BATCH = 8
OPTIONS = {"batch_size": BATCH, "schedule": "constant", "accelerator": "cpu", "epochs": 1}


class Points:
    """Rows of 16 numbers and a label, held in memory."""

    def __init__(self, samples: int) -> None:
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(samples, 16, generator=generator)
        self.y = (self.x.sum(1) > 0).float()

    def __len__(self) -> int:
        return len(self.x)

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        return {"x": self.x[index], "y": self.y[index], "index": index}

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            "x": torch.stack([s["x"] for s in samples]),
            "y": torch.stack([s["y"] for s in samples]),
            "index": torch.tensor([s["index"] for s in samples]),
        }


class Small(nn.Module):
    """505 parameters."""

    inputs = ("x",)

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(16, 28), nn.ReLU(), nn.Linear(28, 1))

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        return {"logit": self.net(batch["x"]).squeeze(1)}


class SmallTask:
    name = "bench"
    claims = (Claim(metric="none"),)
    term_weights: Mapping[str, float] = {"bce": 1.0}

    def losses(self, output: Mapping[str, Tensor], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        loss = nn.functional.binary_cross_entropy_with_logits(output["logit"], batch["y"], reduction="none")
        return {"bce": loss}


def bare(data: Points) -> float:
    """Seconds of the loop that anybody would write."""
    seed_everything(0)
    model, task = Small().train(), SmallTask()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    samples = [(data, index) for index in torch.randperm(len(data)).tolist()]
    loader: Any = torch.utils.data.DataLoader(
        samples,  # type: ignore[arg-type]
        batch_size=BATCH,
        collate_fn=lambda pairs: data.collate([d.sample(i, epoch=0, seed=0) for d, i in pairs]),
    )
    start = time.perf_counter()
    for batch in loader:
        optimiser.zero_grad(set_to_none=True)
        loss = task.losses(model(batch), batch)["bce"].mean()
        loss.backward()
        optimiser.step()
        loss.item()
    return time.perf_counter() - start


def ours(data: Points) -> float:
    """Seconds of ``fit`` between the first batch and the end of the epoch, recorder on."""
    # Imported here, so that the bare loop's memory is without them.
    from veritrain.training.loop import fit
    from veritrain.training.options import LoopOptions
    from veritrain.training.progress import Silent

    seed_everything(0)
    with tempfile.TemporaryDirectory() as parent:
        folder = RunFolder(Path(parent) / "run")
        with RecordWriter(folder) as writer:
            summary = fit(
                task=SmallTask(),  # type: ignore[arg-type]
                model=Small(),
                train=data,
                validate=lambda model, epoch: {"none": 0.0},
                select=("none", True),
                options=LoopOptions(**OPTIONS),  # type: ignore[arg-type]
                writer=writer,
                folder=folder,
                progress=Silent(),
            )
        lines = sum(1 for _ in folder.record.open())
    assert summary.samples_per_second is not None and lines > summary.steps
    return len(data) / summary.samples_per_second


def peak_mb(which: str, samples: int, pipe: Any) -> None:
    torch.set_num_threads(1)
    {"bare": bare, "ours": ours}[which](Points(samples))
    # Not ru_maxrss: a child's begins with what its parent had when it forked.
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    pipe.send(int(line.split()[1]) / 1024)


def memory_of(which: str, samples: int) -> float:
    """Peak resident MB of one loop in a process of its own."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=peak_mb, args=(which, samples, send))
    process.start()
    peak: float = receive.recv()
    process.join()
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--steps", type=int, default=400)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = Points(given.steps * BATCH)
    wall: dict[str, list[float]] = {"bare": [], "ours": []}
    cpu: dict[str, list[float]] = {"bare": [], "ours": []}
    bare(data), ours(data)
    for repeat in range(given.repeats):
        for which in ("bare", "ours") if repeat % 2 else ("ours", "bare"):
            before = time.process_time()
            wall[which].append({"bare": bare, "ours": ours}[which](data) / given.steps * 1000)
            cpu[which].append((time.process_time() - before) / given.steps * 1000)
    parameters = sum(p.numel() for p in Small().parameters())
    print(
        f"{parameters} parameters, batch {BATCH}, {given.steps} steps a repeat, {given.repeats} interleaved, 1 thread\n"
    )
    print("| loop | wall ms per step, median (min-max) | CPU ms per step, median (min-max) | peak memory, MB |")
    print("|---|---|---|---|")
    for which in wall:
        print(f"| {which} | {spread(wall[which])} | {spread(cpu[which])} | {memory_of(which, len(data)):.0f} |")
    print(f"\nadded per step, median of paired differences: {added(wall):.3f} ms wall, {added(cpu):.3f} ms CPU")
    print("promised: at most 0.5 ms")


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def added(times: dict[str, list[float]]) -> float:
    return statistics.median(o - b for o, b in zip(times["ours"], times["bare"], strict=True))


if __name__ == "__main__":
    main()
