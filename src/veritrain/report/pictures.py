"""Pictures inside the page: read from the run folder only, decoded, made small, and embedded."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

MOST_PIXELS_WIDE = 560
QUALITY = 82


def embedded(folder: Path, name: str | None, *, most: int = MOST_PIXELS_WIDE) -> str | None:
    """A ``data:`` address of the picture, or None where there is none that can be read.

    Args:
        folder: nothing outside it is read.
        name: path of the picture relative to ``folder``.
        most: pixels wide that it has at most.
    """
    if not name:
        return None
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None
    try:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as picture:
            small = _small(picture.convert("RGB"), most)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    held = io.BytesIO()
    small.save(held, format="WEBP", quality=QUALITY, method=2)
    return "data:image/webp;base64," + base64.b64encode(held.getvalue()).decode("ascii")


def _small(picture: Image.Image, most: int) -> Image.Image:
    if picture.width <= most:
        return picture
    height = max(1, round(picture.height * most / picture.width))
    return picture.resize((most, height), Image.Resampling.BILINEAR)
