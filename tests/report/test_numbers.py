from __future__ import annotations

import pytest

from veritrain.report.numbers import Source, look_up, pointer, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "undefined"),
        (float("nan"), "undefined"),
        (float("inf"), "undefined"),
        (0.87654, "0.877"),
        (0.0, "0.000"),
        (0.0004, "0.0004"),
        (-0.00001234, "-1.2e-05"),
        (12345, "12,345"),
        (1234.5, "1,234.500"),
        (2.5e9, "2.5e+09"),
        (True, "yes"),
        ([0.1, None], "[0.100, undefined]"),
        ({"a": 1}, "a 1"),
        (list(range(9)), "[0, 1, 2, 3, 4, 5 ...]"),
        ("word", "word"),
    ],
)
def test_values_read_as_people_write_them(value, text):
    assert shown(value) == text


def test_a_small_number_never_reads_as_zero():
    for exponent in range(-12, 1):
        assert float(shown(3.3 * 10.0**exponent).replace(",", "")) > 0


def test_pointers_escape_and_resolve():
    assert pointer("a/b", "c~d", 0) == "/a~1b/c~0d/0"
    content = {"a/b": [{"x": 1}]}
    assert look_up(content, ("a/b", 0, "x")) == 1
    assert look_up(content, ("a/b", 5, "x")) is None
    assert look_up(content, ("no", "x")) is None


def test_numbers_say_where_they_come_from():
    source = Source("results.json", {"m": {"<x>": 0.5, "ci": [0.1, None]}, "list": [1, 2, 3]})
    html = str(source.number("m", "<x>"))
    assert html == '<span class="num" data-source="results.json#/m/&lt;x&gt;">0.500</span>'
    assert ">3</span>" in str(source.number("list"))
    assert 'lang="en">undefined' in str(source.interval("m", "ci"))
    assert 'lang="en">undefined' in str(source.number("m", "absent"))
    assert "[" in str(Source("r", {"ci": [0.1, 0.2]}).interval("ci"))
    said = Source("v", {"a": {"verdict": "refuted", "sentence": "REFUTED: <b> is so."}}).sentence("a")
    assert str(said) == '<span class="num" data-source="v#/a/sentence">&lt;b&gt; is so.</span>'
    assert str(Source("r", {"s": "<b>"}).words("s")).endswith("&lt;b&gt;</span>")
