"""Decoding one photograph or ultrasound frame: JPEG or PNG to RGB, or a clear refusal."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from veritrain.data.sensors import MAX_PIXELS
from veritrain.errors import BrokenFileError

FORMATS = ("JPEG", "PNG")
ORIENTATION = 0x0112
TURNED = frozenset({5, 6, 7, 8})
"""Orientations of EXIF that exchange width and height."""
MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"})
"""Pillow's modes with 8 bits a channel or less: 16 bits would be cut off without a word."""


def read_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a JPEG or PNG, turned as its EXIF data say; transparency is dropped.

    Raises:
        BrokenFileError: neither of both, truncated, of more than 8 bits, or above MAX_PIXELS.
        OSError: it cannot be read.
    """
    with _opened(path) as image:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels as :func:`read_image` would give it, from the file's header alone.

    Raises:
        BrokenFileError, OSError: as :func:`read_image`; a truncated image still has a header.
    """
    with _opened(path) as image:
        width, height = image.size
        return (height, width) if image.getexif().get(ORIENTATION, 1) in TURNED else (width, height)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image that may be decoded; what goes wrong with it inside, too, is a BrokenFileError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS or image.mode not in MODES:
                    raise _broken(path, f"{width} x {height} pixels of mode {image.mode}")
                yield image
    except FileNotFoundError:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _broken(path, str(error).replace(str(path), path.name)) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow's decoders raise on damaged content
        raise _broken(path, f"{type(error).__name__}: {error}".replace(str(path), path.name)) from error


def smaller(image: NDArray[np.uint8], longest_side: int) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 by area means with max(h, w) = ``longest_side``; the same array if it is not larger, or for 0."""
    height, width = image.shape[:2]
    if not longest_side or max(height, width) <= longest_side:
        return image
    share = longest_side / max(height, width)
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BOX))


def image_hash(image: NDArray[np.uint8]) -> str:
    """sha256 over shape and bytes of a decoded image, to find copies under other names."""
    digest = hashlib.sha256(f"{image.shape}".encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


def _broken(path: Path, found: str) -> BrokenFileError:
    return BrokenFileError(
        "cannot be read as an image",
        file=path,
        expected=f"a whole JPEG or PNG with 8 bits a channel and at most {MAX_PIXELS:,} pixels",
        found=found,
        fix="copy the file again, or leave its frame out with --on_broken skip",
    )
