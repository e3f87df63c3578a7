"""Boxes with class and score, against a loop over everything that could be answered."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import batched_nms, box_convert

from veritrain.errors import ConfigError
from veritrain.models.detr_answers import answered_by, best_scores, detections, layers_of, logits_of

CLASSES, WIDTH = 7, 6


def made_output(part: str, *, layers: int = 2, count: int = 30, context: bool = False) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    prefix = "cell_" if part == "cells" else ""
    layers = 1 if part == "cells" else layers
    boxes = torch.rand(layers, 2, count, 4, generator=generator) * torch.tensor([1, 1, 0.5, 0.5])
    output = {
        f"{prefix}boxes": boxes,
        f"{prefix}embeddings": F.normalize(torch.randn(layers, 2, count, WIDTH, generator=generator), dim=-1),
        f"{prefix}scale": torch.linspace(3, 5, layers),
        f"{prefix}bias": torch.linspace(-2, -1, layers),
        f"{prefix}valid": torch.rand(2, count, generator=generator) > 0.2,
        "texts": F.normalize(torch.randn(CLASSES, WIDTH, generator=generator), dim=1),
    }
    if context:
        output["context"] = F.normalize(torch.randn(2, WIDTH, generator=generator), dim=1)
    return output


def by_loops(output: dict[str, torch.Tensor], part: str, image: int, size: tuple[int, int]) -> list[tuple[float, ...]]:
    layers = layers_of(output, part)
    logits = logits_of({name: value for name, value in layers.items() if name != "context"})[-1, image]
    rows = []
    for answer, box in enumerate(box_convert(layers["boxes"][-1, image], "cxcywh", "xyxy").clamp(0, 1)):
        if layers["valid"][image, answer]:
            scaled = (box * torch.tensor([size[1], size[0], size[1], size[0]])).tolist()
            rows += [(*scaled, float(logits[answer, label].sigmoid()), label) for label in range(CLASSES)]
    return sorted(rows, key=lambda row: -row[4])


@pytest.mark.parametrize("part", ["queries", "cells"])
def test_the_surest_pairs_of_box_and_class_are_answered(part):
    output = made_output(part)
    for image, found in enumerate(detections(output, (48, 64), most_boxes=40, overlap=1.0)):
        wanted = torch.tensor(by_loops(output, part, image, (48, 64))[:40])
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
def test_chunks_of_classes_change_nothing(chunk):
    output = made_output("queries")
    for one, two in zip(detections(output, (64, 64)), detections(output, (64, 64), chunk=chunk), strict=True):
        torch.testing.assert_close(one, two)
    best, label = best_scores(output["embeddings"], output["texts"], chunk=chunk)
    wanted = (output["embeddings"] @ output["texts"].T).max(-1)
    torch.testing.assert_close(best, wanted.values)
    assert torch.equal(label, wanted.indices)


def test_suppression_is_torchvisions_class_by_class():
    output = made_output("cells", count=40)
    for image, found in enumerate(detections(output, (64, 64), overlap=0.4, most_boxes=1000)):
        everything = torch.tensor(by_loops(output, "cells", image, (64, 64)))
        kept = batched_nms(everything[:, :4], everything[:, 4], everything[:, 5].long(), 0.4)
        torch.testing.assert_close(found, everything[kept], rtol=1e-4, atol=1e-4)
        assert len(kept) < len(everything)


def test_the_last_layer_of_the_queries_answers():
    output = {**made_output("cells"), **made_output("queries")}
    assert answered_by(output) == "queries" and answered_by(made_output("cells")) == "cells"
    before = detections(output, (64, 64))
    output["boxes"][0] = 0.5
    output["cell_boxes"][:] = 0.5
    assert all(torch.equal(one, two) for one, two in zip(before, detections(output, (64, 64)), strict=True))


def test_the_context_is_one_column_more_and_no_class():
    output = made_output("queries", context=True)
    without = {name: value for name, value in output.items() if name != "context"}
    more, fewer = (logits_of(layers_of(one, "queries")) for one in (output, without))
    assert more.shape[3] == fewer.shape[3] + 1 == CLASSES + 1
    torch.testing.assert_close(more[..., :CLASSES], fewer)
    own = (output["embeddings"] * output["context"][None, :, None]).sum(-1)
    wanted = output["scale"].view(-1, 1, 1) * own + output["bias"].view(-1, 1, 1)
    torch.testing.assert_close(more[..., CLASSES], wanted)
    for one, two in zip(detections(output, (64, 64)), detections(without, (64, 64)), strict=True):
        assert torch.equal(one, two) and one[:, 5].max() < CLASSES


def test_what_is_not_surer_than_the_least_is_left_out():
    output = made_output("queries")
    everything, some = detections(output, (64, 64))[0], detections(output, (64, 64), least=0.3)[0]
    assert torch.equal(some, everything[everything[:, 4] > 0.3]) and 0 < len(some) < len(everything)


@pytest.mark.parametrize("chosen", [{"overlap": 1.5}, {"least": -0.1}, {"most_boxes": 0}, {"chunk": 0}])
def test_thresholds_out_of_range_are_refused(chosen):
    with pytest.raises(ConfigError):
        detections(made_output("queries"), (64, 64), **chosen)
