"""Predicted boxes as a table: one row a box, names as hashes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from veritrain.data.detection_sample import DetectionKey
from veritrain.experiments.driving_data import short_hash
from veritrain.tasks.task import Predictions

COLUMNS = "id,group,class,score,left,top,right,bottom"


def write_box_rows(path: Path, predictions: Predictions, keys: Sequence[DetectionKey], names: Sequence[str]) -> None:
    """Write the boxes of ``predictions`` (``tasks.box_tables``) as CSV, in pixels of the stored image.

    Args:
        keys: of the images, in the order of the predictions. names: of the classes.
    """
    rows = [COLUMNS]
    owner = np.repeat(np.arange(len(keys)), predictions["box_counts"])
    for at, box, score, cls in zip(
        owner, predictions["boxes"], predictions["box_scores"], predictions["box_classes"], strict=True
    ):
        place = ",".join(f"{side:.2f}" for side in box)
        name = f"{short_hash(keys[int(at)].id)},{short_hash(keys[int(at)].group)}"
        rows.append(f"{name},{names[cls]},{score:.6f},{place}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
