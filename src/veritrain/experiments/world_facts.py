"""What a made world says of its own anomalies: read when a finished model is evaluated, never an input."""

from __future__ import annotations

import json
from pathlib import Path

from veritrain.errors import BrokenFileError
from veritrain.experiments.driving_data import MADE_DATA_FILE


def sensors_needed(data: Path | str) -> dict[str, str]:
    """Group ("<town>/<scenario>") to what it takes to see its static anomaly: "camera", "lidar", "both" or "pair".

    Empty where the data are not a made world (no ``veritrain_world.json`` in the folder or the two above it).

    Raises:
        BrokenFileError: the file is there and does not say what it should.
    """
    file = _sidecar(Path(data))
    if file is None:
        return {}
    try:
        scenarios = json.loads(file.read_text(encoding="utf-8"))["scenarios"]
        found = {group: (facts["type"], facts["visible_by"]) for group, facts in scenarios.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenFileError(
            "the facts of a made world cannot be read",
            file=file,
            expected="JSON with scenarios: group -> type, visible_by",
            found=f"{type(error).__name__}: {error}",
            fix="make the world again (veritrain data make driving)",
        ) from error
    return {group: str(needed) for group, (kind, needed) in found.items() if kind == "static" and needed is not None}


def _sidecar(data: Path) -> Path | None:
    places = (data, *data.resolve().parents[:2])
    return next((folder / MADE_DATA_FILE for folder in places if (folder / MADE_DATA_FILE).is_file()), None)
