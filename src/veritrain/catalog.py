"""THE list: every task, format, world, model, probe, check and reader, a line each, as ``name -> "module:Name"``.

A test walks it: each entry resolves, fits its protocol, has a mirrored test and a docstring whose first line
is its row in the docs. Nothing is imported until it is asked for, so listing loads no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

from veritrain.errors import UsageError, did_you_mean

TASKS = {
    "anomaly": "veritrain.tasks.anomaly:AnomalyTask",
}

FORMATS = {
    "anovox": "veritrain.data.anovox:AnoVoxFormat",
}

WORLDS = {
    "driving": "veritrain.worlds.driving:DrivingWorld",
}

MODELS = {
    "fusion": "veritrain.models.fusion:FusionDetector",
}

PROBES: dict[str, str] = {}

CHECKS: dict[str, str] = {}

READERS: dict[str, str] = {}

KINDS: dict[str, dict[str, str]] = {
    "tasks": TASKS,
    "formats": FORMATS,
    "worlds": WORLDS,
    "models": MODELS,
    "probes": PROBES,
    "checks": CHECKS,
    "readers": READERS,
}


def resolve(kind: str, name: str) -> Any:
    """The object that ``name`` stands for in the list ``kind``.

    Raises:
        UsageError: the kind or the name is not in the list.
    """
    if kind not in KINDS:
        raise UsageError(f"no kind '{kind}'", found=kind, fix=did_you_mean(kind, KINDS))
    if name not in KINDS[kind]:
        raise UsageError(f"no {kind.rstrip('s')} '{name}'", found=name, fix=did_you_mean(name, KINDS[kind]))
    module, _, attribute = KINDS[kind][name].partition(":")
    return getattr(importlib.import_module(module), attribute)
