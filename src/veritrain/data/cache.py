"""Decoded samples kept beside the data set, so that they are decoded once: what the caches of all kinds share.

An entry is named by the sha256 that its source gives (``file_hash``: the sample's files, the options that matter, the
decoder's version): a changed file finds no entry, whatever its time stamp or size says. Entries are written beside
their place and renamed; one that does not load is made again. What an entry holds of a sample, and how it becomes one
again, each kind says for itself: ``frame_cache.py``, ``detection_cache.py``.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from veritrain.data.entry import read_about, read_entry, store_entry
from veritrain.data.sample import FrameKey, unknown_key
from veritrain.errors import BrokenFileError, LayoutError

FOLDER = ".veritrain-cache"
"""Beside the data set, where nobody says another place."""

SUFFIX = ".frame"
UNREADABLE = (OSError, BrokenFileError)

Packed = tuple[Mapping[str, NDArray[np.generic]], Mapping[str, Any]]
"""What an entry holds: arrays by name, and JSON content that is read without them; ``content_hash`` is in it."""


class OnBroken(Protocol):
    """Options of a format that say what becomes of broken files: "skip" or "error"."""

    @property
    def on_broken(self) -> str: ...


class Decodable(Protocol):
    """A data set whose samples are decoded one by one: what a format offers so that they can be kept."""

    @property
    def path(self) -> Path: ...

    @property
    def options(self) -> OnBroken: ...

    def keys(self) -> list[Any]: ...

    def read(self, key: Any) -> Any: ...

    def file_hash(self, key: Any) -> str: ...


SourceT = TypeVar("SourceT", bound=Decodable)
KeyT = TypeVar("KeyT", bound=FrameKey)
SampleT = TypeVar("SampleT")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where a sample is kept, and what is known of it without its arrays."""

    path: Path
    about: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A sample that does not read well: the file at fault, and why."""

    key: FrameKey
    file: str
    reason: str


class SampleCache(ABC, Generic[SourceT, KeyT, SampleT]):
    """The samples of a data set that read well, decoded at most once.

    Every sample is read when the object is made: what is broken is then known before training starts.

    Args:
        source: the data set.
        folder: where entries are kept; None takes ``.veritrain-cache`` beside the data set.
        workers: processes that decode; None takes one per processor, 1 none but this one.
        progress: called with (samples looked at, samples in all).

    Attributes:
        broken: what does not read well, in the source's order.
        one, broken_ones: what messages call a sample, and several that are broken.
        none_reads, advice: what they say where no sample reads well, and what to do then.

    Raises:
        BrokenFileError: a file is broken and the source's policy is "error".
        LayoutError: no sample reads well.
    """

    one: ClassVar[str]
    broken_ones: ClassVar[str]
    none_reads: ClassVar[str]
    advice: ClassVar[str]

    def __init__(
        self,
        source: SourceT,
        *,
        folder: Path | None = None,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.source = source
        self.folder = folder or self._root().resolve().parent / FOLDER
        self.broken: list[Broken] = []
        self._entries: dict[str, Entry] = {}
        self._keys: list[KeyT] = []
        self._prepare(workers or os.cpu_count() or 1, progress)
        if not self._keys:
            first = self.broken[0]
            raise LayoutError(
                self.none_reads,
                file=source.path,
                expected=f"at least one whole {self.one}",
                found=f"{len(self.broken)} {self.broken_ones}; the first: {first.file}: {first.reason}",
                fix=self.advice,
            )

    @abstractmethod
    def _root(self) -> Path:
        """The folder of the data set."""

    @abstractmethod
    def _parts(self) -> list[tuple[SourceT, list[KeyT]]]:
        """What a worker process decodes at a time: parts of the source with their keys, in the source's order."""

    @staticmethod
    @abstractmethod
    def _packed(sample: Any) -> Packed:
        """What an entry holds of a sample."""

    @abstractmethod
    def _unpacked(self, key: KeyT, arrays: Mapping[str, Any], about: Mapping[str, Any]) -> SampleT:
        """The sample again, from what an entry holds."""

    def keys(self) -> list[KeyT]:
        """The keys of what reads well, in the source's order."""
        return list(self._keys)

    def read(self, key: KeyT) -> SampleT:
        """One sample, from its entry; decoded again where the entry does not load.

        Raises:
            BrokenFileError: its files were whole when the source was opened and no longer are.
            LayoutError: ``keys()`` gave no such key.
        """
        path = self._entry(key).path
        kept = _load(path)
        if kept is not None:
            return self._unpacked(key, *kept)
        sample: SampleT = self.source.read(key)
        store_entry(path, *self._packed(sample))
        return sample

    def content_hash(self, key: KeyT) -> str:
        """sha256 of the decoded content, the one that the source gives, without reading it again."""
        found: str = self._entry(key).about["content_hash"]
        return found

    def _entry(self, key: KeyT) -> Entry:
        if key.id not in self._entries:
            raise unknown_key(self.source.path, f"readable {self.one}", key)
        return self._entries[key.id]

    def _prepare(self, workers: int, progress: Callable[[int, int], None] | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        parts = self._parts()
        prepare = partial(_prepare_part, self._packed, self.folder)
        workers, total, done = min(workers, len(parts)), sum(len(keys) for _, keys in parts), 0
        with ProcessPoolExecutor(max_workers=workers) as pool:
            results = map(prepare, parts) if workers == 1 else pool.map(prepare, parts)
            for (_, keys), found in zip(parts, results, strict=True):
                for key, entry in zip(keys, found, strict=True):
                    self._take(key, entry)
                done += len(keys)
                if progress is not None:
                    progress(done, total)

    def _take(self, key: KeyT, entry: Entry | Broken) -> None:
        if isinstance(entry, Broken):
            self.broken.append(entry)
            return
        self._entries[key.id] = entry
        self._keys.append(key)


def _prepare_part(
    pack: Callable[[Any], Packed], folder: Path, part: tuple[Decodable, Sequence[FrameKey]]
) -> list[Entry | Broken]:
    source, keys = part
    return [_prepare_one(pack, folder, source, key) for key in keys]


def _prepare_one(pack: Callable[[Any], Packed], folder: Path, source: Decodable, key: FrameKey) -> Entry | Broken:
    try:
        name = source.file_hash(key)
        path = folder / name[:2] / f"{name}{SUFFIX}"
        return _peek(path) or _store(path, *pack(source.read(key)))
    except (BrokenFileError, OSError) as error:
        if source.options.on_broken == "error":
            raise
        return _broken(key, error)


def _peek(path: Path) -> Entry | None:
    """An entry without its arrays, or None where there is no whole one."""
    try:
        return Entry(path=path, about=read_about(path))
    except UNREADABLE:
        return None


def _load(path: Path) -> Packed | None:
    """What an entry holds, or None where there is none or it does not load."""
    try:
        return read_entry(path)
    except UNREADABLE:
        return None


def _store(path: Path, arrays: Mapping[str, NDArray[np.generic]], about: Mapping[str, Any]) -> Entry:
    store_entry(path, arrays, about)
    return Entry(path=path, about=about)


def _broken(key: FrameKey, error: BrokenFileError | OSError) -> Broken:
    if isinstance(error, BrokenFileError):
        found = f" (found {error.found})" if error.found else ""
        return Broken(key=key, file=str(error.file), reason=error.message + found)
    return Broken(key=key, file=str(error.filename), reason=str(error.strerror))
