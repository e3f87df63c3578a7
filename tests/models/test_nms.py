"""Suppression against a loop over pairs; limits, ties and labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from veritrain.errors import ConfigError
from veritrain.models.nms import suppress


def crowd(images: int = 2, boxes: int = 120, classes: int = 3, seed: int = 0) -> torch.Tensor:
    """Decoded rows in a 60 x 60 image, so that many overlap."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(images, boxes, 2, generator=generator) * 60
    side = torch.rand(images, boxes, 2, generator=generator) * 40 + 15
    return torch.cat((centre, side, torch.rand(images, boxes, 1 + classes, generator=generator)), 2)


def overlap_of(one: np.ndarray, two: np.ndarray) -> float:
    sides = np.minimum(one[2:4], two[2:4]) - np.maximum(one[:2], two[:2])
    meet = max(sides[0], 0) * max(sides[1], 0)
    return meet / (np.prod(one[2:4] - one[:2]) + np.prod(two[2:4] - two[:2]) - meet)


def by_loops(rows: torch.Tensor, confidence: float, overlap: float, multi_label: bool) -> list[list[float]]:
    """Every candidate against every box kept before it, in float64, without moving classes apart."""
    candidates = []
    for x, y, w, h, objectness, *classes in rows.double().tolist():
        scores = [objectness * share for share in classes]
        chosen = range(len(scores)) if multi_label else [int(np.argmax(scores))]
        box = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
        candidates += [[*box, scores[c], c] for c in chosen if objectness > confidence and scores[c] > confidence]
    kept: list[list[float]] = []
    for box in sorted(candidates, key=lambda row: -row[4]):
        rivals = [other for other in kept if other[5] == box[5]]
        if all(overlap_of(np.array(box[:4]), np.array(other[:4])) <= overlap for other in rivals):
            kept.append(box)
    return kept


@pytest.mark.parametrize("multi_label", [True, False])
@pytest.mark.parametrize(("confidence", "overlap"), [(0.001, 0.6), (0.25, 0.45), (0.3, 0.1)])
def test_it_is_what_loops_over_pairs_find(multi_label, confidence, overlap):
    decoded = crowd()
    found = suppress(decoded, confidence=confidence, overlap=overlap, multi_label=multi_label)
    for image, rows in enumerate(decoded):
        expected = by_loops(rows, confidence, overlap, multi_label)
        assert 10 < len(expected) < 300
        torch.testing.assert_close(found[image].double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-5,
                                   atol=1e-4)  # fmt: skip


def test_one_label_or_many():
    row = torch.tensor([[[50.0, 50, 20, 20, 1.0, 0.9, 0.8, 0.1]]])
    assert suppress(row, confidence=0.5)[0][:, 5].tolist() == [0, 1]
    assert suppress(row, confidence=0.5, multi_label=False)[0][:, 5].tolist() == [0]


def test_classes_do_not_suppress_each_other_and_objectness_counts():
    row = [50.0, 50, 20, 20, 0.5]
    rows = torch.tensor([[[*row, 0.9, 0.0], [*row, 0.0, 0.8], [*row, 0.7, 0.0]]])
    (found,) = suppress(rows, confidence=0.1)
    assert found[:, 5].tolist() == [0, 1]
    assert found[:, 4].tolist() == pytest.approx([0.45, 0.4])
    assert found[0, :4].tolist() == [40, 40, 60, 60]


def test_ties_keep_the_order_of_the_rows_and_then_of_the_classes():
    box = [0.0, 50, 10, 10, 1.0]
    rows = torch.tensor([[[x, *box[1:], 0.5, 0.5] for x in (300.0, 100.0, 200.0)]])
    (found,) = suppress(rows, confidence=0.1)
    assert found[:, 0].tolist() == [295, 295, 95, 95, 195, 195] and found[:, 5].tolist() == [0, 1] * 3
    same = torch.tensor([[[300.0, 50, 10, 10, 1, 0.5], [301.0, 50, 10, 10, 1, 0.5]]])
    assert suppress(same, confidence=0.1)[0][:, 0].tolist() == [295], "the earlier one stays"


def test_limits_cut_the_least_sure():
    decoded = crowd(images=1, boxes=50)
    (everything,) = suppress(decoded, overlap=1.0)
    assert len(everything) > 100
    torch.testing.assert_close(suppress(decoded, overlap=1.0, most_boxes=7)[0], everything[:7], rtol=0, atol=0)
    torch.testing.assert_close(suppress(decoded, overlap=1.0, most_candidates=7)[0], everything[:7], rtol=0, atol=0)
    many = torch.rand(1, 400, 6, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.4
    many[0, :, 0] += torch.arange(400) * 10.0
    assert len(suppress(many)[0]) == 300, "the default of the original"


def test_nothing_found_is_an_empty_table_an_image():
    decoded = crowd(images=3)
    decoded[1, :, 4] = 0.0
    sizes = [found.shape for found in suppress(decoded, confidence=0.2)]
    assert sizes[1] == (0, 6) and sizes[0][0] > 0 < sizes[2][0]
    assert [tuple(found.shape) for found in suppress(decoded[:, :0])] == [(0, 6)] * 3


def test_shares_outside_of_0_and_1_are_refused():
    for chosen in ({"confidence": 25.0}, {"overlap": -0.1}):
        with pytest.raises(ConfigError, match="is a share"):
            suppress(crowd(), **chosen)
