"""``veritrain predict`` on its own data and on folders that it never saw; ``veritrain data export``."""

from __future__ import annotations

import csv
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from veritrain import cli
from veritrain.record import read_run


@pytest.fixture
def scenario(small_world, tmp_path):
    """A copy of one anomalous scenario, outside the data set."""
    found = sorted(small_world.glob("AnoVox_Static*/*/Scenario_*-*"))[0]
    shutil.copytree(found, tmp_path / "Town09" / found.name)
    return tmp_path / "Town09" / found.name


def predicted(capsys, *words):
    assert cli.main(["predict", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def resized(scenario, height, width):
    """The scenario with images of another size, and a setup that says so."""
    for file in [*scenario.glob("RGB-CAM*/*.png"), *scenario.glob("SEMANTIC-CAM*/*.png")]:
        with Image.open(file) as image:
            image.resize((width, height), Image.Resampling.NEAREST).save(file)
    setup = scenario / "sensor_setup.json"
    text = re.sub(r'("image_height":\s*"?)\d+', rf"\g<1>{height}", setup.read_text())
    setup.write_text(re.sub(r'("image_width":\s*"?)\d+', rf"\g<1>{width}", text))


def test_samples_have_scores_decisions_pictures_and_a_page(own_run, capsys, tmp_path):
    stored = json.loads(own_run.results.read_text())
    document = predicted(capsys, own_run.path, "--samples", 3, "--attention", "--voxels", "--out", tmp_path / "out")
    scores = {}
    for line in (own_run.path / "predictions" / "test_frames.csv").read_text().splitlines()[1:]:
        name, _, label, score = line.split(",")
        scores[name] = (int(label), float(score))
    assert document["count"] == 3 and document["split"] == "test" and document["made_data"] is True
    for row in document["frames"]:
        label, score = scores[row["id"]]
        assert row["frame"] is None and row["label"] == label and row["score"] == pytest.approx(score, abs=1e-5)
        threshold = stored["selection"]["threshold"]
        assert row["decision"] == (None if threshold is None else row["score"] >= threshold)
        for name in ("image", "points", "attention", "voxels"):
            assert (tmp_path / "out" / row[name]).is_file(), name
    assert json.loads((tmp_path / "out" / "predictions.json").read_text()) == document
    page = (tmp_path / "out" / "index.html").read_text()
    assert (
        page.count("data:image/webp") == 12 and "http:" not in page and "https:" not in re.sub('data:[^"]*', "", page)
    )
    looks = [(look["split"], look["purpose"]) for look in read_run(own_run.path).of("look")]
    assert looks[-1] == ("test", "pictures of single samples")


def test_a_folder_needs_no_training_data_and_no_labels(own_run, scenario, capsys, tmp_path):
    labelled = predicted(capsys, own_run.path, scenario, "--out", tmp_path / "one")
    recipe = own_run.recipe.read_text()
    own_run.recipe.write_text(re.sub(r"(?m)^data: .*$", "data: gone", recipe))
    for folder in [*scenario.glob("SEMANTIC-*"), *scenario.glob("ANOMALY")]:
        shutil.rmtree(folder)
    before = read_run(own_run.path).of("look")
    bare = predicted(capsys, own_run.path, scenario, "--out", tmp_path / "two")
    assert read_run(own_run.path).of("look") == before
    assert bare["count"] == 4 and bare["made_data"] is None and bare["split"] is None
    assert {row["label"] for row in bare["frames"]} == {None}
    assert 1 in {row["label"] for row in labelled["frames"]}
    assert [row["score"] for row in bare["frames"]] == [row["score"] for row in labelled["frames"]]
    assert all(row["frame"].endswith(f"{scenario.name}/{row['frame'].rsplit('/', 1)[1]}") for row in bare["frames"])
    assert not list((tmp_path / "two").glob("*attention*")) and not list((tmp_path / "two").glob("*voxels*"))


def test_images_of_another_size_are_resized_and_of_another_shape_refused(own_run, scenario, capsys, tmp_path):
    resized(scenario, 128, 192)
    words = ("--samples", 1, "--labels_out", tmp_path / "coco", "--out", tmp_path / "out")
    results = json.loads(own_run.results.read_text())
    results["components"] = {"threshold": 0.0}
    own_run.results.write_text(json.dumps(results))
    document = predicted(capsys, own_run.path, scenario, *words)
    assert document["resized"] == [[128, 192]] and document["image_size"] == [64, 96]
    coco = COCO(str(tmp_path / "coco" / "annotations.json"))
    (image,) = coco.imgs.values()
    assert (image["height"], image["width"]) == (128, 192) and (scenario / image["file_name"]).is_file()
    assert coco.annToMask(coco.anns[1]).shape == (128, 192) and coco.anns[1]["area"] == 128 * 192
    capsys.readouterr()
    resized(scenario, 128, 128)
    assert cli.main(["predict", str(own_run.path), str(scenario), "--out", str(tmp_path / "no")]) == 65
    told = capsys.readouterr().err
    assert "another shape" in told and "64 x 96" in told and "128 x 128" in told


def test_predictions_go_out_as_a_table_and_as_arrays(own_run, scenario, capsys, tmp_path):
    words = ("--samples", 2, "--out", tmp_path / "out")
    document = predicted(capsys, own_run.path, scenario, *words, "--labels_out", tmp_path / "csv", "--as", "csv")
    with (tmp_path / "csv" / "frames.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [float(row["score"]) for row in table] == [row["score"] for row in document["frames"]]
    assert [row["frame"] for row in table] == [row["frame"] for row in document["frames"]]
    predicted(capsys, own_run.path, scenario, *words, "--labels_out", tmp_path / "npy", "--as", "npy")
    with (tmp_path / "npy" / "index.csv").open(encoding="utf-8") as file:
        for row, told in zip(csv.DictReader(file), document["frames"], strict=True):
            returns = np.load(tmp_path / "npy" / row["returns_file"], allow_pickle=False)
            assert returns.dtype == np.float32 and len(returns) == told["returns"]
            assert float(returns.max()) == pytest.approx(told["highest_return"])
            pixels = np.load(tmp_path / "npy" / row["pixels_file"], allow_pickle=False)
            assert pixels.shape == (64, 96) and float(pixels.max()) == pytest.approx(told["highest_pixel"])


def test_where_the_labels_were_written_is_said(own_run, scenario, capsys, tmp_path):
    words = ("--samples", 1, "--out", tmp_path / "out", "--labels_out", tmp_path / "csv", "--as", "csv")
    assert cli.main(["predict", str(own_run.path), str(scenario), *map(str, words)]) == 0
    assert f"labels (csv): {tmp_path / 'csv' / 'frames.csv'}" in capsys.readouterr().out.splitlines()


def test_a_broken_frame_is_named_and_the_others_predicted(own_run, scenario, capsys, tmp_path):
    file = sorted(scenario.glob("LIDAR*/*.npy"))[1]
    file.write_bytes(file.read_bytes()[:200])
    document = predicted(capsys, own_run.path, scenario, "--out", tmp_path / "out")
    assert document["count"] == 3 and len(document["broken"]) == 1
    assert document["broken"][0]["frame"].endswith(file.stem.rsplit("_", 1)[1])


def test_a_folder_of_both_layouts_needs_a_word(own_run, scenario, small_world_2023, capsys, tmp_path):
    older = sorted(small_world_2023.glob("AnoVox_Normality*/*/Scenario_*-*"))[0]
    shutil.copytree(older, scenario.parent / older.name)
    assert cli.main(["predict", str(own_run.path), str(scenario.parent)]) == 65
    assert "--layout 2024 or --layout 2023" in capsys.readouterr().err
    words = ("--layout", "2023", "--samples", 1, "--out", tmp_path / "out")
    (frame,) = predicted(capsys, own_run.path, scenario.parent, *words)["frames"]
    assert older.name in frame["frame"]
    assert cli.main(["predict", str(own_run.path), "--layout", "2023"]) == 64
    assert "--layout is for an INPUT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--split", "val"], 64, "--split is for the run's own data"),
        (["--as", "csv"], 64, "--as without --labels_out"),
        (["--samples", "-1"], 64, "nothing to predict"),
        (["--samples", "0"], 64, "found:    --samples 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_options_that_would_do_nothing_are_refused(own_run, scenario, capsys, words, code, told):
    assert cli.main(["predict", str(own_run.path), str(scenario), *words]) == code
    assert told in capsys.readouterr().err


def test_a_folder_without_frames_is_refused(own_run, tmp_path, capsys):
    assert cli.main(["predict", str(own_run.path), str(tmp_path)]) == 65
    assert "no frames are recognised" in capsys.readouterr().err


def test_a_scenario_without_calibration_is_told_apart_from_no_scenario(own_run, scenario, capsys):
    (scenario / "sensor_setup.json").unlink()
    assert cli.main(["predict", str(own_run.path), str(scenario)]) == 65
    assert "1 scenario folders, none with a sensor_setup.json" in capsys.readouterr().err


def test_masks_need_a_threshold(own_run, scenario, capsys, tmp_path):
    results = json.loads(own_run.results.read_text())
    own_run.results.write_text(json.dumps({**results, "components": None}))
    words = ["predict", str(own_run.path), str(scenario), "--labels_out", str(tmp_path / "coco")]
    assert cli.main(words) == 66
    assert "no pixel threshold" in capsys.readouterr().err


def test_data_export_writes_the_form_it_is_asked_for(small_world, tmp_path, capsys):
    assert cli.main(["data", "export", str(small_world), str(tmp_path / "out"), "--as", "coco"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["frames"] == 48 and len(COCO(told["path"]).anns) == told["annotations"]
    assert cli.main(["data", "export", str(small_world), str(tmp_path / "other")]) == 64
