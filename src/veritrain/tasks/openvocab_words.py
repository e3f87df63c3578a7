"""The words of an open-vocabulary run: class names, and words that mean nothing, to be asked for in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice, product

import numpy as np

from veritrain.models.language import AERIAL_WORDS, BARE, TEMPLATES, Vocabulary

ONSETS, MIDDLES, ENDINGS = ("bl", "dr", "fn", "gw", "kv", "pl", "sm", "tr", "vl", "zh"), "oaiue", ("rvik", "ndax", "xt")


def nonsense(count: int) -> tuple[str, ...]:
    """``count`` words that no text tower has read as a name of anything; the same ones each time.

    They are pronounceable ("blorvik"); that no language has one of them has not been looked up.
    """
    words = [onset + middle + end for end, middle, onset in product(ENDINGS, MIDDLES, ONSETS)]
    longer = (first + second for first in words for second in words)
    return tuple(islice(chain(words, longer), count))


@dataclass(frozen=True, kw_only=True)
class Words:
    """The words of a run, row by row: base classes, novel classes, and a nonsense word for each.

    Attributes:
        base, novel: class names. bare: prompts are the names alone.
    """

    base: tuple[str, ...]
    novel: tuple[str, ...]
    bare: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """C class names, in the order of their numbers."""
        return (*self.base, *self.novel)

    @property
    def vocabulary(self) -> Vocabulary:
        """All words with their prompts; row by row what the network holds."""
        templates = BARE if self.bare else TEMPLATES
        words = (*self.names, *nonsense(len(self.names)))
        said = {name: said for name, said in AERIAL_WORDS.items() if name in words}
        return Vocabulary(names=words, templates=templates, words=said)

    def rows(self, asked: str) -> tuple[int, ...]:
        """Rows of a vocabulary: "base", "novel" or "all"."""
        base, count = len(self.base), len(self.names)
        return tuple({"base": range(base), "novel": range(base, count), "all": range(count)}[asked])

    def nonsense_rows(self) -> tuple[int, ...]:
        """For each class its nonsense word."""
        count = len(self.names)
        return tuple(range(count, 2 * count))

    def shuffled_rows(self, seed: int) -> tuple[int, ...]:
        """For each class the name of another one: base classes exchange theirs, and so do novel ones.

        Where there is one novel class it takes the name of a base class.
        """
        rng = np.random.default_rng([seed, 20_117])
        base, novel = self.rows("base"), self.rows("novel")
        return (*_exchanged(base, novel, rng), *_exchanged(novel, base, rng))


def _exchanged(rows: Sequence[int], others: Sequence[int], rng: np.random.Generator) -> list[int]:
    if len(rows) < 2:
        return [int(rng.choice(others)) for _ in rows]
    order = rng.permutation(len(rows))
    taken = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    return [rows[taken[place]] for place in range(len(rows))]
