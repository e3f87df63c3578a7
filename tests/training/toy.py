"""A small task with everything that makes resuming hard: dropout, BatchNorm, augmentation, workers.

``python toy.py --run DIR ...`` trains it in a process of its own and prints the SHA-256 of the final weights.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from veritrain.errors import VeritrainError
from veritrain.record import Claim, RecordWriter, RunFolder
from veritrain.training.engine import is_writer
from veritrain.training.loop import fit
from veritrain.training.options import LoopOptions
from veritrain.training.progress import Silent
from veritrain.training.seeding import seed_everything


class ToySet:
    """Noisy 1 x 8 x 8 images whose mean tells the class; the noise is drawn anew each epoch."""

    def __init__(self, samples: int = 48, *, bad: int | None = None, seconds: float = 0.0) -> None:
        self.samples, self.bad, self.seconds = samples, bad, seconds
        self.read: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return self.samples

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        self.read.append((epoch, index))
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


def weights_hash(model: nn.Module) -> str:
    """SHA-256 over names and bytes of all weights and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
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


def main() -> int:
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
    parser.add_argument("--unfreeze", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    options = LoopOptions(
        epochs=given.epochs, batch_size=4, workers=given.workers, accumulate=given.accumulate, warmup_steps=3,
        checkpoint_every_steps=given.every, accelerator="cpu", unfreeze=((2, "body"),) if given.unfreeze else (),
    )  # fmt: skip
    seed_everything(3)
    task = ToyTask(given.width)
    model = task.model()
    folder = RunFolder(given.run)
    try:
        with RecordWriter(folder) if is_writer() else nullcontext() as writer:
            fit(
                task=task,
                model=model,
                train=ToySet(given.samples, bad=given.bad, seconds=given.sample_seconds),
                validate=Validation(),
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
    print(weights_hash(model))
    return 0


if __name__ == "__main__":
    sys.exit(main())
