"""The training of report 004, acted out again: random class logits, norms at outputs, a last batch of two frames.

``python scripts/report004.py`` trains one epoch of 1,042 made frames with ``balance report004`` and logits that are
noise (``losses/report004.py``), prints the batches as the report printed them, and has the run judged. With
``--balance gradnorm`` (or any other) the loop itself stops it before step 1. Made data: what counts is the verdict.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from veritrain.audit.verdict import Verdict, judge
from veritrain.errors import UnconnectedTaskError
from veritrain.losses.options import Balance, BalanceOptions
from veritrain.losses.report004 import noise_instead_of
from veritrain.record import Claim, RecordWriter, RunFolder, RunRecord, read_run
from veritrain.training.loop import fit
from veritrain.training.options import LoopOptions
from veritrain.training.progress import Silent
from veritrain.training.seeding import seed_everything

FRAMES, BATCH, VIEWS, SIDE = 1_042, 8, 3, 16


class Frames:
    """One bright rectangle a frame; its box is to be found, and one of three backgrounds is the view."""

    def __len__(self) -> int:
        return FRAMES

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        rng = np.random.default_rng((4, index))
        view = int(rng.integers(VIEWS))
        left, top, width, height = rng.integers((1, 1, 3, 3), (8, 8, 8, 8))
        frame = rng.normal(0.2 * view, 0.1, (1, SIDE, SIDE)).astype(np.float32)
        frame[0, top : top + height, left : left + width] += 1.0
        box = np.array([left, top, width, height], np.float32) / SIDE
        return {"image": frame, "box": box, "view": view, "index": index}

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {
            "image": torch.from_numpy(np.stack([s["image"] for s in samples])),
            "box": torch.from_numpy(np.stack([s["box"] for s in samples])),
            "view": torch.tensor([s["view"] for s in samples]),
            "index": torch.tensor([s["index"] for s in samples]),
        }


class JointNet(nn.Module):
    """A shared tower, a box head and a view head."""

    inputs = ("image",)

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1)
        )
        self.box, self.view = nn.Linear(16 * (SIDE // 4) ** 2, 4), nn.Linear(16, VIEWS)

    def shared_parameters(self) -> list[nn.Parameter]:
        return [self.tower[2].weight]

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        seen = torch.relu(self.tower(batch["image"]))
        return {"box": self.box(seen.flatten(1)), "view": self.view(seen.mean((2, 3)))}


class JointTask:
    """Boxes by squared error, times 8 so that the first batch's is near the report's; views by binary cross-entropy."""

    name = "joint"
    claims = (Claim(metric="view_accuracy", split="val"),)
    term_weights: Mapping[str, float] = {"detection": 1.0, "view": 1.0}
    term_groups: Mapping[str, tuple[str, ...]] = {"detection": ("detection",), "view": ("view",)}

    def losses(self, output: Mapping[str, Tensor], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        one_hot = nn.functional.one_hot(batch["view"], VIEWS).float()
        views = nn.functional.binary_cross_entropy_with_logits(output["view"], one_hot, reduction="none")
        return {"detection": 8 * (output["box"] - batch["box"]).square().mean(1), "view": views.mean(1)}


def train(folder: RunFolder, *, balance: Balance = "report004", noise: bool = True) -> None:
    """One epoch, no remainder dropped: 131 batches, the last of two frames.

    Raises:
        UnconnectedTaskError: with noise, and a balancer that minds paths.
    """
    seed_everything(4)
    model = JointNet()
    if noise:
        noise_instead_of(model, "view")
    held = Frames().collate([Frames().sample(index, epoch=0, seed=0) for index in range(64)])

    def validate(network: nn.Module, epoch: int) -> dict[str, float | None]:
        return {"view_accuracy": float((network(held)["view"].argmax(1) == held["view"]).float().mean())}

    options = LoopOptions(
        epochs=1, batch_size=BATCH, drop_remainder=False, learning_rate=1e-4, accelerator="cpu", grad_every_steps=10
    )
    with RecordWriter(folder) as writer:
        writer.event("start", task="joint", claims=[vars(claim) for claim in JointTask.claims], resumed=False)
        fit(
            task=JointTask(),  # type: ignore[arg-type]
            model=model,
            train=Frames(),
            validate=validate,
            select=("view_accuracy", True),
            options=options,
            writer=writer,
            folder=folder,
            progress=Silent(),
            balance=BalanceOptions(balance=balance),
        )


def as_printed(record: RunRecord) -> list[dict[str, float]]:
    """The batches as the report printed them: losses are means times the number of images, summed with the weights."""
    lines: dict[int, dict[str, float]] = {}
    for term in record.of("term"):
        line = lines.setdefault(term["step"] - 1, {"batch": term["step"] - 1, "images": term["n"], "total": 0.0})
        images = term["n"] if term["name"] == "detection" else 1  # the class loss was a plain mean
        line[term["name"]] = term["value"] * images
        line[f"w_{term['name']}"] = term["weight"]
        line["total"] += term["weight"] * line[term["name"]]
    return list(lines.values())


def change(lines: Sequence[Mapping[str, float]], *, per_image: bool) -> float:
    """The detection loss of the last batch against the first."""
    first, last = (line["detection"] / (line["images"] if per_image else 1) for line in (lines[0], lines[-1]))
    return last / first - 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=None, help="a new folder; a temporary one by default")
    parser.add_argument("--balance", choices=get_args(Balance), default="report004")
    given = parser.parse_args(arguments)
    folder = RunFolder(given.run or Path(tempfile.mkdtemp()) / "report004")
    try:
        train(folder, balance=given.balance)
    except UnconnectedTaskError as error:
        print(f"the loop stopped it:\n{error}\n")
    record = read_run(folder.path)
    lines = as_printed(record)
    if lines:
        print("batch  images    total  detection   view  w_detection  w_view")
        for line in [*lines[::10], *([lines[-1]] if (len(lines) - 1) % 10 else [])]:
            print(
                f"{line['batch']:>5}  {line['images']:>6}  {line['total']:>7.4f}  {line['detection']:>9.4f}  "
                f"{line['view']:.4f}  {line['w_detection']:>11.4f}  {line['w_view']:>6.4f}"
            )
        printed, image = change(lines, per_image=False), change(lines, per_image=True)
        print(f"\ndetection loss from the first batch to the last: {printed:+.1%} as printed, {image:+.1%} an image")
    found: Verdict = judge(record)
    print(f"\n{found.sentence}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
