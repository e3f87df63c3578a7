"""Class names as points in the space of images: prompts, their embeddings, and a cache that cannot be out of date."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from veritrain.data.caption_tokens import PAD
from veritrain.errors import CheckpointError, ConfigError
from veritrain.models.tower import Tower, digest_of

TEMPLATES = ("a satellite photo of {}", "an aerial photo of {}", "{} seen from above")
"""The first is RemoteCLIP's own (Liu et al. 2023); the others say the same in other words."""
BARE = ("{}",)

AERIAL_WORDS: Mapping[str, str] = {
    "baseballfield": "baseball field",
    "basketballcourt": "basketball court",
    "Expressway-Service-area": "expressway service area",
    "Expressway-toll-station": "expressway toll station",
    "golffield": "golf course",
    "groundtrackfield": "ground track field",
    "storagetank": "storage tank",
    "tenniscourt": "tennis court",
    "trainstation": "train station",
}
"""How DIOR's class names are said; the other names are words as they are."""

CHUNK = 256
"""Prompts that a text tower reads at a time: 10,000 classes need no more memory than these."""


class TextTower(Tower):
    """A tower that reads texts.

    Attributes:
        context_length: tokens of a text, its first and last mark among them.
    """

    context_length: int

    def tokens(self, texts: Sequence[str], *, cut: bool = False) -> Tensor:
        """(N, ``context_length``) int64, on the CPU; 0 after the end of a text.

        Args:
            cut: whether what does not fit is left out; else a text that is too long is refused.

        Raises:
            UsageError: a text that is too long.
        """
        raise NotImplementedError

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L) int64, L at most ``context_length`` -> (N, D), not normalised. What follows a text is unread."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The classes that can be answered, and how they are put into words.

    Attributes:
        names: of the classes, in the order of their numbers.
        templates: sentences with one ``{}`` for the class.
        words: class name -> how it is said; a name that is not in it is said as it is.

    Raises:
        ConfigError: no class, no template, a name that is blank or there twice, a template without its one place.
    """

    names: tuple[str, ...]
    templates: tuple[str, ...] = TEMPLATES
    words: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, entries in (("class", self.names), ("template", self.templates)):
            if not entries:
                raise ConfigError(
                    f"a vocabulary without a {what}",
                    expected=f"one {what} or more",
                    found="none",
                    fix="name the classes to look for" if what == "class" else "leave templates out for the usual ones",
                )
        self._demand(
            "class names",
            "each once, with letters in it",
            [
                name
                for name, count in Counter(self.names).items()
                if count > 1 or not self.words.get(name, name).strip()
            ],
        )
        self._demand("templates", "one {} in each", [one for one in self.templates if one.count("{}") != 1])

    @staticmethod
    def _demand(what: str, expected: str, wrong: Sequence[str]) -> None:
        if wrong:
            raise ConfigError(
                f"{len(wrong)} {what} cannot be used", expected=expected, found=", ".join(map(repr, wrong[:5]))
            )

    def prompts(self, name: str) -> tuple[str, ...]:
        """What the text tower reads for a class, word for word."""
        return tuple(template.replace("{}", self.words.get(name, name)) for template in self.templates)

    def as_json(self) -> dict[str, Any]:
        """Templates, and each class with its prompts, for the record."""
        return {"templates": list(self.templates), "prompts": {name: list(self.prompts(name)) for name in self.names}}

    def told(self) -> Iterator[str]:
        """A line for each class, for the log."""
        for name in self.names:
            yield f"prompts of {name}: " + "; ".join(self.prompts(name))


@dataclass(frozen=True, kw_only=True)
class TextEmbeddings:
    """The classes of a vocabulary in the space of images.

    Attributes:
        vectors: (C, D) float32 of length 1, on the CPU, without gradient; rows in the order of the names.
        vocabulary: what was read. tower: digest of what read it.
    """

    vectors: Tensor
    vocabulary: Vocabulary
    tower: str

    def as_json(self) -> dict[str, Any]:
        """Everything but the numbers, for the record."""
        return {"tower": self.tower, **self.vocabulary.as_json()}


class TextCache:
    """Embeds vocabularies, each once for a tower and its weights.

    The key is the digest of the tower beside the words themselves, so that a tower that has learned something since is
    asked again.
    """

    def __init__(self) -> None:
        self._known: dict[str, TextEmbeddings] = {}

    def embed(self, tower: TextTower, vocabulary: Vocabulary, *, chunk: int = CHUNK) -> TextEmbeddings:
        """As :func:`embed`, from memory where this tower has read these prompts before."""
        digest = digest_of(tower)
        content = json.dumps([digest, vocabulary.as_json()], ensure_ascii=False)
        key = hashlib.sha256(content.encode()).hexdigest()
        if key not in self._known:
            vectors = embed(tower, vocabulary, chunk=chunk)
            self._known[key] = TextEmbeddings(vectors=vectors, vocabulary=vocabulary, tower=digest)
        return self._known[key]


def embed(tower: TextTower, vocabulary: Vocabulary, *, chunk: int = CHUNK) -> Tensor:
    """The mean over templates of a class's embeddings of length 1, brought to length 1 again (Radford et al. 2021,
    section 3.1.4).

    Args:
        chunk: prompts at a time, at least those of one class.

    Returns:
        (C, D) float32 on the CPU, without gradient.

    Raises:
        UsageError: a prompt that is too long for the tower.
        CheckpointError: the tower answers with what is no number.
    """
    per_chunk = max(chunk // len(vocabulary.templates), 1)
    training, device = tower.training, next(tower.parameters()).device
    tower.eval()
    parts = []
    try:
        with torch.no_grad():
            for start in range(0, len(vocabulary.names), per_chunk):
                names = vocabulary.names[start : start + per_chunk]
                prompts = [prompt for name in names for prompt in vocabulary.prompts(name)]
                found = F.normalize(tower(_used(tower.tokens(prompts)).to(device)).float(), dim=1)
                parts.append(F.normalize(found.unflatten(0, (len(names), -1)).mean(1), dim=1).cpu())
    finally:
        tower.train(training)
    vectors = torch.cat(parts)
    if not vectors.isfinite().all():
        wrong = (~vectors.isfinite().all(1)).nonzero().flatten().tolist()
        raise CheckpointError(
            "the text tower gives no numbers",
            expected="finite embeddings",
            found=f"NaN or infinity for {len(wrong)} of {len(vectors)} classes, first {vocabulary.names[wrong[0]]}",
            fix="take other weights",
        )
    return vectors


def _used(tokens: Tensor) -> Tensor:
    """The columns up to the last that is not padding in every row: a prompt is ten tokens long, a context 77."""
    used = (tokens != PAD).any(0).nonzero()
    return tokens[:, : int(used.max()) + 1]
