"""Bytes to text: UTF-8, UTF-16 (PowerShell) and GB18030 (Chinese Windows); binary files are refused."""

from __future__ import annotations

from pathlib import Path

from veritrain.errors import ArtefactError

HEAD_BYTES = 65536
READ_KINDS = "a run folder of Veritrain, a CSV history, a text log, or a Markdown / text report"

_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def unreadable(message: str, found: str, path: Path, fix: str = "give one of the kinds above") -> ArtefactError:
    """The error of a path that is no training artefact, naming what is read."""
    return ArtefactError(message, expected=READ_KINDS, found=found, fix=fix, file=path)


def head_of(path: Path) -> tuple[str, str]:
    """The beginning of the text and its encoding.

    Raises:
        ArtefactError: the file cannot be opened, is empty or binary.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(HEAD_BYTES)
    except OSError as error:
        raise unreadable(
            "cannot be opened", error.strerror or str(error), path, "check the path and the permissions"
        ) from error
    if not raw.strip(b"\x00 \t\r\n"):
        raise unreadable("the file is empty", f"{len(raw)} bytes, none of them text", path)
    encoding = encoding_of(raw)
    text = raw.decode(encoding, errors="replace")
    if _is_binary(text):
        raise unreadable("the file is binary", f"it begins with the bytes {raw[:8].hex(' ')}", path)
    if not text.strip("\ufeff\x00 \t\r\n"):
        raise unreadable("the file is empty", "only blanks", path)
    return text.lstrip("\ufeff"), encoding


def encoding_of(raw: bytes) -> str:
    """The encoding that the first bytes fit best."""
    for mark, encoding in _BOMS:
        if raw.startswith(mark):
            return encoding
    if _decodes(raw, "utf-8"):
        return "utf-8"
    if _decodes(raw, "gb18030") and b"\x00" not in raw:
        text = raw.decode("gb18030", errors="ignore")
        wide = sum("\u4e00" <= char <= "\u9fff" for char in text)
        strange = sum(not char.isascii() for char in text) - wide
        if wide > 3 * strange:
            return "gb18030"
    return "utf-8"


def _decodes(raw: bytes, encoding: str) -> bool:
    # The head may end in the middle of a character: up to three bytes of it are forgiven.
    for cut in range(4):
        try:
            raw[: len(raw) - cut].decode(encoding)
        except UnicodeDecodeError:
            continue
        return True
    return False


def _is_binary(text: str) -> bool:
    odd = sum(char == "\ufffd" or (char < " " and char not in "\t\r\n\x1b\x08\x0c") for char in text)
    return odd > 0.05 * len(text)
