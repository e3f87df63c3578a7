"""What a run's recipe says to readers: its network, how to make it again, and when the numbers cannot be the same."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from veritrain.config import read_mapping
from veritrain.report.numbers import DIGITS

NETWORK = (
    "model",
    "fusion",
    "size",
    "balance",
    "view_head",
    "image_tower",
    "points_tower",
    "pooling",
    "width",
    "blocks",
)
"""Recipe keys that name the network, in the order in which they are told."""
OF_FUSION = frozenset({"fusion", "image_tower", "points_tower", "width", "blocks"})
"""Those that another network of the anomaly task does not read."""
FILES = ("weights", "image_weights", "reference_weights", "towers")
"""Recipe keys that name files beside the data."""


def recipe_of(path: Path) -> dict[str, Any]:
    """The options in ``recipe.yaml``; none where there is no such file.

    Raises:
        ConfigError: the file is not a YAML mapping.
    """
    return read_mapping(path) if path.is_file() else {}


def network_of(recipe: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(key, value) of what the recipe says of the network; keys that its network does not read are left out."""
    unread = OF_FUSION if recipe.get("model", "fusion") != "fusion" else frozenset()
    return [(key, str(recipe[key])) for key in NETWORK if key not in unread and recipe.get(key) not in (None, "")]


def commands(name: str, task: str) -> list[str]:
    """Command lines that make the run ``name`` again, for the folder that holds it. ``--data`` comes after
    ``--config``: the later one counts."""
    recipe, again = shlex.quote(f"{name}/recipe.yaml"), shlex.quote(f"{name}-again")
    train = f"veritrain train {task or 'TASK'} --config {recipe} --data DATA --run {again}"
    return [train, f"veritrain audit {again}"]


def data_facts(recipe: Mapping[str, Any], data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(key of a word, value) by which somebody finds the data again: name, format, hashes of split and contents."""
    contents = {name: part["contents"] for name, part in (data.get("splits") or {}).items() if part.get("contents")}
    digest = hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest() if contents else ""
    found = {
        "data_called": Path(str(recipe.get("data") or "")).name,
        "data_format": str(data.get("format") or ""),
        "split_hash": str(data.get("split_sha256") or "")[:DIGITS],
        "content_hash": digest[:DIGITS],
    }
    return [(key, value) for key, value in found.items() if value]


def also_needed(recipe: Mapping[str, Any]) -> list[str]:
    """``key: value`` of further files that the recipe reads."""
    return [f"{key}: {recipe[key]}" for key in FILES if recipe.get(key)]


def cautions(recipe: Mapping[str, Any]) -> list[str]:
    """Keys of the words that say why the numbers will not be the same again."""
    found = {"budget_again": _seconds(recipe) > 0, "auto_again": recipe.get("precision") == "auto"}
    return [key for key, holds in found.items() if holds]


def _seconds(recipe: Mapping[str, Any]) -> float:
    value = recipe.get("max_seconds")
    return float(value) if isinstance(value, int | float) else 0.0
