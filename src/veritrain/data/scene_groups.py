"""Which images must stay together: those of one declared scene, or blocks of neighbouring ids."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from veritrain.errors import LayoutError

SCENES = "scenes.json"
TAIL = re.compile(r"(.*?)(\d+)", re.ASCII)
NAMED = 3
"""Ids that a message lists."""


def read_scenes(file: Path) -> dict[str, str]:
    """Image id to the name of its scene.

    Raises:
        LayoutError: no JSON object of text to text. OSError: it cannot be read.
    """
    try:
        content = json.loads(file.read_bytes().decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _refused(file, "is no JSON", f"{type(error).__name__}: {error}") from error
    if not isinstance(content, dict) or not content:
        raise _refused(file, "is no JSON object with ids", f"{type(content).__name__}")
    for name, scene in content.items():
        if not name or not isinstance(scene, str) or not scene:
            raise _refused(file, "names a scene that is none", f"{name!r}: {scene!r}"[:80])
    return content


def of_scenes(scenes: Mapping[str, str], ids: Sequence[str], file: Path) -> dict[str, str]:
    """Image id to scene, for these ids.

    Raises:
        LayoutError: an id has no scene.
    """
    lacking = [name for name in ids if name not in scenes]
    if lacking:
        raise LayoutError(
            "images without a scene",
            file=file,
            expected="a scene for each annotated image: an image that belongs nowhere could leak unseen",
            found=f"{len(lacking)} of {len(ids)} without: {', '.join(lacking[:NAMED])}",
            fix=f"name their scenes, or remove {SCENES} to group by blocks of ids",
        )
    return {name: scenes[name] for name in ids}


def of_blocks(part_of: Mapping[str, str], size: int) -> dict[str, str]:
    """Image id to a block of ``size`` neighbouring ids, named by its first and last.

    Neighbours are ids that differ in their last digits alone. Where each published part is a whole range of ids the
    blocks are counted from the first id of each part; else from 1, whatever the parts, so that a block can lie in
    several. An id without digits at its end is a group of its own.

    Args:
        part_of: image id -> published part, "" without.
        size: ids of a block, from 1.
    """
    series: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
    groups = {}
    for name in part_of:
        match = TAIL.fullmatch(name)
        if match is None:
            groups[name] = name
        else:
            series[match[1], len(match[2])].append((int(match[2]), name))
    for (head, digits), members in series.items():
        members.sort()
        starts = _starts(members, part_of, size)
        ends: dict[int, int] = {}
        for (number, _), start in zip(members, starts, strict=True):
            ends[start] = number
        for (_, name), start in zip(members, starts, strict=True):
            same = ends[start] == start
            groups[name] = f"{head}{start:0{digits}d}" + ("" if same else f"-{ends[start]:0{digits}d}")
    return groups


def _starts(members: Sequence[tuple[int, str]], part_of: Mapping[str, str], size: int) -> list[int]:
    """The first number of each member's block."""
    parts = [part_of[name] for _, name in members]
    changes = [place for place in range(1, len(parts)) if parts[place] != parts[place - 1]]
    if len(changes) + 1 > len(set(parts)):
        return [max(number - (number - 1) % size, 0) for number, _ in members]
    found, first = [], members[0][0]
    for place, (number, _) in enumerate(members):
        if place in changes:
            first = number
        found.append(first + (number - first) // size * size)
    return found


def _refused(file: Path, message: str, found: str) -> LayoutError:
    return LayoutError(
        f"{SCENES} {message}",
        file=file,
        expected='{"image id": "scene name", ...}, both text',
        found=found,
        fix="correct the file",
    )
