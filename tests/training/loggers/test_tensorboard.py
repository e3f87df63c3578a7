"""TensorBoard's own reader finds what the record holds. Skipped where it is not installed."""

from __future__ import annotations

import pytest

from veritrain.record import RecordWriter, RunFolder
from veritrain.training.loggers.logger import start_loggers

pytest.importorskip("tensorboard", reason="the extra veritrain[trackers] is not installed")


def term(writer, step, value):
    writer.event("term", step=step, epoch=1, name="bce", value=value, weight=0.5, n=4, split="train")


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder.loggers / "tensorboard"), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: [(e.step, round(e.value, 4)) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_scalars_are_those_of_the_record_and_a_resume_doubles_none(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with RecordWriter(folder) as writer:
        start_loggers(["tensorboard"], writer, folder, resume=False)
        for step in (1, 2, 3):
            term(writer, step, step / 4)
    assert scalars(folder) == {"train/loss/bce": [(1, 0.25), (2, 0.5), (3, 0.75)]}
    with RecordWriter(folder) as writer:
        start_loggers(["tensorboard"], writer, folder, resume=True)
        writer.event("resume", step=2, epoch=1)
        term(writer, 3, 0.125)
        writer.event("metric", step=3, epoch=1, name="accuracy", split="val", value=0.5, n=4)
    assert scalars(folder) == {"train/loss/bce": [(1, 0.25), (2, 0.5), (3, 0.125)], "val/accuracy": [(3, 0.5)]}
