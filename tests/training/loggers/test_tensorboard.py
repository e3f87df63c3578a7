"""TensorBoard's own reader finds what the record holds. Skipped where it is not installed."""

from __future__ import annotations

import numpy as np
import pytest

from training.toy import fit_toy, weights_hash
from veritrain.record import RecordWriter, RunFolder, read_run
from veritrain.training.loggers.logger import numbers_of, start_loggers

pytest.importorskip("tensorboard", reason="the extra veritrain[trackers] is not installed")


def term(writer, step, value):
    writer.event("term", step=step, epoch=1, name="bce", value=value, weight=0.5, n=4, split="train")


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder.loggers / "tensorboard"), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: found.Scalars(tag) for tag in found.Tags()["scalars"]}


def scalars(folder):
    return {tag: [(e.step, round(e.value, 4)) for e in found] for tag, found in events(folder).items()}


def train(folder, *, resume=False, epochs=1, loggers=("tensorboard",)):
    """A real training on a toy; its last weights."""
    done = fit_toy(
        folder,
        epochs=epochs,
        resume=resume,
        begin=lambda writer: start_loggers(loggers, writer, folder, resume=resume),
    )
    return weights_hash(done.model)


def assert_same_as_record(folder):
    """Names, steps, times and values (TensorBoard keeps float32), each once."""
    wanted = {(n.name, n.step): n for n in numbers_of(read_run(folder.path).events)}
    found = {(tag, event.step): event for tag, all_of_tag in events(folder).items() for event in all_of_tag}
    assert set(found) == set(wanted) and len(wanted) > 20
    assert sum(len(all_of_tag) for all_of_tag in events(folder).values()) == len(wanted), "nothing is there twice"
    for key, event in found.items():
        assert np.float32(event.value) == np.float32(wanted[key].value), key
        assert event.wall_time == pytest.approx(wanted[key].at, abs=1e-3), key


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


def test_a_training_and_its_resumption_are_there_number_by_number(tmp_path):
    folder = RunFolder(tmp_path / "run")
    train(folder)
    assert_same_as_record(folder)
    train(folder, resume=True, epochs=2)
    assert_same_as_record(folder)
    assert {step for step, _ in scalars(folder)["train/loss/bce"]} == set(range(1, 25)), "both segments"


def test_the_training_is_bit_for_bit_the_one_without(tmp_path):
    assert train(RunFolder(tmp_path / "with")) == train(RunFolder(tmp_path / "without"), loggers=())


def test_a_folder_that_takes_no_files_drops_the_logger_with_one_note(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.loggers.write_text("a file where a folder belongs")
    train(folder)
    (note,) = [line for line in read_run(folder.path).of("note") if line.get("kind") == "logger"]
    assert note["name"] == "tensorboard" and "NotADirectoryError" in note["text"]
    assert read_run(folder.path).of("stop")[0]["reason"] == "epochs"
