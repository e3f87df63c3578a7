"""Labels of frames written for other programs: COCO masks, a table of frames, or arrays of returns and pixels.

The same three forms hold the labels of a data set and what a network predicted, so that one can be scored against the
other by tools that know neither.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.coco import CATEGORY, components, image_number
from veritrain.data.sample import UNKNOWN, Frame, FrameKey
from veritrain.errors import BrokenFileError, UsageError, did_you_mean

Form = Literal["coco", "csv", "npy"]
FORMS: tuple[Form, ...] = get_args(Form)

DOCUMENT, TABLE, INDEX = "annotations.json", "frames.csv", "index.csv"
"""What the three forms write; npy also writes folders ``returns`` and ``pixels`` beside its index."""


@dataclass(frozen=True, kw_only=True)
class LabelledFrame:
    """What is written of one frame.

    Attributes:
        id, group, kind: as in :class:`Frame`. file: of the camera's image, relative to the data set.
        size: (height, width) of the image.
        row: the columns of the table, beside id, group and kind; None is an empty cell.
        mask: (H, W) bool, what is called anomalous; None where pixels are not labelled.
        mask_scores: (H, W) in [0, 1] of a prediction; a COCO annotation then has a ``score``.
        returns, pixels: arrays of the npy form, (N,) and (H, W); None where there are none.
    """

    id: str
    group: str
    kind: str
    file: str
    size: tuple[int, int]
    row: Mapping[str, Any]
    mask: NDArray[np.bool_] | None = None
    mask_scores: NDArray[np.floating] | None = None
    returns: NDArray[np.generic] | None = None
    pixels: NDArray[np.generic] | None = None


@dataclass(kw_only=True)
class LabelWriter:
    """Takes frames one by one, so that no more than one is held; :meth:`close` writes what names them all.

    Args:
        folder: must not exist, or be empty. form: "coco", "csv" or "npy".
        about: what the labels are, for COCO's ``info``.

    Raises:
        UsageError: no such form, or something lies in the folder.
    """

    folder: Path
    form: str
    about: Mapping[str, Any]
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _images: list[dict[str, Any]] = field(default_factory=list)
    _annotations: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UsageError(
                f"no form '{self.form}'", expected=", ".join(FORMS), found=self.form, fix=did_you_mean(self.form, FORMS)
            )
        demand_unmixed(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def annotated(self) -> int:
        """COCO annotations so far."""
        return len(self._annotations)

    def add(self, frame: LabelledFrame) -> None:
        named = {"frame": frame.id, "group": frame.group, "type": frame.kind}
        if self.form == "coco":
            self._annotate(frame)
        elif self.form == "csv":
            self._rows.append({**named, **frame.row})
        else:
            self._rows.append({**named, **self._saved(frame)})

    def close(self) -> Path:
        """Write the document, table or index; returns its path."""
        if self.form == "coco":
            path = self.folder / DOCUMENT
            content = {
                "info": dict(self.about),
                "licenses": [],
                "categories": [CATEGORY],
                "images": self._images,
                "annotations": self._annotations,
            }
            path.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
            return path
        path = self.folder / (TABLE if self.form == "csv" else INDEX)
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(self._rows[0]) if self._rows else ["frame"], lineterminator="\n")
            table.writeheader()
            table.writerows(self._rows)
        return path

    def _annotate(self, frame: LabelledFrame) -> None:
        if frame.mask is None:
            return  # an image without annotations would say that it shows nothing anomalous
        number = image_number(frame.id)
        height, width = frame.size
        self._images.append(
            {"id": number, "file_name": frame.file, "height": height, "width": width, "frame": frame.id}
        )
        for part in components(frame.mask, frame.mask_scores):
            own = {"id": len(self._annotations) + 1, "image_id": number, "category_id": CATEGORY["id"], "iscrowd": 0}
            self._annotations.append(own | part)

    def _saved(self, frame: LabelledFrame) -> dict[str, Any]:
        cells: dict[str, Any] = {}
        for name, array in (("returns", frame.returns), ("pixels", frame.pixels)):
            file = Path(name) / (frame.id.replace("/", "__") + ".npy")
            if array is not None:
                (self.folder / name).mkdir(exist_ok=True)
                np.save(self.folder / file, array, allow_pickle=False)
            cells |= {
                f"{name}_file": None if array is None else file.as_posix(),
                f"{name}_shape": None if array is None else "x".join(map(str, array.shape)),
                f"{name}_dtype": None if array is None else str(array.dtype),
            }
        return cells


def demand_unmixed(folder: Path) -> None:
    """Raises UsageError where ``folder`` holds something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            "labels would be mixed with what is there",
            expected="a new or empty folder",
            found=str(folder),
            fix="choose another folder",
        )


def export_labels(source: AnoVoxFormat, folder: Path, form: str) -> dict[str, Any]:
    """A data set's own labels in one of the forms; frames that do not read are counted, or an error by its policy.

    The row of a frame counts anomalous, normal and unknown pixels and returns. In ``npy`` they are int8 of 1, 0, -1
    (unknown), returns in the order of the LIDAR file. COCO cannot say "unknown": such pixels are in no mask, and
    frames without pixel labels are not among its images.

    Returns:
        form, path, frames, without_pixel_labels, broken, annotations (coco).
    """
    writer = LabelWriter(folder=folder, form=form, about={"description": "labels of a data set, by veritrain"})
    frames = without = broken = 0
    keys = source.keys()
    for key in keys:
        try:
            one = own_labels(source.read(key), image_file(source, key))
        except BrokenFileError:
            if source.options.on_broken == "error":
                raise
            broken += 1
            continue
        frames, without = frames + 1, without + (one.mask is None)
        writer.add(one)
    told: dict[str, Any] = {"form": form, "path": str(writer.close()), "frames": frames, "broken": broken}
    told |= {"without_pixel_labels": without}
    return told | ({"annotations": writer.annotated} if form == "coco" else {})


def own_labels(frame: Frame, file: str) -> LabelledFrame:
    """A frame's labels; pixels or returns of which none is known count as not labelled."""
    pixels, returns = (None if (one == UNKNOWN).all() else one for one in (frame.pixel_labels, frame.point_labels))
    row: dict[str, Any] = {"label": known_label(frame)}
    for name, labels in (("pixels", pixels), ("returns", returns)):
        for word, value in (("anomalous", 1), ("normal", 0), ("unknown", UNKNOWN)):
            row[f"{word}_{name}"] = None if labels is None else int((labels == value).sum())
    return LabelledFrame(
        id=frame.id,
        group=frame.group,
        kind=frame.kind,
        file=file,
        size=(frame.image.shape[0], frame.image.shape[1]),
        row=row,
        mask=None if pixels is None else pixels == 1,
        returns=returns,
        pixels=pixels,
    )


def known_label(frame: Frame) -> int | None:
    """1 anomalous, 0 normal, None where it is not known."""
    return None if frame.frame_label == UNKNOWN else frame.frame_label


def image_file(source: AnoVoxFormat, key: FrameKey) -> str:
    """Where the frame's image lies below the data set."""
    file = source.file(key, "RGB-CAM")
    return "" if file is None else file.relative_to(source.path).as_posix()
