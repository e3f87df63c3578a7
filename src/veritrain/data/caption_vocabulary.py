"""What captions say: how often each class is named, told with every score of what was trained on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from veritrain.data.caption_tokens import pieces_of


@dataclass(frozen=True, kw_only=True)
class Named:
    """How often captions name a class.

    Attributes:
        captions: sentences that name it. images: images with such a sentence.
    """

    captions: int
    images: int


def count_names(captions: Mapping[str, Sequence[str]], said: Mapping[str, str]) -> dict[str, Named]:
    """Class -> how many captions name it, and of how many images; whole words, of one or of several things.

    Args:
        captions: image id -> its sentences.
        said: class -> its words ("storage tank"). A longer name that holds a shorter one counts for both.
    """
    forms = {name: _forms(words) for name, words in said.items()}
    counted = {name: [0, 0] for name in said}
    for sentences in captions.values():
        texts = [_spaced(sentence) for sentence in sentences]
        for name, those in forms.items():
            hits = sum(any(form in text for form in those) for text in texts)
            counted[name][0] += hits
            counted[name][1] += hits > 0
    return {name: Named(captions=hits, images=images) for name, (hits, images) in counted.items()}


def names_any(sentences: Collection[str], words: str) -> bool:
    """Whether one of the sentences names a class by its words."""
    forms = _forms(words)
    return any(form in _spaced(sentence) for sentence in sentences for form in forms)


def _spaced(text: str) -> str:
    """The pieces of a text between blanks, one before the first and one after the last."""
    return f" {' '.join(pieces_of(text))} "


def _forms(words: str) -> tuple[str, ...]:
    """The name as it is and as several are called: "ship", "ships"; "bus", "buses"; "ferry", "ferries"."""
    one = " ".join(pieces_of(words))
    several = [f"{one}s", f"{one}es"] + ([f"{one[:-1]}ies"] if one.endswith("y") else [])
    return tuple(f" {form} " for form in (one, *several)) if one else ()
