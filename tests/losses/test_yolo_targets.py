"""Target assignment against a slow loop written from the rule, cell by cell."""

from __future__ import annotations

import pytest
import torch

from veritrain.errors import DataError
from veritrain.losses.yolo_targets import assign, check_targets, last_writer
from veritrain.models.options import COCO_ANCHORS, STRIDES

ANCHORS = torch.tensor(COCO_ANCHORS) / torch.tensor(STRIDES).view(3, 1, 1)
GRIDS = [(16, 8), (8, 4), (4, 2)]
"""Rows and columns of an image of 128 x 64 pixels; powers of 2, so that borders of cells are exact."""


def by_loops(targets: torch.Tensor, level: int, anchor_t: float = 4.0) -> list[tuple]:
    """For each direction, anchor and target: does the cell there learn the target?"""
    rows, columns = GRIDS[level]
    found = []
    for across, down in ((0, 0), (-1, 0), (0, -1), (1, 0), (0, 1)):
        for anchor, (anchor_w, anchor_h) in enumerate(ANCHORS[level].tolist()):
            for number, (image, label, x, y, w, h) in enumerate(targets.tolist()):
                x, w, y, h = x * columns, w * columns, y * rows, h * rows
                if max(w / anchor_w, anchor_w / w, h / anchor_h, anchor_h / h) >= anchor_t:
                    continue
                column, row = int(x), int(y)
                # The neighbour is reached when moving the centre half a cell that way leaves the cell, and the image
                # goes on for more than a whole cell beyond the centre.
                left, above = x - column, y - row
                if across < 0 and not (left < 0.5 and x > 1):
                    continue
                if down < 0 and not (above < 0.5 and y > 1):
                    continue
                if across > 0 and not ((left > 0.5 or left == 0) and columns - x > 1):
                    continue
                if down > 0 and not ((above > 0.5 or above == 0) and rows - y > 1):
                    continue
                if (across > 0 and left > 0.5) or across < 0:
                    column += across
                if (down > 0 and above > 0.5) or down < 0:
                    row += down
                column, row = min(column, columns - 1), min(row, rows - 1)
                found.append((int(image), anchor, row, column, int(label), number, x - column, y - row, w, h))
    return found


def as_rows(matches) -> list[tuple]:
    columns = [matches.image, matches.anchor, matches.row, matches.column, matches.label, matches.target]
    return [
        (*whole, *box)
        for whole, box in zip(zip(*(c.tolist() for c in columns), strict=True), matches.box.tolist(), strict=True)
    ]


def compare(targets: torch.Tensor, **chosen) -> list[int]:
    """Matches of each level, after they were found equal and in the same order."""
    found = assign(targets, ANCHORS, GRIDS, **chosen)
    for level, matches in enumerate(found):
        expected = by_loops(targets, level, **chosen)
        assert [row[:6] for row in as_rows(matches)] == [row[:6] for row in expected]
        for one, two in zip(as_rows(matches), expected, strict=True):
            assert one[6:] == pytest.approx(two[6:], abs=1e-5)
    return [len(matches) for matches in found]


@pytest.mark.parametrize("seed", range(5))
def test_random_boxes_of_all_sizes(seed):
    generator = torch.Generator().manual_seed(seed)
    targets = torch.rand(60, 6, generator=generator)
    targets[:, 0] = torch.randint(0, 4, (60,), generator=generator)
    targets[:, 1] = torch.randint(0, 3, (60,), generator=generator)
    targets[:, 4:] = 0.03 + targets[:, 4:] ** 2
    counts = compare(targets)
    assert all(count > 15 for count in counts), "each level was tried"


def at(x: float, y: float, *, level: int = 0, anchor: int = 0) -> torch.Tensor:
    """A box as large as an anchor, its centre in cells of a level."""
    rows, columns = GRIDS[level]
    width, height = ANCHORS[level][anchor].tolist()
    return torch.tensor([[0, 1, x / columns, y / rows, width / columns, height / rows]])


@pytest.mark.parametrize(
    ("x", "y", "cells"),
    [
        (3.25, 4.25, {(4, 3), (4, 2), (3, 3)}),
        (3.75, 4.75, {(4, 3), (4, 4), (5, 3)}),
        (3.25, 4.75, {(4, 3), (4, 2), (5, 3)}),
        (3.5, 4.5, {(4, 3)}),
        (0.25, 0.25, {(0, 0)}),
        (1.0, 1.0, {(1, 1)}),
        (2.0, 2.0, {(2, 2), (2, 1), (1, 2)}),
        (7.75, 15.75, {(15, 7)}),
        (6.75, 14.75, {(14, 6), (14, 7), (15, 6)}),
        (8.0, 16.0, {(15, 7)}),
        (0.0, 16.0, {(15, 0)}),
    ],
)
def test_cells_at_the_border_and_in_the_middle(x, y, cells):
    targets = at(x, y)
    compare(targets)
    matches = assign(targets, ANCHORS, GRIDS)[0]
    assert {(row, column) for row, column in zip(matches.row.tolist(), matches.column.tolist(), strict=True)} == cells
    assert ((matches.box[:, :2] > -0.5) & (matches.box[:, :2] < 1.5)).all()


def test_a_side_exactly_four_times_the_anchors_does_not_fit():
    width, height = ANCHORS[0][0].tolist()
    for factor, fits in ((3.99, True), (4.0, False), (1 / 3.99, True), (0.25, False)):
        targets = torch.tensor([[0, 0, 0.5, 0.5, factor * width / 8, height / 16]], dtype=torch.float64)
        anchors = ANCHORS.double()[:, :1]
        assert (len(assign(targets, anchors, GRIDS)[0]) > 0) is fits
    assert compare(at(3.5, 4.5), anchor_t=1.01)[0] == 1, "the anchor itself, and no other"


def test_no_targets_give_no_matches_on_any_level():
    found = assign(torch.zeros(0, 6), ANCHORS, GRIDS)
    assert [len(matches) for matches in found] == [0, 0, 0]
    assert all(matches.box.shape == (0, 4) for matches in found)


def test_two_boxes_in_one_cell_are_both_there():
    targets = torch.cat((at(3.5, 4.5), at(3.5, 4.5)))
    targets[1, 1] = 2
    counts = compare(targets)
    matches = assign(targets, ANCHORS, GRIDS)[0]
    assert counts[0] == len(matches) >= 2 and set(matches.label.tolist()) == {1, 2}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({4: 0.0}, "0.5, 0.5, 0, 0.1"),
        ({5: 0.0}, "0.5, 0.5, 0.1, 0"),
        ({4: -0.1}, "-0.1"),
        ({5: float("nan")}, "nan"),
        ({4: float("inf")}, "inf"),
        ({0: 2.0}, "2, 1"),
        ({0: -1.0}, "-1, 1"),
        ({1: 4.0}, "0, 4"),
        ({2: 1.01}, "1.01"),
        ({3: -0.01}, "-0.01"),
    ],
)
def test_a_box_that_would_be_lost_or_break_is_refused_by_its_row(change, found):
    targets = torch.tensor([[1, 3, 1.0, 0.0, 1.0, 1.0], [0, 1, 0.5, 0.5, 0.1, 0.1], [0, 1, 0.5, 0.5, 0.1, 0.1]])
    check_targets(targets, images=2, classes=4)
    for column, value in change.items():
        targets[1, column] = value
    with pytest.raises(DataError, match="target 1 ") as caught:
        check_targets(targets, images=2, classes=4)
    assert found in caught.value.found


def test_no_table_and_an_empty_table():
    check_targets(torch.zeros(0, 6), images=2, classes=4)
    with pytest.raises(DataError, match="no table"):
        check_targets(torch.zeros(3, 5), images=2, classes=4)


def test_the_last_writer_of_a_cell():
    assert last_writer(torch.tensor([4, 1, 4, 1, 0]), 6).tolist() == [4, 3, -1, -1, 2, -1]
    cells = torch.randint(0, 50, (400,), generator=torch.Generator().manual_seed(0))
    written = [-1] * 50
    for number, cell in enumerate(cells.tolist()):
        written[cell] = number
    assert last_writer(cells, 50).tolist() == written
