"""The tokenizer of captions: what has a token, what is spelled, and that it survives being stored."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.data.caption_tokens import END, MARKS, START, UNKNOWN, CaptionTokens, padded, pieces_of
from veritrain.errors import ConfigError, UsageError

CAPTIONS = ["Two ships near a harbor.", "a ship", "12 ships"]


def test_pieces_are_lower_case_words_single_digits_and_signs():
    assert pieces_of("Two  SHIPS, 12\tof_them (café)!") == [
        "two", "ships", ",", "1", "2", "of", "_", "them", "(", "café", ")", "!",
    ]  # fmt: skip


def test_the_most_frequent_come_first_and_order_makes_no_difference():
    found = CaptionTokens.learn(CAPTIONS)
    assert found.words[:2] == ("a", "ships") and set(found.words) == {
        "a", "ships", "two", "near", "harbor", ".", "ship", "1", "2",
    }  # fmt: skip
    assert CaptionTokens.learn(reversed(CAPTIONS)) == found
    assert len(found) == MARKS + 9 + len(found.letters)


def test_rare_words_are_spelled_when_there_is_no_room():
    found = CaptionTokens.learn(CAPTIONS, most_words=2)
    assert found.words == ("a", "ships")
    assert len(found.ids("a ship")) == 2 + 1 + 4, "marks, one word, four letters"
    assert CaptionTokens.learn(CAPTIONS, least_count=2).words == ("a", "ships")


def test_words_nobody_has_seen_are_told_apart_and_told():
    found = CaptionTokens.learn(CAPTIONS)
    assert found.ids("brig") != found.ids("glor") and UNKNOWN not in found.ids("brig")
    assert found.ids("ж")[1] == UNKNOWN
    assert found.spelled(["a brig", "brig glor", "a ship"]) == {"brig": 2, "glor": 1}


@given(st.text(max_size=30))
def test_any_text_has_tokens_between_its_marks(text):
    found = CaptionTokens.learn(CAPTIONS)
    ids = found.ids(text)
    assert ids[0] == START and ids[-1] == END and all(MARKS - 1 <= one < len(found) for one in ids[1:-1])
    assert (len(ids) == 2) == (not pieces_of(text))


def test_it_goes_through_json():
    found = CaptionTokens.learn([*CAPTIONS, "café {x}"])
    again = CaptionTokens.from_json(json.loads(json.dumps(found.as_json())))
    assert again == found and again.ids("two café") == found.ids("two café")


@pytest.mark.parametrize("content", [None, [], {"words": "ab", "letters": "c"}, {"words": [1], "letters": "c"}])
def test_what_is_no_vocabulary_is_refused(content):
    with pytest.raises(ConfigError, match="no vocabulary"):
        CaptionTokens.from_json(content)


def test_words_twice_and_no_captions_are_refused():
    with pytest.raises(ConfigError, match="not distinct"):
        CaptionTokens(("a", "a"), "a")
    with pytest.raises(ConfigError, match="without captions"):
        CaptionTokens.learn([" ", ""])


def test_rows_are_padded_cut_when_asked_and_refused_otherwise():
    rows = padded([[1, 5, 2], [1, 5, 6, 7, 2]], ["short", "a longer one"], 4, end=2, pad=0, cut=True)
    assert rows.dtype == np.int64 and rows.tolist() == [[1, 5, 2, 0], [1, 5, 6, 2]]
    with pytest.raises(UsageError, match="5 tokens of 'a longer one'"):
        padded([[1, 5, 2], [1, 5, 6, 7, 2]], ["short", "a longer one"], 4, end=2, pad=0, cut=False)


def test_it_loads_no_torch():
    code = "import veritrain.data.caption_tokens, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
