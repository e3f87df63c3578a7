"""Taking a part of a data set: nothing is written over, and a failure leaves things as they were."""

from __future__ import annotations

import json

import pytest

from veritrain.data.taking import CARD, demand_apart, take, whole_or_nothing, world_card, write_card
from veritrain.errors import StorageError, UsageError


def test_a_folder_that_holds_something_or_is_a_file_is_refused(tmp_path):
    root = tmp_path / "data"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep me")
    for place, found in ((tmp_path / "full", "1 entries"), (tmp_path / "full" / "mine.txt", "a file")):
        with pytest.raises(UsageError, match="holds something") as caught:
            demand_apart(place, root)
        assert caught.value.found == found
    (tmp_path / "empty").mkdir()
    demand_apart(tmp_path / "empty", root)
    demand_apart(tmp_path / "new" / "deep", root)


def test_a_folder_inside_the_data_set_is_refused(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    for place in (root / "part", tmp_path / "other" / ".." / "data" / "a" / "b"):
        with pytest.raises(UsageError, match="inside the data set"):
            demand_apart(place, root)
    demand_apart(tmp_path / "data2", root)


@pytest.mark.parametrize("link", [False, True])
def test_a_link_is_the_same_file_and_a_copy_is_not(tmp_path, link):
    (tmp_path / "a.txt").write_text("one")
    take(tmp_path / "a.txt", tmp_path / "deep" / "er" / "b.txt", link=link)
    (tmp_path / "a.txt").open("a").write(" more")
    assert (tmp_path / "deep" / "er" / "b.txt").read_text() == ("one more" if link else "one")


@pytest.mark.parametrize("existed", [False, True])
@pytest.mark.parametrize("link", [False, True])
def test_a_failure_leaves_the_folder_as_it_was(tmp_path, existed, link):
    folder = tmp_path / "part"
    if existed:
        folder.mkdir()
    with pytest.raises(StorageError, match="No space left") as caught, whole_or_nothing(folder, link=link):
        (folder / "train").mkdir(parents=True)
        (folder / "train" / "a.txt").write_text("half")
        (folder / "b.txt").write_text("half")
        raise OSError(28, "No space left on device")
    assert folder.exists() == existed and (not existed or not list(folder.iterdir()))
    assert ("--link" in caught.value.fix) == link


def test_what_is_no_trouble_of_the_disk_stays_what_it_is(tmp_path):
    with pytest.raises(UsageError), whole_or_nothing(tmp_path / "part", link=False):
        raise UsageError("something else")


def test_the_nearest_card_of_a_made_world(tmp_path):
    near, far = tmp_path / "a" / "b", tmp_path / "a"
    near.mkdir(parents=True)
    assert world_card((near, far)) is None
    (far / "veritrain_world.json").write_text("{}")
    assert world_card((near, far)) == far / "veritrain_world.json"


def test_the_card_says_its_schema_and_what_it_is_given_in_that_order(tmp_path):
    write_card(tmp_path, {"layout": "2024", "asked": {"share": 0.5}, "taken": {}})
    text = (tmp_path / CARD).read_text()
    assert list(json.loads(text).items()) == [
        ("schema", 1), ("layout", "2024"), ("asked", {"share": 0.5}), ("taken", {})
    ]  # fmt: skip
    assert CARD == "subset.json" and text.endswith("}\n")
