"""Records for the monitor's tests, written by the real writer, in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from veritrain.monitor.story import Story
from veritrain.monitor.tail import RecordTail
from veritrain.record import RecordWriter, RunFolder

CLAIM = {"metric": "frame_auroc", "split": "test", "higher_is_better": True, "minimal_effect": 0.05, "subgroup": None}


def start(writer: RecordWriter, *, epochs: int = 3, steps: int = 4, resumed: bool = False) -> None:
    writer.event("start", task="anomaly", claims=[CLAIM], resumed=resumed, version="0")
    writer.event("plan", step=0, epoch=0, epochs=epochs, steps_per_epoch=steps, total_steps=epochs * steps)


def step(writer: RecordWriter, number: int, epoch: int, *, frame: float | None = None, point: float = 0.1) -> None:
    value = 1.0 / number if frame is None else frame
    writer.event("term", step=number, epoch=epoch, name="frame", value=value, weight=1.0, n=8, split="train")
    writer.event("term", step=number, epoch=epoch, name="point", value=point, weight=2.0, n=8, split="train")


def validate(writer: RecordWriter, number: int, epoch: int, *, auroc: float, ap: float = 0.3) -> None:
    writer.event("metric", step=number, epoch=epoch, name="loss", split="train", value=0.5, n=32)
    writer.event("metric", step=number, epoch=epoch, name="learning_rate", split="train", value=1e-3, n=None)
    writer.event("metric", step=number, epoch=epoch, name="frame_auroc", split="val", value=auroc, n=None)
    writer.event("metric", step=number, epoch=epoch, name="frame_ap", split="val", value=ap, n=None)
    writer.event("look", step=number, epoch=epoch, split="val", purpose="selection")
    writer.event("checkpoint", step=number, epoch=epoch, file=f"checkpoints/step-{number:08d}", sha256="00")


def epochs(writer: RecordWriter, *, scores: tuple[float, ...], steps: int = 4) -> None:
    """A start and whole epochs, one a score."""
    start(writer, epochs=len(scores), steps=steps)
    for epoch, auroc in enumerate(scores, start=1):
        for number in range(1, steps + 1):
            step(writer, (epoch - 1) * steps + number, epoch)
        validate(writer, epoch * steps, epoch, auroc=auroc)


def told(folder: RunFolder) -> Story:
    tail, story = RecordTail(folder.record), Story()
    tail.read()
    for line in tail.lines:
        story.feed(line)
    return story


def writer_process(folder: RunFolder, code: str) -> subprocess.Popen[str]:
    """A process of its own that runs ``code`` with an open ``writer``; it ends after ``code``, or when it is killed."""
    program = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).resolve().parent.parent)!r})
from monitor.writing import epochs, start, step, validate
from veritrain.record import RecordWriter, RunFolder
with RecordWriter(RunFolder(sys.argv[1]), flush_seconds=0.0) as writer:
{textwrap.indent(textwrap.dedent(code), "    ")}
"""
    return subprocess.Popen([sys.executable, "-c", program, str(folder.path)], text=True, env=os.environ)


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it never came to be"
        time.sleep(0.02)
