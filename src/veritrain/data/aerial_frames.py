"""Images from above as a training set: letterboxed, then changed by (seed, epoch, index) with their boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from veritrain.data.box_changes import Change, Piece, changed, draw_change
from veritrain.data.detection_frames import DetectionFrames, DetectionSource, shares_of_white
from veritrain.data.detection_sample import DetectionKey
from veritrain.data.options import BoxChanges, Hold
from veritrain.data.spoilt import Labels


class AerialFrames(DetectionFrames):
    """As :class:`DetectionFrames`, without views, and with the changes that hold for pictures from above.

    Batches hold images in [-1, 1], as the towers read them, and ``targets``, ``view`` (-1), ``placed`` and ``index``.
    The finished letterbox is what is kept and changed. ``placed`` of a changed sample is the letterbox itself: boxes of
    several images, cut anew, lie in no stored image.

    Args:
        box_changes: what is drawn for each sample by (seed, epoch, index); the others as there.
    """

    def __init__(
        self,
        source: DetectionSource,
        keys: Sequence[DetectionKey],
        shape: tuple[int, int],
        *,
        classes: int,
        views: int = 0,
        labels: Labels = "given",
        label_seed: int = 0,
        box_changes: BoxChanges | None = None,
        hold: Hold = "memory",
    ) -> None:
        super().__init__(
            source, keys, shape, classes=classes, views=views, labels=labels, label_seed=label_seed, hold=hold
        )
        self.box_changes = box_changes or BoxChanges()

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        """Arrays of one sample; the same arguments give the same bits (unless labels are redrawn)."""
        own = super().sample(index, epoch=epoch, seed=seed)
        change = draw_change(self.box_changes, len(self), seed=seed, epoch=epoch, index=index)
        if change == Change(pieces=(Piece(index=index),)):
            return own
        others = [super(AerialFrames, self).sample(one.index, epoch=epoch, seed=seed) for one in change.pieces[1:]]
        image, boxes, classes = changed(change, [own, *others], self.box_changes.least_visible)
        whole = np.array((*self.shape, *self.shape, 0, 0), np.int64)
        return {**own, "image": image, "boxes": boxes, "classes": classes, "placed": whole}

    def unpack(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A packed batch as the towers read it, on whatever device it is: images float32 in [-1, 1]."""
        return {**batch, "image": shares_of_white(batch["image"]).mul_(2).sub_(1)}

    def with_permuted_labels(self, label_seed: int) -> Self:
        """The same images, changed alike, with labels exchanged between groups."""
        twin = self._again(labels="permuted", label_seed=label_seed, box_changes=self.box_changes)
        twin.share_images_with(self)
        return twin
