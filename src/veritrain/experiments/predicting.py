"""Scores, decisions and pictures of single frames, and what was predicted as labels for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.data.frames import FrameSet
from veritrain.data.labels_out import LabelledFrame, LabelWriter, image_file, known_label
from veritrain.data.sample import Frame, FrameKey
from veritrain.errors import RecordError
from veritrain.experiments.above import from_above
from veritrain.experiments.attention_map import draw_attention, looks_of, why_none
from veritrain.experiments.driving_data import short_hash
from veritrain.experiments.inputs import Opened, Selected
from veritrain.experiments.pictures import heat_map, scores_of_returns
from veritrain.experiments.voxel_map import draw_voxels
from veritrain.record import RunFolder, write_json
from veritrain.tasks.task import Predictions
from veritrain.training import checkpoint as checkpoints
from veritrain.training.evaluate import predict_set

DOCUMENT = "predictions.json"


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What turns scores into decisions: chosen on validation, None where that was not possible.

    Attributes:
        frame: of ``selection`` in results.json. pixel: of ``components``.
    """

    frame: float | None
    pixel: float | None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is drawn and written beside scores, heat map and bird's-eye view.

    Attributes:
        out: folder of pictures. attention, voxels: further pictures. labels: takes predicted labels.
    """

    out: Path
    attention: bool = False
    voxels: bool = False
    labels: LabelWriter | None = None


def thresholds_of(folder: RunFolder) -> Thresholds:
    """The thresholds in ``results.json``; both None without one."""
    stored = json.loads(folder.results.read_text(encoding="utf-8")) if folder.results.is_file() else {}
    frame, pixel = (stored.get(part) or {} for part in ("selection", "components"))
    return Thresholds(frame=frame.get("threshold"), pixel=pixel.get("threshold"))


def predict_frames(opened: Opened, selected: Selected, thresholds: Thresholds, wanted: Wanted) -> list[dict[str, Any]]:
    """One row per frame, its pictures in ``wanted.out``; frames are read, scored and drawn one at a time.

    A row: id (12 hexadecimal digits), frame (its name; None for the run's own data), kind, label (1, 0, None), score,
    decision (None without a threshold), returns, returns_scored, highest_return, highest_pixel, and the file names
    image, points, attention, voxels (None where not drawn).

    Raises:
        RecordError: COCO masks are asked for, and there is no pixel score or no threshold for it.
    """
    if wanted.labels is not None and wanted.labels.form == "coco":
        _demand_masks(opened, thresholds)
    rows = []
    for key, frame in selected:
        part = FrameSet([frame], opened.views, cloud=opened.cloud)
        predictions = predict_set(opened.task, opened.model, part)
        returns = scores_of_returns(predictions, 0, len(frame.points))
        pixels = predictions["pixel_scores"][0].astype(np.float32) if "pixel_scores" in predictions else None
        row = _scores(frame, float(predictions["frame_scores"][0]), returns, pixels, thresholds)
        row |= {"id": short_hash(frame.id), "frame": None if selected.own else frame.id}
        row |= _pictures(opened, selected, key, frame, part, predictions, returns, pixels, wanted)
        rows.append(
            {name: row[name] for name in ("id", "frame", *(other for other in row if other not in ("id", "frame")))}
        )
        if wanted.labels is not None:
            wanted.labels.add(_predicted(selected, key, frame, row, returns, pixels, thresholds))
    return rows


def _scores(
    frame: Frame,
    score: float,
    returns: NDArray[np.float32],
    pixels: NDArray[np.float32] | None,
    thresholds: Thresholds,
) -> dict[str, Any]:
    known = returns[~np.isnan(returns)]
    return {
        "kind": frame.kind,
        "label": known_label(frame),
        "score": score,
        "decision": None if thresholds.frame is None else score >= thresholds.frame,
        "returns": len(returns),
        "returns_scored": len(known),
        "highest_return": float(known.max()) if known.size else None,
        "highest_pixel": None if pixels is None else float(pixels.max()),
    }


def _pictures(
    opened: Opened,
    selected: Selected,
    key: FrameKey,
    frame: Frame,
    part: FrameSet,
    predictions: Predictions,
    returns: NDArray[np.float32],
    pixels: NDArray[np.float32] | None,
    wanted: Wanted,
) -> dict[str, str | None]:
    name, out = short_hash(frame.id), wanted.out
    out.mkdir(parents=True, exist_ok=True)
    heat_map(frame, pixels).save(out / f"{name}.png")
    from_above(frame, returns).save(out / f"{name}_bev.png")
    drawn: dict[str, str | None] = {"image": f"{name}.png", "points": f"{name}_bev.png"}
    file = f"{name}_attention.png"
    shown = False
    if wanted.attention and why_none(opened.model) is None and pixels is not None:
        batch = part.collate([part.sample(0, epoch=0, seed=0)])
        maps = opened.model.attention_maps(batch)  # type: ignore[operator]
        looks = looks_of(frame, batch, maps, predictions["view_scores"][0], pixels, opened.views)
        shown = draw_attention(frame, looks, out / file)
    drawn["attention"] = file if shown else None
    file = f"{name}_voxels.png"
    location = selected.source.lidar_location(key)
    drawn["voxels"] = file if wanted.voxels and draw_voxels(frame, returns, location, out / file) else None
    return drawn


def _demand_masks(opened: Opened, thresholds: Thresholds) -> None:
    levels = [claim.metric for claim in opened.task.claims]
    answers = getattr(opened.model, "sees_image", False)
    if not answers or thresholds.pixel is None:
        raise RecordError(
            "no masks can be made of these predictions",
            expected="pixel scores, and a pixel threshold from validation in results.json (components)",
            found=f"a network that answers {', '.join(levels)}" if not answers else "no pixel threshold",
            fix="choose --as csv or --as npy" + ("" if not answers else ", or score the run again: veritrain evaluate"),
        )


def _predicted(
    selected: Selected,
    key: FrameKey,
    frame: Frame,
    row: Mapping[str, Any],
    returns: NDArray[np.float32],
    pixels: NDArray[np.float32] | None,
    thresholds: Thresholds,
) -> LabelledFrame:
    size = selected.resized.get(frame.id, (frame.image.shape[0], frame.image.shape[1]))
    if pixels is not None and pixels.shape != size:
        pixels = _enlarged(pixels, size)
    mask = None if pixels is None or thresholds.pixel is None else pixels >= np.float32(thresholds.pixel)
    named = ("label", "score", "decision", "returns", "returns_scored", "highest_return", "highest_pixel")
    table = {name: row[name] for name in named} | {"frame_threshold": thresholds.frame}
    table["decision"] = None if row["decision"] is None else int(row["decision"])
    table |= {"pixel_threshold": thresholds.pixel, "pixels_called": None if mask is None else int(mask.sum())}
    return LabelledFrame(
        id=frame.id,
        group=frame.group,
        kind=frame.kind,
        file=image_file(selected.source, key),
        size=size,
        row=table,
        mask=mask,
        mask_scores=pixels,
        returns=None if np.isnan(returns).all() else returns,
        pixels=pixels,
    )


def _enlarged(scores: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) scores at the stored size of the image, which is what its file shows: the nearest score for each pixel."""
    rows, columns = (
        (np.arange(new) * old // new).clip(max=old - 1) for new, old in zip(size, scores.shape, strict=True)
    )
    return scores[rows[:, None], columns]


def document_of(
    folder: RunFolder,
    parts: Sequence[tuple[Opened, Selected]],
    rows: Sequence[Mapping[str, Any]],
    thresholds: Thresholds,
    wanted: Wanted,
    split: str | None,
) -> dict[str, Any]:
    """The content of ``predictions.json``; ``split`` is None for frames of other folders.

    ``made_data`` is that of the run for its own frames, else None: nobody said where a folder comes from.
    ``resized`` lists stored (height, width) of images that were given in ``image_size``; ``broken`` what was left out.
    """
    card = json.loads(folder.data.read_text(encoding="utf-8")) if split and folder.data.is_file() else {}
    opened = parts[0][0]
    return {
        "schema": 1,
        "run": folder.path.resolve().name,
        "split": split,
        "made_data": card.get("made_data"),
        "weights_sha256": checkpoints.best(folder).weights_sha256,
        "thresholds": {"frame": thresholds.frame, "pixel": thresholds.pixel, "chosen_on": "val"},
        "image_size": list(opened.size),
        "resized": [list(size) for size in sorted({size for _, chosen in parts for size in chosen.resized.values()})],
        "attention_note": why_none(opened.model) if wanted.attention else None,
        "broken": [one for _, chosen in parts for one in chosen.broken],
        "count": len(rows),
        "frames": list(rows),
    }


def write_document(out: Path, content: Mapping[str, Any]) -> Path:
    """``predictions.json`` beside the pictures."""
    write_json(out / DOCUMENT, content)
    return out / DOCUMENT
