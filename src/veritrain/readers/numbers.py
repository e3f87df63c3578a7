"""A number as somebody printed it: its value, its unit and how far the print can be off."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?"
"""A decimal number, with thousands commas or an exponent; no sign of percent."""

NONFINITE = r"[-+]?(?:nan|inf(?:inity)?)(?![A-Za-z])"

_WHOLE = re.compile(rf"(?:{NUMBER})$")
_BROKEN = re.compile(rf"(?:{NONFINITE})$", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[-+]?(?:0,\d+|\d+,(?:\d{1,2}|\d{4,}))$")


@dataclass(frozen=True, kw_only=True)
class Number:
    """What was printed.

    Attributes:
        value: the number as printed (89.81 for "89.81%"), None when it was not finite.
        half_ulp: half a unit of the last printed place, in the unit of ``value``.
        percent: a percent sign stood behind it.
        nonfinite: "nan", "inf" or "-inf".
    """

    value: float | None
    half_ulp: float = 0.0
    percent: bool = False
    nonfinite: str | None = None

    def as_fraction(self) -> Number:
        """The same number with percent turned into a fraction."""
        if self.value is None:
            return replace(self, percent=False)
        return Number(value=self.value / 100.0, half_ulp=self.half_ulp / 100.0, nonfinite=self.nonfinite)


def parse_number(text: str) -> Number | None:
    """``"89.81%"`` -> 89.81 +- 0.005 percent; None when the text is not one number."""
    bare = text.strip().strip("*`'\"").lstrip("~≈约").strip()
    percent = bare.endswith(("%", "％"))
    bare = bare.rstrip("%％").strip()
    if _BROKEN.fullmatch(bare):
        return Number(value=None, percent=percent, nonfinite=_spell_nonfinite(bare))
    if _DECIMAL_COMMA.fullmatch(bare):
        bare = bare.replace(",", ".")
    if not _WHOLE.fullmatch(bare):
        return None
    plain = bare.replace(",", "")
    value = float(plain)
    if value in (float("inf"), float("-inf")):
        return Number(value=None, percent=percent, nonfinite="inf" if value > 0 else "-inf")
    return Number(value=value, half_ulp=half_ulp_of(plain), percent=percent)


def half_ulp_of(text: str) -> float:
    """Half a unit of the last printed place: 0.00005 for ``"0.0000"``, 0 for an integer."""
    mantissa, _, exponent = text.lower().partition("e")
    whole, point, decimals = mantissa.partition(".")
    if not point and not exponent:
        return 0.0
    del whole
    return float(f"5e{-len(decimals) - 1 + int(exponent or 0)}")


def _spell_nonfinite(text: str) -> str:
    low = text.lower()
    if "nan" in low:
        return "nan"
    return "-inf" if low.startswith("-") else "inf"
