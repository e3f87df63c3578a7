"""The page of images with predicted boxes and views: one file, pictures embedded, the worst first where labels are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from veritrain.report.figures import spaced
from veritrain.report.language import check_language
from veritrain.report.numbers import Source
from veritrain.report.page import rendered, written
from veritrain.report.pictures import embedded
from veritrain.report.sheet import MOST_FRAMES


def write_box_sheet(document: Mapping[str, Any], out: Path, language: str = "en") -> Path:
    """Write ``index.html`` into the folder of the pictures; at most ``MOST_FRAMES`` images.

    Args:
        document: the content of ``predictions.json`` of a joint run.
        out: the folder that it lies in.

    Raises:
        UsageError: no such language.
    """
    rows = document["frames"]
    judged = any(row["errors"] is not None for row in rows)
    chosen = worst_first(rows)[:MOST_FRAMES] if judged else spaced(len(rows), MOST_FRAMES)
    items = [{**rows[place], "place": place, "embedded": embedded(out, rows[place]["image"])} for place in chosen]
    page = rendered(
        "box_sheet.html",
        check_language(language),
        title=document["run"],
        document=document,
        source=Source("predictions.json", document),
        items=items,
        judged=judged,
        detects=any("boxes" in row for row in rows),
    )
    return written(out / "index.html", page)


def worst_first(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Places in ``rows``: most wrong answers first, of as many the surest wrong answer, else the order given.

    A wrong answer is a missed object, a false alarm or a wrong view; rows without labels come last.
    """
    return sorted(range(len(rows)), key=lambda place: _badness(rows[place]["errors"]))


def _badness(errors: Mapping[str, Any] | None) -> tuple[float, float]:
    if errors is None:
        return (1.0, 0.0)
    wrong = (errors["missed"] or 0) + (errors["false_alarms"] or 0) + bool(errors["view_wrong"])
    return (-float(wrong), -float(errors["surest"]))
