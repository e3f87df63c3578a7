"""Times and spans in words."""

from __future__ import annotations

from datetime import datetime


def ago(seconds: float) -> str:
    """``8 s``, ``3 min``, ``2 h 05 min``, ``3 d 4 h``: how long."""
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole // 60 % 60:02d} min"
    return f"{whole // 86400} d {whole // 3600 % 24} h"


def span(seconds: float) -> str:
    """``h:mm:ss``."""
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def local_time(utc: float | None) -> str:
    """A time on the wall of whoever looks, with its day; "an unknown time" for None."""
    return "an unknown time" if utc is None else datetime.fromtimestamp(utc).strftime("%Y-%m-%d %H:%M:%S")
