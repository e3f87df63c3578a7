"""The towers that a detector starts from: those of a file, or a small pair that nobody trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from veritrain.data.caption_tokens import CaptionTokens
from veritrain.errors import CheckpointError
from veritrain.models.clip_weights import KeyReport
from veritrain.models.options import Activation, ClipOptions, SmallClipOptions
from veritrain.models.small_clip import SmallClip
from veritrain.models.tower import ImageTower
from veritrain.models.tower_pair import TowerPair
from veritrain.models.towers import load_towers

UNTRAINED = "small CLIP that nobody trained"
SEED = 20_021
"""Of the untrained pair's random numbers, whatever the run's seed: its words are the same in every run."""


class TowerStart:
    """Both towers as they were when a run began.

    Args:
        pair: the towers. report: what was taken of a file; None without one.
        known: whether their numbers are those of the beginning; False where only their shape is known any more.
    """

    def __init__(self, pair: TowerPair, report: KeyReport | None, *, known: bool = True) -> None:
        self.pair, self.report, self.known = pair.eval(), report, known

    @staticmethod
    def of(path: str | Path, *, activation: Activation = "quick_gelu") -> TowerStart:
        """The towers of a run of ``veritrain train contrastive``, or of a local file.

        Raises:
            ConfigError, CheckpointError: as ``models.towers.load_towers``.
        """
        return TowerStart(*load_towers(path, activation=activation))

    @staticmethod
    def untrained(texts: Sequence[str]) -> TowerStart:
        """A small pair with random numbers that has a token for each word of ``texts``."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            return TowerStart(SmallClip(SmallClipOptions(), CaptionTokens.learn(texts)), None)

    @property
    def trained(self) -> bool:
        """Whether anybody trained the towers: they are of a file."""
        return self.report is not None

    @property
    def sha256(self) -> str | None:
        """Of the file; None without one."""
        return None if self.report is None else self.report.sha256

    def image(self) -> ImageTower:
        """The image tower, to be trained on: with the numbers of the file, or fresh random ones without a file.

        Raises:
            CheckpointError: the file has gone, so that its numbers are not known any more.
        """
        if not self.known:
            raise CheckpointError(
                "the towers that this run started from are not there any more",
                expected="the file or run of the recipe's towers",
                found="their shape alone, from the checkpoint",
                fix="put the file back where the recipe names it",
            )
        return deepcopy(self.pair.image) if self.trained else self.blank()

    def blank(self) -> ImageTower:
        """An image tower of this shape with fresh random numbers."""
        return shaped(self.shape()).image

    def shape(self) -> dict[str, Any]:
        """JSON from which :func:`shaped` makes towers of the same shape."""
        if isinstance(self.pair, SmallClip):
            return {"small": asdict(self.pair.options), "vocabulary": self.pair.vocabulary.as_json()}
        # Every other pair is a models.clip.Clip, which takes seconds to import.
        options: ClipOptions = vars(self.pair)["options"]
        return {"clip": options.name, "activation": options.activation}

    def told(self) -> str:
        """A sentence for the log."""
        if self.report is None:
            return f"towers: a {UNTRAINED}; its words tell classes apart and mean nothing, novel classes least of all"
        return f"towers: {self.report.about}; {self.report.told()}"


def shaped(shape: Mapping[str, Any]) -> TowerPair:
    """Towers of a shape as :meth:`TowerStart.shape` tells it, with random numbers."""
    if "small" in shape:
        return SmallClip(SmallClipOptions(**shape["small"]), CaptionTokens.from_json(shape["vocabulary"]))
    # open_clip takes seconds to import, which a small CLIP need not wait for.
    from veritrain.models.clip import Clip

    return Clip(ClipOptions(name=shape["clip"], activation=shape["activation"]))


def remembered(shape: Mapping[str, Any]) -> TowerStart:
    """The start of a run whose towers' numbers are in its checkpoint: their shape."""
    return TowerStart(shaped(shape), None, known=False)
