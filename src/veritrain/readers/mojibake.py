"""Text that was UTF-8, read as cp1252 and saved again: put back what can be put back."""

from __future__ import annotations

import re

_LEADS = "ãäåæçèéâïðğÃÂ"
"""How the first byte of a multi-byte letter looks when it is read as cp1252 (or cp1254)."""

_FOLLOWS = "\u0080-\u00bf‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ€"
_PAIR = re.compile(f"[{_LEADS}][{_FOLLOWS}]")

_CP1254 = {"ğ": 0xF0, "ı": 0xFD, "ş": 0xFE, "Ğ": 0xD0, "İ": 0xDD, "Ş": 0xDE}
_LEAST_PAIRS = 3


def looks_garbled(text: str) -> bool:
    """Lead bytes stand before continuation bytes, as in no language, and hardly any wide letter is there."""
    sample = text[:20000]
    pairs = len(_PAIR.findall(sample))
    leads = sum(char in _LEADS for char in sample)
    wide = sum("\u3000" <= char <= "\u9fff" for char in sample)
    return pairs >= _LEAST_PAIRS and 2 * pairs >= leads and wide < pairs


def repair(text: str) -> tuple[str, bool]:
    """The repaired text and whether anything was repaired. Lost bytes become U+FFFD; lines stay where they are."""
    if not looks_garbled(text):
        return text, False
    return "\n".join(repair_line(line) for line in text.split("\n")), True


def repair_line(line: str) -> str:
    """One line of a garbled text as it was meant."""
    if line.isascii():
        return line
    return _as_bytes(line).decode("utf-8", errors="replace").replace("\n", " ").replace("\r", " ")


def _as_bytes(line: str) -> bytes:
    out = bytearray()
    for char in line:
        if char in _CP1254:
            out.append(_CP1254[char])
            continue
        try:
            out += char.encode("cp1252")
        except UnicodeEncodeError:
            # The five bytes that cp1252 leaves undefined pass through most decoders as control characters.
            out += bytes([ord(char)]) if ord(char) < 256 else char.encode("utf-8")
    return bytes(out)
