"""From boxes of a batch to predictions as the box tables read them, in pixels of the stored images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from veritrain.data.detection_frames import placement_of
from veritrain.data.letterbox import Placement
from veritrain.models.yolo_decode import corners_of
from veritrain.tasks.task import Batch, Predictions


def truths_of_batch(batch: Batch) -> Predictions:
    """``index`` (N,), ``truth_counts`` (N,), ``truth_boxes`` (M, 4) and ``truth_classes`` (M,), image after image.

    Args:
        batch: ``image`` (N, 3, H, W), ``targets`` (M, 6), ``placed`` (N, 6) and ``index`` (N,), as sets of images with
            boxes collate them.
    """
    placed, full = _placements(batch)
    targets = batch["targets"].cpu()
    boxes = corners_of(targets[:, 2:].double()).numpy() * np.array([full[1], full[0]] * 2)
    images, classes = targets[:, 0].numpy().astype(np.int64), targets[:, 1].numpy().astype(np.int64)
    truths = [where.back(boxes[images == place]) for place, where in enumerate(placed)]
    return {
        "index": batch["index"].cpu().numpy(),
        "truth_counts": np.array([len(one) for one in truths]),
        "truth_boxes": np.concatenate(truths),
        "truth_classes": classes[np.argsort(images, kind="stable")],
    }


def found_in_batch(found: Sequence[Tensor], batch: Batch) -> Predictions:
    """``box_counts`` (N,), ``boxes`` (D, 4), ``box_scores`` and ``box_classes`` (D,), image after image.

    Args:
        found: of each image (n, 6) left, top, right, bottom in pixels of the letterbox, score, class; n may be 0.
        batch: as :func:`truths_of_batch` reads it.
    """
    placed, _ = _placements(batch)
    kept = [one.detach().cpu().double().numpy().reshape(-1, 6) for one in found]
    return {
        "box_counts": np.array([len(one) for one in kept]),
        "boxes": np.concatenate([where.back(one[:, :4]) for where, one in zip(placed, kept, strict=True)]),
        "box_scores": np.concatenate([one[:, 4] for one in kept]),
        "box_classes": np.concatenate([one[:, 5] for one in kept]).astype(np.int64),
    }


def nothing_found(batch: Batch) -> Predictions:
    """The predictions of a network that answers no box: the labels of the batch beside no detection at all."""
    return {**truths_of_batch(batch), **found_in_batch([batch["targets"].new_zeros(0, 6)] * len(batch["index"]), batch)}


def _placements(batch: Batch) -> tuple[list[Placement], tuple[int, int]]:
    full = (int(batch["image"].shape[2]), int(batch["image"].shape[3]))
    return [placement_of(row, full) for row in batch["placed"].tolist()], full
