from __future__ import annotations

import csv
from pathlib import Path

import pytest

from veritrain.audit.verdict import judge
from veritrain.errors import ArtefactError
from veritrain.readers.recognise import artefacts_at, read_artefact

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
beside = pytest.mark.skipif(not CORPUS.is_dir(), reason="the labelled corpus is not beside the repository")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("epoch,loss,val_acc\n1,0.5,0.6\n", "csv_history"),
        ("Epoch 1/5\nloss: 0.5 - val_acc: 0.6\n", "text_log"),
        ("# Training\n\n- **loss**: 0.5\n- **accuracy**: 0.6\n", "report"),
        ("{'loss': 0.5, 'epoch': 1.0}\n{'eval_loss': 0.5, 'epoch': 1.0}\n", "text_log"),
        ("[2024-01-01 10:00:00] epoch 1 loss: 0.5\n", "text_log"),
    ],
)
def test_content_decides_and_never_the_name(tmp_path, text, kind):
    path = tmp_path / "weights.json"
    path.write_text(text, encoding="utf-8")
    assert read_artefact(path).kind == kind


@pytest.mark.parametrize(
    "content", ['{"loss": [0.5]}', '[{"epoch": 1}]', "Dear all, good morning.", "a\n1\n2\n3\n", "", "\x00" * 90]
)
def test_what_is_not_read_says_what_is(tmp_path, content):
    path = tmp_path / "train.log"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ArtefactError) as error:
        read_artefact(path)
    assert error.value.exit_code == 2 and "CSV history" in str(error.value) and "run folder" in str(error.value)


def test_a_folder_without_a_record_is_refused(tmp_path):
    with pytest.raises(ArtefactError, match="not a run"):
        read_artefact(tmp_path)


def run_at(place):
    place.mkdir(parents=True)
    (place / "record.jsonl").write_text('{"v": 1, "event": "start"}\n', encoding="utf-8")
    return place


def test_a_folder_that_is_no_run_stands_for_the_runs_one_or_two_levels_down(tmp_path):
    runs = [run_at(tmp_path / name) for name in ("demo/run-1", "demo/run-2", "mine")]
    run_at(tmp_path / "mine" / "copy")
    run_at(tmp_path / "far" / "too" / "deep")
    (tmp_path / "data" / "streets").mkdir(parents=True)
    assert artefacts_at(tmp_path) == runs, "nothing is looked for inside a run"
    assert artefacts_at(tmp_path / "demo") == runs[:2] and artefacts_at(runs[0]) == runs[:1]
    with pytest.raises(ArtefactError, match="give one of the runs in it") as error:
        read_artefact(tmp_path)
    assert str(runs[0]) in str(error.value)


def test_a_folder_without_any_run_stands_for_itself_and_says_what_to_give(tmp_path):
    data = tmp_path / "data"
    (data / "streets").mkdir(parents=True)
    (tmp_path / "log.txt").write_text("loss: 0.5\n", encoding="utf-8")
    assert artefacts_at(data) == [data] and artefacts_at(tmp_path / "log.txt") == [tmp_path / "log.txt"]
    with pytest.raises(ArtefactError, match="veritrain data check"):
        read_artefact(data)


def entries():
    if not CORPUS.is_dir():
        return []
    with (CORPUS / "index.csv").open(encoding="utf-8", newline="") as file:
        return [(row["file"], row["label"], row["expected"].split("|")) for row in csv.DictReader(file)]


@beside
@pytest.mark.parametrize(
    ("file", "label", "expected"), entries(), ids=lambda part: part if isinstance(part, str) else ""
)
def test_a_labelled_artefact(file, label, expected):
    path = CORPUS / file
    if path.suffix == ".json":
        with pytest.raises(ArtefactError, match="not read yet"):
            read_artefact(path)
        return
    verdict = judge(read_artefact(path))
    assert not [item.finding.sentence for item in verdict.judged if item.finding.status == "crashed"]
    assert verdict.word in expected, f"{label}: {verdict.sentence}"
    for item in verdict.judged:
        if item.finding.status == "fail" and item.on_fail == "refutes":
            assert item.finding.evidence and item.finding.to_settle
