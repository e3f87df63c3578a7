"""Put a verdict where people look: verdict.json, report.html and the model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veritrain.record import RunFolder, read_run, write_json
from veritrain.report.card import write_card
from veritrain.report.figures import draw_curves
from veritrain.report.page import write_report


def publish(folder: RunFolder, verdict: Mapping[str, Any], *, language: str = "en") -> None:
    """Write ``verdict.json``, the curves, ``report.html`` and the run's ``README.md``."""
    write_json(folder.verdict, verdict)
    draw_curves(read_run(folder.path), folder.figures)
    write_report(folder, language)
    write_card(folder)
