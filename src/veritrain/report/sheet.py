"""The page of predicted frames: every picture embedded, so that the file can be sent to anybody."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from veritrain.report.figures import spaced
from veritrain.report.language import check_language
from veritrain.report.numbers import Source
from veritrain.report.page import rendered, written
from veritrain.report.pictures import embedded

MOST_FRAMES = 60
"""On the page: pictures of more make a file that browsers open slowly. All are in the folder and in the JSON."""

WIDE = {"image": 560, "points": 560, "attention": 1200, "voxels": 1200}
"""Picture to the width, in pixels, that it has at most in the page."""


def write_sheet(document: Mapping[str, Any], out: Path, language: str = "en") -> Path:
    """Write ``index.html`` into the folder of the pictures; at most ``MOST_FRAMES`` evenly spaced frames.

    Args:
        document: the content of ``predictions.json``.
    """
    rows = document["frames"]
    items = [
        {
            **rows[i],
            "place": i,
            "embedded": {name: embedded(out, rows[i].get(name), most=wide) for name, wide in WIDE.items()},
        }
        for i in spaced(len(rows), MOST_FRAMES)
    ]
    page = rendered(
        "sheet.html",
        check_language(language),
        title=document["run"],
        document=document,
        source=Source("predictions.json", document),
        items=items,
    )
    return written(out / "index.html", page)
