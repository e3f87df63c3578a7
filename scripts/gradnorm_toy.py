"""The toy problem of the GradNorm paper (Chen et al., ICML 2018, section 4): tasks that differ in nothing but scale.

``python scripts/gradnorm_toy.py`` trains 2 and 10 tasks, 3 seeds each, with equal weights, GradNorm, uncertainty
weighting and DWA, through the loop's own step; prints the tables of docs/results.md and writes
results/gradnorm_toy.json. Made data, descriptive: 3 seeds, no claim.

f_i(x) = sigma_i tanh((B + eps_i) x): 250 inputs, 100 outputs, a trunk of 4 layers of 100 ReLU units and one linear
head a task, squared error averaged over outputs. **N(0, 10) and N(0, 3.5) are read as variances**: B has standard
deviation 3.16, each eps_i 1.87. The paper does not say how x is drawn; here every x is a fresh draw from N(0, 1 / 250),
a vector of length about 1. The paper's metric is sum_i L_i(t) / L_i(0) on test data: T at the start, and what no task
may dominate by its scale.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from veritrain.losses.options import BalanceOptions
from veritrain.training.engine import start_engine
from veritrain.training.options import LoopOptions
from veritrain.training.seeding import seed_everything
from veritrain.training.step import Stepper

ROOT = Path(__file__).resolve().parent.parent
INPUTS, OUTPUTS, WIDTH = 250, 100, 100
BATCH, TEST = 64, 1_000
VARIANCE_B, VARIANCE_EPS = 10.0, 3.5
SIGMAS = {2: (1.0, 100.0), 10: tuple(np.geomspace(1.0, 100.0, 10).round(2).tolist())}
EPOCH = 250
"""Steps that DWA takes for an epoch: the data have none."""

LAST, EVERY = 500, 10
"""Norms are means over these steps at the end, taken this often."""

STEPS = 2_500

ALPHA, WEIGHT_RATE = 0.12, 2e-3
METHODS: dict[str, BalanceOptions] = {
    "equal weights": BalanceOptions(),
    "GradNorm": BalanceOptions(balance="gradnorm", alpha=ALPHA, weight_rate=WEIGHT_RATE),
    "uncertainty": BalanceOptions(balance="uncertainty"),
    "DWA": BalanceOptions(balance="dwa"),
}


class Functions:
    """The targets of one seed."""

    def __init__(self, tasks: int, seed: int) -> None:
        rng = np.random.default_rng((seed, tasks))
        base = rng.normal(0, np.sqrt(VARIANCE_B), (OUTPUTS, INPUTS))
        own = rng.normal(0, np.sqrt(VARIANCE_EPS), (tasks, OUTPUTS, INPUTS))
        self.maps = torch.tensor(base + own, dtype=torch.float32)
        self.sigmas = torch.tensor(SIGMAS[tasks])

    def batch(self, samples: int, *place: int) -> dict[str, Any]:
        """Fresh samples of one place in training; the same place gives the same numbers."""
        x = np.random.default_rng(place).normal(0, 1 / np.sqrt(INPUTS), (samples, INPUTS))
        inputs = torch.tensor(x, dtype=torch.float32)
        targets = self.sigmas[:, None, None] * torch.tanh(torch.einsum("toi,bi->tbo", self.maps, inputs))
        return {"x": inputs, "y": targets, "index": torch.arange(samples)}


class ToyNet(nn.Module):
    """Four shared layers, the last of which is the declared one, and a linear head for each task."""

    inputs = ("x",)

    def __init__(self, tasks: int) -> None:
        super().__init__()
        widths = [INPUTS, *[WIDTH] * 4]
        layers = [nn.Linear(below, above) for below, above in itertools.pairwise(widths)]
        self.trunk = nn.Sequential(*[part for layer in layers for part in (layer, nn.ReLU())])
        self.last = layers[-1]
        self.heads = nn.ModuleList(nn.Linear(WIDTH, OUTPUTS) for _ in range(tasks))

    def shared_parameters(self) -> list[nn.Parameter]:
        return [self.last.weight]

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        features = self.trunk(batch["x"])
        return {f"f{k}": head(features) for k, head in enumerate(self.heads)}


class ToyTask:
    """Every function is a task; all of them have the weight 1 of their own."""

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks
        self.term_weights: Mapping[str, float] = {f"f{k}": 1.0 for k in range(tasks)}
        self.term_groups: Mapping[str, tuple[str, ...]] = {term: (term,) for term in self.term_weights}

    def model(self) -> nn.Module:
        return ToyNet(self.tasks)

    def losses(self, output: Mapping[str, Tensor], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Squared error (B,) of each task."""
        return {term: (output[term] - batch["y"][k]).square().mean(1) for k, term in enumerate(self.term_weights)}


@torch.no_grad()
def held_out_losses(task: ToyTask, model: nn.Module, batch: Mapping[str, Any]) -> list[float]:
    return [float(loss.mean()) for loss in task.losses(model(batch), batch).values()]


def run(tasks: int, seed: int, method: str, steps: int) -> dict[str, Any]:
    """One training."""
    began, cpu = time.monotonic(), time.process_time()
    functions, task = Functions(tasks, seed), ToyTask(tasks)
    seed_everything(seed)
    model = task.model()
    options = LoopOptions(optimiser="adam", weight_decay=0.0, accelerator="cpu", grad_every_steps=EVERY, seed=seed)
    stepper = Stepper(start_engine(options), task, model, options, balance=METHODS[method])  # type: ignore[arg-type]
    test = functions.batch(TEST, seed, 1)
    first, norms = held_out_losses(task, model, test), []
    for step in range(steps):
        batch = functions.batch(BATCH, seed, 2, step)
        numbers = stepper.make([batch], step=step, batch=step % EPOCH, rate=options.learning_rate)
        if (step + 1) % EPOCH == 0:
            stepper.balance.end_epoch()
        if numbers.balance and step >= steps - LAST:
            used = stepper.balance.used()
            norms.append([used[name] * norm for name, norm in numbers.task_norms.items()])
    shares = [now / then for now, then in zip(held_out_losses(task, model, test), first, strict=True)]
    weights = list(stepper.balance.balancer.weights().values())
    mean = np.mean(norms, axis=0).tolist()
    return {
        "tasks": tasks,
        "seed": seed,
        "method": method,
        "metric": sum(shares),
        "shares": shares,
        "weights": weights,
        "norms": mean,
        "spread": max(mean) / min(mean),
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - cpu,
    }


def table(rows: list[dict[str, Any]], tasks: int) -> str:
    """Mean and range over seeds of one number of tasks."""
    lines = [
        "| method | sum of L(t) / L(0) | smallest sigma | largest sigma | its weight | largest : smallest norm |",
        "|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        own = [row for row in rows if row["tasks"] == tasks and row["method"] == method]
        if not own:
            continue
        cells = [
            spread_of([row["metric"] for row in own]),
            spread_of([row["shares"][0] for row in own]),
            spread_of([row["shares"][-1] for row in own]),
            spread_of([row["weights"][-1] for row in own], ".2g"),
            spread_of([row["spread"] for row in own], ".3g"),
        ]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread_of(values: list[float], form: str = ".3f") -> str:
    """Mean (least to largest)."""
    low, high = min(values), max(values)
    return f"{statistics.mean(values):{form}} ({low:{form}} to {high:{form}})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="*", default=sorted(SIGMAS), choices=sorted(SIGMAS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "gradnorm_toy.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for tasks, seed, method in itertools.product(given.tasks, range(given.seeds), METHODS):
        rows.append(run(tasks, seed, method, given.steps))
        write(rows, given.out, given.steps)
        row = rows[-1]
        print(
            f"{tasks:>2} tasks  seed {seed}  {method:<14} {row['metric']:.3f}  norms {row['spread']:.3g}  "
            f"{row['seconds']:.1f} s",
            flush=True,
        )
    for tasks in given.tasks:
        print(f"\n{tasks} tasks\n\n{table(rows, tasks)}")
    return 0


def write(rows: list[dict[str, Any]], path: Path, steps: int) -> None:
    content = {
        "what": "the toy problem of the GradNorm paper; made data",
        "reading": "N(0, 10) and N(0, 3.5) by variance; x from N(0, 1 / 250)",
        "sigmas": {str(count): values for count, values in SIGMAS.items()},
        "steps": steps,
        "batch": BATCH,
        "methods": {name: vars(options) for name, options in METHODS.items()},
        "rows": rows,
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
