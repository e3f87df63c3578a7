"""Prompts and their embeddings: averaged by hand, cached by what decides them, refused when there is nothing to say."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from veritrain.data.caption_tokens import CaptionTokens
from veritrain.errors import CheckpointError, ConfigError, UsageError
from veritrain.models.language import AERIAL_WORDS, BARE, TEMPLATES, TextCache, TextTower, Vocabulary, embed
from veritrain.models.options import SmallClipOptions
from veritrain.models.small_clip import SmallText

NAMES = ("ship", "storagetank", "Expressway-toll-station")


def tower(seed: int = 0) -> SmallText:
    torch.manual_seed(seed)
    captions = ["a satellite photo of ship", "storage tank seen from above", "an aerial toll station"]
    options = SmallClipOptions(text_width=32, text_layers=1, embed_dim=24, context_length=64)
    return SmallText(options, CaptionTokens.learn(captions))


class Counting(TextTower):
    """A tower that remembers what it was asked."""

    def __init__(self, inner: SmallText) -> None:
        super().__init__()
        self.inner, self.embed_dim, self.context_length = inner, inner.embed_dim, inner.context_length
        self.about = inner.about
        self.asked: list[int] = []
        self.read: list[int] = []

    def tokens(self, texts, *, cut=False) -> Tensor:
        self.asked.append(len(texts))
        return self.inner.tokens(texts, cut=cut)

    def forward(self, tokens: Tensor) -> Tensor:
        self.read.append(tokens.shape[1])
        return self.inner(tokens)


def test_prompts_are_the_templates_with_the_words_of_the_class():
    vocabulary = Vocabulary(names=NAMES, words=AERIAL_WORDS)
    assert vocabulary.prompts("ship")[0] == "a satellite photo of ship"
    assert vocabulary.prompts("storagetank") == tuple(one.replace("{}", "storage tank") for one in TEMPLATES)
    assert vocabulary.as_json() == {
        "templates": list(TEMPLATES), "prompts": {name: list(vocabulary.prompts(name)) for name in NAMES}
    }  # fmt: skip
    assert next(iter(vocabulary.told())) == "prompts of ship: " + "; ".join(vocabulary.prompts("ship"))


def test_words_are_said_once_and_names_of_dior_are_spaced():
    assert all("-" not in said and said == said.lower() for said in AERIAL_WORDS.values())
    assert all(said.replace(" ", "")[:4] == name.replace("-", "").lower()[:4] for name, said in AERIAL_WORDS.items())


def test_an_embedding_is_the_mean_of_normalised_prompts_normalised():
    text, vocabulary = tower(), Vocabulary(names=NAMES, words=AERIAL_WORDS)
    found = embed(text, vocabulary)
    assert found.shape == (3, 24) and not found.requires_grad
    for row, name in zip(found, NAMES, strict=True):
        one_by_one = [
            F.normalize(text(text.tokens([prompt])).detach()[0], dim=0) for prompt in vocabulary.prompts(name)
        ]
        assert torch.allclose(row, F.normalize(torch.stack(one_by_one).mean(0), dim=0), atol=1e-6)
    assert torch.allclose(found.norm(dim=1), torch.ones(3), atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 4, 7, 1000])
def test_chunks_change_nothing(chunk):
    vocabulary = Vocabulary(names=tuple(f"thing {number}" for number in range(11)))
    assert torch.allclose(embed(tower(), vocabulary, chunk=chunk), embed(tower(), vocabulary), atol=1e-6)


def test_ten_thousand_classes_are_read_in_chunks():
    counting = Counting(tower())
    vocabulary = Vocabulary(names=tuple(f"thing {number}" for number in range(10_000)), templates=BARE)
    found = embed(counting, vocabulary)
    assert found.shape == (10_000, 24) and found.isfinite().all()
    assert max(counting.asked) == 256 and sum(counting.asked) == 10_000


def test_padding_is_not_read():
    counting = Counting(tower())
    found = embed(counting, Vocabulary(names=("ship",), templates=BARE))
    assert counting.read == [3], "one word and the marks, of a context of 64"
    full = counting.inner(counting.inner.tokens(["ship"]))
    assert torch.allclose(found, F.normalize(full.detach(), dim=1), atol=1e-6)


def test_the_mode_of_the_tower_stays_as_it_was():
    text = tower()
    for mode in (True, False):
        text.train(mode)
        embed(text, Vocabulary(names=("ship",)))
        assert text.training is mode


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"names": ()}, "without a class"),
        ({"names": ("ship",), "templates": ()}, "without a template"),
        ({"names": ("ship", "dam", "ship")}, "1 class names cannot be used"),
        ({"names": ("ship", " ")}, "1 class names cannot be used"),
        ({"names": ("ship",), "words": {"ship": ""}}, "1 class names cannot be used"),
        ({"names": ("ship",), "templates": ("a photo",)}, "1 templates cannot be used"),
        ({"names": ("ship",), "templates": ("{} and {}", "{}")}, "1 templates cannot be used"),
    ],
)
def test_a_vocabulary_that_says_nothing_is_refused(chosen, told):
    with pytest.raises(ConfigError, match=told):
        Vocabulary(**chosen)


def test_a_name_with_braces_is_no_template():
    assert Vocabulary(names=("a {} b",), templates=("photo of {}",)).prompts("a {} b") == ("photo of a {} b",)


def test_a_prompt_that_is_too_long_is_refused_not_cut():
    with pytest.raises(UsageError, match="too long"):
        embed(tower(), Vocabulary(names=("ship " * 80,)))


def test_the_cache_asks_once_and_again_when_anything_that_matters_changed():
    counting, cache = Counting(tower()), TextCache()
    first = cache.embed(counting, Vocabulary(names=NAMES))
    asked = len(counting.asked)
    assert cache.embed(counting, Vocabulary(names=NAMES)) is first and len(counting.asked) == asked
    others = [
        Vocabulary(names=NAMES[:2]),
        Vocabulary(names=NAMES[::-1]),
        Vocabulary(names=NAMES, templates=BARE),
        Vocabulary(names=NAMES, words=AERIAL_WORDS),
    ]
    assert len({id(cache.embed(counting, one)) for one in others} | {id(first)}) == 5
    with torch.no_grad():
        counting.inner.norm.weight[0] *= 3
    again = cache.embed(counting, Vocabulary(names=NAMES))
    assert again is not first and again.tower != first.tower
    assert not torch.allclose(again.vectors, first.vectors)


def test_what_is_recorded_names_the_tower_and_every_prompt():
    text = tower()
    told = TextCache().embed(text, Vocabulary(names=("ship",), templates=BARE)).as_json()
    assert told["prompts"] == {"ship": ["ship"]} and len(told["tower"]) == 64


def test_a_tower_that_gives_no_numbers_is_refused():
    text = tower()
    with torch.no_grad():
        text.norm.weight[0] = float("nan")
    with pytest.raises(CheckpointError, match="3 of 3 classes, first ship"):
        embed(text, Vocabulary(names=NAMES))
