"""Loggers mirror the record, and can neither end nor change a training. The store here is a real file of our own;
TensorBoard's and MLflow's are in their own tests."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from training.toy import fit_toy, weights_hash
from veritrain.errors import MissingExtraError, UsageError
from veritrain.record import RecordWriter, RunFolder, read_run
from veritrain.training.loggers import logger
from veritrain.training.loggers.logger import LoggerMirror, demand_loggers, numbers_of, start_loggers


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


class FileStore:
    """Appends each number to a file, like a tracking server that cannot forget."""

    def __init__(self, folder: RunFolder, *, resume: bool) -> None:
        self.path = Path(folder.loggers / "file.jsonl")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            self.path.unlink(missing_ok=True)

    def already(self, names):
        return {(name, step) for name, step, _ in stored(self.path) if name in names}

    def write(self, numbers):
        random.random()  # a logger may draw from the generators that training uses
        with self.path.open("a") as file:
            file.writelines(json.dumps([n.name, n.step, n.value]) + "\n" for n in numbers)

    def close(self, *, finished):
        with self.path.with_suffix(".closed").open("a") as file:
            file.write(f"{finished}\n")


class BrokenStore(FileStore):
    def write(self, numbers):
        raise OSError("the server is away")


class HangingStore(FileStore):
    def write(self, numbers):
        time.sleep(60)


class SlowToOpen(FileStore):
    def __init__(self, folder, *, resume):
        time.sleep(0.6)  # MLflow makes a database
        super().__init__(folder, resume=resume)


class NeverOpens(FileStore):
    def __init__(self, folder, *, resume):
        time.sleep(60)  # a server that does not answer


class TellsItsAddress(FileStore):
    def __init__(self, folder, *, resume):
        raise OSError("cannot reach https://me:my-password@tracking.example/api?mail=a@b nor ftp://you@there")


def stored(path):
    return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def kept(folder):
    return stored(folder.loggers / "file.jsonl")


def mirror(writer, folder, store=FileStore, *, resume=False):
    history = numbers_of(read_run(folder.path).events) if resume else []
    writer.mirror_to(LoggerMirror("file", store, folder, history, resume=resume))


def train(folder, *, store=FileStore, resume=False, epochs=1):
    """A real training on a toy, mirrored; its last weights."""

    def begin(writer):
        if store is not None:
            mirror(writer, folder, store, resume=resume)

    return weights_hash(fit_toy(folder, epochs=epochs, resume=resume, begin=begin).model)


def in_record(folder):
    return {(n.name, n.step): n.value for n in numbers_of(read_run(folder.path).events)}


def test_every_number_of_the_record_is_mirrored_once_and_unweighted(folder):
    train(folder)
    found = kept(folder)
    assert {(name, step): value for name, step, value in found} == in_record(folder)
    assert len(found) == len(in_record(folder))
    assert {name for name, _, _ in found} >= {"train/loss/bce", "train/loss/size", "val/accuracy", "learning_rate"}
    sizes = [line["value"] for line in read_run(folder.path).of("term") if line["name"] == "size"]
    assert [value for name, _, value in found if name == "train/loss/size"] == sizes, "not times its weight"


def test_a_training_with_a_logger_is_bit_for_bit_one_without(tmp_path):
    alone = train(RunFolder(tmp_path / "alone"), store=None)
    for name, store in (("file", FileStore), ("broken", BrokenStore)):
        assert train(RunFolder(tmp_path / name), store=store) == alone, name


def test_a_store_that_breaks_is_noted_once_and_the_training_goes_on(folder):
    train(folder, store=BrokenStore)
    record = read_run(folder.path)
    (note,) = [line for line in record.of("note") if line.get("kind") == "logger"]
    assert note["name"] == "file" and "OSError: the server is away" in note["text"]
    assert "the server is away" in folder.train_log.read_text()
    assert record.of("stop")[0]["reason"] == "epochs"
    assert len(record.of("term")) == 24, "12 steps of two terms"


def test_a_store_that_hangs_holds_nobody_up(folder, monkeypatch):
    monkeypatch.setattr(logger, "CLOSE_SECONDS", 0.2)
    began = time.monotonic()
    train(folder, store=HangingStore)
    assert time.monotonic() - began < 20
    (note,) = [line for line in read_run(folder.path).of("note") if line.get("kind") == "logger"]
    assert "TimeoutError" in note["text"]


def test_a_short_training_waits_for_a_store_that_takes_its_time_to_open(folder, monkeypatch):
    monkeypatch.setattr(logger, "CLOSE_SECONDS", 0.1)
    with RecordWriter(folder) as writer:
        mirror(writer, folder, SlowToOpen)
        writer.event("term", step=1, epoch=1, name="bce", value=0.5, weight=1.0, n=4, split="train")
    assert kept(folder) == [("train/loss/bce", 1, 0.5)]
    assert not read_run(folder.path).of("note")


def test_a_store_that_never_opens_is_given_up_and_named(folder, monkeypatch):
    monkeypatch.setattr(logger, "OPEN_SECONDS", 0.2)
    monkeypatch.setattr(logger, "CLOSE_SECONDS", 0.1)
    began = time.monotonic()
    with RecordWriter(folder) as writer:
        mirror(writer, folder, NeverOpens)
        writer.event("term", step=1, epoch=1, name="bce", value=0.5, weight=1.0, n=4, split="train")
    assert time.monotonic() - began < 10
    (note,) = read_run(folder.path).of("note")
    assert "did not open in time" in note["text"]


def test_a_store_that_cannot_open_holds_the_end_up_no_longer(folder):
    began = time.monotonic()
    with RecordWriter(folder) as writer:
        mirror(writer, folder, TellsItsAddress)
    assert time.monotonic() - began < logger.CLOSE_SECONDS / 2
    assert read_run(folder.path).of("note")


def test_no_password_of_an_address_reaches_the_record_or_the_log(folder):
    train(folder, store=TellsItsAddress)
    (note,) = [line for line in read_run(folder.path).of("note") if line.get("kind") == "logger"]
    assert "cannot reach https://***@tracking.example/api?mail=a@b nor ftp://***@there" in note["text"]
    assert "my-password" not in folder.train_log.read_text() + folder.record.read_text()


def test_a_store_that_is_too_slow_is_dropped_and_memory_stays_bounded(folder, monkeypatch):
    monkeypatch.setattr(logger, "MOST_WAITING", 5)
    monkeypatch.setattr(logger, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(logger, "CLOSE_SECONDS", 0.2)
    train(folder, store=HangingStore)
    (note,) = [line for line in read_run(folder.path).of("note") if line.get("kind") == "logger"]
    assert "too slow" in note["text"]


def test_a_resumed_run_writes_no_step_twice_and_leaves_none_out(folder):
    train(folder)
    with RecordWriter(folder) as writer:  # steps beyond the checkpoint, as a killed run leaves them
        mirror(writer, folder, resume=True)
        for step in (13, 14):
            writer.event("term", step=step, epoch=2, name="bce", value=9.0, weight=1.0, n=4, split="train")
    train(folder, resume=True, epochs=2)
    places = [(name, step) for name, step, _ in kept(folder)]
    assert len(places) == len(set(places))
    assert set(places) == set(in_record(folder))


def test_a_logger_that_is_added_on_resume_gets_the_history_up_to_the_checkpoint(folder):
    train(folder, store=None)
    train(folder, resume=True, epochs=2)
    assert {(name, step): value for name, step, value in kept(folder)} == in_record(folder)


def test_a_new_run_does_not_look_back(folder):
    with RecordWriter(folder) as writer:
        writer.event("term", step=1, epoch=1, name="old", value=1.0, weight=1.0, n=4, split="train")
    train(folder)
    assert not [name for name, _, _ in kept(folder) if "old" in name]


def test_what_is_not_finite_is_left_out_and_a_test_score_takes_the_last_step(folder):
    with RecordWriter(folder) as writer:
        mirror(writer, folder)
        writer.event("term", step=7, epoch=1, name="a", value=float("nan"), weight=1.0, n=4, split="train")
        writer.event("metric", name="frame_ap", split="test", value=0.5, n=9)
    assert kept(folder) == [("test/frame_ap", 7, 0.5)]


def test_the_store_learns_whether_the_run_came_to_its_end(folder):
    for ended in (False, True):
        with RecordWriter(folder) as writer:
            mirror(writer, folder)
            writer.event(*(["end"] if ended else ["note"]))
    assert (folder.loggers / "file.closed").read_text() == "False\nTrue\n"


def test_an_unknown_logger_is_refused():
    with pytest.raises(UsageError, match="no logger 'tensorbord'") as caught:
        demand_loggers(["tensorbord"])
    assert caught.value.fix == "did you mean 'tensorboard'?"


@pytest.mark.parametrize("name", logger.LOGGERS)
def test_a_missing_package_names_the_extra(name, monkeypatch, folder):
    monkeypatch.setattr(logger.importlib.util, "find_spec", lambda _: None)
    with RecordWriter(folder) as writer, pytest.raises(MissingExtraError, match=name) as caught:
        start_loggers([name], writer, folder, resume=False)
    assert "pip install 'veritrain[trackers]'" in str(caught.value) and caught.value.exit_code == 69
    assert not folder.loggers.exists()


def test_a_broken_package_is_refused_by_name_before_anything_is_read(monkeypatch):
    def broken(module):
        raise TypeError("Descriptors cannot be created directly")  # what protobuf says to an older tensorboard

    monkeypatch.setattr(logger.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(logger.importlib, "import_module", broken)
    with pytest.raises(MissingExtraError, match="TypeError: Descriptors") as caught:
        demand_loggers(["tensorboard"])
    assert caught.value.exit_code == 69


def test_no_logger_is_no_work(folder):
    with RecordWriter(folder) as writer:
        start_loggers([], writer, folder, resume=False)
        writer.event("note", text="x")
    assert not folder.loggers.exists()
