"""The recipe of contrastive pre-training. Torch-free, so that ``--help`` loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from veritrain.errors import ConfigError
from veritrain.models.options import Pooling, SmallClipOptions
from veritrain.tasks.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class ContrastiveRecipe(Recipe):
    """A small CLIP from scratch on captions, from a folder of images with captions.json to a judged run.

    Attributes:
        data: the folder of a data set with boxes (dior or coco) that holds captions.json too.
        labels: given; permuted (scenes exchange their captions) or redrawn (random captions at every read): spoilt on
            purpose.
        split: published (the data set's own parts; scenes that they share are told) or group (scenes are dealt out).
        accumulate: batches per optimiser step; a caption is told apart from those of its own batch alone.
        clip_norm: largest gradient norm; 0 is off.
        imgsz: pixels of the longer side of an image.
        width: channels of the image tower at stride 4.
        embed_dim: numbers of an embedding.
        pooling: attention or mean: how the image tower makes one embedding of its last map.
        text_width: channels of the text tower.
        text_layers: its blocks.
        heads: of attention, in both towers.
        context_length: tokens of a caption; longer ones lose their end, and are counted.
        augment: none, or turns: training images lie in any of eight ways (four where they are no squares). Not for
            captions that say left, right, above or below.
        leave_out: classes whose images are left out of training and validation: those with a box of the class and those
            whose captions name it. The test split stays whole.
        on_broken: error, or skip (listed and counted), for captions, annotations and images that cannot be meant.
    """

    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 2e-3
    clip_norm: float = 1.0
    validate_every: int = 4
    control_steps: int = 150
    split: Literal["published", "group"] = "published"
    imgsz: int = 128
    width: int = 32
    embed_dim: int = 128
    pooling: Pooling = "attention"
    text_width: int = 128
    text_layers: int = 2
    heads: int = 4
    context_length: int = 48
    augment: Literal["none", "turns"] = "turns"
    leave_out: list[str] = field(default_factory=list)
    on_broken: Literal["error", "skip"] = "error"

    def __post_init__(self) -> None:
        if self.imgsz < 32:
            raise ConfigError("imgsz does not fit the network", expected="32 or more", found=str(self.imgsz))
        if self.batch_size < 2:
            raise ConfigError(
                "one caption has nothing to be told apart from",
                expected="batch_size of 2 or more",
                found=str(self.batch_size),
                fix="--batch_size 64",
            )
        self.shape_of_network()

    def shape_of_network(self) -> SmallClipOptions:
        """The network's options; refuses what does not fit together."""
        return SmallClipOptions(
            width=self.width,
            embed_dim=self.embed_dim,
            pooling=self.pooling,
            text_width=self.text_width,
            text_layers=self.text_layers,
            heads=self.heads,
            context_length=self.context_length,
        )
