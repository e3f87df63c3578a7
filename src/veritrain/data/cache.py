"""Decoded frames kept beside the data set, so that they are decoded once.

An entry is named by the sha256 of the frame's files, the options and the decoder's version: a changed file finds no
entry, whatever its time stamp says. Entries are written beside their place and renamed; one that does not load is
made again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from veritrain.data.anovox import AnoVoxFormat, Inventory, sensor_hash
from veritrain.data.anovox_index import Problem
from veritrain.data.entry import read_about, read_entry, store_entry
from veritrain.data.options import AnoVoxOptions
from veritrain.data.sample import Calibration, Frame, FrameKey
from veritrain.errors import BrokenFileError, LayoutError

FOLDER = ".veritrain-cache"
SUFFIX = ".frame"
ARRAYS = ("image", "points", "point_labels", "point_ids", "pixel_labels")
"""Arrays of a frame as they stand in an entry; the calibration's two come behind them."""

CALIBRATION = ("intrinsics", "camera_from_lidar")
UNREADABLE = (OSError, BrokenFileError)


class CachedFrames:
    """The frames of an AnoVox data set that read well, decoded at most once.

    Every frame is read when the object is made: what is broken is then known before training starts.

    Args:
        source: the data set.
        folder: where entries are kept; None takes ``.veritrain-cache`` beside the data set.
        workers: processes that decode; None takes one per processor.
        progress: called with (frames looked at, frames in all).

    Raises:
        BrokenFileError: a file is broken and the source's policy is "error".
        LayoutError: no frame reads well.
    """

    def __init__(
        self,
        source: AnoVoxFormat,
        *,
        folder: Path | None = None,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.source = source
        self.folder = folder or source.path.resolve().parent / FOLDER
        self.broken: list[Problem] = []
        self._entries: dict[str, _Entry] = {}
        self._keys: list[FrameKey] = []
        self._prepare(workers or os.cpu_count() or 1, progress)
        if not self._keys:
            raise LayoutError(
                "no frame of the data set can be read",
                file=source.path,
                expected="at least one whole frame",
                found=f"{len(self.broken)} broken frames; the first: {self.broken[0].file}: {self.broken[0].reason}",
                fix="extract the archives again",
            )

    def keys(self) -> list[FrameKey]:
        """The frames that read well, sorted by group and frame number."""
        return list(self._keys)

    def read(self, key: FrameKey) -> Frame:
        """One frame, from its entry; decoded again where the entry does not load."""
        frame = _load(self._entry(key).path, key)
        if frame is None:
            frame = self.source.read(key)
            _store(self._entry(key).path, frame)
        return frame

    def content_hash(self, key: FrameKey) -> str:
        """sha256 of image and points, as :meth:`AnoVoxFormat.content_hash`."""
        return self._entry(key).content_hash

    def frame_label(self, key: FrameKey) -> int:
        """The frame's label, without reading its sensors again."""
        return self._entry(key).frame_label

    def inventory(self) -> Inventory:
        """The source's inventory with the frames that turned out broken."""
        inventory = self.source.inventory()
        return replace(inventory, skipped_frames=inventory.skipped_frames + self.broken)

    def _entry(self, key: FrameKey) -> _Entry:
        if key.id not in self._entries:
            raise LayoutError(
                f"no readable frame '{key.id}'",
                file=self.source.path,
                expected="a key that keys() gave",
                found=key.id,
                fix="read the keys again",
            )
        return self._entries[key.id]

    def _prepare(self, workers: int, progress: Callable[[int, int], None] | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        keys = self.source.keys()
        by_group: dict[str, list[FrameKey]] = {}
        for key in keys:
            by_group.setdefault(key.group, []).append(key)
        groups = list(by_group.values())
        jobs = [(self.source.only(group), members, self.folder) for group, members in by_group.items()]
        done = 0
        with ProcessPoolExecutor(max_workers=min(workers, len(jobs))) as pool:
            for group, results in zip(groups, pool.map(_prepare_group, jobs), strict=True):
                for key, result in zip(group, results, strict=True):
                    self._take(key, result)
                done += len(group)
                if progress is not None:
                    progress(done, len(keys))

    def _take(self, key: FrameKey, result: _Entry | Problem) -> None:
        if isinstance(result, Problem):
            self.broken.append(result)
            return
        self._entries[key.id] = result
        self._keys.append(key)


@dataclass(frozen=True, kw_only=True)
class _Entry:
    path: Path
    content_hash: str
    frame_label: int


def open_anovox(
    path: Path | str,
    options: AnoVoxOptions | None = None,
    *,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CachedFrames:
    """The AnoVox data set at ``path``, decoded once and cached."""
    return CachedFrames(AnoVoxFormat(path, options), folder=cache, progress=progress)


def _prepare_group(job: tuple[AnoVoxFormat, list[FrameKey], Path]) -> list[_Entry | Problem]:
    source, keys, folder = job
    return [_prepare_frame(source, key, folder) for key in keys]


def _prepare_frame(source: AnoVoxFormat, key: FrameKey, folder: Path) -> _Entry | Problem:
    try:
        name = source.file_hash(key)
        path = folder / name[:2] / f"{name}{SUFFIX}"
        return _peek(path) or _decode(source, key, path)
    except (BrokenFileError, OSError) as error:
        if source.options.on_broken == "error":
            raise
        return _problem(key, error)


def _decode(source: AnoVoxFormat, key: FrameKey, path: Path) -> _Entry:
    frame = source.read(key)
    _store(path, frame)
    return _Entry(path=path, content_hash=sensor_hash(frame.image, frame.points), frame_label=frame.frame_label)


def _peek(path: Path) -> _Entry | None:
    """Hash and label of an entry without its arrays, or None where there is no whole one."""
    try:
        about = read_about(path)
    except UNREADABLE:
        return None
    return _Entry(path=path, content_hash=about["content_hash"], frame_label=about["frame_label"])


def _problem(key: FrameKey, error: BrokenFileError | OSError) -> Problem:
    if isinstance(error, BrokenFileError):
        found = f" (found {error.found})" if error.found else ""
        return Problem(scenario=key.group, frame=_number(key), file=str(error.file), reason=error.message + found)
    return Problem(scenario=key.group, frame=_number(key), file=str(error.filename), reason=str(error.strerror))


def _number(key: FrameKey) -> int:
    return int(key.id.rsplit("/", 1)[-1])


def _load(path: Path, key: FrameKey) -> Frame | None:
    """The frame of an entry, or None where there is none or it does not load."""
    try:
        arrays, about = read_entry(path)
    except UNREADABLE:
        return None
    values: dict[str, Any] = {name: arrays[name] for name in ARRAYS}
    return Frame(
        id=key.id,
        group=key.group,
        kind=key.kind,
        frame_label=about["frame_label"],
        calibration=Calibration(**{name: arrays[name] for name in CALIBRATION}),  # type: ignore[arg-type]
        **values,
    )


def _store(path: Path, frame: Frame) -> None:
    arrays = {name: getattr(frame, name) for name in ARRAYS}
    arrays |= {name: getattr(frame.calibration, name) for name in CALIBRATION}
    about = {"content_hash": sensor_hash(frame.image, frame.points), "frame_label": frame.frame_label}
    store_entry(path, arrays, about)
