"""What the detector saw: the image under its heat map, and the sweep from above, coloured by score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import nn

from veritrain.data.frames import FrameSet
from veritrain.data.sample import Frame
from veritrain.experiments.driving_data import DrivingData, short_hash
from veritrain.record import RunFolder, write_json
from veritrain.tasks.task import Predictions, Task
from veritrain.training.evaluate import predict_set

SCALE = 3
METRES = 40.0
SIDE = 288
OUTLINE = (0, 158, 115)
"""Okabe-Ito green around what is labelled anomalous."""
UNSCORED = (110, 110, 116)


def write_gallery(data: DrivingData, predictions: Predictions, folder: RunFolder, *, each: int = 3) -> None:
    """Worst misses and worst false alarms, one of a scenario, beside random test frames, into ``figures/``."""
    labels, scores = predictions["frame_labels"], predictions["frame_scores"]
    order = np.argsort(scores, kind="stable")
    groups = data.test_groups
    misses = _one_a_group([int(i) for i in order if labels[i] == 1], groups, each)
    alarms = _one_a_group([int(i) for i in order[::-1] if labels[i] == 0], groups, each)
    some = np.random.default_rng(0).permutation(np.flatnonzero(labels >= 0))[:each].tolist()
    test = data.sets["test"]
    content = []
    for title, chosen in (("worst misses", misses), ("worst false alarms", alarms), ("random frames", some)):
        items = [_item(test.frames[i], predictions, i, folder.figures, folder.path) for i in chosen]
        content.append({"title": title, "items": items})
    write_json(folder.figures / "gallery.json", content)


def _one_a_group(order: Sequence[int], groups: Sequence[str], most: int) -> list[int]:
    """The first of each group in the order given: frames of one scenario look alike."""
    first: dict[str, int] = {}
    for index in order:
        first.setdefault(groups[index], index)
    return list(first.values())[:most]


def predict_samples(
    task: Task, data: DrivingData, model: nn.Module, *, split: str, count: int, out: Path
) -> list[dict[str, Any]]:
    """Scores and pictures of evenly spaced frames of a split; returns one row per frame."""
    frames = data.sets[split].frames
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int))
    few = FrameSet([frames[i] for i in chosen], data.sets[split].views, cloud=data.sets[split].cloud)
    predictions = predict_set(task, model, few)
    return [_item(frame, predictions, i, out, out) for i, frame in enumerate(few.frames)]


def _item(frame: Frame, predictions: Predictions, index: int, out: Path, relative_to: Path) -> dict[str, Any]:
    name = short_hash(frame.id)
    out.mkdir(parents=True, exist_ok=True)
    heat = predictions["pixel_scores"][index].astype(np.float32) if "pixel_scores" in predictions else None
    points = scores_of_returns(predictions, index, len(frame.points))
    heat_map(frame, heat).save(out / f"{name}.png")
    from_above(frame, points).save(out / f"{name}_bev.png")
    score, label = float(predictions["frame_scores"][index]), int(predictions["frame_labels"][index])
    return {
        "id": name,
        "label": label,
        "score": score,
        "image": str((out / f"{name}.png").relative_to(relative_to)),
        "points": str((out / f"{name}_bev.png").relative_to(relative_to)),
        "caption": f"scenario type: {frame.kind.replace('_', ' ')}",
    }


def scores_of_returns(predictions: Predictions, index: int, returns: int) -> NDArray[np.float32]:
    """(returns,) scores of one frame's returns, NaN for those that the network did not score."""
    scores = np.full(returns, np.nan, np.float32)
    if "point_scores" in predictions:
        end = int(predictions["point_counts"][: index + 1].sum())
        part = slice(end - int(predictions["point_counts"][index]), end)
        rows = predictions["point_rows"][part] if "point_rows" in predictions else slice(None)
        scores[rows] = predictions["point_scores"][part]
    return scores


def heat_map(frame: Frame, scores: NDArray[np.float32] | None) -> Image.Image:
    """The image, brighter yellow where the pixel score in [0, 1] is higher, labelled pixels outlined in green."""
    blended = frame.image.astype(np.float32)
    if scores is not None:
        colour = mpl.colormaps["inferno"](scores)[..., :3] * 255
        weight = 0.75 * np.clip(scores, 0, 1)[..., None]
        blended = blended * (1 - weight) + colour * weight
    picture = np.kron(blended.astype(np.uint8), np.ones((SCALE, SCALE, 1), np.uint8))
    picture[_outline(np.kron(frame.pixel_labels == 1, np.ones((SCALE, SCALE), bool)))] = OUTLINE
    return Image.fromarray(picture)


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inner = mask.copy()
    for axis in (0, 1):
        for step in (1, -1):
            inner &= np.roll(mask, step, axis)
    return mask & ~inner


def from_above(frame: Frame, scores: NDArray[np.float32]) -> Image.Image:
    """Returns within 40 m from above, forward is up; labelled anomalous returns ringed green.

    Yellow scores high; grey has no score (NaN).
    """
    picture = Image.new("RGB", (SIDE, SIDE), (16, 16, 20))
    draw = ImageDraw.Draw(picture)
    for radius in (10, 20, 30, 40):
        r = radius / METRES * SIDE / 2
        draw.ellipse([SIDE / 2 - r, SIDE / 2 - r, SIDE / 2 + r, SIDE / 2 + r], outline=(60, 60, 66))
    x = SIDE / 2 - frame.points[:, 1] / METRES * SIDE / 2
    y = SIDE / 2 - frame.points[:, 0] / METRES * SIDE / 2
    known = ~np.isnan(scores)
    scores = np.where(known, scores, -1.0)
    colours = (mpl.colormaps["inferno"](0.25 + 0.75 * np.clip(scores, 0, 1))[:, :3] * 255).astype(int)
    colours[~known] = UNSCORED
    for i in np.argsort(scores, kind="stable"):
        size = 0.6 if scores[i] < 0.5 else 1.4
        draw.rectangle([x[i] - size, y[i] - size, x[i] + size, y[i] + size], fill=tuple(colours[i].tolist()))
    _ring(draw, x[frame.point_labels == 1], y[frame.point_labels == 1])
    return picture


def _ring(draw: ImageDraw.ImageDraw, x: Sequence[float] | NDArray[Any], y: Sequence[float] | NDArray[Any]) -> None:
    """One ring around all labelled anomalous returns."""
    if len(x):
        draw.ellipse([min(x) - 5, min(y) - 5, max(x) + 5, max(y) + 5], outline=OUTLINE, width=2)
