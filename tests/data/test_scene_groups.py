"""Groups of images: declared scenes, and blocks of neighbouring ids."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.data.scene_groups import of_blocks, of_scenes, read_scenes
from veritrain.errors import LayoutError


def in_parts(**ranges):
    return {f"{number:05d}": part for part, (first, last) in ranges.items() for number in range(first, last + 1)}


class TestBlocks:
    def test_parts_that_are_ranges_share_no_block(self):
        """DIOR's own split: neither 5862 nor 11725 is a multiple of ten."""
        part_of = in_parts(train=(1, 62), val=(63, 125), test=(126, 163))
        groups = of_blocks(part_of, 10)
        assert groups["00001"] == groups["00010"] == "00001-00010" and groups["00011"] == "00011-00020"
        assert groups["00062"] == "00061-00062" and groups["00063"] == groups["00072"] == "00063-00072"
        parts = {group: {part_of[name] for name in groups if groups[name] == group} for group in groups.values()}
        assert all(len(those) == 1 for those in parts.values())
        assert max(Counter(groups.values()).values()) == 10

    def test_parts_that_are_mixed_share_blocks(self):
        part_of = {f"{number:05d}": "train" if number % 3 else "test" for number in range(1, 21)}
        groups = of_blocks(part_of, 10)
        assert set(groups.values()) == {"00001-00010", "00011-00020"}
        assert groups["00002"] == groups["00003"], "one is in train, the other in test"

    def test_a_gap_starts_no_other_counting(self):
        groups = of_blocks(dict.fromkeys(("00001", "00009", "00011", "00040"), "train"), 10)
        assert groups["00001"] == groups["00009"] == "00001-00009" and groups["00011"] == "00011"
        assert groups["00040"] not in (groups["00001"], groups["00011"])

    def test_a_block_of_one_is_the_image(self):
        part_of = in_parts(train=(1, 5))
        assert of_blocks(part_of, 1) == {name: name for name in part_of}

    def test_names_with_words_are_counted_by_their_words(self):
        groups = of_blocks(dict.fromkeys(("north_1", "north_2", "south_1", "field"), "train"), 10)
        assert groups["north_1"] == groups["north_2"] != groups["south_1"] and groups["field"] == "field"

    @given(
        st.dictionaries(
            st.integers(0, 300).map(lambda number: f"{number:04d}"), st.sampled_from(["", "train", "val", "test"])
        ),
        st.integers(1, 40),
    )
    def test_whatever_the_ids_blocks_are_runs_of_at_most_their_size(self, part_of, size):
        groups = of_blocks(part_of, size)
        assert set(groups) == set(part_of)
        members = {group: sorted(int(name) for name in groups if groups[name] == group) for group in groups.values()}
        for numbers in members.values():
            assert numbers[-1] - numbers[0] < size
        spans = sorted((numbers[0], numbers[-1]) for numbers in members.values())
        assert all(one[1] < two[0] for one, two in pairwise(spans))


class TestScenes:
    def test_each_image_has_its_scene(self, tmp_path):
        file = tmp_path / "scenes.json"
        file.write_text(json.dumps({"1": "harbour", "2": "harbour", "9": "elsewhere"}))
        assert of_scenes(read_scenes(file), ["1", "2"], file) == {"1": "harbour", "2": "harbour"}

    def test_an_image_without_scene_is_refused_with_a_count(self, tmp_path):
        with pytest.raises(LayoutError, match=r"2 of 3 without: 2, 3") as caught:
            of_scenes({"1": "a"}, ["1", "2", "3"], tmp_path / "scenes.json")
        assert "scenes.json" in str(caught.value)

    @pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"1": 5}', '{"1": ""}', '{"": "a"}', "\xff", "[" * 100000])
    def test_what_is_no_map_of_text_is_refused(self, tmp_path, text):
        file = tmp_path / "scenes.json"
        file.write_bytes(text.encode("latin-1"))
        with pytest.raises(LayoutError, match=r"scenes\.json"):
            read_scenes(file)
