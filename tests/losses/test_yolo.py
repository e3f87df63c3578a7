"""The detection loss against a loop over matches and cells, and its two forms against each other."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import complete_box_iou

from veritrain.errors import DataError
from veritrain.losses.yolo import GAINS, batch_loss, complete_iou, scaled_gains, terms
from veritrain.losses.yolo_targets import assign
from veritrain.models.options import COCO_ANCHORS, STRIDES
from veritrain.models.yolo_decode import corners_of

ANCHORS = torch.tensor(COCO_ANCHORS) / torch.tensor(STRIDES).view(3, 1, 1)
PLAIN = {"box": 1.0, "obj": 1.0, "cls": 1.0}
TARGETS = {
    "none": torch.zeros(0, 6),
    "one": torch.tensor([[1, 2, 0.5, 0.5, 0.3, 0.4]]),
    "border": torch.tensor([[0, 0, 0.0, 1.0, 0.1, 0.1], [0, 1, 0.99, 0.01, 0.2, 0.3], [2, 3, 0.5, 0.5, 1.0, 1.0]]),
    "duplicates": torch.tensor([[0, 1, 0.4, 0.4, 0.2, 0.3]] * 3 + [[0, 2, 0.41, 0.41, 0.25, 0.2]]),
    "many": torch.cat(
        (
            torch.randint(0, 4, (40, 2), generator=torch.Generator().manual_seed(3)).float() % torch.tensor([3, 4]),
            torch.rand(40, 4, generator=torch.Generator().manual_seed(4)) * 0.9 + 0.02,
        ),
        1,
    ),
    "too thin for any anchor": torch.tensor([[0, 0, 0.5, 0.5, 0.9, 0.005]]),
}


def raw_output(images: int = 3, classes: int = 4, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(images, 3, side, side + 2, 5 + classes, generator=generator).requires_grad_()
        for name, side in (("p3", 8), ("p4", 4), ("p5", 2))
    }


def by_loops(output: dict[str, torch.Tensor], targets: torch.Tensor) -> tuple[float, float, float]:
    """box, obj, cls before gains: match after match, with torchvision's CIoU and a table that is written over."""
    grids = [tuple(value.shape[2:4]) for value in output.values()]
    box = obj = cls = 0.0
    for level, (raw, found) in enumerate(zip(output.values(), assign(targets, ANCHORS, grids), strict=True)):
        raw = raw.detach().double()
        wanted = torch.zeros(raw.shape[:4], dtype=torch.float64)
        losses, classes = [], []
        for m in range(len(found)):
            place = tuple(int(part[m]) for part in (found.image, found.anchor, found.row, found.column))
            cell = raw[place]
            anchor = ANCHORS[level][place[1]].double()
            predicted = torch.cat((cell[:2].sigmoid() * 2 - 0.5, (cell[2:4].sigmoid() * 2) ** 2 * anchor))
            iou = complete_box_iou(corners_of(predicted[None]), corners_of(found.box[m].double()[None])).item()
            losses.append(1 - iou)
            wanted[place] = max(iou, 0.0)
            one_hot = [1.0 if c == int(found.label[m]) else 0.0 for c in range(len(cell) - 5)]
            share = cell[5:].sigmoid().tolist()
            classes += [-math.log(p if y else 1 - p) for p, y in zip(share, one_hot, strict=True)]
        box += sum(losses) / len(losses) if losses else 0.0
        cls += sum(classes) / len(classes) if classes else 0.0
        obj += (4.0, 1.0, 0.4)[level] * F.binary_cross_entropy(raw[..., 4].sigmoid(), wanted).item()
    return box, obj, cls


@pytest.mark.parametrize("name", TARGETS)
def test_the_batch_loss_is_that_of_the_loop(name):
    output = raw_output()
    box, obj, cls = by_loops(output, TARGETS[name])
    with torch.no_grad():
        found = batch_loss(output, TARGETS[name], ANCHORS)
    assert float(found.box) == pytest.approx(0.05 * box, rel=1e-5)
    assert float(found.obj) == pytest.approx(1.0 * obj, rel=1e-5)
    assert float(found.cls) == pytest.approx(0.5 * cls, rel=1e-5)
    assert float(found.total) == pytest.approx(3 * (0.05 * box + obj + 0.5 * cls), rel=1e-5)


@pytest.mark.parametrize("name", TARGETS)
def test_the_mean_of_the_terms_is_the_batch_loss_before_gains_and_so_is_its_gradient(name):
    output = raw_output()
    whole = batch_loss(output, TARGETS[name], ANCHORS, gains=PLAIN)
    parts = terms(output, TARGETS[name], ANCHORS)
    assert {key: tuple(value.shape) for key, value in parts.items()} == {"box": (3,), "obj": (3,), "cls": (3,)}
    for key, values in parts.items():
        torch.testing.assert_close(values.mean(), getattr(whole, key), rtol=1e-5, atol=1e-7)
    one = torch.autograd.grad(whole.total / 3, list(output.values()), retain_graph=True)
    two = torch.autograd.grad(sum(values.mean() for values in parts.values()), list(output.values()))
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-7)


def test_each_sample_has_its_own_part():
    output, targets = raw_output(), TARGETS["many"]
    parts = terms(output, targets, ANCHORS)
    for image in range(3):
        alone = terms(
            {name: value[image : image + 1] for name, value in output.items()},
            targets[targets[:, 0] == image] * torch.tensor([0, 1, 1, 1, 1, 1]),
            ANCHORS,
        )
        torch.testing.assert_close(parts["obj"][image], alone["obj"][0], rtol=1e-5, atol=1e-6)
        gradient = torch.autograd.grad(parts["box"][image], output["p3"], retain_graph=True)[0]
        assert gradient[image].any() and not gradient[[i for i in range(3) if i != image]].any()
    nothing = terms(output, TARGETS["one"], ANCHORS)
    assert nothing["box"][[0, 2]].tolist() == [0, 0] == nothing["cls"][[0, 2]].tolist() and nothing["box"][1] > 0


def test_a_smaller_last_batch_has_terms_of_the_same_size():
    """The original's number of 2 images is a quarter of that of 8; the terms are not."""
    output = {name: value[:1].detach().expand(8, *value.shape[1:]).clone() for name, value in raw_output().items()}
    targets = torch.tensor([[image, 2, 0.5, 0.5, 0.3, 0.4] for image in range(8)])
    small = {name: value[:2] for name, value in output.items()}
    full, rest = batch_loss(output, targets, ANCHORS), batch_loss(small, targets[:2], ANCHORS)
    assert float(rest.total) == pytest.approx(float(full.total) / 4, rel=1e-5)
    for key, values in terms(output, targets, ANCHORS).items():
        torch.testing.assert_close(terms(small, targets[:2], ANCHORS)[key], values[:2], rtol=1e-5, atol=1e-6)


def test_the_last_match_of_a_cell_sets_its_objectness_whatever_the_device_does():
    """Two boxes of one cell and anchor, in both orders: only objectness depends on which comes last."""
    first, second = [0, 1, 0.55, 0.45, 0.1, 0.12], [0, 1, 0.56, 0.46, 0.2, 0.14]
    output = raw_output(images=1)
    there, back = (terms(output, torch.tensor(rows), ANCHORS) for rows in ([first, second], [second, first]))
    torch.testing.assert_close(there["box"], back["box"], rtol=1e-5, atol=1e-6)
    assert abs(float((there["obj"] - back["obj"]).detach())) > 1e-5


def test_objectness_takes_no_gradient_through_the_boxes_overlap():
    output = raw_output()
    gradient = torch.autograd.grad(terms(output, TARGETS["many"], ANCHORS)["obj"].sum(), list(output.values()))
    assert all(not part[..., :4].any() and not part[..., 5:].any() and part[..., 4].all() for part in gradient)


def test_one_class_has_no_class_loss():
    output = raw_output(classes=1)
    targets = torch.tensor([[0, 0, 0.5, 0.5, 0.3, 0.4]])
    assert not terms(output, targets, ANCHORS)["cls"].any() and float(batch_loss(output, targets, ANCHORS).cls) == 0


def test_a_right_answer_costs_next_to_nothing_and_a_wrong_one_more():
    output = {name: value.detach().clone() for name, value in raw_output(images=1).items()}
    targets = torch.tensor([[0, 2, 0.5, 0.5, 0.3, 0.4]])
    grids = [tuple(value.shape[2:4]) for value in output.values()]
    for level, (name, found) in enumerate(zip(output, assign(targets, ANCHORS, grids), strict=True)):
        output[name][..., 4] = -20.0
        place = (found.image, found.anchor, found.row, found.column)
        answer = torch.full((len(found), 9), -20.0)
        answer[:, :2] = torch.logit((found.box[:, :2] + 0.5) / 2)
        answer[:, 2:4] = torch.logit((found.box[:, 2:] / ANCHORS[level][found.anchor]).sqrt() / 2)
        answer[:, 4], answer[:, 7] = 20.0, 20.0
        output[name][place] = answer
    right = terms(output, targets, ANCHORS)
    assert all(float(value) < 1e-4 for value in right.values()), right
    output["p5"][..., 7] *= -1
    assert float(terms(output, targets, ANCHORS)["cls"]) > 1


def test_a_box_without_width_is_refused():
    with pytest.raises(DataError, match="target 0"):
        terms(raw_output(), torch.tensor([[0, 1, 0.0, 0.0, 0.0, 0.0]]), ANCHORS)


def test_sixteen_bit_outputs_give_finite_float32_terms():
    output = {name: (value.detach() * 30).bfloat16() for name, value in raw_output().items()}
    found = terms(output, TARGETS["many"], ANCHORS)
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in found.values())


def test_an_underflowed_box_has_a_finite_loss_and_gradient():
    output = raw_output()
    dead = {name: (value.detach() - 200).requires_grad_() for name, value in output.items()}
    total = sum(value.sum() for value in terms(dead, TARGETS["many"], ANCHORS).values())
    assert total.isfinite()
    assert all(part.isfinite().all() for part in torch.autograd.grad(total, list(dead.values())))


class TestCompleteIou:
    def test_it_is_torchvisions(self):
        generator = torch.Generator().manual_seed(0)
        boxes = torch.rand(2, 200, 4, generator=generator, dtype=torch.float64) * 5 + 0.1
        boxes[1, 100:] = boxes[0, 100:] * (1 + 0.1 * torch.rand(100, 4, generator=generator))
        expected = complete_box_iou(corners_of(boxes[0]), corners_of(boxes[1])).diagonal()
        torch.testing.assert_close(complete_iou(boxes[0], boxes[1]), expected, rtol=1e-5, atol=1e-6)
        assert (expected < 0).any() and (expected > 0.6).any()

    def test_equal_boxes_have_1_and_the_shape_is_part_of_it(self):
        box = torch.tensor([[3.0, 3, 2, 2]])
        assert float(complete_iou(box, box)) == pytest.approx(1, abs=1e-6)
        wide = torch.tensor([[3.0, 3, 4, 1]])
        v = 4 / math.pi**2 * (math.atan(1) - math.atan(4)) ** 2
        iou = 2 / 6
        assert float(complete_iou(box, wide)) == pytest.approx(iou - v * v / (1 - iou + v), rel=1e-5)

    def test_alpha_takes_no_gradient(self):
        box = torch.tensor([[3.0, 3, 2, 2]], requires_grad=True)
        other = torch.tensor([[3.2, 3.1, 4, 1]])
        found = torch.autograd.grad(complete_iou(box, other).sum(), box)[0]
        with torch.no_grad():
            meet = (torch.minimum(corners_of(box)[:, 2:], corners_of(other)[:, 2:])
                    - torch.maximum(corners_of(box)[:, :2], corners_of(other)[:, :2])).prod()  # fmt: skip
            iou = meet / (8 - meet)
            v = 4 / math.pi**2 * (math.atan(1) - math.atan(4)) ** 2
            alpha = v / (1 - iou + v)

        def held(width: torch.Tensor) -> torch.Tensor:
            now = torch.cat((torch.tensor([3.0, 3.0]), width, torch.tensor([2.0])))[None]
            turn = 4 / math.pi**2 * (math.atan(4) - torch.atan(width / 2)) ** 2
            one, two = corners_of(now), corners_of(other)
            meet = (torch.minimum(one[:, 2:], two[:, 2:]) - torch.maximum(one[:, :2], two[:, :2])).prod(1)
            overlap = meet / (width * 2 + 4 - meet)
            around = torch.maximum(one[:, 2:], two[:, 2:]) - torch.minimum(one[:, :2], two[:, :2])
            return overlap - 0.05 / around.square().sum(1) - turn * alpha

        width = torch.tensor([2.0], requires_grad=True)
        expected = torch.autograd.grad(held(width).sum(), width)[0]
        assert float(found[0, 2]) == pytest.approx(float(expected), rel=1e-4)


def test_gains_follow_size_classes_and_levels():
    assert scaled_gains(640, 80) == dict(GAINS) == {"box": 0.05, "obj": 1.0, "cls": 0.5}
    assert scaled_gains(320, 4) == pytest.approx({"box": 0.05, "obj": 0.25, "cls": 0.025})
    assert scaled_gains(640, 80, levels=4) == pytest.approx({"box": 0.0375, "obj": 0.75, "cls": 0.375})
    output = {name: value.detach() for name, value in raw_output().items()}
    one = batch_loss(output, TARGETS["many"], ANCHORS, gains=PLAIN)
    two = batch_loss(output, TARGETS["many"], ANCHORS, gains={"box": 2.0, "obj": 3.0, "cls": 5.0})
    assert [float(getattr(two, k) / getattr(one, k)) for k in PLAIN] == pytest.approx([2, 3, 5])


def test_a_height_that_vanishes_keeps_its_aspect_ratio_and_a_gradient():
    """The aspect term of (1, 1e-9) against (1, 1) is that of a vertical slant; far below, gradients stay finite."""
    other = torch.tensor([[0.5, 0.5, 1.0, 1.0]])
    for height, exact in ((1e-9, True), (1e-30, False)):
        box = torch.tensor([[0.5, 0.5, 1.0, height]], dtype=torch.float32, requires_grad=True)
        found = complete_iou(box, other)
        assert torch.isfinite(torch.autograd.grad(found.sum(), box)[0]).all()
        if exact:
            v = (math.atan(1.0) - math.atan(1 / height)) ** 2 * 4 / math.pi**2
            assert float(found.detach()) == pytest.approx(height - v * v / (1 - height + v), rel=1e-5)
    flat = torch.tensor([[0.5, 0.5, 1e-8, 1e-8]])
    square = float(complete_iou(flat, other))
    assert square == pytest.approx(float(complete_iou(torch.tensor([[0.5, 0.5, 1e-6, 1e-6]]), other)), abs=1e-5)
