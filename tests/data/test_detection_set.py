"""Folders of images and labels: which files belong together, and what data.yaml may say."""

from __future__ import annotations

import pytest
import yaml

from label_folders import BOX, write_set
from veritrain.data.detection_set import find_description, image_folders, read_set
from veritrain.errors import LayoutError

LABELS = {"train/a": BOX, "train/b": "", "valid/c": BOX, "test/d": BOX}


def rewrite(root, **changes):
    content = yaml.safe_load((root / "data.yaml").read_text()) | changes
    (root / "data.yaml").write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return root


def stems(files):
    return [file.stem for file in files]


def test_parts_names_and_pairs(tmp_path):
    found = read_set(write_set(tmp_path, LABELS, views=("PSAX", "PLAX", "A4C"), nc=4))
    assert found.names == ("AR", "MR", "PR", "TR") and found.views == ("PSAX", "PLAX", "A4C")
    assert {part: stems(images) for part, images in found.parts.items()} == {
        "train": ["a", "b"],
        "val": ["c"],
        "test": ["d"],
    }
    assert all(label.stem == image.stem and label.parent.name == "labels" for image, label in found.labels.items())
    assert found.unlabelled == found.orphans == () and found.assumed == ()


def test_the_file_itself_may_be_given(tmp_path):
    write_set(tmp_path, LABELS)
    assert read_set(tmp_path / "data.yaml").parts == read_set(tmp_path).parts


@pytest.mark.parametrize("names", [{0: "AR", 1: "MR"}, ["AR", "MR"]])
def test_names_as_a_list_or_numbered(tmp_path, names):
    assert read_set(write_set(tmp_path, {"a": ""}, names=names)).names == ("AR", "MR")


def test_path_says_where_the_folders_are(tmp_path):
    write_set(tmp_path / "deep" / "data", LABELS)
    (tmp_path / "deep" / "data" / "data.yaml").rename(tmp_path / "data.yaml")
    found = read_set(rewrite(tmp_path, path="deep/data"))
    assert found.root == tmp_path / "deep" / "data" and len(found.labels) == 4


@pytest.mark.parametrize("prefix", ["../", "./", ""])
def test_folders_may_be_written_as_tools_write_them(tmp_path, prefix):
    write_set(tmp_path, LABELS)
    assert len(read_set(rewrite(tmp_path, train=f"{prefix}train/images")).parts["train"]) == 2


def test_several_folders_and_the_folder_above_images(tmp_path):
    write_set(tmp_path, LABELS)
    found = read_set(rewrite(tmp_path, train=["train", "test/images"], test=None))
    assert stems(found.parts["train"]) == ["d", "a", "b"]


def test_images_without_label_and_labels_without_image_are_told_apart(tmp_path):
    write_set(tmp_path, {**LABELS, "train/lonely": None})
    for name in ("orphan", "second", "classes"):
        (tmp_path / "train" / "labels" / f"{name}.txt").write_text(BOX)
    found = read_set(tmp_path)
    assert stems(found.unlabelled) == ["lonely"] and stems(found.orphans) == ["orphan", "second"]


def test_only_the_last_folder_called_images_becomes_labels(tmp_path):
    found = read_set(write_set(tmp_path / "images" / "of mine", {"train/a": BOX}))
    assert next(iter(found.labels.values())) == tmp_path / "images" / "of mine" / "train" / "labels" / "a.txt"


def test_without_a_description_parts_come_from_folder_names(tmp_path):
    write_set(tmp_path, LABELS, description=False)
    found = read_set(tmp_path)
    assert list(found.parts) == ["train", "val", "test"] and found.names == () and "no data.yaml" in found.assumed[0]
    flat = write_set(tmp_path / "flat", {"all/a": BOX, "all/b": BOX}, description=False)
    assert list(read_set(flat).parts) == [""]


def test_endings_of_any_case_and_both_kinds(tmp_path):
    write_set(tmp_path, {"train/a": BOX, "train/b": BOX, "train/c": BOX})
    images = tmp_path / "train" / "images"
    (images / "a.png").rename(images / "a.JPG")
    (images / "b.png").rename(images / "b.jpeg")
    (images / "notes.md").write_text("no image")
    assert stems(read_set(tmp_path).labels) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nc": 3}, "nc and names do not agree"),
        ({"nc": "four"}, "nc"),
        ({"names": ["AR", "AR", "MR", "PR"]}, "says a name twice"),
        ({"names": "AR"}, "names is no list"),
        ({"names": {1: "AR", 2: "MR"}}, "names is no list"),
        ({"views": []}, "views is no list"),
        ({"train": "nowhere/images"}, "folder of train is missing"),
        ({"train": "train.txt"}, "train is no folder"),
        ({"train": {"a": 1}}, "train is no folder"),
        ({"train": None, "val": None, "test": None}, "no folder of images"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(tmp_path, changes, told):
    write_set(tmp_path, LABELS)
    with pytest.raises(LayoutError, match=told) as caught:
        read_set(rewrite(tmp_path, **changes))
    assert caught.value.file == str(tmp_path / "data.yaml") and caught.value.fix


def test_yaml_that_runs_code_is_refused_with_its_line(tmp_path):
    write_set(tmp_path, LABELS)
    (tmp_path / "data.yaml").write_text("names: [a]\ntrain: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(LayoutError, match="cannot be read") as caught:
        read_set(tmp_path)
    assert caught.value.line == 2


def test_no_labels_and_no_folders_are_refused(tmp_path):
    with pytest.raises(LayoutError, match="no image has a label file"):
        read_set(write_set(tmp_path / "bare", {"train/a": None}))
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "nothing", tmp_path / "empty"):
        with pytest.raises(LayoutError, match="no images with label files"):
            read_set(place)


def test_two_descriptions_are_a_question(tmp_path):
    write_set(tmp_path, LABELS)
    text = (tmp_path / "data.yaml").read_text()
    (tmp_path / "data.yaml").unlink()
    for name in ("one.yaml", "two.yml"):
        (tmp_path / name).write_text(text)
    with pytest.raises(LayoutError, match="several files describe"):
        find_description(tmp_path)
    (tmp_path / "two.yml").write_text("epochs: 3\n")
    assert find_description(tmp_path) == tmp_path / "one.yaml"


def test_folders_are_found_up_to_three_levels_down(tmp_path):
    write_set(tmp_path / "a" / "b", {"c/x": BOX}, description=False)
    assert image_folders(tmp_path) == [tmp_path / "a" / "b" / "c" / "images"]
    assert image_folders(tmp_path / "a" / "b" / "c") == [tmp_path / "a" / "b" / "c" / "images"]
