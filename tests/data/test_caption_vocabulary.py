"""Class names are counted as whole words, of one and of several things."""

from __future__ import annotations

import pytest

from veritrain.data.caption_vocabulary import Named, count_names, names_any
from veritrain.worlds.aerial_captions import PHRASES

SAID = {"storagetank": "storage tank", "ship": "ship", "trainstation": "train station", "bus": "bus"}


def test_by_hand():
    captions = {
        "1": ("Two Storage Tanks and one ship.", "a storage tank", "shipping lanes"),
        "2": ("many ships", "storage of tanks", "buses"),
        "3": ("a station for a train",),
    }
    assert count_names(captions, SAID) == {
        "storagetank": Named(captions=2, images=1),
        "ship": Named(captions=2, images=2),
        "trainstation": Named(captions=0, images=0),
        "bus": Named(captions=1, images=1),
    }


@pytest.mark.parametrize("name", sorted(PHRASES))
def test_every_class_of_the_aerial_world_is_found_in_its_own_captions_alone(name):
    one, several = PHRASES[name]
    for phrase in (one, several):
        assert names_any([f"there are two {phrase} in the picture ."], one)
        others = [words for other, (words, _) in PHRASES.items() if other != name]
        assert not any(names_any([f"a satellite photo with {phrase} ."], words) for words in others)


def test_an_empty_name_is_never_said():
    assert not names_any(["anything  at all"], " ")
