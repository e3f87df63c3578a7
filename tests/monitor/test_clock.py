"""Times and spans in words."""

from __future__ import annotations

import re

import pytest

from veritrain.monitor.clock import ago, local_time, span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (0.9, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7500, "2 h 05 min"),
     (200_000, "2 d 7 h")],
)  # fmt: skip
def test_ago(seconds, words):
    assert ago(seconds) == words


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05"), (-1, "0:00:00")])
def test_span(seconds, text):
    assert span(seconds) == text


def test_local_time():
    assert local_time(None) == "an unknown time"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", local_time(1e9))
