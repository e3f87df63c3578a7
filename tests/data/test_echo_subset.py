"""``data subset`` of images with boxes: whole patients, every class, read as they were, and nothing of the rest."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from label_folders import BOX, POLYGON, write_set
from veritrain.data.choosing import draw_by_class
from veritrain.data.detection_labels import LabelError
from veritrain.data.echo import EchoFormat
from veritrain.data.echo_subset import EchoSubsetOptions, choose_images, write_echo_subset
from veritrain.data.options import EchoOptions
from veritrain.data.taking import CARD
from veritrain.errors import ConfigError, LayoutError, StorageError, UsageError
from veritrain.worlds.echo import SIDECAR

SKIP = EchoOptions(on_broken="skip")
BOX_OF = "{} 0.5 0.5 0.2 0.4\n"


def keys_of(source):
    return {key.id: key for key in source.keys()}  # noqa: SIM118 - a format is no mapping


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def assert_same_images(part: EchoFormat, whole: EchoFormat):
    """Everything of a key but its place in a smaller group and the kind of one, and everything of a sample."""
    theirs = keys_of(whole)
    for name, key in keys_of(part).items():
        other = theirs[name]
        assert (key.group, key.video, key.frame, key.published) == (
            other.group, other.video, other.frame, other.published
        )  # fmt: skip
        one, two = part.read(key), whole.read(other)
        for field in ("image", "boxes", "classes"):
            np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
        assert one.view == two.view
        for mine, its in zip(part.files(key), whole.files(other), strict=True):
            assert mine.read_bytes() == its.read_bytes()


@pytest.mark.parametrize("link", [False, True])
def test_a_share_of_the_patients_reads_as_it_did(echo_world, tmp_path, link):
    whole = EchoFormat(echo_world)
    summary = write_echo_subset(whole, tmp_path / "part", EchoSubsetOptions(share=0.34, seed=1, link=link))
    part = EchoFormat(tmp_path / "part")
    assert_same_images(part, whole)
    assert (part.classes, part.views, part.assumed) == (whole.classes, whole.views, [])
    found, groups = keys_of(part), {key.group for key in keys_of(part).values()}
    assert len(groups) == summary.patients < 9 and len(found) == summary.frames == 6 * summary.patients
    assert all((key.id in found) == (key.group in groups) for key in keys_of(whole).values()), "patients are whole"
    assert all(count >= 1 for count in summary.by_class.values()) and set(summary.by_class) == set(whole.classes)
    assert sum(summary.by_view.values()) == sum(summary.by_part.values()) == summary.frames
    written = tree(tmp_path / "part")
    assert written - {CARD, "data.yaml", SIDECAR} <= tree(echo_world) and len(written) == summary.files + 3
    assert all((file.stat().st_nlink > 1) == link for file in part.files(part.keys()[0]))


def test_nothing_of_the_rest_comes_along(echo_world, tmp_path):
    whole = EchoFormat(echo_world)
    write_echo_subset(whole, tmp_path / "part", EchoSubsetOptions(share=0.34))
    taken = {key.group for key in keys_of(EchoFormat(tmp_path / "part")).values()}
    rest = {key.group for key in keys_of(whole).values()} - taken
    assert rest
    for file in [tmp_path / "part" / name for name in (CARD, "data.yaml", SIDECAR)]:
        text = file.read_text(encoding="utf-8")
        assert not [name for name in rest if f'"{name}-' in text or f'"{name}/' in text], file.name
    card = json.loads((tmp_path / "part" / SIDECAR).read_text())
    world = json.loads((echo_world / SIDECAR).read_text())
    frames = [name for one in card["recordings"].values() for name in one["frames"]]
    assert sorted(frames) == sorted(Path(name).name for name in keys_of(EchoFormat(tmp_path / "part")))
    assert card["licence"] == world["licence"] and card["options"] == world["options"]
    assert "recordings_by_valve_and_view" not in card, "those are counts of the whole"


def test_the_card_says_what_was_asked_and_taken(echo_world, tmp_path):
    summary = write_echo_subset(EchoFormat(echo_world), tmp_path / "part", EchoSubsetOptions(share=0.5, seed=4))
    card = json.loads((tmp_path / "part" / CARD).read_text())
    assert card["asked"]["share"] == 0.5 and card["asked"]["seed"] == 4
    assert card["of"] == {"patients": 9, "videos": 18, "frames": 54}
    assert card["taken"]["by_class"] == summary.by_class and card["taken"]["left_out"] == {}


class TestDrawing:
    CLASSES = {f"p{number}": {number % 2} | ({2} if number in (3, 8) else set()) for number in range(20)} | {
        "bare": set()
    }

    @pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.9])
    def test_each_class_has_its_share_and_at_least_one(self, share):
        for seed in range(5):
            taken = draw_by_class(self.CLASSES, share, seed)
            counts = Counter(one for name in taken for one in self.CLASSES[name])
            assert counts[2] >= max(1, int(2 * share + 0.5)) and "bare" in taken
            for number in (0, 1):
                wanted = max(1, int(10 * share + 0.5))
                assert wanted <= counts[number] <= max(wanted, counts[2]), "only patients of class 2 come on top"

    def test_all_are_all(self):
        assert draw_by_class(self.CLASSES, 1.0, 3) == set(self.CLASSES)

    def test_it_depends_on_the_seed_alone(self):
        turned = dict(reversed(list(self.CLASSES.items())))
        drawn = [frozenset(draw_by_class(self.CLASSES, 0.3, seed)) for seed in (1, 2, 3, 4)]
        assert draw_by_class(turned, 0.3, 1) == drawn[0] and len(set(drawn)) > 2


LABELS = {
    "train/ann-s1.mp4-1": BOX_OF.format(0), "train/ann-s1.mp4-2": "", "train/ann-s1.mp4-10": BOX_OF.format(0),
    "valid/ann-s2.mp4-5": BOX_OF.format(2), "test/bob-s1.mp4-4": BOX_OF.format(1), "test/eve-s1.mp4-4": "",
}  # fmt: skip


class TestWords:
    @pytest.fixture
    def source(self, tmp_path):
        return EchoFormat(write_set(tmp_path / "data", LABELS))

    def chosen(self, source, **words):
        return [key.id.rpartition("/")[2] for key in choose_images(source, EchoSubsetOptions(**words))]

    def test_patients_and_classes_narrow(self, source):
        assert self.chosen(source, patients="bob, eve") == ["bob-s1.mp4-4", "eve-s1.mp4-4"]
        assert {name[:3] for name in self.chosen(source, classes="PR")} == {"ann"}
        assert len(self.chosen(source, classes="PR")) == 4, "with all their images"
        assert self.chosen(source, patients="bob,ann", classes="MR") == ["bob-s1.mp4-4"]

    def test_frames_are_spread_over_each_video_in_time(self, source):
        assert self.chosen(source, patients="ann", frames=1) == ["ann-s1.mp4-2", "ann-s2.mp4-5"]
        assert len(self.chosen(source, frames=2)) == 5

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ({"patients": "an"}, "no patient 'an'"),
            ({"classes": "mr"}, "no class 'mr'"),
            ({"patients": "eve", "classes": "AR"}, "nothing is left"),
        ],
    )
    def test_a_word_that_fits_nothing_is_refused(self, source, tmp_path, words, told):
        with pytest.raises(UsageError, match=told) as caught:
            write_echo_subset(source, tmp_path / "part", EchoSubsetOptions(**words))
        assert caught.value.expected and caught.value.fix and not (tmp_path / "part").exists()

    @pytest.mark.parametrize(
        "wrong", [{"share": 0.0}, {"share": 1.5}, {"share": float("nan")}, {"frames": -1}, {"seed": -1}]
    )
    def test_impossible_options(self, wrong):
        with pytest.raises(ConfigError):
            EchoSubsetOptions(**wrong)

    def test_a_part_without_an_image_is_not_named(self, source, tmp_path):
        summary = write_echo_subset(source, tmp_path / "part", EchoSubsetOptions(patients="bob"))
        content = yaml.safe_load((tmp_path / "part" / "data.yaml").read_text())
        assert content == {"nc": 4, "names": ["AR", "MR", "PR", "TR"], "test": "test/images"}
        assert summary.by_part == {"test": 1} and summary.by_view == {}


class TestDescription:
    def test_views_that_nobody_named_stay_unnamed(self, tmp_path):
        source = EchoFormat(write_set(tmp_path / "data", {"train/a": POLYGON, "train/b": POLYGON}))
        write_echo_subset(source, tmp_path / "part", EchoSubsetOptions())
        part = EchoFormat(tmp_path / "part")
        assert "views" not in yaml.safe_load((tmp_path / "part" / "data.yaml").read_text())
        assert part.views == source.views and part.assumed == source.assumed

    def test_given_names_are_written(self, tmp_path):
        write_set(tmp_path / "data", {"train/a": POLYGON}, names=None)
        source = EchoFormat(tmp_path / "data", EchoOptions(names=("x", "y"), views=("u", "v", "w")))
        write_echo_subset(source, tmp_path / "part", EchoSubsetOptions())
        part = EchoFormat(tmp_path / "part")
        assert (part.classes, part.views) == (("x", "y"), ("u", "v", "w"))

    def test_without_names_the_number_of_classes_stays(self, tmp_path):
        labels = {"train/a": BOX_OF.format(7), "train/b": BOX}
        source = EchoFormat(write_set(tmp_path / "data", labels, description=False))
        write_echo_subset(source, tmp_path / "part", EchoSubsetOptions(patients="train/images/b"))
        content = yaml.safe_load((tmp_path / "part" / "data.yaml").read_text())
        assert content == {"nc": 8, "train": "train/images"}
        assert EchoFormat(tmp_path / "part").classes == source.classes

    def test_images_in_no_part_are_called_train_since_the_file_has_no_word_for_them(self, tmp_path):
        source = EchoFormat(write_set(tmp_path / "data", {"all/a": BOX, "all/b": BOX}, description=False))
        summary = write_echo_subset(source, tmp_path / "part", EchoSubsetOptions())
        assert summary.by_part == {"train": 2}
        assert yaml.safe_load((tmp_path / "part" / "data.yaml").read_text())["train"] == "all/images"

    def test_folders_in_folders_and_images_in_two_parts(self, tmp_path):
        write_set(tmp_path / "data", {"train/a": BOX, "train/b": BOX})
        images = tmp_path / "data" / "train" / "images"
        for kind, ending in (("images", "png"), ("labels", "txt")):
            deep = tmp_path / "data" / "train" / kind / "deep"
            deep.mkdir()
            shutil.move(tmp_path / "data" / "train" / kind / f"b.{ending}", deep / f"b.{ending}")
        assert images.is_dir()
        description = {"names": ["AR"], "train": "train/images", "val": "train/images/deep"}
        (tmp_path / "data" / "data.yaml").write_text(yaml.safe_dump(description))
        source = EchoFormat(tmp_path / "data")
        write_echo_subset(source, tmp_path / "part", EchoSubsetOptions())
        part = EchoFormat(tmp_path / "part")
        told = yaml.safe_load((tmp_path / "part" / "data.yaml").read_text())
        assert (told["train"], told["val"]) == ("train/images", "train/images/deep")
        assert {name: len(those) for name, those in part.set.parts.items()} == {"train": 2, "val": 1}


class TestRefusals:
    def test_what_is_there_is_not_touched_and_no_part_lies_inside(self, echo_world, tmp_path):
        (tmp_path / "mine.txt").write_text("keep me")
        with pytest.raises(UsageError, match="holds something"):
            write_echo_subset(EchoFormat(echo_world), tmp_path, EchoSubsetOptions())
        assert tree(tmp_path) == {"mine.txt"}
        with pytest.raises(UsageError, match="inside the data set"):
            write_echo_subset(EchoFormat(echo_world / "data.yaml"), echo_world / "part", EchoSubsetOptions())
        assert not (echo_world / "part").exists()

    def test_files_outside_of_the_folder_are_refused(self, tmp_path):
        write_set(tmp_path / "elsewhere", {"train/a": BOX})
        (tmp_path / "data").mkdir()
        description = {"names": ["AR"], "train": "../elsewhere/train/images"}
        (tmp_path / "data" / "data.yaml").write_text(yaml.safe_dump(description))
        with pytest.raises(LayoutError, match="outside of its folder"):
            write_echo_subset(EchoFormat(tmp_path / "data"), tmp_path / "part", EchoSubsetOptions())
        assert not (tmp_path / "part").exists()

    def test_a_full_disk_leaves_nothing(self, echo_world, tmp_path, monkeypatch):
        copied = []

        def full(file, target):
            copied.append(target)
            if len(copied) > 5:
                raise OSError(28, "No space left on device")
            Path(target).write_bytes(Path(file).read_bytes())

        monkeypatch.setattr("veritrain.data.taking.shutil.copyfile", full)
        with pytest.raises(StorageError, match="No space left"):
            write_echo_subset(EchoFormat(echo_world), tmp_path / "part", EchoSubsetOptions())
        assert not (tmp_path / "part").exists()

    def test_what_cannot_be_meant_is_left_out_and_counted(self, tmp_path):
        labels = {"train/a": BOX, "train/b": "9 .5 .5 .1 .1", "train/c": BOX * 2, "train/d": None}
        write_set(tmp_path / "data", labels)
        summary = write_echo_subset(EchoFormat(tmp_path / "data", SKIP), tmp_path / "part", EchoSubsetOptions())
        assert summary.left_out == {"image_without_label": 1, "class_unknown": 1} and summary.frames == 2
        with pytest.raises(LabelError, match="repeats"):
            EchoFormat(tmp_path / "part")

    def test_a_part_that_would_read_otherwise_is_an_error(self, tmp_path):
        """Five ones and zeros are a view where half of the files have them; in this part they are a box of no area."""
        view = "0 0 1 0 0"
        labels = {f"train/a{number}-s.mp4-1": f"0 .5 .5 .1 .1\n{view}" for number in range(3)}
        labels |= {"train/b-s.mp4-1": "0 .5 .5 .1 .1", "train/b-s.mp4-2": "0 .5 .5 .1 .1"}
        labels |= {"train/b-s.mp4-3": f"0 .5 .5 .1 .1\n{view}"}
        source = EchoFormat(write_set(tmp_path / "data", labels))
        assert len(source.views) == 5
        with pytest.raises(LayoutError, match="does not read as what was taken") as caught:
            write_echo_subset(source, tmp_path / "part", EchoSubsetOptions(patients="b"))
        assert "--views" in caught.value.fix

    def test_a_broken_card_of_a_world_is_named(self, tmp_path):
        write_set(tmp_path / "data", {"train/a": BOX})
        (tmp_path / "data" / SIDECAR).write_text("[1, 2]")
        with pytest.raises(LayoutError, match="card of the made world") as caught:
            write_echo_subset(EchoFormat(tmp_path / "data"), tmp_path / "part", EchoSubsetOptions())
        assert caught.value.file == str((tmp_path / "data" / SIDECAR).resolve())
