"""The epoch line of our own ``train.log`` and plain progress, spelled so that the log reader understands it."""

from __future__ import annotations

import re

_CLOCK = r"(?:\d+:\d\d:\d\d|[\d.e+-]+ s)"
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|nan|-?inf"
_EPOCH_LINE = re.compile(
    r"^(?:[+-]\d\d:\d\d )?(?P<head>epoch \d+/\d+  step \d+)  "
    rf"loss (?P<loss>-|{_NUMBER})  "
    rf"val (?P<metric>[a-z][a-z0-9_]*) (?P<score>undefined|{_NUMBER})(?: \(best so far\))?  "
    rf"{_CLOCK}  (?:{_NUMBER}) samples/s  ETA {_CLOCK}$"
)


def spelled_out(text: str) -> str:
    """Our own epoch line with a colon after each name; every other line as it is.

    ``Loop._epoch_line`` (``training/loop.py``) writes blanks between names and numbers, which in anybody else's line
    could mean anything; only a line that has its form from the first word to the last is taken. Its ``loss`` is the
    mean over the training samples of the epoch; what was undefined is left out. The clock's ``+00:00``, which stays
    when the time stamp is cut off, goes.
    """
    found = _EPOCH_LINE.match(text)
    if found is None:
        return text
    loss = "" if found["loss"] == "-" else f"  train loss: {found['loss']}"
    score = "" if found["score"] == "undefined" else f"  val_{found['metric']}: {found['score']}"
    return f"{found['head']}{loss}{score}"
