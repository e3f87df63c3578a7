"""One decoded frame in one file: a checked header, then the arrays one behind the other.

Layout: a first line ``veritrain-frame 1 <bytes> <crc32> <bytes> <crc32>`` (of the header and of the arrays), the
header as JSON, padding, the arrays. Read with one system call; a torn file or a changed bit is noticed by the sums.
"""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.errors import BrokenFileError

MAGIC = b"veritrain-frame"
VERSION = 1
ALIGNMENT = 64
"""Every array starts at a multiple of this, counted from the file's beginning."""

LONGEST_FIRST_LINE = 128


@dataclass(frozen=True, kw_only=True)
class _First:
    """The first line: how long the two parts are, and their sums."""

    end: int
    header: int
    header_sum: int
    arrays: int
    arrays_sum: int

    @property
    def arrays_start(self) -> int:
        return _up(self.end + self.header)


def entry_bytes(arrays: Mapping[str, NDArray[np.generic]], about: Mapping[str, Any]) -> bytes:
    """A file's content: arrays by name, and JSON content that can be read without them."""
    places, parts, offset = {}, [], 0
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array).tobytes()
        places[name] = [array.dtype.str, list(array.shape), offset]
        parts += [raw, bytes(-len(raw) % ALIGNMENT)]
        offset += _up(len(raw))
    header = json.dumps({"arrays": places, "about": dict(about)}).encode()
    body = b"".join(parts)
    first = b"%s %d %d %d %d %d\n" % (MAGIC, VERSION, len(header), zlib.crc32(header), len(body), zlib.crc32(body))
    start = len(first) + len(header)
    return b"".join([first, header, bytes(_up(start) - start), body])


def store_entry(path: Path, arrays: Mapping[str, NDArray[np.generic]], about: Mapping[str, Any]) -> None:
    """Writes an entry under a name of its own, two folders up, and renames it: readers see a whole entry or none.

    Raises:
        OSError: the disk is full or read-only; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.parent.parent / f"{uuid.uuid4().hex}.part"
    try:
        beside.write_bytes(entry_bytes(arrays, about))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_about(path: Path) -> dict[str, Any]:
    """The JSON content of an entry, without its arrays.

    Raises:
        BrokenFileError: it is no whole entry. OSError: it cannot be read.
    """
    with path.open("rb") as file:
        first = _first_of(file.read(LONGEST_FIRST_LINE), path)
        file.seek(first.end)
        about: dict[str, Any] = _header(file.read(first.header), first, path)["about"]
        if file.seek(0, 2) != first.arrays_start + first.arrays:
            raise _broken(path, "another length than its first line says")
    return about


def read_entry(path: Path) -> tuple[dict[str, NDArray[np.generic]], dict[str, Any]]:
    """Arrays by name, each writable, and the JSON content.

    Raises:
        BrokenFileError: torn or changed. OSError: it cannot be read.
    """
    content = np.fromfile(path, np.uint8)
    first = _first_of(content[:LONGEST_FIRST_LINE].tobytes(), path)
    header = _header(content[first.end : first.end + first.header].tobytes(), first, path)
    body = content[first.arrays_start :]
    if len(body) != first.arrays or zlib.crc32(body.data) != first.arrays_sum:
        raise _broken(path, "arrays that are not those it was written with")
    return {name: _array(body, *place) for name, place in header["arrays"].items()}, header["about"]


def _array(body: NDArray[np.uint8], kind: str, shape: list[int], offset: int) -> NDArray[np.generic]:
    dtype = np.dtype(kind)
    size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    return body[offset : offset + size].view(dtype).reshape(shape)


def _first_of(content: bytes, path: Path) -> _First:
    line, newline, _ = content.partition(b"\n")
    words = line.split(b" ")
    if not newline or len(words) != 6 or words[0] != MAGIC or not all(word.isdigit() for word in words[1:]):
        raise _broken(path, "no first line of an entry")
    version, header, header_sum, arrays, arrays_sum = (int(word) for word in words[1:])
    if version != VERSION:
        raise _broken(path, f"version {version}")
    return _First(end=len(line) + 1, header=header, header_sum=header_sum, arrays=arrays, arrays_sum=arrays_sum)


def _header(raw: bytes, first: _First, path: Path) -> dict[str, Any]:
    if len(raw) != first.header or zlib.crc32(raw) != first.header_sum:
        raise _broken(path, "a header that is not the one it was written with")
    header: dict[str, Any] = json.loads(raw)
    return header


def _up(size: int) -> int:
    return size + -size % ALIGNMENT


def _broken(path: Path, found: str) -> BrokenFileError:
    return BrokenFileError(
        "not a whole decoded frame", file=path, expected="an entry as it was written", found=found, fix="delete it"
    )
