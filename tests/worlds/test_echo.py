"""The echo world on disk: the files, the bytes, what the sidecar says, and what a constant box is worth."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace

import numpy as np
import pytest
import yaml
from PIL import Image

from veritrain.data.echo import EchoFormat
from veritrain.errors import StorageError, UsageError
from veritrain.worlds import echo
from veritrain.worlds.echo import EchoWorld, label_text, plan_frames
from veritrain.worlds.echo_plan import plan_recordings
from veritrain.worlds.options import EchoWorldOptions

TINY = EchoWorldOptions(patients=3, videos=2, frames=2, height=96, width=128, seed=4, unknown_views=0.2)


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]


def test_the_bytes_depend_on_the_options_alone(tmp_path):
    for name, options, workers in (("a", TINY, 1), ("b", TINY, 2), ("c", replace(TINY, seed=5), 1)):
        EchoWorld(options).write(tmp_path / name, workers=workers)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_the_summary_is_what_lies_there(tmp_path):
    seen = []
    summary = EchoWorld(TINY).write(tmp_path / "w", progress=lambda *place: seen.append(place), workers=1)
    assert seen[-1] == (6, 6) and (summary.patients, summary.videos, summary.frames) == (3, 6, 12)
    assert len(list((tmp_path / "w").rglob("*.jpg"))) == len(list((tmp_path / "w").rglob("*.txt"))) == 12
    assert sum(summary.by_valve.values()) == summary.objects == 12 and sum(summary.by_view.values()) == 12
    for part, count in summary.by_part.items():
        assert len(list((tmp_path / "w" / part / "images").iterdir())) == count
    texts = [path.read_text() for path in (tmp_path / "w").rglob("*.txt")]
    assert summary.unknown_views == 3 == sum("\n\n" not in text for text in texts)


def test_files_are_as_the_real_sets(echo_world, echo_options):
    description = yaml.safe_load((echo_world / "data.yaml").read_text())
    assert description == {
        "names": ["AR", "MR", "PR", "TR"],
        "nc": 4,
        "views": ["PSAX", "PLAX", "A4C"],
        "train": "train/images",
        "val": "valid/images",
        "test": "test/images",
    }
    shapes = set()
    for label in echo_world.rglob("labels/*.txt"):
        text = label.read_text()
        shapes.add(tuple(len(line.split()) for line in text.split("\n")))
        image = label.parent.parent / "images" / f"{label.stem}.jpg"
        with Image.open(image) as picture:
            assert picture.size == (echo_options.width, echo_options.height)
        patient, series, frame = label.stem.replace(".mp4-", "-").split("-")
        assert len(patient) == 12 and series.startswith("unnamed_1_") and frame.isdecimal()
    assert shapes == {(9, 0, 3), (9, 0)}


def test_both_kinds_of_labels_say_the_same_boxes(tmp_path):
    for labels in ("polygon", "xywh"):
        EchoWorld(replace(TINY, labels=labels)).write(tmp_path / labels, workers=1)
    one, two = EchoFormat(tmp_path / "polygon"), EchoFormat(tmp_path / "xywh")
    for key, other in zip(one.keys(), two.keys(), strict=True):
        np.testing.assert_allclose(one.labels(key).boxes, two.labels(other).boxes, atol=1e-6)
        assert (one.labels(key).polygons, two.labels(other).polygons) == (1, 0)
        assert one.labels(key).view == two.labels(other).view


def test_a_label_text_by_hand():
    options = replace(TINY, height=100, width=200)
    boxes = {"MR": (20, 10, 60, 50), "TR": (0, 0, 200, 100)}
    assert label_text(boxes, "PLAX", options) == (
        "1 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5\n3 0.0 0.0 1.0 0.0 1.0 1.0 0.0 1.0\n\n0 1 0"
    )
    assert label_text({}, "A4C", options) == "\n0 0 1" and label_text({}, None, options) == ""


def test_the_sidecar_says_what_was_drawn_and_that_it_is_made(echo_world):
    facts = json.loads((echo_world / "veritrain_world.json").read_text())
    assert facts["world"] == "echo" and facts["licence"] == "CC0-1.0" and "made data" in facts["nature"]
    assert facts["options"]["patients"] == 9 and len(facts["recordings"]) == 18
    assert sum(len(one["frames"]) for one in facts["recordings"].values()) == 54


def test_no_loader_reads_the_sidecar(tmp_path):
    EchoWorld(TINY).write(tmp_path / "w", workers=1)
    before = EchoFormat(tmp_path / "w")
    (tmp_path / "w" / "veritrain_world.json").unlink()
    after = EchoFormat(tmp_path / "w")
    assert after.keys() == before.keys()
    for key in list(after.keys())[::4]:
        np.testing.assert_array_equal(after.read(key).image, before.read(key).image)


@pytest.mark.parametrize(("published", "shared"), [("frames", True), ("patients", False)])
def test_the_published_parts_leak_as_asked_for(published, shared):
    options = EchoWorldOptions(patients=12, videos=2, frames=4, published=published)
    recordings = plan_recordings(options)
    parts = {}
    for one, frames in zip(recordings, plan_frames(recordings, options), strict=True):
        for frame in frames:
            parts.setdefault(frame.part, []).append(one.patient.name)
    assert [len(parts[part]) for part in ("train", "valid", "test")] == ([65, 12, 19] if shared else [64, 16, 16])
    assert bool(set(parts["train"]) & set(parts["test"])) == shared


def test_a_constant_box_is_worth_little(echo_world):
    """The box that overlaps most others by half does so with fewer than a third: position alone does not find jets."""
    source = EchoFormat(echo_world)
    boxes = np.concatenate([source.labels(key).boxes for key in list(source.keys())])
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    shared = np.prod(np.clip(np.minimum(high[:, None], high) - np.maximum(low[:, None], low), 0, None), axis=2)
    area = boxes[:, 2] * boxes[:, 3]
    overlap = shared / (area[:, None] + area - shared)
    assert (overlap > 0.5).mean(axis=1).max() < 1 / 3
    assert np.quantile(boxes[:, 2], 0.05) > 0.05 and np.median(boxes[:, 2]) > 0.1, "large enough for 160 pixels"


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="holds something already"):
        EchoWorld(TINY).write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_full_disk_leaves_nothing_half_done(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(echo, "_write_job", full)
    with pytest.raises(StorageError, match="cannot be written"):
        EchoWorld(TINY).write(tmp_path / "w", workers=1)
    assert list((tmp_path / "w").iterdir()) == []


def test_the_variant_nobody_tunes_on_looks_different(tmp_path):
    EchoWorld(replace(TINY, variant="held_out")).write(tmp_path / "w", workers=1)
    EchoWorld(TINY).write(tmp_path / "v", workers=1)

    def greenish(folder):
        colours = [np.asarray(Image.open(path)).astype(int) for path in folder.rglob("*.jpg")]
        return np.mean([(one[..., 2] > one[..., 1] + 60)[..., None].mean() for one in colours])

    assert digest(tmp_path / "w") != digest(tmp_path / "v") and greenish(tmp_path / "w") != greenish(tmp_path / "v")


def test_it_is_drawn_fast_enough(tmp_path):
    options = EchoWorldOptions(patients=1, videos=2, frames=6, seed=1)
    start = time.process_time()
    EchoWorld(options).write(tmp_path / "w", workers=1)
    assert 12 / (time.process_time() - start) > 15, "40 frames a second on an idle core; this one may be slow"
