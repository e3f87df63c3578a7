"""Small sets of images with captions, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from veritrain.data.caption_tokens import CaptionTokens
from veritrain.data.captioned_images import CaptionedImages
from veritrain.data.detection_frames import DetectionFrames
from veritrain.data.detection_sample import DetectionKey, DetectionSample, FrameLabels
from veritrain.data.sample import UNKNOWN
from veritrain.models.options import SmallClipOptions

TINY = SmallClipOptions(width=8, embed_dim=32, text_width=32, text_layers=1, heads=2, context_length=8)
COLOURS = ("red", "green", "blue")


class Squares:
    """Images of a square: its colour is that of the group, its place that of the image; no labels."""

    def __init__(self, groups: int, each: int, side: int = 64) -> None:
        self.side = side
        self.keys = [
            DetectionKey(id=f"{group}-{image}", group=f"g{group}", kind="none", index=image, video=f"g{group}",
                         frame=-1, published="")
            for group in range(groups) for image in range(each)
        ]  # fmt: skip

    def read(self, key: DetectionKey) -> DetectionSample:
        rng = np.random.default_rng([self.keys.index(key), 7])
        image = rng.integers(90, 110, (self.side, self.side, 3)).astype(np.uint8)
        colour, top = self.keys.index(key) % 3, 4 + 28 * (key.index % 2)
        image[top : top + 24, 10:50] = 0
        image[top : top + 24, 10:50, colour] = 255
        labels = self.labels(key)
        return DetectionSample(id=key.id, group=key.group, video=key.video, image=image, boxes=labels.boxes,
                               classes=labels.classes, view=UNKNOWN, width=self.side, height=self.side)  # fmt: skip

    def labels(self, key: DetectionKey) -> FrameLabels:
        return FrameLabels(boxes=np.zeros((0, 4), np.float32), classes=np.zeros(0, np.int64), view=UNKNOWN, lines=(),
                           polygons=0, repeated=(), objects=0)  # fmt: skip

    def stored_size(self, key: DetectionKey) -> tuple[int, int]:
        return self.side, self.side

    def captions(self) -> list[tuple[str, ...]]:
        """Three of each image: its colour, its place, and a number that no other image has."""
        return [
            (f"a {COLOURS[place % 3]} square", f"{COLOURS[place % 3]} {'below' if key.index % 2 else 'above'}",
             f"number {place}")
            for place, key in enumerate(self.keys)
        ]  # fmt: skip


def squares(groups: int = 4, each: int = 2, **changes: Any) -> CaptionedImages:
    """A set of ``groups * each`` images."""
    source = Squares(groups, each)
    captions = source.captions()
    frames = DetectionFrames(source, source.keys, (source.side, source.side), classes=1, views=0)
    vocabulary = CaptionTokens.learn(text for those in captions for text in those)
    return CaptionedImages(frames, captions, vocabulary, **{"context_length": 8, "every": False, **changes})
