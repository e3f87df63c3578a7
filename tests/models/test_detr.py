"""The whole detector: shapes, what can be switched off, what stays as it was, and that it learns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from models.tiny_clip import tiny_clip
from veritrain.data.caption_tokens import CaptionTokens
from veritrain.errors import ConfigError, DataError
from veritrain.losses.set_detection import WEIGHTS, detection_terms
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection import detection_scores
from veritrain.metrics.matching import match_detections
from veritrain.models.detr import Detector, chosen_cells
from veritrain.models.detr_answers import detections, layers_of, logits_of
from veritrain.models.options import DetectorOptions, SmallClipOptions
from veritrain.models.small_clip import SmallClip
from veritrain.worlds.aerial_parts import plan_scenes
from veritrain.worlds.aerial_scene import draw_scene, lay_out
from veritrain.worlds.aerial_sites import LOOKS
from veritrain.worlds.options import AerialOptions

TINY = SmallClipOptions(width=8, embed_dim=16, text_width=16, text_layers=1, heads=2, context_length=12)
DENSE: dict[str, Any] = {"width": 16, "heads": 4}
QUERY: dict[str, Any] = {**DENSE, "kind": "query", "queries": 12, "decoder_layers": 2}
KINDS = {
    "dense": DENSE,
    "dense, stride 4": {**DENSE, "finest": 4},
    "query": QUERY,
    "query, one cell an object": {**QUERY, "cell_labels": "one"},
    "query, learned": {**QUERY, "query_source": "learned", "attention": "full"},
}
TARGETS = torch.tensor([[0, 1, 0.5, 0.5, 0.3, 0.4], [1, 0, 0.2, 0.7, 0.1, 0.2], [0, 2, 0.25, 0.2, 0.2, 0.1]])


def detector(seed: int = 0, **chosen: Any) -> Detector:
    torch.manual_seed(seed)
    tower = SmallClip(TINY, CaptionTokens.learn(["a ship"])).image
    return Detector(tower, DetectorOptions(**chosen))


def batch_of(images: int = 2, classes: int = 5, side: int = 64) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "image": torch.rand(images, 3, side, side, generator=generator) * 2 - 1,
        "texts": torch.randn(classes, 16, generator=generator),
    }


def stirred(net: Detector) -> Detector:
    """Nothing at zero: what starts as an identity does something."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return net


def total(net: Detector, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    terms = detection_terms(net(batch), TARGETS)
    return torch.stack([WEIGHTS[name] * values.mean() for name, values in terms.items()]).sum()


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [1, 7])
def test_outputs_are_what_the_docstring_says_for_any_number_of_classes(kind, classes):
    net = detector(**KINDS[kind])
    output = net(batch_of(classes=classes))
    assert output["texts"].shape == (classes, 16) and output["context"].shape == (2, 16)
    cells = 341 if KINDS[kind].get("finest") == 4 else 85
    layers = {"cells": (1, 2, cells), "queries": (3 if KINDS[kind].get("cell_labels") == "one" else 2, 2, 12)}
    has = {
        "cells": net.options.kind == "dense" or (net.cells is not None and net.options.cell_labels == "many"),
        "queries": net.options.kind == "query",
    }
    keys = {"texts", "context"}
    for part, prefix in (("cells", "cell_"), ("queries", "")):
        if not has[part]:
            continue
        keys |= {prefix + name for name in ("boxes", "embeddings", "scale", "bias", "valid")}
        found = layers_of(output, part)
        assert found["boxes"].shape == (*layers[part], 4) and found["embeddings"].shape == (*layers[part], 16)
        assert found["scale"].shape == found["bias"].shape == layers[part][:1] and found["valid"].all()
        assert logits_of(found).shape == (*layers[part], classes + 1)
        for unit in ("embeddings", "texts", "context"):
            torch.testing.assert_close(found[unit].norm(dim=-1), torch.ones(found[unit].shape[:-1]))
    assert set(output) == keys | ({"cells"} if has["cells"] else set())


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_part_that_is_on(kind):
    net = stirred(detector(**KINDS[kind])).train()
    total(net, batch_of(side=128)).backward()
    silent = [name for name, parameter in net.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    # Attention ignores what all keys have in common, so that their bias is the one thing that may be silent.
    assert not [name for name in silent if not name.endswith(".key.bias")]


@pytest.mark.parametrize("off", ["gate", "text_conditioning"])
@pytest.mark.parametrize("kind", ["dense", "query"])
def test_gate_and_texts_start_as_if_they_were_off(kind, off):
    with_it, without = detector(**KINDS[kind]).eval(), detector(**KINDS[kind], **{off: False}).eval()
    missing, unexpected = without.load_state_dict(with_it.state_dict(), strict=False)
    assert not missing and unexpected
    with torch.no_grad():
        one, two = with_it(batch_of()), without(batch_of())
        assert set(one) == set(two)
        for name in one:
            torch.testing.assert_close(one[name], two[name])
        changed = stirred(with_it)(batch_of())
        again, _ = without.load_state_dict(with_it.state_dict(), strict=False)
        key = "boxes" if kind == "query" else "cell_embeddings"
        assert not again and not torch.allclose(changed[key], without(batch_of())[key], atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["dense", "query"])
def test_without_the_anchor_one_column_is_gone_and_nothing_else(kind):
    with_it, without = detector(**KINDS[kind]).eval(), detector(**KINDS[kind], context_anchor=False).eval()
    without.load_state_dict(with_it.state_dict())
    one, two = with_it(batch_of()), without(batch_of())
    assert set(one) - set(two) == {"context"}
    part = "cells" if kind == "dense" else "queries"
    more, fewer = logits_of(layers_of(one, part)), logits_of(layers_of(two, part))
    assert more.shape[3] == 6 and fewer.shape[3] == 5
    torch.testing.assert_close(more[..., :5], fewer)


@pytest.mark.parametrize("how", ["frozen", "low_rate", "trainable"])
def test_a_tower_moves_as_it_was_told_and_its_statistics_never(how):
    net = detector(**DENSE, tower=how).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    total(net, batch_of(side=128)).backward()
    torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1).step()
    moved = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    of_tower = {name for name in moved if name.startswith("tower.")}
    assert bool(of_tower) == (how != "frozen") and moved - of_tower
    assert not [name for name in of_tower if "running" in name or "num_batches" in name]
    assert net.rate_scales() == {"tower.": 0.1 if how == "low_rate" else 1.0}


def test_a_tower_from_scratch_keeps_statistics():
    net = detector(**DENSE).train()
    before = net.tower.stem[0][1].running_mean.clone()
    net(batch_of())
    assert not torch.equal(net.tower.stem[0][1].running_mean, before) and net.rate_scales() == {"tower.": 1.0}


@torch.no_grad()
@pytest.mark.parametrize("kind", ["dense", "query"])
def test_an_image_has_its_answers_whatever_else_is_in_the_batch(kind):
    net, batch = stirred(detector(**KINDS[kind])).eval(), batch_of(3)
    together = detections(net(batch), (64, 64))
    for image in range(3):
        (alone,) = detections(net({**batch, "image": batch["image"][image : image + 1]}), (64, 64))
        torch.testing.assert_close(alone, together[image], rtol=1e-3, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["dense", "query"])
def test_classes_in_another_order_are_the_same_answers(kind):
    net, batch = stirred(detector(**KINDS[kind])).eval(), batch_of()
    order = torch.tensor([3, 1, 4, 0, 2])
    one, two = net(batch), net({**batch, "texts": batch["texts"][order]})
    part = "cells" if kind == "dense" else "queries"
    columns = [*order.tolist(), 5]
    torch.testing.assert_close(
        logits_of(layers_of(one, part))[..., columns], logits_of(layers_of(two, part)), rtol=1e-3, atol=1e-4
    )


@torch.no_grad()
@pytest.mark.parametrize("kind", ["dense", "query"])
def test_what_padding_holds_changes_nothing_and_nothing_answers_in_it(kind):
    net, batch = stirred(detector(**KINDS[kind])).eval(), batch_of()
    batch["placed"] = torch.tensor([[64, 64, 64, 64, 0, 0], [64, 64, 32, 64, 0, 0]])
    before = net(batch)
    batch["image"][1, :, 32:] = 0.7
    after = net(batch)
    for name in before:
        torch.testing.assert_close(before[name], after[name])
    cells = before["cells"]
    assert torch.equal(before["cell_valid"], torch.stack((torch.ones(85, dtype=torch.bool), cells[:, 1] < 0.5)))
    batch["image"][1, :, :32] = 0.7
    assert not torch.equal(net(batch)["context"], before["context"])


@torch.no_grad()
def test_queries_are_the_cells_with_the_best_class():
    net, batch = stirred(detector(**{**QUERY, "cell_labels": "one"})).eval(), batch_of()
    output = net(batch)
    found = logits_of(layers_of(output, "queries"))[0, ..., :5].amax(2)
    assert (found.diff(dim=1) <= 1e-6).all() and output["boxes"].shape[2] == 12
    cells = {"cell_embeddings": torch.eye(4)[None, None], "cell_valid": torch.tensor([[True, True, False, True]])}
    chosen = chosen_cells(cells, torch.tensor([[0.1, 0.4, 0.9, 0.2]]), 10)
    assert chosen.tolist() == [[1, 3, 0, 2]]


class Largest(TorchDispatchMode):
    """The most numbers that any one tensor held."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else (out,):
            if isinstance(one, torch.Tensor):
                self.numbers = max(self.numbers, one.numel())
        return out


@torch.no_grad()
@pytest.mark.parametrize("kind", ["dense", "query"])
def test_ten_thousand_classes_need_little_more_memory_than_their_texts(kind):
    net, batch = detector(**KINDS[kind]).eval(), batch_of(classes=10_000)
    with Largest() as seen:
        found = detections(net(batch), (64, 64))
    answers = 2 * 85
    assert all(len(one) for one in found) and max(float(one[:, 5].max()) for one in found) > 256
    assert seen.numbers <= max(10_000 * 16 * 2, 1 << 22) and 10_000 * answers * 4 > 1 << 22


def test_texts_that_do_not_fit_are_refused():
    net = detector(**DENSE)
    for texts in (torch.zeros(0, 16), torch.zeros(5, 8), torch.zeros(16)):
        with pytest.raises(DataError, match="cannot compare"):
            net({**batch_of(), "texts": texts})


def test_more_objects_than_queries_are_refused():
    output = detector(**{**QUERY, "queries": 2})(batch_of())
    with pytest.raises(DataError, match="image 0 of the batch has more objects"):
        detection_terms(output, TARGETS[[0, 2, 0]])


@torch.no_grad()
def test_any_tower_will_do(monkeypatch):
    """A vision transformer has one map."""
    for options in (DENSE, QUERY):
        net = Detector(tiny_clip(monkeypatch).image, DetectorOptions(**options, tower="frozen"))
        output = net(batch_of(side=96))
        assert all(len(one) for one in detections(output, (96, 96)))


def test_balancers_get_what_every_term_passes_through():
    net = stirred(detector(**DENSE)).train()
    shared = net.shared_parameters()
    for values in detection_terms(net(batch_of(side=128)), TARGETS).values():
        found = torch.autograd.grad(values.sum(), shared, retain_graph=True, allow_unused=True)
        assert all(gradient is not None and gradient.any() for gradient in found)


@pytest.mark.parametrize(
    ("chosen", "word"),
    [
        ({"kind": "sparse"}, "no kind"),
        ({"width": 0}, "width is too small"),
        ({"width": 30, "heads": 2}, "width 30"),
        ({"heads": 3}, "heads 3"),
        ({"finest": 16}, "finest 16"),
        ({"queries": 100}, "queries 100"),
        ({"decoder_layers": 0}, "decoder_layers is too small"),
        ({"kind": "query", "query_source": "learned", "cell_labels": "one"}, "cell_labels one"),
        ({"kind": "query", "attention": "full", "points": 8}, "points 8"),
    ],
)
def test_options_that_mean_nothing_are_refused(chosen, word):
    with pytest.raises(ConfigError, match=word):
        DetectorOptions(**chosen)


def eight_images() -> tuple[torch.Tensor, torch.Tensor]:
    """Made images of 96 pixels with 1 to 6 objects each, in [-1, 1], and their targets."""
    options = AerialOptions(images=40, height=96, width=96, seed=3, per_scene=1)
    names = sorted(LOOKS)
    images: list[torch.Tensor] = []
    rows: list[tuple[float, ...]] = []
    for plan in plan_scenes(options):
        for picture, labels in draw_scene(lay_out(plan, options), options.seed, plan.number):
            if not 1 <= len(labels) <= 6 or len(images) == 8:
                continue
            for label in labels:
                left, top, right, bottom = (label.box[0] - 1, label.box[1] - 1, label.box[2], label.box[3])
                box = ((left + right) / 192, (top + bottom) / 192, (right - left) / 96, (bottom - top) / 96)
                rows.append((len(images), names.index(label.name), *box))
            images.append(torch.from_numpy(picture).permute(2, 0, 1).float() / 127.5 - 1)
    return torch.stack(images), torch.tensor(rows)


def scored(net: Detector, images: torch.Tensor, targets: torch.Tensor, texts: torch.Tensor) -> float:
    net.eval()
    with torch.no_grad():
        found = [one.double().numpy() for one in detections(net({"image": images, "texts": texts}), (96, 96))]
    net.train()
    owner = np.repeat(np.arange(len(found)), [len(one) for one in found])
    boxes = np.concatenate(found)
    true = targets.double().numpy()
    half = true[:, 4:] / 2
    corners = 96 * np.concatenate((true[:, 2:4] - half, true[:, 2:4] + half), 1)
    answers = Detections(owner, boxes[:, :4], boxes[:, 4], boxes[:, 5].astype(int))
    truths = Truths(true[:, 0].astype(int), corners, true[:, 1].astype(int))
    value = detection_scores(match_detections(answers, truths, len(images), len(LOOKS))).map_50
    assert value is not None
    return value


def overfitted(steps: int, **chosen: Any) -> tuple[float, float]:
    """AP50 on eight images before and after they were learned."""
    images, targets = eight_images()
    torch.manual_seed(0)
    tower = SmallClip(SmallClipOptions(width=16, embed_dim=64), CaptionTokens.learn(["a ship"])).image
    net = Detector(tower, DetectorOptions(width=48, heads=4, **chosen))
    texts = F.normalize(torch.randn(len(LOOKS), 64), dim=1)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-4)
    before = scored(net, images, targets, texts)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 3e-3 * min((step + 1) / 10, 1) * 0.5 * (1 + math.cos(math.pi * step / steps))
        terms = detection_terms(net({"image": images, "texts": texts}), targets)
        optimiser.zero_grad()
        torch.stack([WEIGHTS[name] * values.mean() for name, values in terms.items()]).sum().backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    return before, scored(net, images, targets, texts)


def test_eight_images_are_learned_by_cells():
    before, after = overfitted(70)
    assert before < 0.05 and after > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("cell_labels", ["many", "one"])
def test_eight_images_are_learned_by_queries(cell_labels):
    before, after = overfitted(100, kind="query", queries=40, decoder_layers=2, cell_labels=cell_labels)
    assert before < 0.1 and after > 0.9
