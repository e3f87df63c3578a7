"""Small YOLO data sets written by hand, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml
from PIL import Image


def write_set(
    root: Path,
    labels: Mapping[str, str | bytes | None],
    *,
    names: object = ("AR", "MR", "PR", "TR"),
    views: object = None,
    size: tuple[int, int] = (64, 48),
    description: bool = True,
    **more: object,
) -> Path:
    """Images of different grey and their label files; ``labels``: "train/name" -> text, None for no file.

    A name without a part goes to "train". Returns the root.
    """
    for number, (place, text) in enumerate(labels.items()):
        part, _, name = place.rpartition("/")
        folder = root / (part or "train")
        for kind in ("images", "labels"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        picture = np.full((size[1], size[0], 3), number % 256, np.uint8)
        picture[0, 0] = number // 256, 7, 9
        Image.fromarray(picture).save(folder / "images" / f"{name}.png")
        if text is not None:
            content = text if isinstance(text, bytes) else text.encode()
            (folder / "labels" / f"{name}.txt").write_bytes(content)
    if description:
        parts = {part: f"{part}/images" for part in ("train", "valid", "test") if (root / part / "images").is_dir()}
        words = {"valid": "val"}
        content = {"names": list(names) if isinstance(names, tuple) else names}
        content |= {words.get(part, part): folder for part, folder in parts.items()}
        content |= {"views": list(views) if isinstance(views, tuple) else views} if views is not None else {}
        content |= more
        (root / "data.yaml").write_text(yaml.safe_dump({k: v for k, v in content.items() if v is not None}))
    return root


BOX = "0 0.5 0.5 0.2 0.4\n"
POLYGON = "1 0.1 0.2 0.5 0.2 0.5 0.8 0.1 0.8\n\n0 1 0"
"""The box (0.3, 0.5, 0.4, 0.6) of class 1 in view 1."""
