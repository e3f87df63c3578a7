"""Where an answer looks, and the gate: what is told is what the network itself computes."""

from __future__ import annotations

import pytest
import torch

from veritrain.models.detr import Detector
from veritrain.models.detr_attention import ContextGate
from veritrain.models.detr_inside import looked_at, without_gate
from veritrain.models.options import DetectorOptions, SmallClipOptions
from veritrain.models.small_clip import SmallImageTower

QUERY = {"kind": "query", "queries": 5, "decoder_layers": 2}


def detector_of(**changes) -> Detector:
    torch.manual_seed(0)
    shape = SmallClipOptions(width=8, embed_dim=16)
    return Detector(SmallImageTower(shape), DetectorOptions(width=16, heads=2, encoder_layers=0, **changes)).eval()


def batch_of():
    torch.manual_seed(1)
    return {"image": torch.rand(1, 3, 64, 64) * 2 - 1, "texts": torch.randn(3, 16)}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({}, "scores"), (QUERY, "places"), ({**QUERY, "attention": "full"}, "cells")],
    ids=["dense", "deformable", "full"],
)
def test_weights_of_attention_sum_to_1_and_places_have_one_each(changes, kind):
    found = looked_at(detector_of(**changes), batch_of())
    assert found.kind == kind and found.places.shape == (len(found.weights), 2)
    assert (found.weights >= 0).all() and 0 < found.score < 1
    if kind != "scores":
        assert float(found.weights.sum()) == pytest.approx(1.0, abs=1e-5)


def test_the_surest_answer_is_the_first_of_the_detections():
    from veritrain.models.detr_answers import detections

    detector, batch = detector_of(), batch_of()
    best = detections(detector(batch), (64, 64))[0][0]
    found = looked_at(detector, batch)
    assert (found.label, found.score) == (int(best[5]), pytest.approx(float(best[4]), abs=1e-6))


def test_full_attention_told_is_the_attention_that_is_used():
    detector, batch = detector_of(**QUERY, attention="full"), batch_of()
    layer = detector.decoder.layers[-1].looks.attention
    seen = []
    layer.register_forward_hook(lambda module, given, out: seen.append((given, out)))
    looked_at(detector, batch)
    (queries, keys, values, valid), out = seen[0]
    weights = layer.weights(queries, keys, valid)
    heads = layer.value(values).unflatten(2, (layer.heads, -1)).transpose(1, 2)
    assert torch.allclose(layer.out((weights @ heads).transpose(1, 2).flatten(2)), out, atol=1e-5)


@torch.no_grad()
def test_without_its_gate_a_detector_is_the_one_whose_gate_does_nothing():
    detector, batch = detector_of(), batch_of()
    plain = detector(batch)["cell_embeddings"]
    gates = [module for module in detector.modules() if isinstance(module, ContextGate)]
    assert gates
    for gate in gates:
        gate.last.bias.add_(0.5)
    assert not torch.allclose(detector(batch)["cell_embeddings"], plain)
    with without_gate(detector):
        assert torch.allclose(detector(batch)["cell_embeddings"], plain)
    assert not torch.allclose(detector(batch)["cell_embeddings"], plain)
