"""Reading one sensor file: what it must be, and a clear refusal where it is not.

Nothing is executed from a file (``allow_pickle`` is never set) and nothing is repaired in silence.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import Image, UnidentifiedImageError

from veritrain.errors import BrokenFileError

MAX_PIXELS = 64_000_000
"""Images above this are refused before they are decoded: a small file can name a huge image."""

AGAIN = "extract or copy the file again, or leave its frame out with on_broken='skip'"


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB from an 8-bit colour PNG.

    Raises:
        BrokenFileError: not a PNG, truncated, of another mode, or above MAX_PIXELS.
    """
    return _read_png(path, "RGB")


def read_ids(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8 AnoVox ids from a greyscale PNG (mode L).

    Raises:
        BrokenFileError: as :func:`read_rgb`; a colour image is the 2023 sample's layout, which has no ids.
    """
    return _read_png(path, "L")


def read_depth(path: Path) -> NDArray[np.float64]:
    """(H, W) float64 metres along the viewing axis: 1000 (R + 256 G + 65536 B) / (2^24 - 1)."""
    coded = _read_png(path, "RGB").astype(np.int64)
    return 1000.0 * (coded[..., 0] + 256 * coded[..., 1] + 65536 * coded[..., 2]) / (2**24 - 1)


def read_cloud(path: Path, dtype: DTypeLike, *, allow_empty: bool = False) -> NDArray[Any]:
    """(N, 4) points of ``dtype``: x, y, z in metres and intensity (LIDAR, float32) or id (SEMANTIC-LIDAR, float64).

    Raises:
        BrokenFileError: not a .npy of numbers, truncated, another shape or dtype, NaN or infinite, empty.
    """
    cloud = _read_npy(path)
    _demand_table(path, cloud, dtype)
    if len(cloud) == 0 and not allow_empty:
        raise BrokenFileError(
            "the cloud is empty", file=path, expected="at least one point", found="0 points", fix=AGAIN
        )
    if not np.isfinite(cloud).all():
        row = int(np.argwhere(~np.isfinite(cloud))[0, 0])
        count = int((~np.isfinite(cloud)).any(axis=1).sum())
        raise BrokenFileError(
            "points are not finite",
            file=path,
            expected="finite numbers",
            found=f"{count} rows with NaN or infinity, the first is row {row}",
            fix=AGAIN,
        )
    return cloud


def read_voxels(path: Path) -> NDArray[np.uint16]:
    """(M, 4) uint16 vx, vy, vz, id.

    Raises:
        BrokenFileError: as :func:`read_cloud`.
    """
    voxels: NDArray[np.uint16] = _read_npy(path)
    _demand_table(path, voxels, np.uint16)
    return voxels


def _read_png(path: Path, mode: str) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=["PNG"])
        with picture:
            _demand_size(path, picture.size)
            if picture.mode != mode:
                raise BrokenFileError(
                    "the image has another mode",
                    file=path,
                    expected=f"an 8-bit PNG of mode {mode}",
                    found=f"mode {picture.mode}",
                    fix="a colour SEMANTIC image belongs to the 2023 sample; use the 2024 archives"
                    if mode == "L"
                    else AGAIN,
                )
            return np.asarray(picture)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BrokenFileError(
            "cannot be read as an image",
            file=path,
            expected="a whole PNG",
            found=f"{_size_on_disk(path)}: {error}",
            fix=AGAIN,
        ) from error


def _demand_size(path: Path, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise BrokenFileError(
            "the image is too large",
            file=path,
            expected=f"at most {MAX_PIXELS:,} pixels",
            found=f"{size[0]} x {size[1]}",
            fix="check where the file comes from: a small file that names a huge image can fill the memory",
        )


def _read_npy(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as stream:
            _demand_plausible_header(path, stream)
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise BrokenFileError(
            "cannot be read as an array",
            file=path,
            expected="a whole .npy of numbers",
            found=f"{_size_on_disk(path)}: {error}",
            fix=AGAIN + "; arrays of Python objects are refused because loading them can run code",
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise BrokenFileError(
            "holds several arrays", file=path, expected="one .npy array", found="an archive", fix=AGAIN
        )
    return array


def _demand_plausible_header(path: Path, stream: Any) -> None:
    """Refuses a header that promises more than the file holds, before NumPy asks for the memory."""
    if stream.read(6) != b"\x93NUMPY":
        raise ValueError("no NumPy header")
    stream.seek(0)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    promised = int(np.prod(shape, dtype=object)) * dtype.itemsize
    held = path.stat().st_size - stream.tell()
    if not dtype.hasobject and promised != held:
        raise ValueError(f"the header promises {promised} bytes of {shape} {dtype}, the file holds {held}")


def _demand_table(path: Path, array: NDArray[Any], dtype: DTypeLike) -> None:
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype != np.dtype(dtype):
        raise BrokenFileError(
            "the array has another shape or type",
            file=path,
            expected=f"(N, 4) {np.dtype(dtype)}",
            found=f"{array.shape} {array.dtype}",
            fix=AGAIN,
        )


def _size_on_disk(path: Path) -> str:
    try:
        return f"{path.stat().st_size:,} bytes"
    except OSError:
        return "no file"
