"""Reads counts out of captions, without the code that wrote them."""

from __future__ import annotations

import re

from veritrain.worlds.aerial_captions import PHRASES

NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
CALLED = {text: (name, number) for name, both in PHRASES.items() for number, text in zip((1, 2), both, strict=True)}
PATTERN = re.compile(rf"\b({'|'.join([*NUMBERS, 'many'])}) ({'|'.join(sorted(CALLED, key=len, reverse=True))})\b")
MANY = 11


def told(sentence: str) -> dict[str, int]:
    """Class -> count that a sentence states, 11 for many; one is singular, and no class is named twice."""
    found: dict[str, int] = {}
    for number, text in PATTERN.findall(sentence):
        name, form = CALLED[text]
        assert name not in found and (form == 1) == (number == "one"), sentence
        found[name] = NUMBERS.index(number) if number in NUMBERS else MANY
    return found
