"""Sentences with the images that a network finds for them first, side by side, right ones framed in green."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veritrain.experiments.caption_data import CaptionData
from veritrain.experiments.driving_data import short_hash
from veritrain.record import RunFolder, write_json
from veritrain.tasks.retrieval_tables import RetrievalTables
from veritrain.tasks.task import Predictions

FIRST = 5
"""Images that are shown for a sentence."""
SIDE, FRAME, GAP = 160, 4, 4
"""Pixels: the longer side of an image, its frame, and what lies between two."""
GREEN, RED, WHITE = (0, 158, 115), (213, 94, 0), (255, 255, 255)


def write_gallery(data: CaptionData, predictions: Predictions, folder: RunFolder, *, each: int = 3) -> None:
    """Test sentences that find their image first, those whose image comes last, and random ones, into ``figures/``.

    One of a scene. Of real images the pictures lie in the run folder and nowhere else: ``gallery.json``, from which the
    report takes the pictures that it holds, is written for made data alone.
    """
    folder.figures.mkdir(parents=True, exist_ok=True)
    tables = RetrievalTables(predictions, data.test_groups)
    texts = [text for those in data.sets["test"].captions for text in those]
    owners = np.repeat(np.arange(len(data.test_groups)), predictions["caption_counts"])
    places = tables.places("text_to_image")
    content = [
        {
            "title": title,
            "items": [_item(data, tables, column, texts[column], float(places[column]), folder) for column in chosen],
        }
        for title, chosen in _chosen(places, owners, data.test_groups, each).items()
    ]
    write_json(folder.figures / ("gallery.json" if data.card["made_data"] else "retrievals.json"), content)


def _chosen(
    places: NDArray[np.float64], owners: NDArray[np.int64], groups: Sequence[str], each: int
) -> dict[str, list[int]]:
    """Title -> columns of captions."""
    mixed = np.random.default_rng(0).permutation(len(places))
    first = [int(one) for one in mixed if places[one] == 1]
    last = mixed[np.argsort(-places[mixed], kind="stable")].tolist()
    titled = {"sentences found": first, "sentences missed": last, "random sentences": mixed.tolist()}
    return {title: _one_a_group(order, owners, groups)[:each] for title, order in titled.items()}


def _one_a_group(order: Sequence[int], owners: NDArray[np.int64], groups: Sequence[str]) -> list[int]:
    found: dict[str, int] = {}
    for column in order:
        found.setdefault(groups[owners[column]], column)
    return list(found.values())


def _item(
    data: CaptionData, tables: RetrievalTables, column: int, text: str, place: float, folder: RunFolder
) -> dict[str, Any]:
    """One sentence: its strip as a file, and what stands below it."""
    nearest = np.argsort(-tables.similarity[:, column], kind="stable")[:FIRST].tolist()
    wanted = tables.relevant[:, column]
    shown = nearest if wanted[nearest].any() else [*nearest, int(np.flatnonzero(wanted)[0])]
    test = data.sets["test"]
    images = [test.frames.source.read(test.keys[row]).image for row in shown]
    name = short_hash(f"{column} {text}")
    path = folder.figures / f"{name}.png"
    strip(images, [bool(wanted[row]) for row in shown], apart=len(shown) > len(nearest)).save(path)
    told = f"“{text}”: the first right image stands at place {place:g} of {len(tables.similarity)}"
    if len(shown) > len(nearest):
        told += "; it is the last one shown"
    return {"id": name, "image": str(path.relative_to(folder.path)), "points": None, "caption": told}


def strip(images: Sequence[NDArray[np.uint8]], right: Sequence[bool], *, apart: bool = False) -> Image.Image:
    """Images side by side, each framed: green where it is right, red where it is not.

    Args:
        images: (H, W, 3) uint8 each. apart: the last one is no answer, and stands apart.
    """
    small = [_small(image) for image in images]
    height = max(one.height for one in small) + 2 * FRAME
    width = sum(one.width + 2 * FRAME + GAP for one in small) - GAP + (4 * GAP if apart else 0)
    sheet = Image.new("RGB", (width, height), WHITE)
    left = 0
    for place, (one, good) in enumerate(zip(small, right, strict=True)):
        left += 4 * GAP if apart and place == len(small) - 1 else 0
        sheet.paste(GREEN if good else RED, (left, 0, left + one.width + 2 * FRAME, one.height + 2 * FRAME))
        sheet.paste(one, (left + FRAME, FRAME))
        left += one.width + 2 * FRAME + GAP
    return sheet


def _small(image: NDArray[np.uint8]) -> Image.Image:
    picture = Image.fromarray(image)
    share = SIDE / max(picture.size)
    size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
    return picture.resize(size, Image.Resampling.BICUBIC)
