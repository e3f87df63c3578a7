"""Stands for ``python -m veritrain`` in tests of the runner: writes run folders as a training does, in milliseconds.

A score is a function of fusion, learning rate and seed. ``FAKE`` in the environment is JSON: part of a cell's name to
what goes wrong with it (``exit``, ``say``, ``data``, ``recipe``, ``silent``), ``world_seconds``, ``seconds`` that every
training takes after its first checkpoint, and ``stubborn`` ones that do not end when asked.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

BASE = {"attention": 0.80, "concat": 0.70, "late": 0.70, "image_only": 0.60, "points_only": 0.60}


def main() -> int:
    given = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:] if "=" in word)
    faults = json.loads(os.environ.get("FAKE", "{}"))
    signal.signal(signal.SIGTERM, signal.SIG_IGN if faults.get("stubborn") else lambda *_: sys.exit(143))
    if sys.argv[1] == "data":
        made = Path(sys.argv[4])
        made.mkdir()
        time.sleep(float(faults.get("world_seconds", 0)))
        (made / "veritrain_world.json").write_text(json.dumps(given))
        return 0
    folder = Path(given.pop("run"))
    fault = next((what for part, what in faults.items() if part in folder.name and isinstance(what, dict)), {})
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return 5
        return train(folder, given, fault, float(faults.get("seconds", 0)))


def train(folder: Path, given: dict[str, str], fault: dict, seconds: float) -> int:
    if "--resume" in sys.argv and not any((folder / "checkpoints").iterdir()):
        raise SystemExit("nothing to resume")
    # A folder without the key would be read as one of an earlier version.
    recipe = {"frame_join": "noisy_or"} | given | fault.get("recipe", {})
    (folder / "recipe.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in recipe.items()))
    (folder / "checkpoints" / "step-1").mkdir(parents=True, exist_ok=True)
    with (folder / "starts").open("a") as file:
        file.write("resumed\n" if "--resume" in sys.argv else "new\n")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.02)
    if "exit" in fault:
        print(fault.get("say", "a fault"), file=sys.stderr)
        return int(fault["exit"])
    if fault.get("silent"):
        return 0
    write(folder, given, fault)
    return 0


def write(folder: Path, given: dict[str, str], fault: dict) -> None:
    content = fault.get("data", "same")
    (folder / "data.json").write_text(
        json.dumps({"split_sha256": content, "splits": {"test": {"groups": ["g"], "contents": ["c"]}}})
    )
    start = {"v": 1, "event": "start", "version": "0.1.0"}
    term = {"v": 1, "event": "term", "name": "point", "weight": 1.0, "split": "train"}
    terms = [{**term, "value": 1 / step, "step": step} for step in range(1, 9)]
    stop = {"v": 1, "event": "stop", "reason": "epochs", "summary": {"steps": 8, "stop_reason": "epochs"}}
    lines = [json.dumps(line) for line in (start, *terms, stop)]
    (folder / "record.jsonl").write_text("\n".join(lines) + "\n")
    score = score_of(given["fusion"], float(given["learning_rate"]), int(given["seed"]))
    entry = {"value": score, "ci95": [0.1, 0.9], "n": 40, "groups": 4, "chance": 0.1, "baseline": 0.2}
    validation = {"point_ap": {"value": score}, "frame_auroc": {"value": 0.5}}
    results = {"schema": 1, "made_data": True, "metrics": {"point_ap": entry, "frame_auroc": {**entry, "value": 0.5}},
               "selection": {"split": "val", "metrics": validation}, "parameters": 10}  # fmt: skip
    beside = folder / "results.part"
    beside.write_text(json.dumps(results))
    beside.replace(folder / "results.json")


def score_of(fusion: str, rate: float, seed: int) -> float:
    """Best at a rate of 0.01; the same seed moves all fusions alike, and each a little for itself."""
    digest = hashlib.sha256(f"{fusion}{seed}".encode()).digest()[0] / 255
    return round(BASE[fusion] - abs(rate - 0.01) + 0.01 * ((seed * 7) % 5) + 0.004 * digest, 6)


if __name__ == "__main__":
    raise SystemExit(main())
