"""Two tasks on one small trunk, made so that a step can be followed by hand: no dropout, no batch statistics.

``python balance_toy.py --run DIR --balance NAME ...`` trains it, alone or under torchrun, and prints what came out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training.toy import Silent, weights_hash
from veritrain.losses.options import BalanceOptions
from veritrain.record import Claim, RecordWriter, RunFolder
from veritrain.training.engine import is_writer, start_engine
from veritrain.training.loop import fit
from veritrain.training.options import LoopOptions
from veritrain.training.progress import FitSummary
from veritrain.training.seeding import seed_everything
from veritrain.training.step import Stepper
from veritrain.training.terms import StepNumbers

VIEWS = 3


class PairSet:
    """Rows of 8 numbers, a box of 2 numbers and one of 3 views; in every ``every``-th sample the view is unknown."""

    def __init__(self, samples: int = 48, *, every: int = 0) -> None:
        self.samples, self.every = samples, every

    def __len__(self) -> int:
        return self.samples

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        x = np.random.default_rng((5, index)).normal(0, 1, 8).astype(np.float32)
        view = int(np.argmax(x[:VIEWS]))
        return {"x": x, "box": x[3:5] - x[5:7], "view": -1 if self.every and index % self.every == 0 else view,
                "index": index, "id": f"pair/{index}"}  # fmt: skip

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            "x": torch.from_numpy(np.stack([s["x"] for s in samples])),
            "box": torch.from_numpy(np.stack([s["box"] for s in samples])),
            "view": torch.tensor([s["view"] for s in samples]),
            "index": torch.tensor([s["index"] for s in samples]),
            "id": [s["id"] for s in samples],
        }

    def batch(self, indices: Sequence[int]) -> dict[str, Any]:
        return self.collate([self.sample(index, epoch=1, seed=0) for index in indices])


class PairNet(nn.Module):
    """A trunk of two layers, the second of which is declared shared, and a head for each task.

    ``loud`` multiplies what the view head reads, and with it the gradient that comes back from it.
    """

    inputs = ("x",)

    def __init__(self, *, loud: float = 1.0) -> None:
        super().__init__()
        self.loud = loud
        self.trunk = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 12))
        self.box, self.view = nn.Linear(12, 2), nn.Linear(12, VIEWS)

    def shared_parameters(self) -> list[nn.Parameter]:
        return [self.trunk[2].weight]

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        features = torch.tanh(self.trunk(batch["x"]))
        return {"box": self.box(features), "view": self.view(self.loud * features)}


class PairTask:
    """Boxes (two terms with inner weights) and views."""

    name = "pair"
    claims = (Claim(metric="accuracy", split="val"),)
    term_weights: Mapping[str, float] = {"near": 1.0, "size": 0.1, "view": 0.5}
    term_groups: Mapping[str, tuple[str, ...]] = {"boxes": ("near", "size"), "views": ("view",)}

    def __init__(self, **net: Any) -> None:
        self.net = net

    def model(self) -> nn.Module:
        return PairNet(**self.net)

    def losses(self, output: Mapping[str, Tensor], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        known = batch["view"] >= 0
        views = nn.functional.cross_entropy(output["view"].float(), batch["view"].clamp(min=0), reduction="none")
        box = output["box"].float()
        return {"near": (box - batch["box"]).square().mean(1), "size": box.square().mean(1), "view": views * known}

    def term_counts(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        return {"view": batch["view"] >= 0}


class Ungrouped(PairTask):
    """The same terms, without tasks."""

    term_groups = None  # type: ignore[assignment]


def validate(model: nn.Module, epoch: int) -> dict[str, float | None]:
    batch = PairSet().batch(range(16))
    found = model({"x": batch["x"].to(next(model.parameters()).device)})["view"].argmax(1).cpu()
    return {"accuracy": float((found == batch["view"]).float().mean())}


def fit_pair(
    folder: RunFolder,
    *,
    task: Any = None,
    data: PairSet | None = None,
    balance: BalanceOptions | None = None,
    resume: bool = False,
    spoil: Callable[[nn.Module], object] = lambda model: None,
    **chosen: Any,
) -> tuple[FitSummary, nn.Module]:
    """``fit`` of the toy in this process, on one thread; ``spoil`` is called with the untrained network."""
    torch.set_num_threads(1)
    options = LoopOptions(**{"batch_size": 4, "accelerator": "cpu", "epochs": 2, "learning_rate": 0.01, **chosen})
    task = task or PairTask()
    seed_everything(3)
    model = task.model()
    spoil(model)
    with RecordWriter(folder) if is_writer() else nullcontext() as writer:
        summary = fit(
            task=task,
            model=model,
            train=data or PairSet(),
            validate=validate,
            select=("accuracy", True),
            options=options,
            writer=writer,
            folder=folder,
            resume=resume,
            progress=Silent(),
            balance=balance or BalanceOptions(),
        )
    return summary, model


def stepper_of(task: Any = None, *, balance: BalanceOptions | None = None, **chosen: Any) -> tuple[Stepper, nn.Module]:
    """The loop's step alone, with a fresh network."""
    options = LoopOptions(**{"accelerator": "cpu", "optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.0, **chosen})
    task = task or PairTask()
    seed_everything(3)
    model = task.model()
    return Stepper(start_engine(options), task, model, options, balance=balance or BalanceOptions()), model


def frozen_stepper(*, balance: BalanceOptions) -> tuple[Stepper, Callable[[], StepNumbers]]:
    """Steps on one batch with a learning rate that moves nothing; the view's gradient is large at the shared layer."""
    torch.set_num_threads(1)
    stepper, _ = stepper_of(PairTask(loud=6.0), balance=balance)
    batch = PairSet().batch(range(8))
    return stepper, lambda: stepper.make([batch], step=1, batch=0, rate=1e-30)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--balance", default="gradnorm")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--accumulate", type=int, default=1)
    given = parser.parse_args(arguments)
    chosen = {"initial_steps": 2} if given.balance != "report004" else {}
    _, model = fit_pair(
        RunFolder(given.run),
        data=PairSet(every=5),
        balance=BalanceOptions(balance=given.balance, **chosen),
        batch_size=given.batch,
        accumulate=given.accumulate,
        optimiser="sgd",
        learning_rate=0.1,
        grad_every_steps=1,
    )
    weights = torch.cat([p.detach().flatten() for p in model.parameters()]).tolist()
    told = {"rank": os.environ.get("RANK", "0"), "hash": weights_hash(model), "weights": weights}
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
