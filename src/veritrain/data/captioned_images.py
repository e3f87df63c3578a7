"""Images with their captions as a training set: one caption an image and epoch, all of them where scores are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from veritrain.data.caption_tokens import END, PAD, CaptionTokens, padded
from veritrain.data.detection_frames import DetectionFrames, shares_of_white
from veritrain.data.held import exchanged_groups
from veritrain.data.spoilt import Labels, Redraw

CAPTION_STREAM, TURN_STREAM = 86028121, 122949823
"""Keep what is drawn for a caption apart from what is drawn for a turn."""
Input = Literal["image", "text"]

Rows = NDArray[np.int64]


class CaptionedImages:
    """Images of one split with what is said of them.

    Args:
        frames: where the images are read, letterboxed; its own labels are not read here.
        captions: the sentences of each image, in the order of ``frames``, one or more each.
        vocabulary: cuts them into tokens. context_length: tokens that are kept; what is longer loses its end.
        every: a sample holds all captions of its image, else the one that (seed, epoch, index) draws.
        labels: "given"; "permuted" (whole groups exchange their captions, a control); "redrawn" (those of any image,
            new at every read: a fault, kept to be caught). label_seed: which permutation.
        turns: (seed, epoch, index) draws one of the eight ways in which a square image can lie, of four where it is no
            square: the ground has no upper side.

    A sample holds ``image`` (3, H, W) uint8, ``tokens`` (k, L) int64, ``caption_ids`` (k,) int64 (equal for captions of
    the set that are the same tokens) and ``index``; k is 1 unless ``every``.

    Attributes:
        cut: captions that lost their end.
    """

    def __init__(
        self,
        frames: DetectionFrames,
        captions: Sequence[Sequence[str]],
        vocabulary: CaptionTokens,
        *,
        context_length: int,
        every: bool,
        labels: Labels = "given",
        label_seed: int = 0,
        turns: bool = False,
    ) -> None:
        self.frames, self.captions = frames, [tuple(those) for those in captions]
        self.vocabulary, self.context_length = vocabulary, context_length
        self.every, self.labels, self.turns = every, labels, turns
        self.keys = frames.keys
        self._donor = exchanged_groups(self.keys, label_seed) if labels == "permuted" else None
        self._redraw = Redraw()
        self.cut, self._tokens, self._ids = self._read()

    def __len__(self) -> int:
        return len(self.keys)

    def _read(self) -> tuple[int, list[Rows], list[Rows]]:
        """How many captions are cut; the tokens (k, L) and the numbers (k,) of each image's captions."""
        numbers: dict[bytes, int] = {}
        cut, tokens, ids = 0, [], []
        for sentences in self.captions:
            found = [self.vocabulary.ids(one) for one in sentences]
            cut += sum(len(one) > self.context_length for one in found)
            rows = padded(found, sentences, self.context_length, end=END, pad=PAD, cut=True)
            tokens.append(rows)
            ids.append(np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows], np.int64))
        return cut, tokens, ids

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        """Arrays of one image; the same arguments give the same bits (unless captions are redrawn)."""
        image = self.frames.sample(index, epoch=0, seed=0)["image"]
        if self.turns:
            image = turned(image, int(np.random.default_rng((seed, epoch, index, TURN_STREAM)).integers(8)))
        tokens, ids = self.rows_of(index)
        if not self.every:
            drawn = int(np.random.default_rng((seed, epoch, index, CAPTION_STREAM)).integers(len(tokens)))
            tokens, ids = tokens[drawn : drawn + 1], ids[drawn : drawn + 1]
        return {"image": image, "tokens": tokens, "caption_ids": ids, "index": np.int64(index)}

    def rows_of(self, index: int) -> tuple[Rows, Rows]:
        """Tokens (k, L) and numbers (k,) of all captions of an image, as this set has them."""
        if self.labels == "redrawn":
            index = int(self._redraw.generator().integers(len(self)))
        elif self._donor is not None:
            index = self._donor[index]
        return self._tokens[index], self._ids[index]

    def label_of(self, index: int) -> bytes:
        """All captions of one image as training reads them, as bytes that can be compared."""
        return self.rows_of(index)[0].tobytes()

    def with_permuted_labels(self, label_seed: int) -> CaptionedImages:
        """The same images, with captions exchanged between groups."""
        return CaptionedImages(
            self.frames,
            self.captions,
            self.vocabulary,
            context_length=self.context_length,
            every=self.every,
            labels="permuted",
            label_seed=label_seed,
            turns=self.turns,
        )

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A batch of B images and M captions: ``image`` (B, 3, H, W) float32 in [-1, 1], ``tokens`` (M, L'), no longer
        than its longest caption, ``caption_ids`` (M,), ``caption_counts`` (B,), how many of the captions are each
        image's, in order, ``pairs`` (B,), the row of the caption that each image is trained with, ``index`` (B,)."""
        return self.unpack(self.pack(samples))

    def pack(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """As :meth:`collate`, with images still uint8: a quarter of the bytes to send to a device."""
        tokens = np.concatenate([one["tokens"] for one in samples])
        longest = int((tokens != PAD).sum(axis=1).max())
        counts = np.array([len(one["tokens"]) for one in samples], np.int64)
        found = {
            "image": np.stack([one["image"] for one in samples]),
            "tokens": np.ascontiguousarray(tokens[:, :longest]),
            "caption_ids": np.concatenate([one["caption_ids"] for one in samples]),
            "caption_counts": counts,
            "pairs": np.cumsum(counts) - counts,
            "index": np.stack([one["index"] for one in samples]),
        }
        return {name: torch.from_numpy(value) for name, value in found.items()}

    def unpack(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A packed batch as the network reads it, on whatever device it is."""
        return {**batch, "image": shares_of_white(batch["image"]).mul_(2).sub_(1)}


class ExchangedInput:
    """A set in which one input comes from another group, while what belongs to what stays as it is.

    Args:
        images: the set. name: "image" or "text": the words of the captions; there are as many as before. seed: which
            exchange.
    """

    def __init__(self, images: CaptionedImages, name: Input, *, seed: int = 0) -> None:
        self.images, self.name = images, name
        self._donor = exchanged_groups(images.keys, seed)

    def __len__(self) -> int:
        return len(self.images)

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        own = self.images.sample(index, epoch=epoch, seed=seed)
        other = self.images.sample(self._donor[index], epoch=epoch, seed=seed)
        if self.name == "image":
            return {**own, "image": other["image"]}
        count = len(other["tokens"])
        return {**own, "tokens": other["tokens"][np.arange(len(own["tokens"])) % count]}

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return self.images.collate(samples)


def turned(image: NDArray[np.uint8], way: int) -> NDArray[np.uint8]:
    """(3, H, W), lying in one of eight ways: bit 1 left to right, bit 2 upside down, bit 4 rows for columns.

    Rows become columns of square images alone.
    """
    if way & 4 and image.shape[1] == image.shape[2]:
        image = image.transpose(0, 2, 1)
    image = image[:, :, ::-1] if way & 1 else image
    return np.ascontiguousarray(image[:, ::-1] if way & 2 else image)
