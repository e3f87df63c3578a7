"""What precision, memory layout, compilation and the moving average cost or save per training step.

Run ``python bench/precision.py``; prints Markdown. Each variant is a whole optimiser step of the loop
(``training.step.Stepper``: forward, losses, backward, norm, update) of the fusion detector on one made batch that is
already on the device, so reading data is left out. The variants take turns; a ratio is the median over the turns of
a variant's time over that of float32 in the same turn. Above 1 is slower.

``--model`` takes a network of the reports instead, with the batch of its report: ``report000-simple`` (2) and
``report001-attention`` (8).

On a GPU the sizes are 512 x 768 with batches of 8 and of 2, and beside the ratios stand samples per second, peak
memory and model FLOP utilisation: FLOPs of convolutions and matrix products in forward and backward, as
``torch.utils.flop_counter`` counts them, per second, over the dense peak of the arithmetic used (PEAKS). Gathers,
normalisations and losses are in the time and not in the FLOPs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from veritrain.data.frames import FrameSet
from veritrain.data.geometry import CAMERA_AXES, intrinsics
from veritrain.data.paired_view import ViewOptions
from veritrain.data.sample import Calibration, Frame
from veritrain.errors import ConfigError
from veritrain.models.options import FusionOptions
from veritrain.models.origin_facts import answered_levels, returns_of
from veritrain.tasks.anomaly import AnomalyTask, claims_of
from veritrain.training.engine import start_engine
from veritrain.training.options import LoopOptions
from veritrain.training.step import Stepper

VARIANTS: dict[str, dict[str, Any]] = {
    "float32": {},
    "float32, TF32": {"tf32": True},
    "bf16-mixed": {"precision": "bf16-mixed"},
    "16-mixed": {"precision": "16-mixed"},
    "channels-last": {"channels_last": True},
    "bf16, channels-last": {"precision": "bf16-mixed", "channels_last": True},
    "moving average": {"ema_decay": 0.999},
    "compiled": {"compile": "default"},
    "bf16, compiled": {"compile": "default", "precision": "bf16-mixed"},
    "bf16, channels-last, compiled": {"compile": "default", "precision": "bf16-mixed", "channels_last": True},
}
GPU_ONLY = ("float32, TF32",)
REPORTED = {"report000-simple": 2, "report001-attention": 8}
"""The networks whose reports state a speed, and their batches: 50 and 21 steps a second on an RTX 4090."""
PEAKS = {
    ("H100", "float32"): 67.0, ("H100", "TF32"): 494.7, ("H100", "16 bit"): 989.4,
    ("H200", "float32"): 67.0, ("H200", "TF32"): 494.7, ("H200", "16 bit"): 989.4,
}  # fmt: skip
"""Dense TFLOP/s that NVIDIA states for the SXM modules; half of the figures with sparsity in the data sheets."""


@dataclass
class Variant:
    """One way of training and what was measured of it."""

    name: str
    arithmetic: str
    stepper: Stepper
    milliseconds: list[float] = field(default_factory=list)
    peak_mb: float | None = None
    steps: int = 0


def made_batch(height: int, width: int, samples: int, model: str) -> dict[str, Any]:
    """Noise in the shapes of AnoVox: one camera, a sweep of 64 x 1,563 returns around the car, 2 % anomalous."""
    frames = []
    for number in range(samples):
        rng = np.random.default_rng(number)
        up, around = np.meshgrid(np.radians(np.linspace(10, -30, 64)), np.linspace(-np.pi, np.pi, 1563, endpoint=False),
                                 indexing="ij")  # fmt: skip
        up, around = up.ravel(), around.ravel()
        distance = rng.uniform(3, 60, up.size)[:, None]
        xyz = distance * np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], axis=1)
        labels = (rng.random(up.size) < 0.02).astype(np.int8)
        extrinsics = np.eye(4)
        extrinsics[:3, :3] = CAMERA_AXES
        frames.append(
            Frame(
                id=f"made/{number}",
                group="made",
                kind="made",
                image=rng.integers(0, 255, (height, width, 3)).astype(np.uint8),
                points=np.column_stack([xyz, rng.random(up.size)]).astype(np.float32),
                frame_label=number % 2,
                point_labels=labels,
                point_ids=np.where(labels == 1, 29, 1).astype(np.int32),
                pixel_labels=(rng.random((height, width)) < 0.02).astype(np.int8),
                calibration=Calibration(intrinsics=intrinsics(height, width, 90.0), camera_from_lidar=extrinsics),
            )
        )
    data = FrameSet(frames, ViewOptions(), cloud=returns_of(model, 0))
    return dict(data.collate([data.sample(index, epoch=0, seed=0) for index in range(samples)]))


def task_of(channels: int, model: str) -> AnomalyTask:
    levels = answered_levels(model, "attention")
    return AnomalyTask(
        network=FusionOptions(width=channels),
        loss="bce",
        pos_weights={level: 1.0 if level == "frame" else 20.0 for level in levels},
        term_weights={level: 1.0 if level == "frame" else 2.0 for level in levels},
        claims=claims_of(model),
        model_name=model,
    )


def variant(name: str, task: AnomalyTask, accelerator: str) -> Variant:
    chosen = {key: value for key, value in VARIANTS[name].items() if key != "tf32"}
    options = LoopOptions(accelerator=accelerator, schedule="constant", clip_norm=5.0, **chosen)  # type: ignore[arg-type]
    torch.manual_seed(0)
    stepper = Stepper(start_engine(options), task, task.model().train(), options)
    half = chosen.get("precision") is not None
    arithmetic = "16 bit" if half else "TF32" if VARIANTS[name].get("tf32") else "float32"
    return Variant(name, arithmetic, stepper)


def take_steps(one: Variant, batch: Mapping[str, Any], steps: int) -> float:
    """Milliseconds a step. A step ends by reading its loss, so the device has finished."""
    tf32 = one.arithmetic == "TF32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    start = time.perf_counter()
    for _ in range(steps):
        one.stepper.make([batch], step=one.steps, batch=0, rate=1e-4)
        one.steps += 1
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps * 1000


def flops_per_step(task: AnomalyTask, batch: Mapping[str, Any], accelerator: str) -> int:
    """Of one float32 step; the same for every variant."""
    one = variant("float32", task, accelerator)
    with FlopCounterMode(display=False) as counter:
        take_steps(one, batch, 1)
    return int(counter.get_total_flops())


def ready(names: list[str], task: AnomalyTask, batch: Mapping[str, Any], accelerator: str) -> list[Variant]:
    """Each variant compiled and warm; one that the compiler cannot make is named and left out."""
    found = []
    for name in names:
        before = torch.cuda.memory_allocated() if accelerator == "cuda" else 0
        if accelerator == "cuda":
            torch.cuda.reset_peak_memory_stats()
        one = variant(name, task, accelerator)
        start = time.perf_counter()
        try:
            take_steps(one, batch, 3)
        except ConfigError as error:
            print(f"left out: {name}: {error.message}; {error.found}\n")
            continue
        if accelerator == "cuda":
            one.peak_mb = (torch.cuda.max_memory_allocated() - before) / 2**20
        print(f"{name}: ready after {time.perf_counter() - start:.1f} s", flush=True)
        found.append(one)
    return found


def measure(size: tuple[int, int], batch_size: int, given: argparse.Namespace, accelerator: str) -> None:
    task = task_of(given.channels, given.model)
    batch: dict[str, Any] = made_batch(*size, batch_size, given.model)
    if accelerator == "cuda":
        batch = {key: value.cuda() if isinstance(value, torch.Tensor) else value for key, value in batch.items()}
    names = [name for name in given.variants or VARIANTS if accelerator == "cuda" or name not in GPU_ONLY]
    flops = flops_per_step(task, batch, accelerator)
    variants = ready(names, task, batch, accelerator)
    for turn in range(given.repeats):
        for one in variants[turn % len(variants) :] + variants[: turn % len(variants)]:
            one.milliseconds.append(take_steps(one, batch, given.steps))
    parameters = sum(p.numel() for p in task.model().parameters())
    print(
        f"\n{given.model}, {size[0]}x{size[1]}, batch {batch_size}, {parameters:,} parameters, "
        f"{flops / 1e9:.4g} GFLOP a step, {given.steps} steps a turn, {given.repeats} turns\n"
    )
    (print_gpu if accelerator == "cuda" else print_cpu)(variants, batch_size, flops)


def ratio(one: Variant, reference: Variant) -> str:
    values = [a / b for a, b in zip(one.milliseconds, reference.milliseconds, strict=True)]
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def print_cpu(variants: list[Variant], batch_size: int, flops: int) -> None:
    """Ratios alone: absolute times of a shared CPU say nothing."""
    print("| variant | step time over float32, median (min-max) |")
    print("|---|---|")
    for one in variants:
        print(f"| {one.name} | {ratio(one, variants[0])} |")


def print_gpu(variants: list[Variant], batch_size: int, flops: int) -> None:
    name = torch.cuda.get_device_name()
    print(f"{name}; samples/s are batch size over the median step\n")
    print("| variant | over float32 (min-max) | ms a step | samples/s | peak memory, MB | MFU | of peak, TFLOP/s |")
    print("|---|---|---|---|---|---|---|")
    for one in variants:
        median = statistics.median(one.milliseconds)
        peak = next((top for (chip, kind), top in PEAKS.items() if chip in name and kind == one.arithmetic), None)
        share = "unknown" if peak is None else f"{flops / (median / 1000) / (peak * 1e12):.2%}"
        print(
            f"| {one.name} | {ratio(one, variants[0])} | {median:.3g} | {batch_size / median * 1000:.4g} "
            f"| {one.peak_mb:.0f} | {share} | {'unknown' if peak is None else f'{peak:g} {one.arithmetic}'} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("fusion", *REPORTED), default="fusion")
    parser.add_argument("--size", default="", help="HxW; by default 96x144 on a CPU, 512x768 on a GPU")
    parser.add_argument("--batch", type=int, default=0, help="samples a step; by default 8, on a GPU 8 and 2")
    parser.add_argument("--channels", type=int, default=32, help="width of the network")
    parser.add_argument("--steps", type=int, default=0, help="a turn; by default 1 on a CPU, 20 on a GPU")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--variants", nargs="*", choices=list(VARIANTS), help="float32 must be the first")
    given = parser.parse_args()
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    given.steps = given.steps or (20 if accelerator == "cuda" else 1)
    height, width = map(int, (given.size or ("512x768" if accelerator == "cuda" else "96x144")).split("x"))
    usual = [8, 2] if accelerator == "cuda" else [8]
    batches = [given.batch] if given.batch else [REPORTED[given.model]] if given.model in REPORTED else usual
    print(f"torch {torch.__version__}, {accelerator}, {torch.get_num_threads()} CPU threads\n")
    for batch_size in batches:
        measure((height, width), batch_size, given, accelerator)


if __name__ == "__main__":
    main()
