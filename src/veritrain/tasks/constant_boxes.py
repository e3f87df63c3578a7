"""The input-free detector: the same boxes in every image, where the training labels were most often.

A detector that learned the habits of the labels (this valve lies there, about so large) and nothing of the image scores
as well as this one. It is fitted on the training split alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths, every_iou

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
BOXES_PER_CLASS = 10
# Training objects that are offered as boxes; their reach is counted over all objects of the class.
MOST_CANDIDATES = 1000


@dataclass(frozen=True)
class ConstantBoxes:
    """Boxes that reach most training objects, each with the share of training images in which it is right.

    Attributes:
        boxes: (B, 4) x1, y1, x2, y2; in shares of the image's width and height when fitted with sizes.
        classes: (B,) int64. scores: (B,) float64 in (0, 1], falling within a class.
        relative: whether ``boxes`` are shares of the image.
    """

    boxes: Floats
    classes: Integers
    scores: Floats
    relative: bool

    @staticmethod
    def fit(
        truths: Truths,
        n_images: int,
        n_classes: int,
        *,
        sizes: ArrayLike | None = None,
        boxes_per_class: int = BOXES_PER_CLASS,
        iou: float = 0.5,
        seed: int = 0,
    ) -> ConstantBoxes:
        """Greedy cover: of each class, the box that overlaps most objects by ``iou``, then most of the remaining ones.

        Candidates are the training boxes themselves; a chosen one gives way to the median of the boxes it reaches where
        that reaches more. The score of a box is the number of objects that no earlier box reaches, over ``n_images``:
        what its precision would be on the training images.

        Args:
            truths: labels of the training split.
            n_images: N training images, with or without objects.
            n_classes: C.
            sizes: (N, 2) width and height of each image when they differ; the boxes are then kept as shares of them.
            boxes_per_class: at most; fewer when all objects are reached.
            iou: the overlap that counts as reached; the one of the claim.
            seed: of the choice of 1,000 candidates where a class has more objects.

        Raises:
            UsageError: no training image, or sizes of another shape.
        """
        if n_images < 1 or (truths.images.size and truths.images.max() >= n_images):
            raise UsageError("the images do not hold the boxes", expected="N above every image", found=str(n_images))
        scale = _scale_of(truths.images, sizes, n_images)
        rng = np.random.default_rng(seed)
        parts: list[tuple[Floats, Integers, Floats]] = []
        for cls in range(n_classes):
            own = truths.classes == cls
            boxes, reached = _cover((truths.boxes / scale)[own], boxes_per_class, iou, rng)
            parts.append((boxes, np.full(len(boxes), cls), reached / n_images))
        boxes, classes, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
        return ConstantBoxes(boxes, classes.astype(np.int64), scores, sizes is not None)

    @staticmethod
    def fit_open(
        truths: Truths,
        n_images: int,
        n_base: int,
        n_novel: int,
        *,
        sizes: ArrayLike | None = None,
        boxes_per_class: int = BOXES_PER_CLASS,
        seed: int = 0,
    ) -> ConstantBoxes:
        """As :meth:`fit` for the classes that have labels; each of the others has the boxes that suit all of those.

        No label of a novel class is used. The pooled boxes' scores are those of an average base class.

        Args:
            truths: labels of the training split, of classes below ``n_base``.
            n_base, n_novel: classes with labels, and those numbered after them, without.
            sizes, boxes_per_class, seed: as there.
        """
        own = ConstantBoxes.fit(truths, n_images, n_base, sizes=sizes, boxes_per_class=boxes_per_class, seed=seed)
        pooled = ConstantBoxes.fit(
            Truths(truths.images, truths.boxes, np.zeros(len(truths), np.int64)),
            n_images,
            1,
            sizes=sizes,
            boxes_per_class=boxes_per_class,
            seed=seed,
        )
        return ConstantBoxes(
            np.concatenate([own.boxes, np.tile(pooled.boxes, (n_novel, 1))]),
            np.concatenate([own.classes, n_base + np.repeat(np.arange(n_novel), len(pooled.boxes))]),
            np.concatenate([own.scores, np.tile(pooled.scores / n_base, n_novel)]),
            own.relative,
        )

    def of_classes(self, first: int, count: int) -> ConstantBoxes:
        """The boxes of ``count`` classes from ``first`` on, numbered from 0."""
        kept = (self.classes >= first) & (self.classes < first + count)
        return ConstantBoxes(self.boxes[kept], self.classes[kept] - first, self.scores[kept], self.relative)

    def predict(self, n_images: int, sizes: ArrayLike | None = None) -> Detections:
        """The boxes in each of N images, image after image; ``sizes`` (N, 2) where they were fitted with sizes.

        Equal scores stand in all images: count them as one threshold (``tasks.box_tables`` does), else the order of the
        images decides.
        """
        if self.relative and sizes is None:
            raise UsageError("these boxes are shares of an image", fix="give the width and height of each image")
        count = len(self.boxes)
        images = np.repeat(np.arange(n_images), count)
        scale = _scale_of(images, sizes if self.relative else None, n_images)
        boxes = np.tile(self.boxes, (n_images, 1)) * scale
        return Detections(images, boxes, np.tile(self.scores, n_images), np.tile(self.classes, n_images))


def _cover(boxes: Floats, most: int, iou: float, rng: np.random.Generator) -> tuple[Floats, Integers]:
    """(B, 4) chosen boxes and (B,) how many objects each is the first to reach."""
    chosen: list[Floats] = []
    reached: list[int] = []
    if not len(boxes):
        return np.zeros((0, 4)), np.zeros(0, np.int64)
    offered = boxes if len(boxes) <= MOST_CANDIDATES else boxes[rng.choice(len(boxes), MOST_CANDIDATES, replace=False)]
    reaches = every_iou(offered, boxes) >= iou
    left = np.ones(len(boxes), bool)
    while left.any() and len(chosen) < most:
        best = int(np.argmax(reaches[:, left].sum(axis=1)))
        box, hit = _refined(offered[best], boxes, left, iou)
        if not hit.any():
            break
        chosen.append(box)
        reached.append(int(hit.sum()))
        left &= ~hit
    # A median may reach more than the box it replaced, and the next one more again: the surest comes first.
    order = np.argsort(-np.array(reached), kind="stable")
    return np.array(chosen).reshape(-1, 4)[order], np.array(reached, np.int64)[order]


def _refined(box: Floats, boxes: Floats, left: NDArray[np.bool_], iou: float) -> tuple[Floats, NDArray[np.bool_]]:
    """The box, or the median of what it reaches as long as that reaches more of what is left."""
    hit = left & (every_iou(box[None], boxes)[0] >= iou)
    while hit.any():
        middle = np.median(boxes[hit], axis=0)
        other = left & (every_iou(middle[None], boxes)[0] >= iou)
        if other.sum() <= hit.sum():
            break
        box, hit = middle, other
    return box, hit


def _scale_of(images: Integers, sizes: ArrayLike | None, n_images: int) -> Floats:
    """(len(images), 4) width, height, width, height of each box's image; ones without sizes."""
    if sizes is None:
        return np.ones((len(images), 4))
    given = np.asarray(sizes, np.float64)
    if given.shape != (n_images, 2) or not (given > 0).all():
        raise UsageError("not the sizes of the images", expected=f"({n_images}, 2) above 0", found=f"{given.shape}")
    return np.tile(given[images], (1, 2))
