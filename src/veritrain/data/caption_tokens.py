"""A tokenizer learned from captions: frequent words as they are, other words letter by letter. NumPy only."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.errors import ConfigError, UsageError

PAD, START, END, UNKNOWN = 0, 1, 2, 3
"""After a text, before its first piece, after its last, and for a letter that no caption had."""
MARKS = 4
PIECE = re.compile(r"[^\W\d_]+|\d|[^\w\s]|_")
"""A word, one digit, or one other sign: a number nobody has seen is read by its digits."""


@dataclass(frozen=True)
class CaptionTokens:
    """The pieces that texts are cut into; part of every checkpoint, because without it no token means anything.

    Attributes:
        words: pieces with a token of their own.
        letters: what other pieces are spelled with. A word that is spelled has tokens that training hardly moved: it is
            told apart from other such words, and hardly understood.
    """

    words: tuple[str, ...]
    letters: str
    _ids: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    _letter_ids: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, entries in (("words", self.words), ("letters", self.letters)):
            if len(set(entries)) != len(entries):
                twice = [entry for entry, count in Counter(entries).items() if count > 1]
                raise ConfigError(f"{name} of the vocabulary are not distinct", found=str(twice[:5]))
        self._ids.update({word: MARKS + place for place, word in enumerate(self.words)})
        first = MARKS + len(self.words)
        self._letter_ids.update({letter: first + place for place, letter in enumerate(self.letters)})

    @staticmethod
    def learn(captions: Iterable[str], *, most_words: int = 4096, least_count: int = 1) -> CaptionTokens:
        """The pieces of these captions; the order of the captions makes no difference.

        Args:
            most_words: the most frequent pieces, of equally frequent ones the first in the alphabet.
            least_count: how often a piece must occur to be a word.

        Raises:
            ConfigError: the captions hold no text.
        """
        counts = Counter(piece for caption in captions for piece in pieces_of(caption))
        if not counts:
            raise ConfigError("no vocabulary without captions", expected="texts", found="none, or blanks alone")
        ranked = sorted(counts, key=lambda piece: (-counts[piece], piece))
        words = [piece for piece in ranked if counts[piece] >= least_count][:most_words]
        letters = "".join(sorted({letter for piece in counts for letter in piece} | set(ascii_lowercase)))
        return CaptionTokens(tuple(words), letters)

    def __len__(self) -> int:
        """Tokens that there are: the marks, the words and the letters."""
        return MARKS + len(self.words) + len(self.letters)

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, between its marks."""
        found = [START]
        for piece in pieces_of(text):
            if piece in self._ids:
                found.append(self._ids[piece])
            else:
                found += [self._letter_ids.get(letter, UNKNOWN) for letter in piece]
        return [*found, END]

    def spelled(self, texts: Iterable[str]) -> Counter[str]:
        """Pieces that have no token of their own, and how often they occur: what a network cannot have learned."""
        return Counter(piece for text in texts for piece in pieces_of(text) if piece not in self._ids)

    def as_json(self) -> dict[str, Any]:
        return {"words": list(self.words), "letters": self.letters}

    @staticmethod
    def from_json(content: Any) -> CaptionTokens:
        """The inverse of :meth:`as_json`.

        Raises:
            ConfigError: it is something else.
        """
        words, letters = (content.get(key) if isinstance(content, dict) else None for key in ("words", "letters"))
        if not isinstance(letters, str) or not isinstance(words, list) or not all(isinstance(w, str) for w in words):
            raise ConfigError(
                "this is no vocabulary", expected='{"words": [...], "letters": "..."}', found=json.dumps(content)[:80]
            )
        return CaptionTokens(tuple(words), letters)


def pieces_of(text: str) -> list[str]:
    """Words in lower case, single digits and single signs; blanks are left out."""
    return PIECE.findall(text.casefold())


def padded(
    sequences: Sequence[Sequence[int]], texts: Sequence[str], length: int, *, end: int, pad: int, cut: bool
) -> NDArray[np.int64]:
    """Token sequences as rows (N, ``length``) int64.

    Args:
        texts: what they were made of, for the error.
        end: the mark that ends each. pad: what follows it.
        cut: a sequence that is too long loses what does not fit (its last token is ``end``), else it is refused.

    Raises:
        UsageError: a text that is too long.
    """
    rows = np.full((len(sequences), length), pad, np.int64)
    for place, ids in enumerate(sequences):
        if len(ids) > length and not cut:
            raise UsageError(
                "a text is too long for the text tower",
                expected=f"at most {length} tokens",
                found=f"{len(ids)} tokens of '{texts[place][:80]}'",
                fix="shorten it, or take a tower with a longer context",
            )
        kept = list(ids) if len(ids) <= length else [*ids[: length - 1], end]
        rows[place, : len(kept)] = kept
    return rows
