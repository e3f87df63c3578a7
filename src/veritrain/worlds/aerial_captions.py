"""Sentences about an image, made from its boxes: what is where, and how many."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

from veritrain.worlds.aerial_render import Label

PHRASES: dict[str, tuple[str, str]] = {
    "airplane": ("airplane", "airplanes"),
    "airport": ("airport", "airports"),
    "baseballfield": ("baseball field", "baseball fields"),
    "basketballcourt": ("basketball court", "basketball courts"),
    "bridge": ("bridge", "bridges"),
    "chimney": ("chimney", "chimneys"),
    "dam": ("dam", "dams"),
    "Expressway-Service-area": ("expressway service area", "expressway service areas"),
    "Expressway-toll-station": ("expressway toll station", "expressway toll stations"),
    "golffield": ("golf course", "golf courses"),
    "groundtrackfield": ("ground track field", "ground track fields"),
    "harbor": ("harbor", "harbors"),
    "overpass": ("overpass", "overpasses"),
    "ship": ("ship", "ships"),
    "stadium": ("stadium", "stadiums"),
    "storagetank": ("storage tank", "storage tanks"),
    "tenniscourt": ("tennis court", "tennis courts"),
    "trainstation": ("train station", "train stations"),
    "vehicle": ("vehicle", "vehicles"),
    "windmill": ("windmill", "windmills"),
}
"""Class -> how one and how several are called."""
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
MANY = "many"
"""More than ten, as box-to-caption has it."""
MIDDLE = 0.5
"""The middle of an image is that share of its width and height."""

WHOLE = (
    "an aerial image of {}",
    "a satellite photo with {}",
    "there {be} {} in the picture",
    "{} can be seen from above",
)
CENTRE = ("{} in the middle of the picture", "there {be} {} in the centre of the image", "the middle shows {}")
AROUND = ("{} towards the edges of the picture", "there {be} {} around the centre of the image", "the borders show {}")


def sentences(labels: Sequence[Label], width: int, height: int, count: int, rng: np.random.Generator) -> list[str]:
    """``count`` sentences: on all of the image, on its middle, on what lies around, then on some of its classes.

    A thing lies in the middle if the middle of its box does. Where a part of the image is empty, the sentence is on
    all of the image. An image without labels is called empty land.
    """
    if not labels:
        return ["an aerial image of empty land ."] * count
    inside = [label for label in labels if _central(label, width, height)]
    outside = [label for label in labels if not _central(label, width, height)]
    told = [_told(WHOLE, labels, rng)]
    told.append(_told(CENTRE, inside, rng) if inside else _told(WHOLE, labels, rng))
    told.append(_told(AROUND, outside, rng) if outside else _told(WHOLE, labels, rng))
    names = sorted({label.name for label in labels})
    while len(told) < count:
        some = set(rng.permutation(names)[: int(rng.integers(1, min(len(names), 3) + 1))].tolist())
        told.append(_told(WHOLE, [label for label in labels if label.name in some], rng))
    return told[:count]


def captions_entry(number: int, filename: str, split: str, raw: Sequence[str]) -> dict[str, object]:
    """An image in the form of RSICD and RSITMD."""
    first = number * len(raw)
    return {
        "filename": filename,
        "imgid": number,
        "sentences": [
            {"tokens": words(text), "raw": text, "imgid": number, "sentid": first + index}
            for index, text in enumerate(raw)
        ],
        "split": split,
        "sentids": list(range(first, first + len(raw))),
    }


def words(text: str) -> list[str]:
    """The words of a sentence without punctuation."""
    return text.translate(str.maketrans("", "", string.punctuation)).split()


def counted(name: str, count: int) -> str:
    """Such as "two ships", "one dam", "many vehicles"."""
    one, several = PHRASES[name]
    return f"{NUMBERS[count] if count < len(NUMBERS) else MANY} {one if count == 1 else several}"


def _told(forms: Sequence[str], labels: Sequence[Label], rng: np.random.Generator) -> str:
    counts = Counter(label.name for label in labels)
    names = [str(name) for name in rng.permutation(sorted(counts))]
    parts = [counted(name, counts[name]) for name in names]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    be = "is" if counts[names[0]] == 1 else "are"
    return forms[int(rng.integers(len(forms)))].format(listed, be=be) + " ."


def _central(label: Label, width: int, height: int) -> bool:
    left, top, right, bottom = label.box
    across, down = (left + right - 1) / 2 / width - 0.5, (top + bottom - 1) / 2 / height - 0.5
    return max(abs(across), abs(down)) < MIDDLE / 2
