"""Study files and their runs for tests: the fake training of ``fake_train.py``, and a way to call the whole runner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from veritrain.study.ledger import Ledger, take_in
from veritrain.study.plan import Cell, Study, load_study
from veritrain.study.run import Runner, Workers, held
from veritrain.study.summary import summarise

FAKE = (sys.executable, "-I", "-S", str(Path(__file__).with_name("fake_train.py")))

TWO_ARMS: dict[str, Any] = {
    "name": "two arms",
    "task": "anomaly",
    "data": "data/streets",
    "base": {"learning_rate": 0.01, "epochs": 1},
    "arms": {"attention": {"options": {"fusion": "attention"}}, "concat": {"options": {"fusion": "concat"}}},
    "primary": {"a": "attention", "b": "concat", "metric": "point_ap"},
}
TUNED: dict[str, Any] = {
    **TWO_ARMS,
    "name": "tuned",
    "base": {"epochs": 1},
    "arms": {
        fusion: {
            "options": {"fusion": fusion},
            "configurations": {f"rate {rate}": {"learning_rate": rate} for rate in (0.03, 0.01, 0.02)},
        }
        for fusion in ("attention", "concat")
    },
    "selection": {"metric": "point_ap", "seeds": 1},
}


def written(folder: Path, content: Mapping[str, Any] = TWO_ARMS, **changes: Any) -> Path:
    """A study file with some keys changed."""
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False), encoding="utf-8")
    return path


def loaded(folder: Path, content: Mapping[str, Any] = TWO_ARMS, **changes: Any) -> Study:
    return load_study(written(folder, content, **changes))


@contextmanager
def faults(**what: Any):
    """What goes wrong in the fake training meanwhile."""
    with mock.patch.dict(os.environ, FAKE=json.dumps(what)):
        yield


def made(study: Study, out: Path, *, processes: int = 2, only: tuple[str, ...] = (), lines: list[str] | None = None):
    """The ledger and the summary after all open cells were made by the fake training."""
    said: list[str] = [] if lines is None else lines
    with held(out):
        ledger = Ledger(out)
        take_in(study, ledger)
        ledger.register(study)
        workers = Workers(processes=processes, command=FAKE)
        Runner(study, out, ledger, workers, only=only, say=said.append).run()
        return ledger, summarise(study, ledger)


def starts(out: Path) -> dict[str, list[str]]:
    """Cell to how it was started, each time."""
    found = {path.parent.name: path.read_text().split() for path in sorted((out / "cells").glob("*/starts"))}
    return {name: how for name, how in found.items() if how}


def in_a_process(path: Path, out: Path) -> subprocess.Popen[str]:
    """The same in a process of its own, which can be killed."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from study.studies import made\n"
        "from veritrain.study.plan import load_study\n"
        "from veritrain.errors import VeritrainError\n"
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n"
        "    made(load_study(Path(sys.argv[2])), Path(sys.argv[3]))\n"
        "except VeritrainError as error:\n"
        "    print(error, file=sys.stderr)\n"
        "    sys.exit(error.exit_code)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(99)\n"
    )
    words = [sys.executable, "-c", code, str(Path(__file__).parent.parent), str(path), str(out)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def entry(scores: Mapping[str, float | None], **changes: Any) -> dict[str, Any]:
    """A finished entry of the ledger; ``scores`` are the same on test and on validation."""
    test = {name: {"value": value, "ci95": [0.1, 0.9], "n": 40, "groups": 12, "chance": 0.1, "baseline": 0.2}
            for name, value in scores.items()}  # fmt: skip
    return {"status": "finished", "data": "d" * 64, "made_data": True, "version": "0.1.0", "steps": 8, "seconds": 10.0,
            "stop_reason": "epochs", "parameters": 10, "verdict": None,
            "metrics": {"test": test, "val": {name: {"value": value} for name, value in scores.items()}},
            **changes}  # fmt: skip


def filled(study: Study, out: Path, scores: Mapping[str, Any]) -> Ledger:
    """A ledger with the final cells of ``scores``: arm to a list by seed of scores (point_ap) or whole entries."""
    ledger = Ledger(out)
    for arm, values in scores.items():
        for seed, value in zip(study.seeds, values, strict=False):
            cell = Cell(configuration=study.arm(arm).configurations[0], seed=seed, stage="final")
            if value is not None:
                ledger.put(cell, value if isinstance(value, dict) else entry({"point_ap": value}))
    return ledger


DIVERGED = {"status": "failed", "exit_code": 4, "error": "not finite", "seconds": 3.0}
