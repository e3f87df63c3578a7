"""A part of an aerial set as a set of its own."""

# ruff: noqa: SIM118 - a format has keys() and is no mapping

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dior_folders import FOLDERS, SHIP, TINY, coco_of, write_dior, write_pictures
from veritrain.data.box_inspection import inspect_boxes
from veritrain.data.box_subset import BoxSubsetOptions, choose_groups, write_box_subset
from veritrain.data.coco_boxes import CocoBoxes
from veritrain.data.dior import DiorFormat
from veritrain.errors import ConfigError, UsageError

QUAD = (1, 1, 10, 1, 10, 10, 1, 10)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "dior"
SCENES = {"00001": "bay", "00002": "field", "00011": "bay", "00021": "town", "00022": "town"}


class TestDior:
    @pytest.mark.parametrize("layout", [name for name in FOLDERS if name != "flat"])
    def test_whole_scenes_keep_their_layout(self, tmp_path, layout):
        oriented = {name: [("ship", QUAD)] for name in ("00001", "00011", "00021")}
        root = write_dior(tmp_path / "set", TINY, layout=layout, scenes=SCENES, oriented=oriented)
        source = DiorFormat(root)
        told = write_box_subset(source, tmp_path / "part", BoxSubsetOptions(groups="bay"))
        assert (told.groups, told.images, told.objects, told.missing) == (1, 2, 3, 0)
        assert told.by_split == {"train": 1, "val": 1, "test": 0} and told.by_class["harbor"] == 1
        part = DiorFormat(tmp_path / "part")
        assert [key.id for key in part.keys()] == ["00001", "00011"] and part.kinds == {"horizontal": 2, "oriented": 2}
        assert {key.group for key in part.keys()} == {"bay"} and not part.missing()
        for key in part.keys():
            old = next(one for one in source.keys() if one.id == key.id)
            assert [file.read_bytes() for file in part.files(key)] == [file.read_bytes() for file in source.files(old)]
            assert key.published == old.published
        texts = [file.read_bytes() for file in (tmp_path / "part").rglob("*.txt")]
        assert sorted(texts) == [b"", b"00001\r\n", b"00011\r\n"], "line endings stay"
        assert json.loads((tmp_path / "part" / "subset.json").read_text())["taken"]["images"] == 2

    def test_a_share_takes_each_class(self, tmp_path):
        images = {f"{number:05d}": [("dam" if number % 10 == 0 else "ship", SHIP)] for number in range(1, 61)}
        source = DiorFormat(
            write_dior(tmp_path, {"train": images}, scenes={name: name for name in images}, pictures=False)
        )
        keys = choose_groups(source, BoxSubsetOptions(share=0.34, seed=1))
        names = [source.classes[n] for key in keys for n in source.labels(key).classes]
        assert names.count("dam") == 2 and names.count("ship") == 18
        assert keys == choose_groups(source, BoxSubsetOptions(share=0.34, seed=1))
        assert keys != choose_groups(source, BoxSubsetOptions(share=0.34, seed=2))

    def test_classes_take_whole_groups(self, tmp_path):
        source = DiorFormat(write_dior(tmp_path, TINY, scenes=SCENES))
        keys = choose_groups(source, BoxSubsetOptions(classes="Expressway-toll-station"))
        assert [key.id for key in keys] == ["00001", "00011"], "all images of the bay"

    @pytest.mark.parametrize(
        ("options", "told"),
        [({"groups": "nowhere"}, "no group 'nowhere'"), ({"classes": "boat"}, "no class 'boat'"),
         ({"groups": "town", "classes": "harbor"}, "nothing is left")],
    )  # fmt: skip
    def test_words_that_fit_nothing(self, tmp_path, options, told):
        source = DiorFormat(write_dior(tmp_path / "set", TINY, scenes=SCENES))
        with pytest.raises(UsageError, match=told):
            write_box_subset(source, tmp_path / "part", BoxSubsetOptions(**options))
        assert not (tmp_path / "part").exists()

    def test_a_folder_in_use_or_inside_is_refused(self, tmp_path):
        source = DiorFormat(write_dior(tmp_path / "set", TINY))
        for place in (tmp_path / "set" / "part", tmp_path / "set"):
            with pytest.raises(UsageError):
                write_box_subset(source, place, BoxSubsetOptions())
        with pytest.raises(ConfigError):
            BoxSubsetOptions(share=0)

    def test_made_data_stay_made_data(self, tmp_path):
        root = write_dior(tmp_path / "set", TINY)
        (root / "veritrain_world.json").write_text("{}")
        write_box_subset(DiorFormat(root), tmp_path / "part", BoxSubsetOptions(link=True))
        assert (tmp_path / "part" / "veritrain_world.json").is_file()
        one = "JPEGImages-test/00021.jpg"
        assert (root / one).stat().st_ino == (tmp_path / "part" / one).stat().st_ino

    @pytest.mark.skipif(not SHARED.is_dir(), reason="the real annotations are not at hand")
    def test_a_part_of_the_real_annotations(self, tmp_path):
        told = write_box_subset(DiorFormat(SHARED), tmp_path / "part", BoxSubsetOptions(share=0.2))
        assert told.missing == told.images and 0 < told.images < 300 and all(told.by_class.values())
        assert inspect_boxes(DiorFormat(tmp_path / "part")).objects == told.objects


class TestCoco:
    def test_a_document_is_cut_to_whole_groups(self, tmp_path):
        images = {3: ("a.jpg", (9, 9)), 5: ("b.jpg", (9, 9)), 8: ("c.jpg", (9, 9))}
        content = coco_of(images, [(3, 7, (0, 0, 5, 5)), (5, 9, (0, 0, 5, 5)), (5, 7, (1, 1, 2, 2))],
                          {7: "x", 9: "y"}, info={"year": 2020})  # fmt: skip
        for one, scene in zip(content["images"], ("s", "t", "t"), strict=True):
            one["scene"] = scene
        root = tmp_path / "set"
        write_pictures(root / "images", dict(images.values()))
        (root / "boxes.json").write_text(json.dumps(content))
        told = write_box_subset(CocoBoxes(root), tmp_path / "part", BoxSubsetOptions(classes="y"))
        assert (told.groups, told.images, told.objects) == (1, 2, 2)
        part = json.loads((tmp_path / "part" / "boxes.json").read_text())
        assert [one["id"] for one in part["images"]] == [5, 8] and [one["id"] for one in part["annotations"]] == [2, 3]
        assert part["categories"] == content["categories"] and part["info"] == {"year": 2020}
        found = CocoBoxes(tmp_path / "part")
        assert [key.id for key in found.keys()] == ["b", "c"] and not found.missing()
        again = write_box_subset(CocoBoxes(root / "boxes.json"), tmp_path / "other", BoxSubsetOptions(classes="y"))
        assert again.images == 2
