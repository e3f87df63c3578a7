"""The detector's loss: its parts against references, the laws of its ranges, and what it may never ignore."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import box_convert, generalized_box_iou_loss, sigmoid_focal_loss

from veritrain.errors import DataError, NonFiniteError
from veritrain.losses.cell_assignment import assign_cells
from veritrain.losses.set_detection import (
    TEMPERATURE,
    WEIGHTS,
    contrast_losses,
    detection_terms,
    focal_losses,
    layer_terms,
    parts_of,
    varifocal_losses,
)
from veritrain.losses.set_matching import match, pair_iou
from veritrain.models.detr_answers import Part, layers_of, logits_of
from veritrain.models.detr_memory import cells_of

TARGETS = torch.tensor(
    [
        [0, 1, 0.5, 0.5, 0.3, 0.4],
        [2, 0, 0.2, 0.7, 0.1, 0.2],
        [0, 2, 0.25, 0.2, 0.2, 0.1],
        [2, 1, 0.6, 0.6, 0.5, 0.5],
        [2, 1, 0.8, 0.2, 0.2, 0.2],
    ]
)
CELLS = cells_of(((4, 4), (2, 2)), torch.zeros(1))
CLASSES, WIDTH, LAYERS, IMAGES = 4, 6, 3, 3


def made_part(layers: int, count: int, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(layers, IMAGES, count, 4, generator=generator) * 0.5 + 0.2
    embeddings = F.normalize(torch.randn(layers, IMAGES, count, WIDTH, generator=generator), dim=-1)
    return {
        "boxes": boxes.requires_grad_(),
        "embeddings": embeddings.requires_grad_(),
        "scale": torch.full((layers,), 5.0),
        "bias": torch.full((layers,), -1.0),
        "valid": torch.ones(IMAGES, count, dtype=torch.bool),
    }


def made_output(*, cells: bool = True, queries: bool = True, context: bool = True) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    texts = F.normalize(torch.randn(CLASSES, WIDTH, generator=generator), dim=1)
    output = {"texts": texts}
    if context:
        output["context"] = F.normalize(torch.randn(IMAGES, WIDTH, generator=generator), dim=1)
    if cells:
        output |= {f"cell_{name}": value for name, value in made_part(1, len(CELLS), 1).items()}
        output["cells"] = CELLS
    return {**output, **(made_part(LAYERS, 7, 2) if queries else {})}


def of_images(output: dict[str, torch.Tensor], images: list[int]) -> dict[str, torch.Tensor]:
    """The output of these images alone."""
    places = {"boxes": 1, "embeddings": 1, "cell_boxes": 1, "cell_embeddings": 1}
    places |= {"valid": 0, "cell_valid": 0, "context": 0}
    return {
        name: value.index_select(places[name], torch.tensor(images)) if name in places else value
        for name, value in output.items()
    }


def class_logits(output: dict[str, torch.Tensor], part: Part) -> torch.Tensor:
    return logits_of(layers_of({name: value for name, value in output.items() if name != "context"}, part))


def corners(boxes: torch.Tensor) -> torch.Tensor:
    return box_convert(boxes, "cxcywh", "xyxy")


def test_focal_is_that_of_torchvision():
    logits = 4 * torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    wanted = (torch.rand(50, 7, generator=torch.Generator().manual_seed(1)) > 0.7).float()
    torch.testing.assert_close(focal_losses(logits, wanted), sigmoid_focal_loss(logits, wanted, reduction="none"))


def test_varifocal_is_the_papers_equation():
    logits, quality = [-2.0, 0.5, 3.0, -1.0], [0.0, 0.8, 1.0, 0.3]
    for x, q in zip(logits, quality, strict=True):
        p = 1 / (1 + math.exp(-x))
        wanted = -q * (q * math.log(p) + (1 - q) * math.log(1 - p)) if q > 0 else -0.75 * p**2 * math.log(1 - p)
        assert float(varifocal_losses(torch.tensor(x), torch.tensor(q))) == pytest.approx(wanted, rel=1e-5)


def test_varifocal_is_least_where_the_score_is_the_quality():
    scores = torch.linspace(0.01, 0.99, 99)
    losses = varifocal_losses(scores.logit(), torch.full_like(scores, 0.4))
    assert float(scores[losses.argmin()]) == pytest.approx(0.4, abs=0.011)
    assert (losses >= 0).all() and (varifocal_losses(scores.logit(), torch.zeros(99)) >= 0).all()


@pytest.mark.parametrize("class_loss", ["varifocal", "focal"])
def test_the_mean_of_the_terms_is_the_sum_over_the_batch_divided_by_its_objects(class_loss):
    """DETR's number, layer by layer with torchvision's losses; all queries count in the class loss."""
    output = made_output(cells=False)
    boxes, logits = (
        output["boxes"],
        logits_of(layers_of({k: v for k, v in output.items() if k != "context"}, "queries")),
    )
    pairs = match(boxes, logits, TARGETS)
    wanted = dict.fromkeys(WEIGHTS, 0.0)
    for layer in range(LAYERS):
        own = pairs.layer == layer
        image, query, row = pairs.image[own], pairs.answer[own], TARGETS[pairs.target[own]]
        found, label = boxes[layer, image, query], row[:, 1].long()
        wanted["l1"] += float(F.l1_loss(found, row[:, 2:], reduction="sum")) / 5
        wanted["giou"] += float(generalized_box_iou_loss(corners(found), corners(row[:, 2:]), reduction="sum")) / 5
        places = (image, query, label)
        if class_loss == "focal":
            quality = torch.zeros(logits.shape[1:]).index_put(places, torch.ones(5))
            wanted["cls"] += float(sigmoid_focal_loss(logits[layer], quality, reduction="sum")) / 5
        else:
            quality = torch.zeros(logits.shape[1:]).index_put(places, pair_iou(found, row[:, 2:]))
            wanted["cls"] += float(varifocal_losses(logits[layer], quality).sum()) / 5
        columns = torch.cat((output["embeddings"][layer, image, query] @ output["texts"].T, torch.zeros(5, 1)), 1)
        for k in range(5):
            text, seen = output["texts"][label[k]], output["context"][image[k]]
            rest = seen - (seen @ text) * text
            columns[k, -1] = output["embeddings"][layer, image[k], query[k]] @ rest
        wanted["contrast"] += float(F.cross_entropy(columns / TEMPERATURE, label, reduction="sum")) / 5
    terms = detection_terms(output, TARGETS, class_loss=class_loss)
    for name, values in terms.items():
        assert values.shape == (IMAGES,)
        assert float(values.mean()) == pytest.approx(wanted[name], rel=1e-4), name


def test_terms_of_cells_are_divided_by_their_pairs():
    output = made_output(queries=False)
    logits = class_logits(output, "cells")
    pairs = assign_cells(output["cell_boxes"], logits, TARGETS, CELLS, output["cell_valid"])
    assert len(pairs) > len(TARGETS)
    found, row = output["cell_boxes"][0, pairs.image, pairs.answer], TARGETS[pairs.target]
    quality = torch.zeros(logits.shape).index_put(
        (pairs.layer, pairs.image, pairs.answer, row[:, 1].long()), pairs.quality
    )
    terms = detection_terms(output, TARGETS)
    assert float(terms["l1"].mean()) == pytest.approx(float((found - row[:, 2:]).abs().sum(1).mean()), rel=1e-5)
    assert float(terms["cls"].mean()) == pytest.approx(
        float(varifocal_losses(logits, quality).sum()) / len(pairs), rel=1e-5
    )


def test_both_parts_are_summed():
    output = made_output()
    assert parts_of(output) == ("cells", "queries")
    cells, queries = (layer_terms(output, TARGETS, part) for part in parts_of(output))
    assert cells["giou"].shape == (1, IMAGES) and queries["giou"].shape == (LAYERS, IMAGES)
    for name, values in detection_terms(output, TARGETS).items():
        torch.testing.assert_close(values, cells[name].sum(0) + queries[name].sum(0))


def test_ranges():
    """A GIoU loss lies in [0, 2], for identical boxes it is 0, and every term is a loss: 0 or more."""
    for seed in range(5):
        output = made_output()
        output["boxes"] = torch.rand(LAYERS, IMAGES, 7, 4, generator=torch.Generator().manual_seed(seed)) ** 3 + 1e-3
        terms = layer_terms(output, TARGETS, "queries")
        assert all((values >= 0).all() for values in terms.values())
        assert (terms["giou"] * 5 / IMAGES <= 2 * torch.tensor([2, 1, 3])).all()
    exact = made_output(cells=False)
    boxes = exact["boxes"].detach().clone()
    boxes[:, 0, :2], boxes[:, 2, :3] = TARGETS[[0, 2], 2:], TARGETS[[1, 3, 4], 2:]
    of_boxes_alone = {"boxes": boxes, "scale": torch.zeros(LAYERS)}
    terms = layer_terms({**exact, **of_boxes_alone}, TARGETS, "queries")
    assert float(terms["giou"].max()) < 1e-4 and float(terms["l1"].max()) < 1e-6


def test_an_image_without_objects_has_its_classes_alone():
    terms = detection_terms(made_output(), TARGETS)
    assert all(float(terms[name][1]) == 0 for name in ("l1", "giou", "contrast")) and float(terms["cls"][1]) > 0
    nothing = detection_terms(made_output(), torch.zeros(0, 6))
    assert all(values.isfinite().all() for values in nothing.values()) and (nothing["cls"] > 0).all()


def test_each_image_has_its_own_part():
    output = made_output()
    terms = detection_terms(output, TARGETS)
    for name, values in terms.items():
        learned = [part for part in ("boxes", "embeddings") if not (part == "boxes" and name in ("cls", "contrast"))]
        for part in learned:
            if name in ("l1", "giou") and part == "embeddings":
                continue
            for key in (part, f"cell_{part}"):
                gradient = torch.autograd.grad(values[2], output[key], retain_graph=True)[0]
                assert gradient[:, 2].any() and not gradient[:, :2].any(), (name, key)


def test_a_smaller_batch_has_terms_of_the_same_size():
    """Two images that repeat cost what one of them does."""
    output = made_output()
    one, two = of_images(output, [2]), of_images(output, [2, 2])
    own = TARGETS[TARGETS[:, 0] == 2] * torch.tensor([0, 1, 1, 1, 1, 1])
    again = own + torch.tensor([1, 0, 0, 0, 0, 0])
    alone, both = detection_terms(one, own), detection_terms(two, torch.cat((own, again)))
    for name, values in both.items():
        torch.testing.assert_close(values, alone[name].expand(2), rtol=1e-5, atol=1e-6)


def test_every_query_learns_classes_and_no_padding_does():
    """Report 002's detector had no loss at all on what matched nothing, so that its scores meant nothing."""
    output = made_output()
    output["valid"][:, 5] = False
    output["cell_valid"][:, 3] = False
    terms = detection_terms(output, TARGETS)
    for key, padding in (("embeddings", 5), ("cell_embeddings", 3)):
        gradient = torch.autograd.grad(terms["cls"].sum(), output[key], retain_graph=True)[0].abs().sum(-1)
        assert not gradient[:, :, padding].any()
        assert (gradient > 0).sum() == gradient.numel() // gradient.shape[2] * (gradient.shape[2] - 1)


def test_the_quality_is_no_way_to_a_better_loss():
    """The IoU that a score is to reach is detached: the class loss moves no box."""
    output = made_output(cells=False)
    gradient = torch.autograd.grad(detection_terms(output, TARGETS)["cls"].sum(), output["boxes"], allow_unused=True)[0]
    assert gradient is None or not gradient.any()


def test_the_loss_reads_the_context():
    """Report 002's loss computed the column of the context and then cut it off."""
    output = made_output()
    with_it = detection_terms(output, TARGETS)["contrast"]
    other = detection_terms({**output, "context": output["context"].roll(1, 0)}, TARGETS)["contrast"]
    without = detection_terms({name: value for name, value in output.items() if name != "context"}, TARGETS)["contrast"]
    assert not torch.allclose(with_it, other) and (with_it[[0, 2]] > without[[0, 2]]).all()


def test_a_context_like_the_objects_own_class_does_not_push_it_away():
    """One object may fill an image, whose embedding is then that of its class."""
    texts = F.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    answer = F.normalize(texts[:1] + 0.3, dim=1).requires_grad_()
    label = torch.tensor([0])
    same = torch.autograd.grad(contrast_losses(answer, label, texts, texts[:1]).sum(), answer)[0]
    classes = answer @ texts.T / TEMPERATURE
    constant = torch.cat((classes, torch.zeros(1, 1)), 1)
    wanted = torch.autograd.grad(F.cross_entropy(constant, label), answer)[0]
    torch.testing.assert_close(same, wanted, rtol=1e-4, atol=1e-5)
    pushed = torch.autograd.grad(contrast_losses(answer, label, texts, texts[1:2]).sum(), answer)[0]
    assert float((pushed * texts[0]).sum()) < 0


def test_contrast_of_one_class_alone_is_nothing():
    answer, text = F.normalize(torch.randn(2, 5, 8), dim=2)
    assert not contrast_losses(answer, torch.zeros(5, dtype=torch.int64), text[:1], None).any()


def test_guessing_costs_the_logarithm_of_the_columns():
    texts = torch.eye(8)[:3]
    answer, context = torch.eye(8)[5:6], torch.eye(8)[6:7]
    losses = contrast_losses(answer, torch.tensor([1]), texts, context)
    assert float(losses) == pytest.approx(math.log(4))


def test_what_cannot_be_learned_is_refused():
    output = made_output()
    with pytest.raises(DataError, match="target 0"):
        detection_terms(output, torch.tensor([[0, CLASSES, 0.5, 0.5, 0.2, 0.2]]))
    with pytest.raises(DataError, match="more objects"):
        detection_terms(output, TARGETS[:1].repeat(8, 1))
    with pytest.raises(NonFiniteError, match="layer 1, image 0"):
        broken = output["boxes"].detach().clone()
        broken[1, 0, 0, 0] = float("inf")
        detection_terms({**output, "boxes": broken}, TARGETS)
