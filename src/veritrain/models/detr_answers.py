"""What the detector's outputs mean: logits of classes, and the boxes of each image with class and score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torchvision.ops import nms

from veritrain.errors import ConfigError
from veritrain.models.tower_opinion import BoxOpinion, opinion_of, voted
from veritrain.models.yolo_decode import corners_of

CHUNK = 256
"""Classes compared at a time: 10,000 of them need no more memory."""
MOST_BOXES = 300
"""Of an image, as DETRs answer; DIOR has more objects in 9 of 23,463 images."""
APART = 2.0
"""By how many images classes are moved apart before boxes suppress each other; in float64, which 10,000 leave exact."""
Part = Literal["cells", "queries"]


def answered_by(output: Mapping[str, Tensor]) -> Part:
    """Whose answer counts: that of the queries, where there are any."""
    return "queries" if "boxes" in output else "cells"


def layers_of(output: Mapping[str, Tensor], part: Part) -> dict[str, Tensor]:
    """``boxes`` (L, B, N, 4), ``embeddings`` (L, B, N, D), ``scale`` and ``bias`` (L,), ``valid`` (B, N), and the
    ``texts`` and ``context`` that they are compared with; of cells L is 1 and N the number of cells."""
    prefix = "cell_" if part == "cells" else ""
    found = {name: output[prefix + name] for name in ("boxes", "embeddings", "scale", "bias", "valid")}
    return {**found, **{name: output[name] for name in ("texts", "context") if name in output}}


def logits_of(layers: Mapping[str, Tensor]) -> Tensor:
    """(L, B, N, C) float32 logits of the classes; with ``context_anchor`` (L, B, N, C + 1), the context last.

    Args:
        layers: as :func:`layers_of` gives them.
    """
    compared = layers["embeddings"] @ layers["texts"].T
    if "context" in layers:
        own = torch.einsum("lbnd,bd->lbn", layers["embeddings"], layers["context"])
        compared = torch.cat((compared, own[..., None]), 3)
    return layers["scale"].view(-1, 1, 1, 1) * compared + layers["bias"].view(-1, 1, 1, 1)


def best_scores(embeddings: Tensor, texts: Tensor, *, chunk: int = CHUNK) -> tuple[Tensor, Tensor]:
    """The highest cosine of each embedding with any text, and which text: of equal ones the first.

    Args:
        embeddings: (..., D) of length 1. texts: (C, D) of length 1. chunk: texts compared at a time.

    Returns:
        (...) float and (...) int64.
    """
    best, label = embeddings.new_full(embeddings.shape[:-1], float("-inf")), None
    for start in range(0, len(texts), chunk):
        here, place = (embeddings @ texts[start : start + chunk].T).max(-1)
        label = place if label is None else torch.where(here > best, place + start, label)
        best = torch.maximum(best, here)
    assert label is not None
    return best, label


@torch.no_grad()
def detections(
    output: Mapping[str, Tensor],
    size: tuple[int, int],
    *,
    most_boxes: int = MOST_BOXES,
    overlap: float | None = None,
    least: float = 0.0,
    chunk: int = CHUNK,
) -> list[Tensor]:
    """The boxes of each image, surest first; one query or cell may answer for several classes.

    A score is the sigmoid of a class's logit, or its geometric mean with what the towers make of the box, where the
    detector asks them (``models.tower_opinion``). The context is no class and has none. Nothing in padding answers.

    Args:
        output: of ``models.detr.Detector``.
        size: height and width of the images in pixels.
        most_boxes: of an image, all classes together.
        overlap: a box goes when a surer one of its class overlaps it by an IoU above this. None: 0.7 of cells, of which
            several may have found one object, and 1 (no box goes) of queries.
        least: scores at or below it are left out. chunk: classes compared at a time.

    Returns:
        For each image (n, 6) float32: left, top, right, bottom in pixels cut at the borders, score, class.

    Raises:
        ConfigError: a threshold outside [0, 1], or no box asked for.
    """
    part = answered_by(output)
    overlap = {"cells": 0.7, "queries": 1.0}[part] if overlap is None else overlap
    for name, value in (("overlap", overlap), ("least", least)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} is a share", expected="a number in [0, 1]", found=str(value))
    if most_boxes < 1 or chunk < 1:
        raise ConfigError("no boxes", expected="1 or more", found=f"most_boxes {most_boxes}, chunk {chunk}")
    layers = layers_of(output, part)
    extent = torch.tensor((size[1], size[0]) * 2, dtype=torch.float32, device=layers["boxes"].device)
    found = []
    for image, (boxes, valid) in enumerate(zip(layers["boxes"][-1], layers["valid"], strict=True)):
        corners = corners_of(boxes).clamp(0, 1)
        opinion = opinion_of(output, image, corners, layers["texts"], chunk=chunk)
        most = most_boxes * (1 if overlap == 1 else 10)
        ranked = _ranked(layers, image, valid, opinion, most=most, chunk=chunk)
        score, row, label = (one[ranked[0] > least] for one in ranked)
        if overlap < 1:
            kept = nms(corners[row].double() + label[:, None] * APART, score.double(), overlap)
            score, row, label = score[kept], row[kept], label[kept]
        rows = torch.cat((corners[row] * extent, score[:, None], label[:, None].to(score.dtype)), 1)
        found.append(rows[:most_boxes])
    return found


def _ranked(
    layers: Mapping[str, Tensor], image: int, valid: Tensor, opinion: BoxOpinion | None, *, most: int, chunk: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, rows and classes of one image's ``most`` surest pairs, surest first, a chunk of classes at a time."""
    embeddings, texts = layers["embeddings"][-1, image], layers["texts"]
    scale, bias = layers["scale"][-1], layers["bias"][-1]
    score = embeddings.new_zeros(0)
    row = label = valid.new_zeros(0, dtype=torch.int64)
    for start in range(0, len(texts), chunk):
        some = texts[start : start + chunk]
        logits = scale * (embeddings @ some.T) + bias
        here = (
            logits.sigmoid() if opinion is None else voted(logits, opinion, some, opinion.votes[start : start + chunk])
        )
        classes = here.shape[1]
        flat = here.masked_fill(~valid[:, None], -1.0).flatten()
        top, place = flat.topk(min(most, len(flat)))
        score, row = torch.cat((score, top)), torch.cat((row, place // classes))
        label = torch.cat((label, place % classes + start))
        order = score.argsort(descending=True, stable=True)[:most]
        score, row, label = score[order], row[order], label[order]
    kept = score >= 0
    return score[kept], row[kept], label[kept]
