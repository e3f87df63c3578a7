"""Captions say what the boxes say: names, counts, middle and borders."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from read_captions import CALLED, MANY, told
from veritrain.worlds.aerial_captions import CENTRE, PHRASES, captions_entry, counted, sentences, words
from veritrain.worlds.aerial_render import Label
from veritrain.worlds.aerial_sites import LOOKS


def label(name, box):
    corners = ((box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3]))
    return Label(name=name, box=box, corners=corners, angle=0.0)


def truth(labels):
    return {name: min(count, MANY) for name, count in Counter(one.name for one in labels).items()}


def test_every_class_has_a_name_of_its_own():
    assert list(PHRASES) == list(LOOKS) and len(CALLED) == 40


@pytest.mark.parametrize("seed", range(40))
def test_sentences_state_what_is_there(seed):
    rng = np.random.default_rng(seed)
    names = rng.choice(list(PHRASES), int(rng.integers(1, 5)), replace=False)
    labels = []
    for name in names:
        for x, y in rng.integers(1, 90, (int(rng.integers(1, 16)), 2)):
            labels.append(label(str(name), (int(x), int(y), int(x) + 9, int(y) + 9)))
    whole, middle, around, *some = sentences(labels, 100, 100, 8, rng)
    inside = [one for one in labels if all(25 < (one.box[axis] + one.box[axis + 2] - 1) / 2 < 75 for axis in (0, 1))]
    outside = [one for one in labels if one not in inside]
    assert told(whole) == truth(labels)
    assert told(middle) == truth(inside or labels) and told(around) == truth(outside or labels)
    for sentence in some:
        part = told(sentence)
        assert 1 <= len(part) <= 3 and part.items() <= truth(labels).items()


def test_by_hand():
    assert counted("ship", 1) == "one ship" and counted("dam", 10) == "ten dams" and counted("ship", 11) == "many ships"
    ships = [label("ship", (40, 40, 60, 60))] * 2
    texts = sentences(ships, 100, 100, 3, np.random.default_rng(0))
    assert all("two ships" in text and text.endswith(" .") for text in texts)
    assert texts[1] in [form.format("two ships", be="are") + " ." for form in CENTRE]


def test_the_verb_fits_the_first_name():
    for seed in range(30):
        for text in sentences([label("dam", (1, 1, 5, 5))], 100, 100, 5, np.random.default_rng(seed)):
            assert "there are" not in text


def test_empty_land_is_called_so():
    assert sentences([], 100, 100, 2, np.random.default_rng(0)) == ["an aerial image of empty land ."] * 2


def test_an_entry_has_the_form_of_rsicd():
    entry = captions_entry(3, "00004.jpg", "val", ["two ships .", "a, b ."])
    assert entry["filename"] == "00004.jpg" and entry["split"] == "val" and entry["sentids"] == [6, 7]
    assert entry["sentences"][0] == {"tokens": ["two", "ships"], "raw": "two ships .", "imgid": 3, "sentid": 6}
    assert words("a, b .") == ["a", "b"]
