"""What data check finds in a set of images with boxes and views."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from label_folders import BOX, POLYGON, write_set
from veritrain.data.echo import EchoFormat
from veritrain.data.echo_inspection import hashed, inspect_echo
from veritrain.data.options import EchoOptions
from veritrain.errors import ConfigError
from veritrain.experiments.driving_data import short_hash

SKIP = EchoOptions(on_broken="skip")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def looked_at(path, **how):
    return inspect_echo(EchoFormat(path, SKIP), **how)


def named(inspection):
    return {remark.name: remark for remark in inspection.remarks}


@pytest.fixture(scope="module")
def made(echo_world):
    return looked_at(echo_world)


class TestMadeWorld:
    def test_it_counts_what_the_world_says(self, made, echo_world):
        facts = json.loads((echo_world / "veritrain_world.json").read_text())
        recordings = facts["recordings"].values()
        for valve, counts in made.classes.items():
            assert counts["videos"] == sum(one["looked_at"] == valve for one in recordings)
            assert counts["objects"] == 3 * counts["videos"] == counts["frames"]
        seen = facts["recordings_by_valve_and_view"]
        table = made.valve_views["table"]
        missing = sum(3 * seen[valve][view] - table[valve][view] for valve in seen for view in seen[valve])
        assert missing == 3 == made.views["unknown"]["frames"], "files without a view line are in no row"

    def test_instances_are_the_lines_of_the_files(self, made):
        assert made.objects["instances"] == made.objects["label_lines"] == made.objects["polygons"] == 54

    def test_it_is_usable_and_says_what_is_to_be_known(self, made):
        assert made.usable and {"published_split_leaks", "views_missing"} <= set(named(made))
        assert made.sampled == {"of": 54, "read": 54, "broken": 0} and made.sizes == {"128x96": 54}

    def test_json_holds_no_name_of_a_group_or_an_image(self, made, echo_world):
        text = json.dumps(made.as_json(), allow_nan=False)
        assert not any(key.group in text for key in list(EchoFormat(echo_world).keys()))
        assert hashed(EchoFormat(echo_world).keys()[0].group) in text

    def test_recordings_of_the_world_keep_their_view(self, made):
        assert made.within_videos["with_several_views"] == 0 and made.within_videos["neighbours_that_differ"] == 0
        assert made.within_videos["frames"] == 51 == made.within_videos["most_frequent_of_their_video"]


def test_views_that_change_within_a_recording_are_counted(tmp_path):
    views = ["1 0 0", "1 0 0", "0 1 0", "1 0 0"]
    labels = {f"train/ann-s.mp4-{frame}": f"{BOX}\n{view}" for frame, view in enumerate(views)}
    found = looked_at(write_set(tmp_path, labels))
    assert found.within_videos == {
        "videos": 1,
        "with_several_views": 1,
        "frames": 4,
        "most_frequent_of_their_video": 3,
        "neighbours": 3,
        "neighbours_that_differ": 2,
    }
    assert "75.0%" in named(found)["views_within_videos"].text


def test_one_large_patient_is_named_by_what_it_does_to_n(tmp_path):
    labels = {f"train/big-s.mp4-{frame}": BOX for frame in range(8)}
    labels |= {f"train/p{number}-s.mp4-1": BOX for number in range(4)}
    found = looked_at(write_set(tmp_path, labels))
    assert found.concentration["effective"] == pytest.approx(12**2 / (8**2 + 4), abs=0.01)
    assert found.concentration["largest"][0] == {"group": hashed("big"), "frames": 8, "share": 8 / 12}
    assert "67%" in named(found)["large_group"].text


def test_copies_are_found_with_what_differs(tmp_path):
    write_set(
        tmp_path, {"train/a-s.mp4-1": POLYGON, "valid/b-s.mp4-1": "1 .3 .5 .4 .3\n\n1 0 0", "test/c-s.mp4-1": BOX}
    )
    shutil.copy(tmp_path / "train/images/a-s.mp4-1.png", tmp_path / "valid/images/b-s.mp4-1.png")
    found = looked_at(tmp_path)
    assert {**found.copies, "box_iou_median": None} == {
        "sets": 1,
        "files": 2,
        "across_parts": 1,
        "other_classes": 0,
        "other_views": 1,
        "other_boxes": 1,
        "box_iou_median": None,
    }
    assert found.copies["box_iou_median"] == pytest.approx(0.5, abs=1e-6) and named(found)["copies"].level == "warning"


class TestBadInput:
    @pytest.fixture
    def bad(self, tmp_path):
        write_set(tmp_path, {"train/a": BOX, "train/b": "9 .5 .5 .1 .1", "train/c": BOX * 2, "valid/d": None})
        file = write_set(tmp_path, {"test/e": BOX, "test/f": BOX}) / "test" / "images" / "e.png"
        file.write_bytes(file.read_bytes()[:60])
        return tmp_path

    def test_everything_is_listed_with_file_and_line(self, bad):
        found = looked_at(bad)
        assert not found.usable and found.sampled == {"of": 4, "read": 3, "broken": 1}
        by_name = named(found)
        assert by_name["class_unknown"].file.endswith("b.txt:1") and by_name["repeated_line"].file.endswith("c.txt:2")
        assert by_name["image_without_label"].file.endswith("d.png") and by_name["image_broken"].file.endswith("e.png")
        levels = {by_name[name].level for name in ("class_unknown", "repeated_line", "image_broken")}
        assert levels == {"error"}
        assert found.objects["instances"] == 4 and found.objects["label_lines"] == 5 and found.objects["repeated"] == 1

    def test_who_leaves_it_out_gets_warnings(self, bad):
        found = looked_at(bad, strict=False)
        assert found.usable and named(found)["class_unknown"].level == "warning"


def test_a_reader_that_made_boxes_of_view_lines_would_be_caught(echo_world, monkeypatch):
    from veritrain.data import detection_labels

    monkeypatch.setattr(detection_labels._Line, "view", lambda self: None)
    monkeypatch.setattr(detection_labels._Line, "object", lambda self: (0, (0.01 * self.number, 0.5, 0.1, 0.1)))
    found = looked_at(echo_world)
    assert not found.usable and "instances_differ" in named(found)
    assert found.objects["instances"] == 54 + 51 and found.objects["label_lines"] == 54


def test_thin_boxes_background_and_absent_classes(tmp_path):
    found = looked_at(write_set(tmp_path, {"a": "0 .5 .5 .02 .5\n", "b": "", "c": BOX}))
    assert found.objects["thin"] == 1 and found.objects["empty_frames"] == 1
    assert {"thin_boxes", "background", "classes_absent"} <= set(named(found))
    assert named(found)["classes_absent"].text.startswith("3 classes have no object: MR, PR, TR")


def test_no_object_at_all_is_an_error(tmp_path):
    found = looked_at(write_set(tmp_path, {"a": "", "b": "\n0 1 0"}))
    assert not found.usable and "no_objects" in named(found) and found.valve_views is None


def test_sizes_and_foreign_caches_are_told(tmp_path):
    write_set(tmp_path, {"a": BOX})
    write_set(tmp_path, {"b": BOX}, size=(80, 60))
    (tmp_path / "train" / "labels.cache").write_bytes(b"\x80")
    found = looked_at(tmp_path)
    assert found.sizes == {"64x48": 1, "80x60": 1}
    assert {"sizes", "foreign_cache"} <= set(named(found)) and found.usable


def test_the_sample_is_spread_and_said(echo_world):
    found = looked_at(echo_world, sample=5)
    assert found.sampled == {"of": 54, "read": 5, "broken": 0}
    with pytest.raises(ConfigError, match="nothing to read"):
        looked_at(echo_world, sample=0)


def test_groups_have_the_name_that_a_run_gives_them():
    assert hashed("ann") == short_hash("ann")


@pytest.mark.skipif(not (SHARED / "echo").is_dir(), reason="the real echo frames (../shared/data) are not here")
def test_the_real_set():
    found = looked_at(SHARED / "echo", sample=20)
    rule = {valve: round(one["accuracy"], 3) for valve, one in found.valve_views["rule"].items()}
    assert rule == {"AR": 0.835, "MR": 0.353, "PR": 0.983, "TR": 0.779}
    assert found.objects["instances"] == found.objects["label_lines"] == 1531
    assert found.concentration["largest"][0]["frames"] == 261 and found.classes["PR"]["groups"] == 11
    assert found.within_videos["with_several_views"] == 55 and found.within_videos["neighbours_that_differ"] == 159
    assert (found.copies["sets"], found.copies["files"], found.copies["across_parts"]) == (38, 99, 20)
    assert found.usable and {"published_split_leaks", "large_group", "views_missing"} <= set(named(found))
