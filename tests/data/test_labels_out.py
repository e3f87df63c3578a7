"""The labels of a data set come back from every form as they were, and nothing that is unknown becomes normal."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
from pycocotools.coco import COCO

from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.coco import image_number
from veritrain.data.labels_out import LabelWriter, export_labels
from veritrain.data.options import AnoVoxOptions
from veritrain.errors import BrokenFileError, UsageError


@pytest.fixture(scope="module")
def source(small_world):
    return AnoVoxFormat(small_world)


def table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_coco_masks_are_the_anomalous_pixels(source, small_world, tmp_path):
    told = export_labels(source, tmp_path / "out", "coco")
    coco = COCO(told["path"])
    keys = source.keys()
    assert told["frames"] == len(coco.imgs) == len(keys) and told["annotations"] == len(coco.anns) > 0
    for key in keys:
        frame, number = source.read(key), image_number(key.id)
        image = coco.imgs[number]
        assert (small_world / image["file_name"]).is_file()
        assert (image["height"], image["width"]) == frame.pixel_labels.shape
        drawn = np.zeros(frame.pixel_labels.shape, bool)
        for one in coco.loadAnns(coco.getAnnIds(imgIds=[number])):
            assert "score" not in one and one["iscrowd"] == 0
            drawn |= coco.annToMask(one).astype(bool)
        assert np.array_equal(drawn, frame.pixel_labels == 1)


def test_the_table_counts_every_pixel_and_return(source, tmp_path):
    export_labels(source, tmp_path / "out", "csv")
    rows = {row["frame"]: row for row in table(tmp_path / "out" / "frames.csv")}
    for key in source.keys()[::5]:
        frame, row = source.read(key), rows[key.id]
        assert row["label"] == ("" if frame.frame_label < 0 else str(frame.frame_label)) and row["type"] == frame.kind
        for name, labels in (("pixels", frame.pixel_labels), ("returns", frame.point_labels)):
            counts = [int(row[f"{word}_{name}"]) for word in ("anomalous", "normal", "unknown")]
            assert counts == [int((labels == value).sum()) for value in (1, 0, -1)]


def test_arrays_are_the_labels_themselves(source, tmp_path):
    export_labels(source, tmp_path / "out", "npy")
    rows = {row["frame"]: row for row in table(tmp_path / "out" / "index.csv")}
    key = source.keys()[7]
    frame, row = source.read(key), rows[key.id]
    for name, labels in (("returns", frame.point_labels), ("pixels", frame.pixel_labels)):
        stored = np.load(tmp_path / "out" / row[f"{name}_file"], allow_pickle=False)
        assert stored.dtype == np.int8 and np.array_equal(stored, labels)
        assert row[f"{name}_shape"] == "x".join(map(str, labels.shape))


def test_what_is_not_labelled_is_empty_and_no_image_of_coco(source, small_world, tmp_path):
    scenario = next(iter(source.scenarios.values()))
    copy = tmp_path / scenario.path.name
    shutil.copytree(scenario.path, copy)
    for folder in [*copy.glob("SEMANTIC-CAM*"), *copy.glob("SEMANTIC-LIDAR*")]:
        shutil.rmtree(folder)
    bare = AnoVoxFormat(copy)
    told = export_labels(bare, tmp_path / "coco", "coco")
    assert told["without_pixel_labels"] == told["frames"] == len(scenario.frames) and told["annotations"] == 0
    assert COCO(told["path"]).imgs == {}
    export_labels(bare, tmp_path / "csv", "csv")
    row = table(tmp_path / "csv" / "frames.csv")[0]
    assert row["label"] == row["normal_pixels"] == row["normal_returns"] == ""
    export_labels(bare, tmp_path / "npy", "npy")
    assert (
        table(tmp_path / "npy" / "index.csv")[0]["returns_file"] == "" and not (tmp_path / "npy" / "returns").exists()
    )


@pytest.mark.parametrize("policy", ["skip", "error"])
def test_a_broken_frame_is_counted_or_stops(source, policy, tmp_path):
    scenario = next(iter(source.scenarios.values()))
    copy = tmp_path / scenario.path.name
    shutil.copytree(scenario.path, copy)
    file = sorted(copy.glob("RGB-CAM*/*.png"))[1]
    file.write_bytes(file.read_bytes()[:100])
    broken = AnoVoxFormat(copy, AnoVoxOptions(on_broken=policy))
    if policy == "error":
        with pytest.raises(BrokenFileError):
            export_labels(broken, tmp_path / "out", "csv")
    else:
        told = export_labels(broken, tmp_path / "out", "csv")
        assert told["broken"] == 1 and told["frames"] == len(scenario.frames) - 1


def test_labels_are_not_mixed_with_what_is_there(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UsageError, match="mixed"):
        LabelWriter(folder=tmp_path, form="csv", about={})
    with pytest.raises(UsageError, match="no form"):
        LabelWriter(folder=tmp_path / "new", form="yolo", about={})
