"""Probes leave evidence, whatever happens to them."""

from __future__ import annotations

import json

import pytest

from probes.finished_run import finished_run
from veritrain import catalog
from veritrain.probes.labels import LabelsReadTwice
from veritrain.probes.probe import hash_of, run_probe
from veritrain.record import RecordWriter, read_run


class Planted:
    """A probe that does as it is told."""

    name = "planted"
    version = 3
    cost = "cheap"

    def __init__(self, does) -> None:
        self.does = does

    def values(self, run):
        return self.does(run)


def crash(run):
    raise ZeroDivisionError("nothing to divide by")


def stop(run):
    raise KeyboardInterrupt


@pytest.fixture
def run(tmp_path):
    return finished_run(tmp_path / "run", trained=False)


def stored(run, name: str) -> dict:
    return json.loads((run.folder.evidence / f"{name}.json").read_text(encoding="utf-8"))


def test_what_a_probe_finds_is_stored_with_what_it_rests_on(run):
    with RecordWriter(run.folder) as writer:
        evidence = run_probe(LabelsReadTwice(), run, writer)
    found = stored(run, "labels_read_twice")
    assert found["values"] == evidence.values and found["values"]["checked"] == 84
    assert (found["status"], found["note"], found["version"]) == ("done", "", 1)
    assert found["inputs_hash"] == run.inputs_hash and found["seconds"] >= 0
    (note,) = [event for event in read_run(run.folder.path).events if event["event"] == "note"]
    assert (note["name"], note["status"]) == ("probe labels_read_twice", "done")
    assert "labels_read_twice: done" in run.folder.train_log.read_text(encoding="utf-8")


def test_a_probe_that_raises_leaves_crashed_evidence_and_the_next_one_runs(run):
    with RecordWriter(run.folder) as writer:
        evidence = run_probe(Planted(crash), run, writer)
        run_probe(LabelsReadTwice(), run, writer)
    found = stored(run, "planted")
    assert evidence.status == found["status"] == "crashed" and found["values"] == {}
    assert found["note"] == "ZeroDivisionError: nothing to divide by" and found["version"] == 3
    assert stored(run, "labels_read_twice")["status"] == "done"
    assert read_run(run.folder.path).evidence["planted"].status == "crashed"


def test_an_interrupt_is_not_evidence(run):
    with RecordWriter(run.folder) as writer, pytest.raises(KeyboardInterrupt):
        run_probe(Planted(stop), run, writer)
    assert not (run.folder.evidence / "planted.json").exists()


def test_what_is_not_a_number_is_null(run):
    with RecordWriter(run.folder) as writer:
        run_probe(Planted(lambda run: {"a": float("nan"), "b": [1.0, float("inf")]}), run, writer)
    assert stored(run, "planted")["values"] == {"a": None, "b": [1.0, None]}


def test_a_second_run_replaces_the_evidence(run):
    with RecordWriter(run.folder) as writer:
        run_probe(Planted(crash), run, writer)
        run_probe(Planted(lambda run: {"n": 1}), run, writer)
    assert (stored(run, "planted")["status"], stored(run, "planted")["values"]) == ("done", {"n": 1})


@pytest.mark.parametrize("name", sorted(catalog.PROBES))
def test_every_probe_of_the_catalogue_says_its_name_version_and_cost(name):
    probe = catalog.resolve("probes", name)()
    assert probe.name == name and probe.version >= 1 and probe.cost in ("cheap", "training")


def test_a_hash_tells_its_parts_apart():
    assert hash_of("a", "b") == hash_of("a", "b")
    assert len({hash_of("a", "b"), hash_of("b", "a"), hash_of("ab"), hash_of("a", "b", "")}) == 4
