"""``veritrain fetch NAME``: what is known of a published weight file, where it belongs, and, when asked, the file."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from jsonargparse import ArgumentParser, Namespace

from veritrain import __version__
from veritrain.errors import CheckpointError, UnreachableError, UsageError, did_you_mean
from veritrain.models.clip_files import PUBLISHED, PublishedFile
from veritrain.record import sha256_of

Parser = Callable[[str, str, str], ArgumentParser]
Parse = Callable[[ArgumentParser, list[str]], Namespace]

PLACE = "weights"
"""The folder that files go into when no other is named."""
TIMEOUT = 60.0
"""Seconds without an answer after which a server counts as out of reach."""
PIECE = 1 << 20


def fetch(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """fetch NAME: source, size, licence and SHA-256 of a published weight file; --download brings it here."""
    names = "\nnames: " + ", ".join(PUBLISHED) + "\nWithout --download nothing is sent and nothing is fetched."
    parser = new_parser("fetch", (fetch.__doc__ or "") + names, "veritrain fetch remoteclip-rn50 --download")
    parser.add_argument("name", type=str, help="of the file")
    parser.add_argument("--download", action="store_true", help="bring the file here; else it is only told of")
    parser.add_argument("--out", type=str, default=PLACE, help="the folder for the file")
    parser.add_argument("--json", action="store_true", help="one JSON object; null is unknown")
    given = parse(parser, words)
    if given.name not in PUBLISHED:
        raise UsageError(f"no file '{given.name}'", found=given.name, fix=did_you_mean(given.name, PUBLISHED))
    known, target = PUBLISHED[given.name], Path(given.out) / PUBLISHED[given.name].file
    if given.download and not target.exists():
        # Said before the first byte, and beside the JSON, not in it.
        print(f"fetching {known.url}", file=sys.stderr)
        _download(known, target)
    here = {"bytes": target.stat().st_size, "sha256": sha256_of(target)} if target.is_file() else None
    _demand_sum(known, target, None if here is None else str(here["sha256"]))
    content = {**known.as_json(), "path": str(target), "here": here}
    print(json.dumps(content, indent=1) if given.json else "\n".join(_told(known, target, here)))
    return 0


def _told(known: PublishedFile, target: Path, here: dict[str, Any] | None) -> list[str]:
    unknown = f"unknown to us: read it at {known.page}"
    lines = [
        f"{known.name}: CLIP {known.network}",
        f"  source:  {known.url}",
        f"  size:    {'unknown' if known.size_mb is None else f'about {known.size_mb} MB'}",
        f"  licence: {known.licence or unknown}",
        f"  sha256:  {known.sha256 or unknown}",
        f"  about:   {known.about}",
    ]
    if here is None:
        place = f"download it yourself and put it at {target}, or give its path (--towers FILE)"
        return [*lines, "  here:    no", f"  do:      veritrain fetch {known.name} --download; or, offline: {place}"]
    checked = "as published" if known.sha256 else "of the file here; there is no published one to compare it with"
    return [*lines, f"  here:    {target} ({here['bytes']:,} bytes)", f"  sha256:  {here['sha256']} ({checked})"]


def _download(known: PublishedFile, target: Path) -> None:
    """The whole file or nothing: it is written beside its place and renamed.

    Raises:
        UnreachableError: the server cannot be reached, or stops before the end.
    """
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        request = Request(known.url, headers={"User-Agent": f"veritrain/{__version__}"})
        with contextlib.closing(urlopen(request, timeout=TIMEOUT)) as answer, part.open("wb") as file:
            shutil.copyfileobj(answer, file, PIECE)
            promised = answer.headers.get("Content-Length")
        _demand_whole(promised, part)
        part.rename(target)
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise UnreachableError(
            f"{known.file} cannot be fetched",
            expected=f"an answer from {known.url}",
            found=" ".join(str(error).split()) or type(error).__name__,
            fix=f"offline: bring it by other means, put it at {target}, or give its path (--towers FILE)",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _demand_whole(promised: str | None, part: Path) -> None:
    size = part.stat().st_size
    if promised is not None and size != int(promised):
        raise ConnectionError(f"{size:,} of {int(promised):,} bytes came")


def _demand_sum(known: PublishedFile, target: Path, found: str | None) -> None:
    if known.sha256 is not None and found is not None and found != known.sha256:
        raise CheckpointError(
            "the file is not the published one",
            expected=f"sha256 {known.sha256}",
            found=f"sha256 {found}",
            fix="remove it and fetch it again",
            file=target,
        )
