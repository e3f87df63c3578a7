"""What the detector saw: the image under its heat map, and the sweep from above, coloured by score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veritrain.data.sample import Frame
from veritrain.experiments.above import OUTLINE, from_above
from veritrain.experiments.driving_data import DrivingData, short_hash
from veritrain.record import RunFolder, write_json
from veritrain.tasks.task import Predictions

SCALE = 3


def write_gallery(
    data: DrivingData, predictions: Predictions, folder: RunFolder, *, threshold: float | None, each: int = 3
) -> None:
    """Worst misses and worst false alarms, one of a scenario, beside random test frames, into ``figures/``.

    Args:
        threshold: of the frame score, as chosen on validation; without one no frame is called, and so none is wrong.
    """
    labels, scores = predictions["frame_labels"], predictions["frame_scores"]
    test = data.sets["test"]
    content = []
    for title, chosen in chosen_frames(labels, scores, data.test_groups, threshold, each).items():
        items = [_item(test.frames[i], predictions, i, folder.figures, folder.path) for i in chosen]
        content.append({"title": title, "items": items, "threshold": threshold})
    write_json(folder.figures / "gallery.json", content)


def chosen_frames(
    labels: NDArray[np.integer[Any]],
    scores: NDArray[np.floating[Any]],
    groups: Sequence[str],
    threshold: float | None,
    each: int,
) -> dict[str, list[int]]:
    """Title to rows: anomalous frames below the threshold, the lowest first; normal ones at or above it, the highest
    first; at most one of a group, so that there may be fewer than ``each``, and random ones of those with a label.

    Args:
        labels: (N,) 0, 1 or -1 for unknown. scores: (N,). groups: N scenarios. threshold: None where none was chosen.
    """
    order = np.argsort(scores, kind="stable")
    called = scores >= (np.inf if threshold is None else threshold)
    misses = [] if threshold is None else [int(i) for i in order if labels[i] == 1 and not called[i]]
    alarms = [int(i) for i in order[::-1] if labels[i] == 0 and called[i]]
    return {
        "worst misses": _one_a_group(misses, groups, each),
        "worst false alarms": _one_a_group(alarms, groups, each),
        "random frames": np.random.default_rng(0).permutation(np.flatnonzero(labels >= 0))[:each].tolist(),
    }


def _one_a_group(order: Sequence[int], groups: Sequence[str], most: int) -> list[int]:
    """The first of each group in the order given: frames of one scenario look alike."""
    first: dict[str, int] = {}
    for index in order:
        first.setdefault(groups[index], index)
    return list(first.values())[:most]


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
