"""``veritrain data make`` and ``veritrain data check``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from veritrain import catalog, config
from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.options import AnoVoxOptions
from veritrain.errors import UsageError, did_you_mean
from veritrain.worlds.options import DrivingOptions

Parser = Callable[[str, str, str], ArgumentParser]
Parse = Callable[[ArgumentParser, list[str]], Namespace]

SIZE_FIELDS = ("height", "width")


def make(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """data make WORLD OUT: write a made data set in a real format."""
    world = words[0] if words and not words[0].startswith("-") else ""
    if world and world not in catalog.WORLDS:
        raise UsageError(f"no world '{world}'", found=world, fix=did_you_mean(world, catalog.WORLDS))
    parser = new_parser(
        f"data make {world or 'WORLD'}",
        f"{make.__doc__}\nworlds: {', '.join(catalog.WORLDS)}",
        "veritrain data make driving data/streets --scenarios 72 --frames 12 --size 96x144 --seed 7",
    )
    parser.add_argument("out", type=str, help="a folder that does not exist yet")
    parser.add_argument("--size", type=str, default="96x144", help="image height x width in pixels")
    config.add_recipe(parser, DrivingOptions, skip=set(SIZE_FIELDS))
    given = parse(parser, words[1:] if world else words)
    height, width = _size(given.size)
    options = replace(config.build(DrivingOptions, given), height=height, width=width)
    summary = catalog.resolve("worlds", world)(options).write(Path(given.out))
    print(json.dumps({**asdict(summary), "path": str(summary.path), "made_data": True}, indent=1))
    return 0


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise UsageError("not an image size", expected="HxW, such as 96x144", found=text, fix="--size 96x144")
    return int(height), int(width)


def check(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """data check PATH: what a data set holds, and what is wrong with it."""
    parser = new_parser("data check", check.__doc__ or "", "veritrain data check data/streets --json")
    parser.add_argument("path", type=str)
    parser.add_argument("--json", action="store_true")
    given = parse(parser, words)
    inventory = asdict(AnoVoxFormat(given.path, AnoVoxOptions()).inventory())
    if given.json:
        print(json.dumps(inventory, indent=1, default=str))
        return 0
    print(_told(inventory))
    return 0


def _told(inventory: dict[str, Any]) -> str:
    lines = [f"{inventory['scenarios']} scenarios, {inventory['frames']} frames"]
    for title in ("by_type", "by_town"):
        lines += [f"  {name}: {scenarios} scenarios, {frames} frames"
                  for name, (scenarios, frames) in inventory[title].items()]  # fmt: skip
    for title in ("skipped_scenarios", "skipped_frames", "unlabelled"):
        problems = inventory[title]
        lines.append(f"{title.replace('_', ' ')}: {len(problems)}")
        lines += [f"  {problem['file']}: {problem['reason']}" for problem in problems]
    return "\n".join(lines)
