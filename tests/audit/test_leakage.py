"""Checks of the splits on planted runs: groups, contents, and looks at test."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.planted import cites, finding, planted
from veritrain.record import RecordWriter, RunFolder, read_run

SPLITS = {
    "train": {"groups": ["a", "b"], "contents": ["1", "2", "3"]},
    "val": {"groups": ["c"], "contents": ["4"]},
    "test": {"groups": ["d", "e"], "contents": ["5", "6"]},
}
CASES = [("splits_disjoint", "groups"), ("contents_disjoint", "contents")]


def with_shared(key, first, second):
    """The splits, with one entry of ``first`` also in ``second``."""
    parts = {name: dict(part) for name, part in SPLITS.items()}
    parts[second][key] = [*parts[second][key], parts[first][key][0]]
    return planted(data={"splits": parts})


def test_splits_disjoint_passes_when_no_group_is_shared():
    found = finding("splits_disjoint", planted(data={"splits": SPLITS}))
    assert found.status == "pass" and set(found.value.values()) == {0} and len(found.value) == 3
    assert cites(found) == {"data.json"}


def test_contents_disjoint_passes_when_no_content_is_shared():
    assert finding("contents_disjoint", planted(data={"splits": SPLITS})).status == "pass"


@pytest.mark.parametrize("pair", [("train", "val"), ("train", "test"), ("val", "test")])
def test_splits_disjoint_fails_on_one_shared_group(pair):
    found = finding("splits_disjoint", with_shared("groups", *pair))
    assert found.status == "fail" and "share 1 groups" in found.sentence
    assert all(name in found.sentence for name in pair) and found.to_settle


@pytest.mark.parametrize("pair", [("train", "val"), ("train", "test"), ("val", "test")])
def test_contents_disjoint_fails_on_one_shared_content(pair):
    record = with_shared("contents", *pair)
    assert finding("contents_disjoint", record).status == "fail"
    assert finding("splits_disjoint", record).status == "pass", "groups and contents are two questions"


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=2, max_size=4))
def test_disjoint_passes_exactly_when_every_pair_is(groups):
    parts = {str(name): {"groups": part} for name, part in enumerate(groups)}
    apart = sum(len(set(part)) for part in groups) == len({entry for part in groups for entry in part})
    found = finding("splits_disjoint", planted(data={"splits": parts}))
    assert found.status == ("pass" if apart else "fail")


@pytest.mark.parametrize(("check", "key"), CASES)
@pytest.mark.parametrize("lame", ["one split", "no list", "empty list", "no data"])
def test_disjoint_is_not_run_when_the_lists_are_not_there(check, key, lame):
    parts = {name: dict(part) for name, part in SPLITS.items()}
    if lame == "one split":
        parts = {"train": parts["train"]}
    elif lame == "no list":
        del parts["val"][key]
    elif lame == "empty list":
        parts["val"][key] = []
    data = None if lame == "no data" else {"splits": parts}
    assert finding(check, planted(data=data)).status == "not_run"


def looked(tmp_path, *looks):
    folder = RunFolder(tmp_path / "run")
    with RecordWriter(folder) as writer:
        writer.event("start", task="anomaly")
        for split, purpose in looks:
            writer.event("look", split=split, purpose=purpose)
    return read_run(folder.path)


def test_selection_leaves_test_alone_passes_when_test_was_only_reported(tmp_path):
    looks = [("val", "selection"), ("val", "threshold"), ("test", "final evaluation"), ("test", "controls")]
    found = finding("selection_leaves_test_alone", looked(tmp_path, *looks))
    assert found.status == "pass" and found.sentence.startswith("2 looks at the test split")


@pytest.mark.parametrize("purpose", ["selection", "threshold", "early stopping"])
def test_selection_leaves_test_alone_fails_when_test_chose(tmp_path, purpose):
    record = looked(tmp_path, ("test", purpose), ("test", "final evaluation"), ("test", purpose))
    found = finding("selection_leaves_test_alone", record)
    assert (found.status, found.value) == ("fail", 2)
    assert [citation.line for citation in found.evidence] == [2, 4]


def test_selection_leaves_test_alone_is_not_run_before_test_was_looked_at(tmp_path):
    assert finding("selection_leaves_test_alone", looked(tmp_path, ("val", "selection"))).status == "not_run"
    assert finding("selection_leaves_test_alone", planted()).status == "not_run"
