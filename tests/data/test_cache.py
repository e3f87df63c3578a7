"""What all caches share, with a data set of numbers in text files: decoded once, by content, in order, never stale."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from veritrain.data.cache import FOLDER, Broken, SampleCache
from veritrain.data.entry import read_about, store_entry
from veritrain.data.options import AnoVoxOptions
from veritrain.data.sample import FrameKey
from veritrain.errors import BrokenFileError, LayoutError


class Numbers:
    """A format: each file holds numbers, and says by its first letter which group it is of."""

    def __init__(self, path: Path, on_broken: str = "skip") -> None:
        self.path, self.options, self.decoded = path, AnoVoxOptions(on_broken=on_broken), []
        self.names = sorted(file.name for file in path.glob("*.txt"))

    def keys(self) -> list[FrameKey]:
        return [FrameKey(id=name, group=name[0], kind="", index=0) for name in self.names]

    def read(self, key: FrameKey) -> tuple[str, list[int]]:
        self.decoded.append(key.id)
        text = (self.path / key.id).read_text()
        if not text.replace(" ", "").isdigit():
            raise BrokenFileError("no numbers", file=self.path / key.id, found=repr(text))
        return key.id, [int(word) for word in text.split()]

    def file_hash(self, key: FrameKey) -> str:
        return hashlib.sha256((self.path / key.id).read_bytes()).hexdigest()


class CachedNumbers(SampleCache[Numbers, FrameKey, tuple[str, list[int]]]):
    one, broken_ones = "row", "torn rows"
    none_reads, advice = "no row reads", "write them again"

    def _root(self):
        return self.source.path

    def _parts(self):
        keys = self.source.keys()
        return [(self.source, keys[:2]), (self.source, keys[2:])] if len(keys) > 2 else [(self.source, keys)]

    @staticmethod
    def _packed(sample):
        return {"row": np.array(sample[1])}, {"content_hash": f"sum {sum(sample[1])}"}

    def _unpacked(self, key, arrays, about):
        return key.id, arrays["row"].tolist()


@pytest.fixture
def rows(tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    for name, text in {"a1.txt": "1 2", "a2.txt": "3", "b1.txt": "4 5 6"}.items():
        (folder / name).write_text(text)
    return folder


def opened(rows, **others):
    return CachedNumbers(Numbers(rows), workers=1, **others)


def entries(rows):
    return sorted((rows.parent / FOLDER).rglob("*.frame"))


def test_decoded_once_and_kept_beside_the_data_set_under_its_hash(rows):
    cached = opened(rows)
    assert cached.source.decoded == ["a1.txt", "a2.txt", "b1.txt"] == [key.id for key in cached.keys()]  # noqa: SIM118
    assert [cached.read(key) for key in list(cached.keys())] == [
        ("a1.txt", [1, 2]), ("a2.txt", [3]), ("b1.txt", [4, 5, 6])
    ]  # fmt: skip
    assert cached.content_hash(cached.keys()[2]) == "sum 15"
    again = opened(rows)
    assert [again.read(key)[1] for key in list(again.keys())] == [[1, 2], [3], [4, 5, 6]]
    assert again.source.decoded == [] and len(cached.source.decoded) == 3, "reading is from the entries"
    names = {hashlib.sha256(text).hexdigest() for text in (b"1 2", b"3", b"4 5 6")}
    assert {entry.stem for entry in entries(rows)} == names
    assert all(entry.parent.name == entry.stem[:2] for entry in entries(rows))


def test_equal_content_shares_an_entry_and_keeps_its_own_key(rows):
    (rows / "c1.txt").write_text("3")
    cached = opened(rows)
    assert len(entries(rows)) == 3 and cached.source.decoded == ["a1.txt", "a2.txt", "b1.txt"]
    assert [cached.read(key) for key in cached.keys()[1::2]] == [("a2.txt", [3]), ("c1.txt", [3])]


def test_another_folder_and_progress_by_parts(rows, tmp_path):
    seen = []
    cached = opened(rows, folder=tmp_path / "kept", progress=lambda *place: seen.append(place))
    assert seen == [(2, 3), (3, 3)] and not entries(rows)
    assert len(list((tmp_path / "kept").rglob("*.frame"))) == 3 and cached.folder == tmp_path / "kept"


def test_an_entry_that_vanished_or_was_torn_is_decoded_and_written_again(rows):
    cached = opened(rows)
    first, second, third = entries(rows)
    whole = [entry.read_bytes() for entry in (first, second, third)]
    first.unlink()
    second.write_bytes(whole[1][:-1])
    third.write_bytes(whole[2].replace(b"sum", b"SUM"))
    cached.source.decoded.clear()
    assert [cached.read(key)[1] for key in list(cached.keys())] == [[1, 2], [3], [4, 5, 6]]
    assert len(cached.source.decoded) == 3 and [entry.read_bytes() for entry in entries(rows)] == whole


def test_what_changed_is_another_sample_and_never_the_old_entry(rows):
    before = opened(rows)
    (rows / "a2.txt").write_text("9")
    after = opened(rows)
    assert after.source.decoded == ["a2.txt"] and after.read(after.keys()[1])[1] == [9]
    assert before.read(before.keys()[1])[1] == [3], "the open one goes on with what it saw"


class TestBroken:
    def test_broken_ones_are_told_in_order_with_file_and_reason(self, rows):
        (rows / "a1.txt").write_text("one")
        source = Numbers(rows)
        (rows / "a2.txt").unlink()
        cached = CachedNumbers(source, workers=1)
        one, two = source.keys()[:2]
        assert cached.broken == [
            Broken(key=one, file=str(rows / "a1.txt"), reason="no numbers (found 'one')"),
            Broken(key=two, file=str(rows / "a2.txt"), reason="No such file or directory"),
        ]
        assert [key.id for key in cached.keys()] == ["b1.txt"] and len(entries(rows)) == 1  # noqa: SIM118
        for read in (cached.read, cached.content_hash):
            with pytest.raises(LayoutError, match=r"no readable row 'a1.txt'"):
                read(one)

    def test_the_policy_error_stops_at_the_first(self, rows):
        (rows / "a2.txt").write_text("two")
        source = Numbers(rows, "error")
        with pytest.raises(BrokenFileError, match="no numbers"):
            CachedNumbers(source, workers=1)
        assert source.decoded == ["a1.txt", "a2.txt"]
        (rows / "a2.txt").unlink()
        with pytest.raises(FileNotFoundError):
            CachedNumbers(source, workers=1)

    def test_nothing_whole_is_an_error_in_the_words_of_the_kind(self, rows):
        for file in rows.iterdir():
            file.write_text("x")
        with pytest.raises(LayoutError, match="no row reads") as caught:
            opened(rows)
        assert caught.value.expected == "at least one whole row" and caught.value.fix == "write them again"
        assert caught.value.found == f"3 torn rows; the first: {rows / 'a1.txt'}: no numbers (found 'x')"


def test_a_torn_entry_is_not_taken_for_a_whole_one_when_the_set_is_opened(rows):
    opened(rows)
    entry = entries(rows)[0]
    content = entry.read_bytes()
    entry.write_bytes(content[:-1])
    again = opened(rows)
    assert len(again.source.decoded) == 1 and entry.read_bytes() == content
    store_entry(entry, {"row": np.array([7])}, {"content_hash": "sum 7"})
    assert read_about(entry) == {"content_hash": "sum 7"} and opened(rows).source.decoded == [], "whole: it is trusted"
