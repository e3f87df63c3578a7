"""A set of images with the words that it is asked for: each batch says which rows of the network's words those are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from veritrain.data.aerial_frames import AerialFrames
from veritrain.data.detection_frames import ExchangedImages


class AskedFrames:
    """Images from above whose class c is the word in row ``asked[c]``.

    Args:
        frames: the images. asked: C rows, one for each class of their labels.
        exchanged: images come from another scene; labels and the rest stay (a control).
    """

    def __init__(self, frames: AerialFrames, asked: Sequence[int], *, exchanged: bool = False) -> None:
        self.frames, self.asked = frames, tuple(asked)
        self._given: AerialFrames | ExchangedImages = ExchangedImages(frames) if exchanged else frames

    def __len__(self) -> int:
        return len(self.frames)

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        """Arrays of one sample, as the frames make them."""
        return self._given.sample(index, epoch=epoch, seed=seed)

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """As the frames, with ``asked`` (C,) int64."""
        return self.unpack(self.pack(samples))

    def pack(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """As :meth:`collate`, with images still uint8."""
        return {**self.frames.pack(samples), "asked": torch.tensor(self.asked, dtype=torch.int64)}

    def unpack(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A packed batch as the network reads it."""
        return self.frames.unpack(batch)

    def label_of(self, index: int) -> bytes:
        """All labels of one image as training reads them."""
        return self.frames.label_of(index)

    def with_permuted_labels(self, label_seed: int) -> AskedFrames:
        """The same images with labels exchanged between scenes."""
        return AskedFrames(self.frames.with_permuted_labels(label_seed), self.asked)

    def with_asked(self, asked: Sequence[int]) -> AskedFrames:
        """The same images and labels, other words for the classes (a control)."""
        return AskedFrames(self.frames, asked)

    def with_exchanged_images(self) -> AskedFrames:
        """The same labels and words, each image that of another scene (a control)."""
        return AskedFrames(self.frames, self.asked, exchanged=True)
