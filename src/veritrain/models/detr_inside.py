"""What happens inside the open-vocabulary detector: where its surest answer looks, what it says without its gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from veritrain.models.detr import Detector
from veritrain.models.detr_answers import answered_by, best_scores, layers_of
from veritrain.models.detr_attention import ContextGate, DeformableAttention, FullAttention
from veritrain.models.detr_memory import Memory


@dataclass(frozen=True, kw_only=True)
class Looked:
    """Where one answer for one image looked.

    Attributes:
        kind: "places" (deformable attention), "cells" (full attention) or "scores" (dense cells: how much each cell's
            embedding is that of the answer's class; nothing is attended to).
        places: (P, 2) x, y in shares of the letterbox. weights: (P,), of attention summing to 1, of scores in [0, 1].
        box: (4,) centre and size in shares. label: the class. score: of the answer, in [0, 1].
    """

    kind: str
    places: Tensor
    weights: Tensor
    box: Tensor
    label: int
    score: float


@contextmanager
def without_gate(network: nn.Module) -> Iterator[None]:
    """Within, every gate of the context lets features through as they are."""
    hooks = [
        module.register_forward_hook(lambda _, given, __: given[0])
        for module in network.modules()
        if isinstance(module, ContextGate)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def looked_at(detector: Detector, batch: Mapping[str, Any]) -> Looked:
    """Of the surest answer for the only image of a batch.

    Args:
        batch: as the detector reads it, of one image.
    """
    seen: list[tuple[nn.Module, tuple[Any, ...]]] = []
    readers = [m for m in detector.modules() if isinstance(m, DeformableAttention | FullAttention)]
    hooks = [m.register_forward_hook(lambda m, given, _: seen.append((m, given))) for m in readers]
    try:
        output = detector(batch)
    finally:
        for hook in hooks:
            hook.remove()
    layers = layers_of(output, answered_by(output))
    cosines, labels = best_scores(layers["embeddings"][-1, 0], layers["texts"])
    row = int(cosines.masked_fill(~layers["valid"][0], float("-inf")).argmax())
    label = int(labels[row])
    scale, bias = layers["scale"][-1], layers["bias"][-1]
    if seen:
        reader, given = seen[-1]
        kind, places, weights = _attention(reader, given, row)
    else:
        kind, places = "scores", output["cells"][:, :2]
        weights = (scale * (layers["embeddings"][-1, 0] @ layers["texts"][label]) + bias).sigmoid()
    score = float((scale * cosines[row] + bias).sigmoid())
    return Looked(kind=kind, places=places, weights=weights, box=layers["boxes"][-1, 0, row], label=label, score=score)


def _attention(reader: nn.Module, given: tuple[Any, ...], row: int) -> tuple[str, Tensor, Tensor]:
    """Kind, places and weights of one query, the mean over heads."""
    queries, boxes, memory = given
    assert isinstance(memory, Memory)
    if isinstance(reader, DeformableAttention):
        places, weights = reader.looks_at(queries, boxes)
        return "places", places[0, row].flatten(0, 2), weights[0, row].flatten() / reader.heads
    assert isinstance(reader, FullAttention)
    weights = reader.attention.weights(queries, memory.tokens + memory.places, memory.valid)
    return "cells", memory.cells[:, :2], weights[0, :, row].mean(0)
