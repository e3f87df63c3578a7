"""The record of a run: the bridge between training it and judging it.

A run folder holds ``recipe.yaml``, ``record.jsonl`` (the source of truth: append-only, one writer, a torn last
line is tolerated), ``metrics.csv`` and ``train.log`` (for people, pandas and grep), ``data.json``,
``evidence/<probe>.json``, ``results.json``, ``predictions/``, ``checkpoints/``, ``figures/``, ``verdict.json``,
``report.html``, ``README.md`` and ``environment.json``. Readers of foreign artefacts fill the same
:class:`RunRecord`, so that every check judges one type.
"""

from veritrain.record.folder import RunFolder, finite_or_none, missing_folders, sha256_of, write_json, write_text
from veritrain.record.holder import Holder, holder_of
from veritrain.record.reader import (
    PLACED,
    OtherVersionError,
    demand_run,
    event_of,
    read_evidence,
    read_run,
    record_of_lines,
)
from veritrain.record.rows import Claim, Evidence, Remark, Row, RunRecord, Statement
from veritrain.record.writer import EVENTS, SCHEMA, Mirror, RecordWriter, discard_unstarted, write_evidence

__all__ = [
    "EVENTS",
    "PLACED",
    "SCHEMA",
    "Claim",
    "Evidence",
    "Holder",
    "Mirror",
    "OtherVersionError",
    "RecordWriter",
    "Remark",
    "Row",
    "RunFolder",
    "RunRecord",
    "Statement",
    "demand_run",
    "discard_unstarted",
    "event_of",
    "finite_or_none",
    "holder_of",
    "missing_folders",
    "read_evidence",
    "read_run",
    "record_of_lines",
    "sha256_of",
    "write_evidence",
    "write_json",
    "write_text",
]
