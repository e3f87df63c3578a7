"""The run folder: one writer, torn lines, versions, superseding, atomic files, and reading it all back."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veritrain.errors import RecordError, RunInUseError, StorageError
from veritrain.record import (
    Claim,
    Evidence,
    RecordWriter,
    RunFolder,
    RunRecord,
    discard_unstarted,
    finite_or_none,
    missing_folders,
    read_run,
    sha256_of,
    write_evidence,
    write_json,
)

CLAIM = {"metric": "frame_auroc", "split": "test", "higher_is_better": True, "minimal_effect": 0.02, "subgroup": None}


def lines_of(folder: RunFolder) -> list[dict]:
    return [json.loads(line) for line in folder.record.read_text(encoding="utf-8").splitlines()]


def term(writer: RecordWriter, step: int, value: float, *, name: str = "frame") -> None:
    writer.event("term", step=step, epoch=0, name=name, value=value, weight=1.0, n=8, split="train")


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def in_another_process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


# --- writing ----------------------------------------------------------------------------------------------------


def test_every_line_says_version_time_event_step_and_epoch(folder):
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly")
        term(writer, 0, 0.5)
    for line in lines_of(folder):
        assert line["v"] == 1
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["t_utc"])
        assert list(line)[:6] == ["v", "t_utc", "t_mono", "event", "step", "epoch"]


def test_an_unknown_event_is_refused(folder):
    with RecordWriter(folder) as writer, pytest.raises(RecordError, match="metrik"):
        writer.event("metrik", value=1.0)


@pytest.mark.parametrize(("number", "word"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_what_is_not_finite_becomes_null_and_a_nonfinite_event(folder, number, word):
    with RecordWriter(folder) as writer:
        term(writer, 7, number)
    first, second = lines_of(folder)
    assert first["value"] is None
    assert (second["event"], second["step"], second["name"], second["found"]) == ("nonfinite", 7, "frame", word)
    (row,) = read_run(folder.path).rows
    assert (row.value, row.nonfinite) == (None, word)


def test_a_number_beside_the_value_may_not_be_nan_either(folder):
    with RecordWriter(folder) as writer:
        writer.event("grad", step=3, norm=math.inf)
    first, second = lines_of(folder)
    assert first["norm"] is None
    assert (second["event"], second["name"], second["found"]) == ("nonfinite", "grad norm", "inf")


def test_the_record_is_never_invalid_json(folder):
    with RecordWriter(folder) as writer:
        writer.event("note", name='quotes " and \n line breaks, 训练', value=math.nan)
    text = folder.record.read_text(encoding="utf-8")
    assert "NaN" not in text and "训练" in text and len(text.splitlines()) == 2


def test_the_table_has_one_header_over_two_sessions(folder):
    for step in (1, 2):
        with RecordWriter(folder) as writer:
            writer.event("metric", step=step, epoch=step, name="frame_auroc", split="val", value=0.5 + step / 10, n=9)
    with folder.metrics_csv.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["step", "epoch", "split", "name", "value", "n"],
        ["1", "1", "val", "frame_auroc", "0.6", "9"],
        ["2", "2", "val", "frame_auroc", "0.7", "9"],
    ]


def test_what_is_said_stands_in_the_log_with_its_time(folder):
    with RecordWriter(folder) as writer:
        writer.say("epoch 1: frame_auroc 0.9")
    assert re.fullmatch(r"\S+T\S+ epoch 1: frame_auroc 0.9\n", folder.train_log.read_text(encoding="utf-8"))


def test_urgent_events_are_on_disk_before_the_writer_closes(folder):
    with RecordWriter(folder, flush_seconds=3600) as writer:
        term(writer, 0, 0.5)
        assert folder.record.read_text(encoding="utf-8") == ""
        writer.event("checkpoint", step=0, file="checkpoints/a", sha256="00")
        assert [line["event"] for line in lines_of(folder)] == ["term", "checkpoint"]


def test_a_full_disk_is_named_and_the_run_is_let_go(folder):
    code = """
        import resource, signal, sys
        from veritrain.errors import StorageError
        from veritrain.record import RecordWriter, RunFolder
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        try:
            with RecordWriter(RunFolder(sys.argv[1])) as writer:
                for step in range(100):
                    writer.event("note", step=step)
        except StorageError as error:
            print(error)
            raise SystemExit(error.exit_code)
    """
    full = in_another_process(code, str(folder.path))
    assert full.returncode == StorageError.exit_code == 74
    assert "the record cannot be written" in full.stdout and "bytes free" in full.stdout
    kept = [line["step"] for line in read_run(folder.path).events]
    assert kept == list(range(len(kept))) and len(kept) > 3
    with RecordWriter(folder) as writer:
        writer.event("resume")
    assert read_run(folder.path).events[-1]["event"] == "resume"


def test_a_run_folder_that_is_a_file_is_a_storage_error(tmp_path):
    (tmp_path / "run").write_text("here I am")
    with pytest.raises(StorageError, match="run: cannot be written"):
        RecordWriter(RunFolder(tmp_path / "run"))
    assert (tmp_path / "run").read_text() == "here I am"


# --- one writer -------------------------------------------------------------------------------------------------

WRITE_AGAIN = """
    import sys
    from veritrain.errors import RunInUseError
    from veritrain.record import RecordWriter, RunFolder
    try:
        with RecordWriter(RunFolder(sys.argv[1])) as writer:
            writer.event("note", name="second")
    except RunInUseError as error:
        print(error)
        raise SystemExit(error.exit_code)
"""


def test_a_second_process_is_refused_until_the_first_has_closed(folder):
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly")
        refused = in_another_process(WRITE_AGAIN, str(folder.path))
        assert refused.returncode == RunInUseError.exit_code == 5
        assert "the run is in use" in refused.stdout and "choose another --run" in refused.stdout
    assert in_another_process(WRITE_AGAIN, str(folder.path)).returncode == 0
    assert [line["event"] for line in lines_of(folder)] == ["start", "note"]


def test_a_killed_writer_leaves_no_lock_behind(folder):
    code = """
        import os, signal, sys
        from veritrain.record import RecordWriter, RunFolder
        writer = RecordWriter(RunFolder(sys.argv[1]))
        writer.event("start", task="anomaly")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert in_another_process(code, str(folder.path)).returncode == -9
    with RecordWriter(folder) as writer:
        writer.event("resume")
    assert [line["event"] for line in lines_of(folder)] == ["start", "resume"]


def begun(path: Path, *, event: bool = False) -> tuple[RunFolder, list[Path]]:
    """A run folder that a writer opened and closed, and the folders that were missing before."""
    missing = missing_folders(path)
    with RecordWriter(RunFolder(path)) as writer:
        if event:
            writer.event("start")
    return RunFolder(path), missing


def test_missing_folders_are_named_from_below(tmp_path):
    assert missing_folders(tmp_path / "a" / "b") == [tmp_path / "a" / "b", tmp_path / "a"]
    assert missing_folders(tmp_path) == []


def test_a_run_in_which_nothing_began_leaves_nothing(tmp_path):
    (tmp_path / "mine").mkdir()
    discard_unstarted(*begun(tmp_path / "mine" / "a" / "b" / "run"))
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


def test_a_neighbour_keeps_its_parent(tmp_path):
    folder, missing = begun(tmp_path / "runs" / "r1")
    (tmp_path / "runs" / "r2").mkdir()
    discard_unstarted(folder, missing)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["r2", "runs"]


@pytest.mark.parametrize("why", ["an event", "another file", "the folder was there", "somebody writes it now"])
def test_whatever_may_be_somebody_s_stays(tmp_path, why):
    folder, missing = begun(tmp_path / "run", event=why == "an event")
    if why == "another file":
        (folder.path / "notes.txt").write_text("mine")
    missing = [] if why == "the folder was there" else missing
    before = sorted(folder.path.iterdir())
    with RecordWriter(folder) if why == "somebody writes it now" else contextlib.nullcontext():
        discard_unstarted(folder, missing)
    assert before and sorted(folder.path.iterdir()) == before


def test_nothing_made_is_nothing_removed(tmp_path):
    discard_unstarted(RunFolder(tmp_path / "run"), [tmp_path / "run"])
    assert not list(tmp_path.iterdir())


def test_numbered_folders_are_never_given_twice(tmp_path):
    paths = [RunFolder.next_free(tmp_path / "runs", "anomaly").path for _ in range(3)]
    assert [path.name for path in paths] == ["anomaly-1", "anomaly-2", "anomaly-3"]
    (paths[1] / "kept").write_text("x")
    paths[0].rmdir()
    assert RunFolder.next_free(tmp_path / "runs", "anomaly").path.name == "anomaly-1"
    assert RunFolder.next_free(tmp_path / "runs", "anomaly").path.name == "anomaly-4"
    assert (paths[1] / "kept").read_text() == "x"


# --- torn and foreign lines ---------------------------------------------------------------------------------------


def test_a_torn_last_line_is_tolerated_and_cut_by_the_next_writer(folder):
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly")
        term(writer, 0, 0.5)
    with folder.record.open("a", encoding="utf-8") as file:
        file.write('{"v": 1, "event": "te')
    record = read_run(folder.path)
    assert record.torn_line == 3 and [line["event"] for line in record.events] == ["start", "term"]
    with RecordWriter(folder) as writer:
        term(writer, 1, 0.4)
    assert [line["event"] for line in lines_of(folder)] == ["start", "term", "term"]
    assert read_run(folder.path).torn_line is None


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(min_value=1, max_value=400))
def test_wherever_a_record_is_cut_it_can_be_read_and_continued(tmp_path_factory, cut):
    folder = RunFolder(tmp_path_factory.mktemp("cut") / "run")
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly")
        term(writer, 0, 0.5)
        term(writer, 1, 0.4)
    whole = folder.record.read_bytes()
    folder.record.write_bytes(whole[:-cut])
    kept = read_run(folder.path).events
    assert [line["event"] for line in kept] == ["start", "term", "term"][: len(kept)]
    with RecordWriter(folder) as writer:
        writer.event("resume")
    assert read_run(folder.path).events[-1]["event"] == "resume"


@pytest.mark.parametrize("middle", ["not json", "[1, 2]", "42", '{"v": 1}', '{"v": 1, "event": "term", "step": 1}'])
def test_a_middle_line_that_is_no_event_is_refused_with_its_place(folder, middle):
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly")
        writer.event("note", name="last")
    first, last = folder.record.read_text(encoding="utf-8").splitlines()
    folder.record.write_text("\n".join([first, middle, last]) + "\n", encoding="utf-8")
    with pytest.raises(RecordError, match=r"record\.jsonl:2: a line of the record is") as caught:
        read_run(folder.path)
    assert caught.value.exit_code == 66 and caught.value.found == middle


def test_another_version_is_refused(folder):
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly")
    text = folder.record.read_text(encoding="utf-8")
    folder.record.write_text(text.replace('"v": 1', '"v": 99'), encoding="utf-8")
    with pytest.raises(RecordError, match=r"record\.jsonl:1: the record has another version") as caught:
        read_run(folder.path)
    assert caught.value.found == "v = 99"


def test_a_folder_without_a_record_is_not_a_run(tmp_path):
    with pytest.raises(RecordError, match="not a run folder"):
        read_run(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"probe": "x"}', '{"surprise": 1}'])
def test_broken_evidence_is_named(folder, content):
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly")
    folder.evidence.mkdir()
    (folder.evidence / "labels_read_twice.json").write_text(content)
    with pytest.raises(RecordError, match=r"labels_read_twice\.json"):
        read_run(folder.path)


def test_a_claim_of_another_version_is_named_with_its_line(folder):
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly", claims=[{**CLAIM, "surprise": 1}])
    with pytest.raises(RecordError, match=r"record\.jsonl:1: not a claim"):
        read_run(folder.path)


# --- reading back -------------------------------------------------------------------------------------------------


def test_what_was_written_is_read_back(folder):
    other = {**CLAIM, "metric": "point_ap"}
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly", claims=[CLAIM, other])
        term(writer, 1, 0.5)
        term(writer, 1, 0.7, name="loss")
        writer.event("metric", step=1, epoch=1, name="frame_auroc", split="val", value=0.8, n=9)
        writer.event("end", status="done")
    write_json(folder.data, {"splits": {}})
    write_json(folder.results, {"metrics": {"frame_auroc": {"value": 0.9}}, "selection": {"metrics": {}}})
    record = read_run(folder.path)
    assert (record.kind, record.task, record.path) == ("run", "anomaly", folder.path)
    assert record.claims == (Claim(**CLAIM), Claim(**other)) and record.claim == record.claims[0]
    assert [(row.name, row.raw, row.split, row.value, row.line) for row in record.rows] == [
        ("loss/frame", "frame", "train", 0.5, 2),
        ("loss", "loss", "train", 0.7, 3),
        ("frame_auroc", "frame_auroc", "val", 0.8, 4),
    ]
    assert record.data == {"splits": {}}
    assert record.score() == {"value": 0.9}
    assert record.about(record.claims[1]).score() is None
    assert [line["line"] for line in record.of("end")] == [5]


def test_a_score_belongs_to_the_split_of_its_claim(tmp_path):
    results = {"metrics": {"ap": {"value": 0.9}}, "selection": {"metrics": {"ap": {"value": 0.1}}}}
    record = RunRecord(path=tmp_path, kind="run", results=results, claim=Claim(metric="ap", split="val"))
    assert record.score() == {"value": 0.1}
    assert record.about(Claim(metric="ap")).score() == {"value": 0.9}


def test_after_a_resume_the_later_line_of_a_step_counts(folder):
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly")
        for step, value in ((1, 0.9), (2, 0.8), (3, 0.7)):
            term(writer, step, value)
            term(writer, step, value / 2, name="point")
    with RecordWriter(folder) as writer:
        writer.event("resume", step=1)
        for step, value in ((2, 0.82), (3, 0.72)):
            term(writer, step, value)
            term(writer, step, value / 2, name="point")
    rows = read_run(folder.path).rows
    assert [(row.step, row.value) for row in rows if row.raw == "frame"] == [(1, 0.9), (2, 0.82), (3, 0.72)]
    assert [(row.step, row.value) for row in rows if row.raw == "point"] == [(1, 0.45), (2, 0.41), (3, 0.36)]


def test_looks_and_checkpoints_are_never_superseded(folder):
    with RecordWriter(folder) as writer:
        for _ in range(2):
            writer.event("look", step=5, split="test", purpose="final evaluation")
    assert len(read_run(folder.path).of("look")) == 2


def test_evidence_comes_back_and_undefined_is_null(folder):
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly")
    values = {"fall": math.nan, "parts": [1.0, {"high": math.inf}], "n": 3}
    write_evidence(folder, Evidence(probe="p", version=2, inputs_hash="ab", values=values, seconds=0.5))
    found = read_run(folder.path).evidence["p"]
    assert (found.version, found.status, found.inputs_hash) == (2, "done", "ab")
    assert found.values == {"fall": None, "parts": [1.0, {"high": None}], "n": 3}


# --- single files -------------------------------------------------------------------------------------------------


def test_write_json_makes_folders_and_refuses_nan(tmp_path):
    path = tmp_path / "new" / "a.json"
    write_json(path, {"ä": [1, None]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ä": [1, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"x": math.nan})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ä": [1, None]}


def test_a_crash_between_write_and_rename_leaves_the_old_file(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"value": "old"})
    code = """
        import os, pathlib, sys
        from veritrain.record import write_json
        pathlib.Path.replace = lambda *_: os._exit(9)
        write_json(pathlib.Path(sys.argv[1]), {"value": "new" * 100_000})
    """
    assert in_another_process(code, str(path)).returncode == 9
    assert json.loads(path.read_text()) == {"value": "old"}
    write_json(path, {"value": "newer"})
    assert json.loads(path.read_text()) == {"value": "newer"} and list(tmp_path.iterdir()) == [path]


def test_write_json_says_when_it_cannot_write(tmp_path):
    (tmp_path / "full.json.part").symlink_to("/dev/full")
    with pytest.raises(StorageError, match="No space left"):
        write_json(tmp_path / "full.json", {"a": 1})
    assert not (tmp_path / "full.json").exists()


def test_sha256_is_the_hash_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(("number", "kept"), [(1.5, 1.5), (math.nan, None), (math.inf, None), (None, None)])
def test_finite_or_none(number, kept):
    assert finite_or_none(number) == kept


def test_the_basis_of_evidence_is_the_scored_checkpoint_and_the_split():
    from veritrain.probes.probe import hash_of

    results = {"checkpoint": {"sha256": "ab"}, "metrics": {}}
    record = RunRecord(path=Path("run"), kind="run", results=results, data={"split_sha256": "cd"})
    assert record.basis() == hash_of("ab", "cd")
    assert RunRecord(path=Path("run"), kind="run", results={"metrics": {}}, data={"split_sha256": "cd"}).basis() is None


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ({"value": "0.9"}, "has no number"),
        ({"value": True}, "has no number"),
        ({"value": float("nan")}, "has no number"),
        (0.9, "has no number"),
        ({"value": 0.9, "ci95": [0.8]}, "has no interval"),
        ({"value": 0.9, "ci95": "wide"}, "has no interval"),
        ({"value": 0.9, "gain_ci95": [0.1, "much"]}, "has no interval"),
    ],
)
def test_scores_that_are_no_numbers_are_refused_by_name(tmp_path, score, said):
    """They would end an audit of several paths in the middle."""
    folder = RunFolder(tmp_path / "run")
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly", claims=[])
    folder.results.write_text(json.dumps({"metrics": {"frame_auroc": score}}), encoding="utf-8")
    with pytest.raises(RecordError, match=f"'frame_auroc' {said}"):
        read_run(folder.path)


def test_undefined_scores_are_read(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly", claims=[])
    undefined = {"value": None, "ci95": [None, None], "gain_ci95": None}
    folder.results.write_text(json.dumps({"metrics": {"frame_auroc": undefined}}), encoding="utf-8")
    assert read_run(folder.path).results["metrics"]["frame_auroc"] == undefined
