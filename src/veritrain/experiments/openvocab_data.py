"""The images of an open-vocabulary run, the words that they are asked for, and the towers behind the words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veritrain.data.asked_frames import AskedFrames
from veritrain.data.detection_sample import DetectionKey
from veritrain.data.open_vocabulary import Asked
from veritrain.experiments.aerial_data import AerialData, open_aerial_data
from veritrain.models.language import TextCache, TextEmbeddings
from veritrain.models.tower_start import TowerStart
from veritrain.record import RunFolder
from veritrain.tasks.openvocab_options import OpenVocabRecipe
from veritrain.tasks.openvocab_words import Words

TEXTS = TextCache()
"""Of this process: words that a tower has read before are not read again."""
OPEN = "open-vocabulary: novel classes have no box in training"
UNKNOWN_CAPTIONS = (
    "what the captions of these towers' pre-training named is not known to us; RemoteCLIP's were made of detection "
    "sets, DIOR among them, by its paper"
)


@dataclass(frozen=True, kw_only=True)
class OpenVocabData:
    """Images, words and towers of one run.

    Attributes:
        aerial: the images and what is known about them.
        sets: train and val (asked for base classes), test (asked for all).
        asked: vocabulary -> the test images that it is asked on.
        words: class names and the words of the controls. texts: their embeddings; None where only the checkpoint has
            them any more. start: the towers.
        captions: what the captions of the towers' pre-training named, as their run's results tell it; None: unknown.
    """

    aerial: AerialData
    sets: Mapping[str, AskedFrames]
    asked: Mapping[Asked, AskedFrames]
    words: Words
    texts: TextEmbeddings | None
    start: TowerStart
    captions: Mapping[str, Any] | None

    @property
    def card(self) -> Mapping[str, Any]:
        return self.aerial.card

    @property
    def held(self) -> str:
        return self.aerial.held

    @property
    def keys(self) -> Mapping[str, Sequence[DetectionKey]]:
        return self.aerial.keys

    @property
    def test_groups(self) -> list[str]:
        return self.aerial.test_groups

    def groups_of(self, asked: Asked) -> list[str]:
        """The scene of each test image that a vocabulary is asked on."""
        return [key.group for key in self.asked[asked].frames.keys]


def open_openvocab_data(recipe: OpenVocabRecipe, start: TowerStart | None = None) -> OpenVocabData:
    """Read the images, and embed the words.

    Args:
        start: the towers' shape alone, where a checkpoint has their numbers; None: what the recipe names.

    Raises:
        DataError, ConfigError, CheckpointError: as what reads the images and the towers.
    """
    aerial = open_aerial_data(recipe.data_options())
    words = Words(base=aerial.classes.base, novel=aerial.classes.novel, bare=recipe.bare)
    vocabulary = words.vocabulary
    if start is None:
        prompts = [prompt for name in vocabulary.names for prompt in vocabulary.prompts(name)]
        start = (
            TowerStart.of(recipe.towers, activation=recipe.activation)
            if recipe.towers
            else TowerStart.untrained(prompts)
        )
    return OpenVocabData(
        aerial=aerial,
        sets={
            part: AskedFrames(aerial.sets[part], words.rows("all" if part == "test" else "base"))
            for part in ("train", "val", "test")
        },
        asked={asked: AskedFrames(aerial.asked[asked], words.rows(asked)) for asked in aerial.asked},
        words=words,
        texts=TEXTS.embed(start.pair.text, vocabulary) if start.known else None,
        start=start,
        captions=_captions(recipe.towers),
    )


def _captions(towers: str) -> Mapping[str, Any] | None:
    """``caption_vocabulary`` of a contrastive run's results; None without a run, or without results."""
    results = RunFolder(towers).results if towers and Path(towers).is_dir() else None
    if results is None or not results.is_file():
        return None
    found: Mapping[str, Any] | None = json.loads(results.read_text(encoding="utf-8")).get("caption_vocabulary")
    return found


def pretraining_told(data: OpenVocabData) -> dict[str, Any]:
    """What the towers' captions contained, for the record: ``told`` in words, and which classes they named."""
    if not data.start.trained:
        return {"told": f"{OPEN}; nobody trained these towers", "novel_named": None, "caption_vocabulary": None}
    if data.captions is None:
        return {"told": f"{OPEN}; {UNKNOWN_CAPTIONS}", "novel_named": None, "caption_vocabulary": None}
    named = data.captions.get("classes", {})
    counts = {name: (named.get(name) or {}).get("captions") for name in data.words.novel}
    listed = ", ".join(f"{name} {'unknown' if count is None else count}" for name, count in counts.items())
    told = f"{OPEN}; captions of the towers' pre-training that name a novel class: {listed}"
    return {"told": told, "novel_named": counts, "caption_vocabulary": dict(data.captions)}
