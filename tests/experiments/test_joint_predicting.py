"""Pictures and boxes of single images; names of files and pictures of recordings stay where they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tiny_echo import tiny_recipe
from veritrain import cli
from veritrain.data.detection_frames import DetectionFrames
from veritrain.errors import DataError, UsageError
from veritrain.experiments.joint import EXPERIMENT as joint
from veritrain.experiments.joint_pictures import (
    Words,
    box_errors,
    called_boxes,
    draw_answers,
    least_score,
    view_words,
    write_gallery,
)
from veritrain.experiments.joint_predicting import LooseImages, predict_run
from veritrain.models.options import YoloOptions
from veritrain.record import RunFolder
from veritrain.tasks.joint import JointTask


@pytest.fixture(scope="module")
def folder(small_echo, tmp_path_factory) -> RunFolder:
    folder = RunFolder(tmp_path_factory.mktemp("predicted") / "run")
    joint.run(tiny_recipe(small_echo), folder)
    return folder


def made_predictions() -> tuple[JointTask, dict[str, np.ndarray]]:
    task = JointTask(
        network=YoloOptions(size="n", classes=2, views=2, view_head="p3"),
        class_names=("AR", "MR"),
        view_names=("PLAX", "A4C"),
        term_weights={},
        threshold=0.5,
    )
    predictions = {
        "truth_counts": np.array([1, 0]),
        "truth_boxes": np.array([[10.0, 10, 30, 30]]),
        "truth_classes": np.array([0]),
        "box_counts": np.array([1, 2]),
        "boxes": np.array([[12.0, 12, 32, 32], [0, 0, 9, 9], [40, 40, 60, 60]]),
        "box_scores": np.array([0.9, 0.2, 0.6]),
        "box_classes": np.array([0, 1, 1]),
        "view_probabilities": np.array([[0.9, 0.1], [0.2, 0.8]]),
        "view_labels": np.array([0, -1]),
    }
    return task, predictions


def test_only_called_boxes_are_told():
    task, predictions = made_predictions()
    assert [(score, cls) for _, score, cls in called_boxes(predictions, 0, task)] == [(0.9, 0)]
    assert [(score, cls) for _, score, cls in called_boxes(predictions, 1, task)] == [(0.6, 1)]


def test_each_called_box_hits_one_object_of_its_class_or_is_a_false_alarm():
    task, predictions = made_predictions()
    predictions |= {
        "truth_counts": np.array([1, 1, 1]),
        "truth_boxes": np.array([[10.0, 10, 30, 30]] * 3),
        "truth_classes": np.array([0, 1, 0]),
        "box_counts": np.array([2, 1, 1]),
        "boxes": np.array([[10.0, 10, 30, 30], [11, 10, 30, 30], [10, 10, 30, 30], [10, 10, 30, 20.1]]),
        "box_scores": np.array([0.9, 0.7, 0.6, 0.55]),
        "box_classes": np.array([0, 0, 0, 0]),
    }
    wrong = box_errors(predictions, task)
    assert wrong.missed.tolist() == [0, 1, 0], "image 1: called with another class; image 2: an overlap of 0.505"
    assert wrong.false_alarms.tolist() == [1, 1, 0], "image 0: the second box on one object"
    assert wrong.surest.tolist() == [0.7, 0.6, 0.0]
    wrong = box_errors(predictions, replace(task, threshold=0.95))
    assert wrong.missed.tolist() == [1, 1, 1] and wrong.false_alarms.tolist() == [0, 0, 0]
    assert least_score(task) == 0.5 and least_score(replace(task, threshold=None)) == 0.25


def test_errors_add_up_to_the_rates_of_the_results():
    task, _ = made_predictions()
    rng = np.random.default_rng(3)
    truths = rng.uniform(0, 60, (20, 2))
    corners = np.tile(truths, (2, 1)) + rng.uniform(-8, 8, (40, 2))
    predictions = {
        "truth_counts": np.array([9, 11]), "truth_boxes": np.concatenate((truths, truths + 20), axis=1),
        "truth_classes": np.zeros(20, np.int64), "box_counts": np.array([22, 18]),
        "box_classes": np.zeros(40, np.int64),
        "boxes": np.concatenate((corners, corners + 20), axis=1), "box_scores": rng.uniform(0, 1, 40),
    }  # fmt: skip
    wrong = box_errors(predictions, task)
    tables = task.box_tables(predictions, ["a", "b"])
    called = int((predictions["box_scores"] >= 0.5).sum())
    hits = 20 - int(wrong.missed.sum())
    assert 0 < hits < called
    assert tables.value("recall") == pytest.approx(hits / 20)
    assert tables.value("precision") == pytest.approx(1 - wrong.false_alarms.sum() / called)


def test_the_view_is_told_beside_its_label():
    task, predictions = made_predictions()
    assert view_words(predictions, 0, task) == "view PLAX 0.90, label PLAX"
    assert view_words(predictions, 1, task) == "view A4C 0.80, label unknown"


def test_boxes_are_drawn_where_they_are():
    task, predictions = made_predictions()
    picture = np.asarray(draw_answers(np.zeros((64, 64, 3), np.uint8), (64, 64), predictions, 0, task))
    factor = picture.shape[0] // 64
    assert picture[20 * factor, 10 * factor].tolist() == [255, 255, 255], "the labelled box, in white"
    coloured = picture[20 * factor, 32 * factor - 1 : 32 * factor + 2].reshape(-1, 3)
    assert any(pixel.any() and not (pixel == 255).all() for pixel in coloured), "the called one, in its colour"


def test_words_never_stand_on_each_other_and_stay_in_the_picture():
    picture = Image.new("RGB", (160, 90))
    words = Words(picture)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    for colour, corner in zip(colours, [(150, -9), (150, -9), (150, -9)], strict=True):
        words.write("AR 0.91", colour, [corner, (140, 200)])
    pixels = np.asarray(picture).astype(int)
    spans = []
    for channel in range(3):
        rows, columns = np.nonzero(pixels[:, :, channel] > 128)
        spans.append((rows.min(), rows.max()) if rows.size else None)
        assert not rows.size or (columns.min() > 0 and columns.max() < 159 and rows.min() > 0 and rows.max() < 89)
    assert spans[2] is None, "no free place was left for the third"
    assert spans[0][1] < spans[1][0]


def test_samples_of_a_split_are_predicted_with_hashed_names(folder, small_echo):
    document, out = predict_run(folder, [], samples=3, split="test", out="")
    chosen = json.loads(folder.results.read_text(encoding="utf-8"))["selection"]["threshold"]
    called_from = 0.25 if chosen is None else chosen
    assert document["thresholds"] == {"box": chosen, "called_from": called_from, "chosen_on": "val"}
    assert document["count"] == 3 and out == folder.predictions / "test" and document["made_data"] is True
    text = (out / "predictions.json").read_text(encoding="utf-8")
    names = {path.stem for path in small_echo.rglob("*.jpg")}
    assert not any(name in text for name in names)
    for row in document["frames"]:
        assert (out / row["image"]).is_file() and len(row["id"]) == 12 and row["size"] == [128, 96]
        assert sum(row["view_probabilities"].values()) == pytest.approx(1, abs=1e-5)
        wrong = row["errors"]
        assert wrong["view_wrong"] == (row["view"] != row["view_label"]) and wrong["missed"] <= len(row["labelled"])
        assert wrong["false_alarms"] <= len(row["boxes"])
        assert row["view"] == max(row["view_probabilities"], key=row["view_probabilities"].get)
    assert json.loads(text) == document


def test_images_without_labels_can_be_looked_at(folder, small_echo):
    image = sorted(small_echo.rglob("*.jpg"))[0]
    document, out = predict_run(folder, [str(image)], samples=0, split="test", out="")
    (row,) = document["frames"]
    assert document["split"] is None and document["made_data"] is None and out.name == "input"
    assert (
        row["labelled"] == []
        and row["view_label"] is None
        and row["errors"] is None
        and image.stem not in json.dumps(document)
    )


def test_pictures_of_recordings_stay_in_the_run(folder, small_echo, tmp_path):
    with pytest.raises(UsageError, match="stay in the run folder"):
        predict_run(folder, [str(small_echo / "test")], samples=1, split="test", out=str(tmp_path / "elsewhere"))
    assert not (tmp_path / "elsewhere").exists()
    _, out = predict_run(folder, [], samples=1, split="val", out=str(tmp_path / "made"))
    assert out == tmp_path / "made", "made frames may go anywhere"


def test_pictures_of_recordings_are_not_in_the_report(folder, tmp_path):
    prepared, model = joint.reopen(folder)
    task, predictions = joint.scored(prepared, model)
    card = {**prepared.data.card, "made_data": False}
    data = type(prepared.data)(**{**vars(prepared.data), "card": card})
    target = RunFolder(tmp_path / "real")
    write_gallery(data, task.task, predictions, target)
    assert (target.figures / "frames.json").is_file() and not (target.figures / "gallery.json").exists()


def test_loose_images_are_a_source_without_labels(small_echo, tmp_path):
    source = LooseImages(small_echo / "test", 64)
    frames = DetectionFrames(source, source.keys(), (64, 64), classes=4, views=3, hold="disk")
    sample = frames.sample(0, epoch=0, seed=0)
    assert sample["image"].shape == (3, 64, 64) and sample["boxes"].shape == (0, 4) and sample["view"] == -1
    with pytest.raises(DataError, match="no image"):
        LooseImages(tmp_path, 64)
    shutil.copy(small_echo / "data.yaml", tmp_path / "data.yaml")
    with pytest.raises(DataError, match="no image"):
        LooseImages(tmp_path / "data.yaml", 64)
    Image.new("RGB", (10, 10)).save(tmp_path / "one.png")
    assert len(LooseImages(tmp_path, 64).keys()) == 1


def test_the_commands_know_the_task_of_a_run(folder, small_echo, tmp_path, capsys):
    shutil.copytree(folder.path, tmp_path / "copy")
    run = RunFolder(tmp_path / "copy")
    stored = json.loads(run.results.read_text(encoding="utf-8"))
    assert cli.main(["evaluate", str(run.path), "--scores_only"]) == 0
    found = json.loads(capsys.readouterr().out)["metrics"]
    assert found["view_macro_f1"]["value"] == pytest.approx(stored["metrics"]["view_macro_f1"]["value"])
    assert cli.main(["evaluate", str(run.path)]) == 0
    assert "view_accuracy_given_valve" in capsys.readouterr().out
    assert json.loads(run.results.read_text(encoding="utf-8"))["balance"] == stored["balance"], "kept"
    assert cli.main(["predict", str(run.path), "--samples", "2"]) == 0
    told = capsys.readouterr().out
    page = run.predictions / "test" / "index.html"
    assert "not a medical device" in told and told.splitlines()[-1] == str(page)
    html = page.read_text(encoding="utf-8")
    assert html.count("data:image/webp") == 2 and '<html lang="en">' in html and "<script" not in html
    assert not any(path.stem in html for path in small_echo.rglob("*.jpg"))
    assert cli.main(["predict", str(run.path), "--samples", "1", "--split", "val", "--language", "zh"]) == 0
    assert '<html lang="zh">' in (run.predictions / "val" / "index.html").read_text(encoding="utf-8")
    capsys.readouterr()
    assert cli.main(["predict", str(run.path), "--samples", "2", "--voxels"]) == 64
    assert "--voxels changes nothing" in capsys.readouterr().err
    assert cli.main(["report", str(run.path)]) == 0
    page = run.report.read_text(encoding="utf-8")
    assert "Balancing of the tasks" in page and "cosine of the gradients (no unit)" in page


def test_help_of_the_joint_task_loads_no_torch():
    code = (
        "import sys\nfrom veritrain import cli\n"
        "try:\n    cli.main(['train', 'joint', '--help'])\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr.strip().endswith("False") and "--balance_alpha" in done.stdout and "--view_head" in done.stdout
