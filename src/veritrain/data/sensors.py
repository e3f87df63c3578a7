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

from veritrain.data.palette import ids_from_colours, ids_from_packed
from veritrain.data.pcd import Columns, read_pcd
from veritrain.errors import BrokenFileError

GRID = (1000, 1000, 64)
"""Cells of AnoVox's voxel grid along x, y, z."""
ATTENUATION = 0.004
"""CARLA's default atmosphere_attenuation_rate per metre: an intensity is exp(-rate * distance)."""
MAX_PIXELS = 64_000_000
"""Images above this are refused before they are decoded: a small file can name a huge image."""

AGAIN = "extract or copy the file again, or leave its frame out with --on_broken skip"


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB from an 8-bit colour PNG.

    Raises:
        BrokenFileError: not a PNG, truncated, of another mode, or above MAX_PIXELS.
    """
    return _read_png(path, "RGB")


def read_semantic(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8 AnoVox ids from a semantic image of either kind, told apart by the image's mode.

    Mode L holds ids (2024 archives). Mode RGB holds colours (2023 sample): ids come from the palette
    (:mod:`veritrain.data.palette`), and a colour it lacks becomes UNKNOWN_COLOUR.

    Raises:
        BrokenFileError: as :func:`read_rgb`, or a third mode.
    """
    picture = _read_png(path, "L", "RGB")
    return picture if picture.ndim == 2 else ids_from_colours(picture)


def read_depth(path: Path) -> NDArray[np.float32]:
    """(H, W) float32 metres along the viewing axis: 1000 (R + 256 G + 65536 B) / (2^24 - 1).

    Raises:
        BrokenFileError: as :func:`read_rgb`.
    """
    coded = _read_png(path, "RGB").astype(np.int32)  # before the sum: uint8 would overflow
    whole = coded[..., 0] + 256 * coded[..., 1] + 65536 * coded[..., 2]
    return (whole * (1000.0 / (2**24 - 1))).astype(np.float32)


def read_instance(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """(H, W) uint8 AnoVox ids and (H, W) int32 object numbers of CARLA's instance image: red, and green + 256 blue.

    Raises:
        BrokenFileError: as :func:`read_rgb`.
    """
    coded = _read_png(path, "RGB")
    return coded[..., 0].copy(), coded[..., 1].astype(np.int32) + 256 * coded[..., 2].astype(np.int32)


def read_route(path: Path) -> NDArray[np.bool_]:
    """(H, W) bool, True on the ego's route from above (AnoVox: 192 x 192, 5 px a metre, ego 40 px above the bottom).

    Raises:
        BrokenFileError: not a greyscale PNG, truncated, or above MAX_PIXELS.
    """
    return _read_png(path, "L") > 127


def read_lidar(path: Path) -> NDArray[np.float32]:
    """(N, 4) float32 x, y, z in metres and intensity, from ``.npy`` (2024) or ``.pcd`` (2023).

    A ``.pcd`` without a field ``intensity`` (Open3D's plain writer keeps none) gets CARLA's own
    exp(-ATTENUATION * distance): there an intensity depends on nothing but the distance.

    Raises:
        BrokenFileError: as :func:`read_cloud` and :func:`veritrain.data.pcd.read_pcd`, or a coordinate is missing.
    """
    if path.suffix != ".pcd":
        cloud: NDArray[np.float32] = read_cloud(path, np.float32)
        return cloud
    columns = read_pcd(path)
    points = _coordinates(path, columns).astype(np.float32)
    intensity = columns.get("intensity")
    if intensity is None:
        intensity = np.exp(-ATTENUATION * np.linalg.norm(points.astype(np.float64), axis=1))
    made = np.concatenate([points, intensity.astype(np.float32)[:, None]], axis=1)
    _demand_filled(path, made)
    return made


def read_labelled_lidar(path: Path) -> NDArray[np.float64]:
    """(N, 4) float64 x, y, z in metres and AnoVox id, from ``.npy`` (2024) or ``.pcd`` with packed colours (2023).

    Raises:
        BrokenFileError: as :func:`read_lidar`, or there is no field ``rgb`` of four bytes.
    """
    if path.suffix != ".pcd":
        cloud: NDArray[np.float64] = read_cloud(path, np.float64)
        return cloud
    columns = read_pcd(path)
    points = _coordinates(path, columns).astype(np.float64)
    colours = columns.get("rgb", columns.get("rgba"))
    if colours is None or colours.dtype.itemsize != 4:
        raise BrokenFileError(
            "the labelled cloud has no class colours",
            file=path,
            expected="a field rgb of four bytes, 0x00RRGGBB",
            found=", ".join(f"{name} {column.dtype}" for name, column in columns.items()),
            fix=AGAIN,
        )
    made = np.concatenate([points, ids_from_packed(colours.view(np.uint32)).astype(np.float64)[:, None]], axis=1)
    _demand_filled(path, made)
    return made


def _coordinates(path: Path, columns: Columns) -> NDArray[Any]:
    missing = [name for name in ("x", "y", "z") if name not in columns or columns[name].dtype.kind != "f"]
    if missing:
        raise BrokenFileError(
            f"the cloud has no coordinate {missing[0]}",
            file=path,
            expected="fields x, y, z of floating point",
            found=", ".join(f"{name} {column.dtype}" for name, column in columns.items()),
            fix=AGAIN,
        )
    return np.stack([columns[name] for name in ("x", "y", "z")], axis=1)


def read_cloud(path: Path, dtype: DTypeLike) -> NDArray[Any]:
    """(N, 4) points of ``dtype``: x, y, z in metres and intensity (LIDAR, float32) or id (SEMANTIC-LIDAR, float64).

    Raises:
        BrokenFileError: not a .npy of numbers, truncated, another shape or dtype, NaN or infinite, empty.
    """
    cloud = _read_npy(path)
    _demand_table(path, cloud, dtype)
    _demand_filled(path, cloud)
    return cloud


def read_voxels(path: Path) -> NDArray[np.uint16]:
    """(M, 4) uint16 vx, vy, vz, id.

    Raises:
        BrokenFileError: as :func:`read_cloud`, or a cell lies outside the grid.
    """
    voxels: NDArray[np.uint16] = _read_npy(path)
    _demand_table(path, voxels, np.uint16)
    outside = (voxels[:, :3] >= np.array(GRID)).any(axis=1)
    if outside.any():
        raise BrokenFileError(
            "voxels lie outside the grid",
            file=path,
            expected=f"cells below {GRID}",
            found=f"{int(outside.sum())} cells outside, the first {voxels[outside][0, :3].tolist()}",
            fix=AGAIN,
        )
    return voxels


def _demand_filled(path: Path, cloud: NDArray[Any]) -> None:
    """At least one point, and all numbers finite."""
    if len(cloud) == 0:
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


def _read_png(path: Path, *modes: str) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=["PNG"])
        with picture:
            _demand_size(path, picture.size)
            if picture.mode not in modes:
                raise BrokenFileError(
                    "the image has another mode",
                    file=path,
                    expected=f"an 8-bit PNG of mode {' or '.join(modes)}",
                    found=f"mode {picture.mode}",
                    fix=AGAIN,
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
