"""Matching against brute force, its costs against a loop over pairs, and what it refuses."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from torchvision.ops import box_convert, generalized_box_iou

from veritrain.errors import DataError, NonFiniteError
from veritrain.losses.set_matching import (
    Costs,
    Pairs,
    every_cost,
    every_generalised_iou,
    generalised_iou,
    match,
    padded_targets,
    pair_iou,
)


def made_boxes(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.cat(
        (torch.rand(*shape, 2, generator=generator), 0.02 + 0.6 * torch.rand(*shape, 2, generator=generator)), -1
    )


def made_targets(counts: list[int], classes: int = 4, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = [image for image, count in enumerate(counts) for _ in range(count)]
    labels = torch.randint(classes, (len(rows), 1), generator=generator).float()
    return torch.cat((torch.tensor(rows).float().view(-1, 1), labels, made_boxes(len(rows), seed=seed)), 1)


def made_answers(layers: int, images: int, queries: int, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    logits = 3 * torch.randn(layers, images, queries, classes, generator=generator)
    return made_boxes(layers, images, queries, seed=3), logits


def rows_of(pairs: Pairs, answer: torch.Tensor) -> set[tuple[int, ...]]:
    return {tuple(row) for row in torch.stack((pairs.layer, pairs.image, answer, pairs.target), 1).tolist()}


def corners(boxes: torch.Tensor) -> torch.Tensor:
    return box_convert(boxes, "cxcywh", "xyxy")


def cost_by_hand(box: torch.Tensor, logits: torch.Tensor, target: torch.Tensor) -> float:
    """Of one query and one object, in double numbers."""
    share = logits.double().sigmoid()[int(target[1])]
    right, wrong = -0.25 * (1 - share) ** 2 * share.log(), -0.75 * share**2 * (1 - share).log()
    l1 = (box.double() - target[2:].double()).abs().sum()
    giou = generalized_box_iou(corners(box[None].double()), corners(target[None, 2:].double()))[0, 0]
    return float(2 * (right - wrong) + 5 * l1 - 2 * giou)


def test_giou_is_that_of_torchvision():
    first, second = made_boxes(2, 30, seed=4), made_boxes(2, 20, seed=5)
    found = every_generalised_iou(first, second)
    for image in range(2):
        reference = generalized_box_iou(corners(first[image]), corners(second[image]))
        torch.testing.assert_close(found[image], reference, rtol=1e-4, atol=1e-5)
    assert (found > -1).all() and (found <= 1).all() and (found < 0).any() and (found > 0).any()
    torch.testing.assert_close(generalised_iou(first, first), torch.ones(2, 30), atol=1e-3, rtol=0)
    assert (pair_iou(first[:, :20], second) >= 0).all() and (pair_iou(first[:, :20], second) <= 1).all()


def test_boxes_far_apart_have_a_giou_near_minus_one():
    left, right = torch.tensor([0.01, 0.5, 0.001, 0.001]), torch.tensor([0.99, 0.9, 0.001, 0.001])
    assert -1 < float(generalised_iou(left, right)) < -0.99


def test_every_cost_is_that_of_the_pair():
    boxes, logits = made_answers(2, 3, 5)
    targets = made_targets([2, 0, 3])[torch.tensor([4, 0, 2, 1, 3])]
    padded = padded_targets(targets, 3)
    table = every_cost(boxes, logits, padded, Costs())
    assert table.shape == (2, 3, 5, 3)
    for layer in range(2):
        for image, count in enumerate(padded.counts):
            for query in range(5):
                for thing in range(count):
                    row = targets[padded.rows[image, thing]]
                    wanted = cost_by_hand(boxes[layer, image, query], logits[layer, image, query], row)
                    assert float(table[layer, image, query, thing]) == pytest.approx(wanted, abs=1e-4)


def test_padding_keeps_each_object_with_its_image_in_any_order():
    targets = made_targets([2, 0, 3])
    for order in (torch.arange(5), torch.tensor([4, 0, 2, 1, 3])):
        padded = padded_targets(targets[order], 3)
        assert padded.counts == (2, 0, 3) and padded.real.sum(1).tolist() == [2, 0, 3]
        for image in range(3):
            for thing in range(padded.counts[image]):
                row = targets[order][padded.rows[image, thing]]
                assert int(row[0]) == image and int(row[1]) == int(padded.labels[image, thing])
                assert torch.equal(row[2:], padded.boxes[image, thing])


@pytest.mark.parametrize("counts", [[3, 1, 0, 2], [1, 4, 4, 0], [5, 0, 0, 5]])
def test_the_assignment_is_that_of_brute_force(counts):
    boxes, logits = made_answers(3, 4, 5)
    targets = made_targets(counts, seed=sum(counts))
    pairs = match(boxes, logits, targets)
    table = every_cost(boxes, logits, padded_targets(targets, 4), Costs())
    assert len(pairs) == 3 * len(targets)
    first_row = torch.tensor(counts).cumsum(0) - torch.tensor(counts)
    for layer in range(3):
        for image, count in enumerate(counts):
            own = (pairs.layer == layer) & (pairs.image == image)
            answers, things = pairs.answer[own].tolist(), (pairs.target[own] - first_row[image]).tolist()
            assert sorted(things) == list(range(count)) and len(set(answers)) == count
            costs = table[layer, image]
            best = min(
                sum(float(costs[query, thing]) for thing, query in enumerate(chosen))
                for chosen in permutations(range(5), count)
            )
            assert sum(float(costs[q, t]) for q, t in zip(answers, things, strict=True)) == pytest.approx(
                best, abs=1e-5
            )


def test_queries_in_another_order_are_the_same_pairs():
    boxes, logits = made_answers(2, 2, 8)
    targets = made_targets([3, 4])
    order = torch.randperm(8, generator=torch.Generator().manual_seed(2))
    one, two = match(boxes, logits, targets), match(boxes[:, :, order], logits[:, :, order], targets)
    before = rows_of(one, one.answer)
    after = rows_of(two, order[two.answer])
    assert before == after


def test_a_perfect_query_is_chosen():
    boxes, logits = made_answers(1, 1, 6)
    targets = made_targets([1])
    boxes[0, 0, 4] = targets[0, 2:]
    logits[0, 0, 4, int(targets[0, 1])] = 8.0
    assert match(boxes, logits, targets).answer.tolist() == [4]


def test_nothing_to_match_is_no_pair():
    boxes, logits = made_answers(2, 3, 4)
    assert len(match(boxes, logits, torch.zeros(0, 6))) == 0


def test_queries_in_padding_are_not_chosen():
    boxes, logits = made_answers(2, 2, 6)
    targets = made_targets([2, 3])
    valid = torch.tensor([[True, False] * 3, [False, True] * 3])
    pairs = match(boxes, logits, targets, valid=valid)
    assert valid[pairs.image, pairs.answer].all() and len(pairs) == 10


def test_more_objects_than_queries_are_refused():
    boxes, logits = made_answers(1, 2, 3)
    with pytest.raises(DataError, match="image 1 of the batch has more objects") as told:
        match(boxes, logits, made_targets([3, 4]))
    assert "3 objects or fewer" in str(told.value) and "4 objects" in str(told.value)
    with pytest.raises(DataError, match="image 0"):
        match(boxes, logits, made_targets([3, 1]), valid=torch.tensor([[True, True, False], [True] * 3]))


@pytest.mark.parametrize("part", ["boxes", "logits"])
def test_no_numbers_are_refused_by_layer_image_and_part(part):
    boxes, logits = made_answers(3, 2, 4)
    {"boxes": boxes, "logits": logits}[part][2, 1, 3] = float("nan")
    with pytest.raises(NonFiniteError, match="layer 2, image 1") as told:
        match(boxes, logits, made_targets([1, 2]))
    assert f"4 numbers of the {part}" in str(told.value)
