"""Text that was UTF-8, read as cp1252 and saved again: put back what can be put back."""

from __future__ import annotations

_SIGNS = ("Ã", "Â", "â€", "âœ", "ðŸ", "ğŸ", "ï¼", "ã€", "å", "æ", "ç", "è", "é")
"""How UTF-8 lead bytes look when they are read as cp1252 (or cp1254)."""

_CP1254 = {"ğ": 0xF0, "ı": 0xFD, "ş": 0xFE, "Ğ": 0xD0, "İ": 0xDD, "Ş": 0xDE}
_SHARE = 0.02


def looks_garbled(text: str) -> bool:
    """Many letters that only a wrong decoding makes, and hardly any of the script they stand for."""
    if not text:
        return False
    sample = text[:20000]
    signs = sum(sample.count(sign) for sign in _SIGNS)
    latin = sum("\x80" <= char <= "\xff" or char in "œžŸšŠŒŽ€‚ƒ„…†‡ˆ‰‹‘’“”•–—˜™›ğ" for char in sample)
    wide = sum("\u3000" <= char <= "\u9fff" for char in sample)
    return signs >= 3 and latin >= _SHARE * len(sample) and wide * 10 < latin


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
