from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from veritrain.readers.numbers import half_ulp_of, parse_number


@given(st.floats(-1e6, 1e6), st.integers(1, 8))
def test_a_printed_number_is_within_half_a_unit_of_what_was_printed(value, places):
    number = parse_number(f"{value:.{places}f}")
    assert number is not None and number.value is not None
    assert abs(number.value - value) <= number.half_ulp * (1 + 1e-6) + abs(value) * 1e-15
    assert number.half_ulp == pytest.approx(0.5 * 10**-places)


@given(st.floats(1e-12, 1e12), st.integers(1, 6))
def test_an_exponent_moves_the_last_place(value, places):
    text = f"{value:.{places}e}"
    number = parse_number(text)
    assert number is not None and number.value is not None
    assert abs(number.value - value) <= number.half_ulp * (1 + 1e-6)


@given(st.floats(0, 100), st.integers(0, 4))
def test_percent_and_fraction_agree(value, places):
    percent, fraction = parse_number(f"{value:.{places}f}%"), parse_number(f"{value:.{places}f}")
    assert percent is not None and fraction is not None and percent.percent and not fraction.percent
    assert percent.as_fraction().value == pytest.approx((fraction.value or 0.0) / 100)
    assert percent.as_fraction().half_ulp == pytest.approx(fraction.half_ulp / 100)


@given(st.integers(1000, 10**12))
def test_thousands_commas_are_no_decimal_points(value):
    number = parse_number(f"{value:,}")
    assert number is not None and number.value == value and number.half_ulp == 0


@given(st.text(max_size=20))
def test_any_text_gives_a_number_or_none(text):
    number = parse_number(text)
    if number is not None:
        assert number.nonfinite or (number.value is not None and math.isfinite(number.value))


@given(st.text(alphabet="abcdfghijklmopqrstuvwxyz", min_size=1, max_size=8))
def test_words_are_no_numbers(text):
    assume(text not in ("inf", "nan"))
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.0000", 0.0),
        ("~0.83", 0.83),
        ("**0.83**", 0.83),
        ("1e-4", 1e-4),
        (".5", 0.5),
        ("0,8532", 0.8532),
        ("89.81%", 89.81),
    ],
)
def test_spellings(text, value):
    number = parse_number(text)
    assert number is not None and number.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "word"), [("nan", "nan"), ("NaN", "nan"), ("-inf", "-inf"), ("Infinity", "inf"), ("1e999", "inf")]
)
def test_what_is_not_finite_says_so(text, word):
    number = parse_number(text)
    assert number is not None and number.value is None and number.nonfinite == word


@pytest.mark.parametrize("text", ["", "-", "NA", "1/50", "3s", "0.1-0.2", "v1.2.3"])
def test_other_cells_are_none(text):
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "half"), [("0.0000", 5e-5), ("12", 0.0), ("1e-4", 5e-5), ("5.00e-06", 5e-9), ("1.", 0.5)]
)
def test_half_a_unit_of_the_last_place(text, half):
    assert half_ulp_of(text) == pytest.approx(half)
