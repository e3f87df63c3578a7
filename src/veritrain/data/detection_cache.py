"""Decoded images kept beside the data set, so that they are decoded once.

An entry holds an image and no label; its name is the sha256 of the image's bytes, the size asked for and the decoder's
version: a changed image finds no entry, whatever its time stamp or size says, and labels are read from their files each
time. Cache files of other programs are never read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from veritrain.data.cache import FOLDER, SUFFIX, UNREADABLE
from veritrain.data.detection_sample import DetectionKey, DetectionSample, FrameLabels
from veritrain.data.echo import DetectionInventory, EchoFormat, FileProblem
from veritrain.data.entry import read_about, read_entry, store_entry
from veritrain.data.image_file import image_hash
from veritrain.data.options import EchoOptions
from veritrain.errors import BrokenFileError, LayoutError

CHUNK = 64
"""Images that a worker process decodes at a time."""


class CachedDetections:
    """The images of a detection set that decode, decoded at most once.

    Every image is decoded when the object is made: what is broken is then known before training starts.

    Args:
        source: the data set.
        folder: where entries are kept; None takes ``.veritrain-cache`` beside the data set.
        workers: processes that decode; None takes one per processor, 1 none but this one.
        progress: called with (images looked at, images in all).

    Attributes:
        classes: class names, in the order of the class numbers.
        views: view names, in the order of the view numbers.

    Raises:
        BrokenFileError: an image does not decode and the source's policy is "error".
        LayoutError: no image decodes.
    """

    def __init__(
        self,
        source: EchoFormat,
        *,
        folder: Path | None = None,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.source = source
        self.classes, self.views = source.classes, source.views
        self.folder = folder or source.set.root.resolve().parent / FOLDER
        self.broken: list[FileProblem] = []
        self._entries: dict[str, _Entry] = {}
        self._keys: list[DetectionKey] = []
        self._prepare(workers or os.cpu_count() or 1, progress)
        if not self._keys:
            raise LayoutError(
                "no image of the data set decodes",
                file=source.path,
                expected="at least one whole image",
                found=f"{len(self.broken)} broken ones; the first: {self.broken[0].file}: {self.broken[0].reason}",
                fix="copy the images again",
            )

    def keys(self) -> list[DetectionKey]:
        """The images that decode, sorted by group and id."""
        return list(self._keys)

    def labels(self, key: DetectionKey) -> FrameLabels:
        """Boxes, classes and view, without reading the image."""
        return self.source.labels(key)

    def read(self, key: DetectionKey) -> DetectionSample:
        """One sample, its image from its entry; decoded again where the entry does not load.

        Raises:
            BrokenFileError: the image was whole when the source was opened and no longer is.
        """
        sample = _load(self._entry(key).path, key, self.source.labels(key))
        if sample is None:
            sample = self.source.read(key)
            _store(self._entry(key).path, sample)
        return sample

    def content_hash(self, key: DetectionKey) -> str:
        """sha256 of the decoded pixels, as :meth:`EchoFormat.content_hash`."""
        return self._entry(key).content_hash

    def stored_size(self, key: DetectionKey) -> tuple[int, int]:
        """(width, height) of the stored image, in pixels."""
        return self._entry(key).size

    def inventory(self) -> DetectionInventory:
        """The source's inventory without the images that turned out broken, which it lists."""
        whole = self.source.only(self._keys).inventory()
        return replace(whole, problems=whole.problems + self.broken)

    def _entry(self, key: DetectionKey) -> _Entry:
        if key.id not in self._entries:
            raise LayoutError(
                f"no readable image '{key.id}'",
                file=self.source.path,
                expected="a key that keys() gave",
                found=key.id,
                fix="read the keys again",
            )
        return self._entries[key.id]

    def _prepare(self, workers: int, progress: Callable[[int, int], None] | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        keys = self.source.keys()
        chunks = [keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK)]
        jobs = [(self.source.only(chunk), chunk, self.folder) for chunk in chunks]
        done = 0
        with ProcessPoolExecutor(max_workers=min(workers, len(jobs))) as pool:
            results = map(_prepare_chunk, jobs) if min(workers, len(jobs)) == 1 else pool.map(_prepare_chunk, jobs)
            for chunk, entries in zip(chunks, results, strict=True):
                for key, entry in zip(chunk, entries, strict=True):
                    self._take(key, entry)
                done += len(chunk)
                if progress is not None:
                    progress(done, len(keys))

    def _take(self, key: DetectionKey, entry: _Entry | FileProblem) -> None:
        if isinstance(entry, FileProblem):
            self.broken.append(entry)
            return
        self._entries[key.id] = entry
        self._keys.append(key)


@dataclass(frozen=True, kw_only=True)
class _Entry:
    path: Path
    content_hash: str
    size: tuple[int, int]


def open_echo(
    path: Path | str,
    options: EchoOptions | None = None,
    *,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CachedDetections:
    """The detection set at ``path``, decoded once and cached."""
    return CachedDetections(EchoFormat(path, options), folder=cache, workers=workers, progress=progress)


def _prepare_chunk(job: tuple[EchoFormat, Sequence[DetectionKey], Path]) -> list[_Entry | FileProblem]:
    source, keys, folder = job
    return [_prepare_one(source, key, folder) for key in keys]


def _prepare_one(source: EchoFormat, key: DetectionKey, folder: Path) -> _Entry | FileProblem:
    try:
        name = source.file_hash(key)
        path = folder / name[:2] / f"{name}{SUFFIX}"
        return _peek(path) or _store(path, source.read(key))
    except (BrokenFileError, OSError) as error:
        if source.options.on_broken == "error":
            raise
        return _problem(error)


def _peek(path: Path) -> _Entry | None:
    """What an entry says without its arrays, or None where there is no whole one."""
    try:
        about = read_about(path)
    except UNREADABLE:
        return None
    return _Entry(path=path, content_hash=about["content_hash"], size=tuple(about["size"]))


def _problem(error: BrokenFileError | OSError) -> FileProblem:
    if isinstance(error, BrokenFileError):
        file, reason = error.file, error.message + (f" (found {error.found})" if error.found else "")
    else:
        file, reason = str(error.filename), str(error.strerror)
    return FileProblem(name="image_broken", file=str(file), line=None, reason=reason, left_out=True)


def _load(path: Path, key: DetectionKey, labels: FrameLabels) -> DetectionSample | None:
    """The sample of an entry, or None where there is none or it does not load."""
    try:
        arrays, about = read_entry(path)
    except UNREADABLE:
        return None
    return DetectionSample(
        id=key.id,
        group=key.group,
        video=key.video,
        image=arrays["image"].astype(np.uint8, copy=False),
        boxes=labels.boxes,
        classes=labels.classes,
        view=labels.view,
        width=about["size"][0],
        height=about["size"][1],
    )


def _store(path: Path, sample: DetectionSample) -> _Entry:
    content, size = image_hash(sample.image), (sample.width, sample.height)
    store_entry(path, {"image": sample.image}, {"content_hash": content, "size": list(size)})
    return _Entry(path=path, content_hash=content, size=size)
