from __future__ import annotations

import numpy as np

from veritrain.data.detection_sample import DetectionKey
from veritrain.experiments.box_rows import COLUMNS, write_box_rows
from veritrain.experiments.driving_data import short_hash


def key(name: str, group: str) -> DetectionKey:
    return DetectionKey(id=name, group=group, kind="none", index=0, video=group, frame=-1, published="")


def test_a_row_a_box_under_the_hash_of_its_image(tmp_path):
    predictions = {
        "box_counts": np.array([1, 0, 1]),
        "boxes": np.array([[1.0, 2.0, 3.0, 4.5], [0.0, 0.125, 9.0, 8.0]]),
        "box_scores": np.array([0.9, 0.25]),
        "box_classes": np.array([1, 0]),
    }
    path = tmp_path / "boxes.csv"
    write_box_rows(path, predictions, [key("a", "p"), key("b", "p"), key("c", "q")], ["ship", "dam"])
    first, second = f"{short_hash('a')},{short_hash('p')}", f"{short_hash('c')},{short_hash('q')}"
    assert path.read_text().splitlines() == [
        COLUMNS,
        f"{first},dam,0.900000,1.00,2.00,3.00,4.50",
        f"{second},ship,0.250000,0.00,0.12,9.00,8.00",
    ]
