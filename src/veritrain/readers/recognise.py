"""Which reader understands a path: decided by content, never by the file's name."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from veritrain import catalog
from veritrain.readers.decoding import head_of, unreadable
from veritrain.record import RunFolder, RunRecord, read_run


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
    head, _ = head_of(place)
    if _is_json(head):
        raise unreadable("JSON histories are not read yet", head.strip()[:60], place, "export the history as CSV")
    for name in catalog.READERS:
        reader: Reader = catalog.resolve("readers", name)()
        if reader.recognises(place, head):
            return reader.read(place)
    raise unreadable("nothing in it speaks of a training", head.strip()[:60], place)


def artefacts_at(path: Path | str) -> list[Path]:
    """What a given path stands for: itself, or the runs in it when it is a folder that is no run but holds runs.

    A run one or two levels down counts (``runs/mine``, ``runs/demo/run-1``); nothing is looked for inside a run.
    """
    place = Path(path)
    if not place.is_dir() or RunFolder(place).is_run():
        return [place]
    return _runs_below(place) or [place]


def _runs_below(place: Path) -> list[Path]:
    near = {record.parent for record in place.glob("*/record.jsonl") if record.is_file()}
    far = {record.parent for record in place.glob("*/*/record.jsonl") if record.is_file()}
    return sorted(near | {run for run in far if run.parent not in near})


def _read_folder(place: Path) -> RunRecord:
    if RunFolder(place).is_run():
        return read_run(place)
    runs = _runs_below(place)
    if runs:
        fix = f"give one of the runs in it, such as {runs[0]}"
    else:
        fix = "give a run folder (or a folder of runs) or a file; `veritrain data check FOLDER` looks at a data set"
    raise unreadable("the folder is not a run of Veritrain", "no record.jsonl in it", place, fix)


def _is_json(text: str) -> bool:
    """JSON or JSON lines; a log that begins with a bracketed time or a Python dict is neither."""
    body = text.lstrip("\ufeff \r\n\t")
    return (body[:1] == "{" and body[1:].lstrip()[:1] in ('"', "}")) or (
        body[:1] == "[" and body[1:].lstrip()[:1] in ("{", '"', "]")
    )
