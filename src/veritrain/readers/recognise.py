"""Which reader understands a path: decided by content, never by the file's name."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from veritrain import catalog
from veritrain.errors import ArtefactError
from veritrain.record import RunFolder, RunRecord, read_run

READ_KINDS = "a run folder of Veritrain, a CSV history, a text log, or a Markdown / text report"
HEAD_BYTES = 65536


class Reader(Protocol):
    """Reads one kind of foreign artefact."""

    name: str

    def recognises(self, path: Path, head: str) -> bool: ...

    def read(self, path: Path) -> RunRecord: ...


def read_artefact(path: Path | str) -> RunRecord:
    """Read a run folder or somebody else's training artefact.

    Raises:
        ArtefactError: nothing is there, or what is there is none of the kinds that are read.
        RecordError: a run folder whose record is broken.
    """
    place = Path(path)
    if place.is_dir():
        return _read_folder(place)
    head = _head(place)
    for name in catalog.READERS:
        reader: Reader = catalog.resolve("readers", name)()
        if reader.recognises(place, head):
            return reader.read(place)
    raise _error("no reader knows this text", head.strip()[:60], place)


def _read_folder(place: Path) -> RunRecord:
    if RunFolder(place).is_run():
        return read_run(place)
    raise _error("the folder is not a run of Veritrain", "no record.jsonl in it", place, "give one of the files inside it")


def _head(place: Path) -> str:
    try:
        with place.open("rb") as file:
            raw = file.read(HEAD_BYTES)
    except OSError as error:
        raise _error("cannot be opened", error.strerror or str(error), place, "check the path and the permissions") from error
    if not raw.strip():
        raise _error("the file is empty", f"{len(raw)} bytes", place)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _error("the text is UTF-16", "a UTF-16 mark", place, "save it as UTF-8")
    text = raw.decode("utf-8", errors="replace")
    if raw.count(b"\x00") > 0.01 * len(raw) or text.count("\ufffd") > 0.1 * len(text):
        raise _error("the file is binary", f"bytes {raw[:8].hex(' ')}", place)
    if text.lstrip("\ufeff \r\n\t")[:1] in ("{", "[") and _is_json(text):
        raise _error("JSON histories are not read yet", text.strip()[:60], place, "export the history as CSV")
    return text.lstrip("\ufeff")


def _is_json(text: str) -> bool:
    """JSON or JSON lines; a log that begins with a bracketed time or a Python dict is neither."""
    body = text.lstrip("\ufeff \r\n\t")
    return body[:1] == "{" and body[1:].lstrip()[:1] in ('"', "}") or body[:1] == "[" and body[1:].lstrip()[:1] in ("{", '"', "]")


def _error(message: str, found: str, place: Path, fix: str = "") -> ArtefactError:
    return ArtefactError(message, expected=READ_KINDS, found=found, fix=fix or "give one of the kinds above", file=place)
