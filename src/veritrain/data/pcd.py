"""Point clouds in ``.pcd`` files, as the Point Cloud Library and Open3D write them: ascii, binary, binary_compressed.

Source: the PCD format, version 0.7 (pointclouds.org), and LZF's block format (LibLZF). NumPy only. A header is parsed
word by word, nothing in a file is executed, and every size it states is held against the file's length before memory is
asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.errors import BrokenFileError

MAX_POINTS = 20_000_000
"""More points than any sweep has; a header that states more is refused."""
MAX_HEADER = 8192
"""Bytes up to the end of the DATA line."""
KEYS = ("VERSION", "FIELDS", "SIZE", "TYPE", "COUNT", "WIDTH", "HEIGHT", "VIEWPOINT", "POINTS", "DATA")
ENCODINGS = ("ascii", "binary", "binary_compressed")
_TYPES = {
    ("F", 4): "<f4", ("F", 8): "<f8",
    ("I", 1): "<i1", ("I", 2): "<i2", ("I", 4): "<i4", ("I", 8): "<i8",
    ("U", 1): "<u1", ("U", 2): "<u2", ("U", 4): "<u4", ("U", 8): "<u8",
}  # fmt: skip
_LETTERS = {"f": "F", "i": "I", "u": "U"}

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class _Header:
    names: tuple[str, ...]
    types: tuple[str, ...]
    points: int
    encoding: str
    end: int
    """Bytes of the header: where the data start."""

    @property
    def record(self) -> int:
        """Bytes of one point."""
        return sum(np.dtype(kind).itemsize for kind in self.types)


def read_pcd(path: Path) -> Columns:
    """Field name -> (N,) array of the type the header states; N may be 0.

    Raises:
        BrokenFileError: no or another header, a size that does not fit the file, more than one value a field, text
            that is no number, compressed data that do not unpack.
    """
    try:
        content = path.read_bytes()
        header = _parse(content)
        return _READERS[header.encoding](header, content[header.end :])
    except (OSError, ValueError, OverflowError) as error:
        raise BrokenFileError(
            "cannot be read as a point cloud",
            file=path,
            expected="a whole .pcd of version 0.7: ascii, binary or binary_compressed",
            found=str(error) or type(error).__name__,
            fix="extract or copy the file again, or leave its frame out with --on_broken skip",
        ) from error


def write_pcd(path: Path, columns: Mapping[str, NDArray[Any]], *, encoding: str = "binary") -> None:
    """A ``.pcd`` with one field a column, header as Open3D writes it.

    Args:
        path: replaced where it exists.
        columns: field name -> (N,) array of float32, float64 or a whole-number type; all of equal length.
        encoding: "ascii" or "binary".

    Raises:
        ValueError: columns of different length, of another type, or another encoding.
    """
    arrays = {name: np.ascontiguousarray(column) for name, column in columns.items()}
    lengths = {len(column) for column in arrays.values()}
    kinds = [(_LETTERS.get(column.dtype.kind, "?"), column.dtype.itemsize) for column in arrays.values()]
    if len(lengths) != 1 or any(kind not in _TYPES for kind in kinds) or encoding not in ENCODINGS[:2]:
        raise ValueError(f"cannot write {[(name, len(a), a.dtype) for name, a in arrays.items()]} as {encoding}")
    count = lengths.pop()
    lines = [
        "# .PCD v0.7 - Point Cloud Data file format",
        "VERSION 0.7",
        "FIELDS " + " ".join(arrays),
        "SIZE " + " ".join(str(size) for _, size in kinds),
        "TYPE " + " ".join(letter for letter, _ in kinds),
        "COUNT " + " ".join("1" for _ in kinds),
        f"WIDTH {count}",
        "HEIGHT 1",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {count}",
        f"DATA {encoding}",
    ]
    head = ("\n".join(lines) + "\n").encode()
    if encoding == "ascii":
        rows = zip(*(column.tolist() for column in arrays.values()), strict=True)
        body = "".join(" ".join(repr(value) for value in row) + "\n" for row in rows).encode()
    else:
        table = np.empty(count, np.dtype([(name, _TYPES[kind]) for name, kind in zip(arrays, kinds, strict=True)]))
        for name, column in arrays.items():
            table[name] = column
        body = table.tobytes()
    path.write_bytes(head + body)


def _parse(content: bytes) -> _Header:
    """The header, every line a known key, once, and ``DATA`` the last."""
    words: dict[str, list[str]] = {}
    place = 0
    while "DATA" not in words:
        stop = content.find(b"\n", place, MAX_HEADER)
        if stop < 0:
            raise ValueError(f"no DATA line in the first {min(len(content), MAX_HEADER)} of {len(content)} bytes")
        line = content[place:stop].decode("ascii").strip()
        place = stop + 1
        if not line or line.startswith("#"):
            continue
        key, *rest = line.split()
        if key not in KEYS or key in words:
            raise ValueError(f"the header's key {key!r} is " + ("there twice" if key in words else "unknown"))
        words[key] = rest
    missing = [key for key in KEYS if key not in words and key not in ("COUNT", "VIEWPOINT")]
    if missing:
        raise ValueError(f"the header has no {missing[0]}")
    if words["VERSION"] not in (["0.7"], [".7"]):
        raise ValueError(f"version {' '.join(words['VERSION'])}")
    return _Header(
        names=_names(words["FIELDS"]),
        types=_types(words),
        points=_points(words),
        encoding=_one_of(words["DATA"], ENCODINGS),
        end=place,
    )


def _names(words: list[str]) -> tuple[str, ...]:
    if not 1 <= len(words) <= 64 or len(set(words)) != len(words):
        raise ValueError(f"{len(words)} fields, or one name twice")
    return tuple(words)


def _types(words: dict[str, list[str]]) -> tuple[str, ...]:
    fields = len(words["FIELDS"])
    counts = words.get("COUNT", ["1"] * fields)
    if len(words["SIZE"]) != fields or len(words["TYPE"]) != fields or counts != ["1"] * fields:
        raise ValueError(
            f"{fields} fields, SIZE {' '.join(words['SIZE'])}, TYPE {' '.join(words['TYPE'])}, "
            f"COUNT {' '.join(counts)}: one size and type a field and one value each are read"
        )
    kinds = [(letter, _whole(size, 8)) for letter, size in zip(words["TYPE"], words["SIZE"], strict=True)]
    unknown = [kind for kind in kinds if kind not in _TYPES]
    if unknown:
        raise ValueError(f"a field of type {unknown[0][0]} and {unknown[0][1]} bytes")
    return tuple(_TYPES[kind] for kind in kinds)


def _points(words: dict[str, list[str]]) -> int:
    width, height, points = (_whole(" ".join(words[key]), MAX_POINTS) for key in ("WIDTH", "HEIGHT", "POINTS"))
    if width * height != points:
        raise ValueError(f"{width} x {height} is not {points} points")
    return points


def _whole(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= most):
        raise ValueError(f"{text[:40]!r} is no whole number up to {most}")
    return int(text)


def _one_of(words: list[str], known: tuple[str, ...]) -> str:
    if len(words) != 1 or words[0] not in known:
        raise ValueError(f"DATA {' '.join(words)[:40]}")
    return words[0]


def _from_binary(header: _Header, body: bytes) -> Columns:
    promised = header.points * header.record
    if promised != len(body):
        raise ValueError(f"the header promises {promised} bytes of {header.points} points, the file holds {len(body)}")
    layout = np.dtype([(name, kind) for name, kind in zip(header.names, header.types, strict=True)])
    table = np.frombuffer(body, layout)
    return {name: table[name].copy() for name in header.names}


def _from_ascii(header: _Header, body: bytes) -> Columns:
    lines = [line.split() for line in body.decode("ascii").splitlines() if line.strip()]
    wrong = next((row for row, line in enumerate(lines) if len(line) != len(header.names)), None)
    if wrong is not None:
        raise ValueError(f"row {wrong} has {len(lines[wrong])} values, the header {len(header.names)} fields")
    if len(lines) != header.points:
        raise ValueError(f"the header promises {header.points} points, the file holds {len(lines)}")
    columns: Columns = {}
    for place, (name, kind) in enumerate(zip(header.names, header.types, strict=True)):
        words = [line[place] for line in lines]
        columns[name] = _numbers(words, np.dtype(kind))
    return columns


def _numbers(words: list[str], kind: np.dtype[Any]) -> NDArray[Any]:
    if kind.kind == "f":
        with np.errstate(over="ignore", under="ignore"):  # a packed colour is a denormal number
            return np.array(words, dtype=np.float64).astype(kind)
    values = [int(word) for word in words]
    bounds = np.iinfo(kind)
    if values and not (bounds.min <= min(values) and max(values) <= bounds.max):
        raise ValueError(f"a number from {min(values)} to {max(values)} in a field of {kind.itemsize} bytes")
    return np.array(values, dtype=kind)


def _from_compressed(header: _Header, body: bytes) -> Columns:
    """LZF of all first fields, then all second fields, and so on."""
    if len(body) < 8:
        raise ValueError("the compressed block has no sizes")
    packed, unpacked = (int(size) for size in np.frombuffer(body[:8], "<u4"))
    promised = header.points * header.record
    if unpacked != promised or packed != len(body) - 8:
        raise ValueError(
            f"the block states {packed} bytes for {unpacked}; the file holds {len(body) - 8}, "
            f"{header.points} points take {promised}"
        )
    plain = lzf_unpack(body[8:], unpacked)
    columns: Columns = {}
    place = 0
    for name, kind in zip(header.names, header.types, strict=True):
        size = header.points * np.dtype(kind).itemsize
        columns[name] = np.frombuffer(plain[place : place + size], kind).copy()
        place += size
    return columns


def lzf_unpack(packed: bytes, size: int) -> bytes:
    """``size`` bytes from an LZF block: literal runs, and copies of what was written up to 8,192 bytes before.

    Raises:
        ValueError: the block ends within a run, points before its beginning, or gives another number of bytes.
    """
    out = bytearray()
    place, end = 0, len(packed)
    while place < end:
        control = packed[place]
        place += 1
        if control < 32:  # control + 1 bytes as they are
            out += packed[place : place + control + 1]
            place += control + 1
        else:
            length = control >> 5
            more = 2 if length == 7 else 1
            if place + more > end:
                raise ValueError("the compressed block ends within a copy")
            if length == 7:
                length += packed[place]
            distance = ((control & 31) << 8 | packed[place + more - 1]) + 1
            place += more
            _copy_back(out, distance, length + 2)
        if place > end or len(out) > size:
            raise ValueError(f"the compressed block does not give {size} bytes")
    if len(out) != size:
        raise ValueError(f"the compressed block gives {len(out)} bytes, not {size}")
    return bytes(out)


def _copy_back(out: bytearray, distance: int, length: int) -> None:
    """Appends ``length`` bytes from ``distance`` before the end; they may overlap what is being written."""
    start = len(out) - distance
    if start < 0:
        raise ValueError("the compressed block points before its beginning")
    piece = bytes(out[start : start + length])
    out += (piece * (length // len(piece) + 1))[:length]


_READERS = {"ascii": _from_ascii, "binary": _from_binary, "binary_compressed": _from_compressed}
