"""A run folder that was tampered with, or that never finished, is not SHOWN."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from audit.planted import finding, write_learned_run
from monitor.writing import until, writer_process
from veritrain.audit.verdict import judge_all
from veritrain.record import RecordWriter, RunFolder, read_run, write_json


@pytest.fixture
def folder(tmp_path):
    return write_learned_run(RunFolder(tmp_path / "run"))


def verdict(folder):
    return judge_all(read_run(folder.path))[0].word


def edited(path, change):
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)


def test_checkpoint_unchanged_passes_on_the_weights_that_were_scored(folder):
    assert finding("checkpoint_unchanged", read_run(folder.path)).status == "pass"
    assert verdict(folder) == "shown"


@pytest.mark.parametrize("tamper", ["other bytes", "deleted", "unnamed", "outside"])
def test_checkpoint_unchanged_fails_when_the_weights_are_others(folder, tamper):
    weights = next(folder.checkpoints.rglob("model.safetensors"))
    if tamper == "other bytes":
        weights.write_bytes(b"other")
    elif tamper == "deleted":
        weights.unlink()
    elif tamper == "unnamed":
        edited(folder.results, lambda content: content.pop("checkpoint"))
    else:
        edited(folder.results, lambda content: content["checkpoint"].update(file="../elsewhere"))
    assert finding("checkpoint_unchanged", read_run(folder.path)).status == "fail"
    assert verdict(folder) == "not_shown"


def test_record_whole_passes_on_a_finished_training(folder):
    assert finding("record_whole", read_run(folder.path)).status == "pass"


@pytest.mark.parametrize("event", ["term", "end"])
def test_record_whole_fails_without_its_terms_or_its_end(folder, event):
    lines = [line for line in folder.record.read_text().splitlines() if json.loads(line)["event"] != event]
    folder.record.write_text("\n".join(lines) + "\n")
    assert finding("record_whole", read_run(folder.path)).status == "fail"
    assert verdict(folder) != "shown"


def test_record_whole_fails_when_every_term_is_null_or_the_stop_was_not_finite(folder):
    record = read_run(folder.path)
    nulls = tuple({**line, "value": None} if line["event"] == "term" else line for line in record.events)
    assert finding("record_whole", replace(record, events=nulls)).status == "fail"
    stop = {"event": "stop", "reason": "nonfinite", "step": 9, "epoch": 1, "line": 999}
    assert finding("record_whole", replace(record, events=(*record.events, stop))).status == "fail"


def test_numbers_agree_passes_on_coherent_numbers(folder):
    assert finding("numbers_agree", read_run(folder.path)).status == "pass"


@pytest.mark.parametrize(
    "change",
    [
        {"value": 0.99},
        {"ci95": [0.95, 1.0]},
        {"ci95": [0.1, 0.2]},
        {"gain_ci95": [0.4, 0.2]},
        {"groups": 500},
    ],
    ids=["value", "interval above", "interval below", "turned round", "more groups than there are"],
)
def test_numbers_agree_fails_when_they_contradict_each_other(folder, change):
    edited(folder.results, lambda content: content["metrics"]["frame_auroc"].update(change))
    found = finding("numbers_agree", read_run(folder.path))
    assert found.status == "fail" and found.sentence.startswith("frame_auroc")
    assert verdict(folder) == "refuted"


def test_numbers_agree_fails_on_a_p_of_zero(folder):
    edited(
        folder.evidence / "between_group_permutation.json",
        lambda content: content["values"]["frame_auroc"].update(p_value=0.0),
    )
    assert finding("numbers_agree", read_run(folder.path)).status == "fail"


def test_record_whole_says_of_a_run_that_is_written_that_it_goes_on_and_of_a_dead_one_to_resume(tmp_path):
    """A real process holds the lock, then is killed."""
    folder = RunFolder(tmp_path / "run")
    process = writer_process(folder, "start(writer); step(writer, 1, 1); writer.flush(); time.sleep(60)")
    try:
        until(lambda: folder.record.exists() and '"term"' in folder.record.read_text())
        live = finding("record_whole", read_run(folder.path))
        said = judge_all(read_run(folder.path))[0].sentence
    finally:
        process.kill()
        process.wait()
    assert live.status == "fail" and live.sentence.startswith(
        f"The run is going on: process {process.pid} holds its lo"
    )
    assert live.to_settle.startswith("wait until") and "resume" not in live.to_settle and "is going on" in said
    dead = finding("record_whole", read_run(folder.path))
    assert dead.status == "fail" and "does not end with 'done'" in dead.sentence and "resume" in dead.to_settle


def test_a_process_that_judges_the_run_it_writes_does_not_wait_for_itself(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly", claims=[])
        writer.flush()
        assert "resume" in finding("record_whole", read_run(folder.path)).to_settle
