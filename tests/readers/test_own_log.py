"""Our own log, read like anybody's: the line that the loop really writes, and no other line."""

from __future__ import annotations

import pytest

from training.toy import fit_toy
from veritrain.audit.verdict import judge
from veritrain.readers.own_log import spelled_out
from veritrain.readers.recognise import read_artefact
from veritrain.record import RunFolder, read_run

LINE = "epoch {e}/12  step {s}  loss {loss:.4g}  val frame_auroc {score:.4g}{best}  5.3 s  87.74 samples/s  ETA 0:01:04"


def written(path, scores):
    lines = [
        LINE.format(e=e, s=54 * e, loss=0.2 + 1 / e, score=score, best=" (best so far)" if score >= max(scores) else "")
        for e, score in enumerate(scores, 1)
    ]
    path.write_text("".join(f"2026-11-20T15:37:{n:02d}+00:00 {line}\n" for n, line in enumerate(lines)))
    return path


def test_what_the_loop_writes_is_read_back(tmp_path):
    folder = RunFolder(tmp_path / "run")
    fit_toy(folder, epochs=3)
    told = [(line["epoch"], line["value"]) for line in read_run(folder.path).of("metric")
            if line["name"] == "accuracy" and line["split"] == "val"]  # fmt: skip
    read = [(row.epoch, row.value) for row in read_artefact(folder.train_log).rows
            if row.name == "accuracy" and row.split == "val"]  # fmt: skip
    assert len(told) == 3 and [epoch for epoch, _ in read] == [1, 2, 3]
    assert [value for _, value in read] == pytest.approx([value for _, value in told], rel=1e-3)


def test_each_number_has_its_name_split_and_place(tmp_path):
    rows = read_artefact(written(tmp_path / "train.log", [0.4522, 0.5529])).rows
    assert [(row.name, row.split, row.value, row.epoch, row.step, row.line) for row in rows] == [
        ("loss", "train", 1.2, 1, 54, 1),
        ("auroc/frame", "val", 0.4522, 1, 54, 1),
        ("loss", "train", 0.7, 2, 108, 2),
        ("auroc/frame", "val", 0.5529, 2, 108, 2),
    ]


@pytest.mark.parametrize(
    ("scores", "word"),
    [
        ([0.5 + 0.04 * epoch for epoch in range(12)], "plausible"),
        ([0.5 + 0.003 * (e % 3) for e in range(12)], "refuted"),
    ],
)
def test_a_log_of_ours_is_judged_like_anybody_s(tmp_path, scores, word):
    assert judge(read_artefact(written(tmp_path / "train.log", scores))).word == word


def test_what_is_undefined_is_left_out():
    line = "epoch 1/2  step 3  loss -  val frame_auroc undefined  0.264 s  0 samples/s  ETA 0:01:10"
    assert spelled_out(line) == "epoch 1/2  step 3"
    assert spelled_out(line.replace("-", "nan")) == "epoch 1/2  step 3  train loss: nan"


@pytest.mark.parametrize(
    "line",
    [
        "epoch 3/5  step 9  loss 0.5  val frame_auroc 0.97",
        "epoch 3/5 step 9 loss 0.5 val frame_auroc 0.97  5.3 s  87 samples/s  ETA 9 s",
        "epoch 3/5  step 9  loss 0.5  val frame_auroc 0.97  5.3 s  87 samples/s  ETA 9 s, nearly",
        "val frame_auroc 0.97",
    ],
)
def test_any_other_line_stays_as_it_is(line):
    assert spelled_out(line) == line
