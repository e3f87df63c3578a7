"""What the towers find on aerial images without any training: a baseline beside every open-vocabulary result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from veritrain.data.aerial_frames import AerialFrames
from veritrain.models.language import AERIAL_WORDS, Vocabulary, embed
from veritrain.models.tower import digest_of
from veritrain.models.tower_pair import TowerPair
from veritrain.models.window_detector import BACKGROUND, WindowDetector
from veritrain.models.window_options import WindowOptions
from veritrain.tasks.box_predictions import found_in_batch, truths_of_batch
from veritrain.tasks.task import Predictions
from veritrain.training.evaluate import batches_of, on_device

NAME = "towers without training"


@dataclass(frozen=True, kw_only=True)
class WindowBaseline:
    """What was found, and how.

    Attributes:
        predictions: as those of a network, image after image.
        about: options, prompts, background and the digests of the towers, for the record.
    """

    predictions: Predictions
    about: Mapping[str, Any]


def window_baseline(
    towers: TowerPair,
    frames: AerialFrames,
    names: Sequence[str],
    options: WindowOptions,
    *,
    background: Sequence[str] = BACKGROUND,
    batch_size: int = 16,
) -> WindowBaseline:
    """Look for the classes ``names`` in each image; the towers' mode is put back afterwards.

    Args:
        towers: as they are loaded; on whatever device they are.
        frames: whose class numbers are places in ``names``.
        background: texts that compete with the classes.

    Raises:
        ConfigError: no class. UsageError: a prompt that is too long for the text tower.
    """
    vocabulary = Vocabulary(names=tuple(names), words=AERIAL_WORDS)
    texts, device = embed(towers.text, vocabulary), next(towers.parameters()).device
    others = torch.zeros(0, towers.embed_dim)
    about: dict[str, Any] = {"vocabulary": vocabulary.as_json(), "background": None}
    if background:
        ground = Vocabulary(names=tuple(background))
        others, about["background"] = embed(towers.text, ground), ground.as_json()
    detector = WindowDetector(towers, texts, others, options).to(device)
    was_training = towers.training
    towers.eval()
    parts = [
        {**truths_of_batch(batch), **found_in_batch(detector.found(detector(batch)), batch)}
        for batch in (on_device(one, device) for one in batches_of(frames, batch_size))
    ]
    towers.train(was_training)
    about |= {
        "name": NAME,
        "options": asdict(options),
        "windows": len(detector.windows),
        "towers": {"image": digest_of(towers.image), "text": digest_of(towers.text)},
    }
    return WindowBaseline(
        predictions={key: np.concatenate([part[key] for part in parts]) for key in parts[0]}, about=about
    )
