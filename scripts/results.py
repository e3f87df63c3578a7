"""``make results``: the fault runs of the driving task, 6 seeds each, judged without knowing what was spoilt.

Made data, one world (seed 59, never looked at while the recipe was tuned), quick recipe, quick controls. Each run is a
process of its own on one thread, ``--jobs`` at a time (by default one a processor; with 1 it has all processors); a run
whose verdict exists is not made again. The 43.5 seconds of training and validation are seconds of the clock: what else
the machine does takes steps away. Writes results/driving_faults.json and prints the table of docs/results.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORLD = {"scenarios": "72", "frames": "12", "size": "96x144", "seed": "59"}
VARIANTS: dict[str, tuple[list[str], set[str], str]] = {
    "plain": ([], {"shown", "plausible"}, ""),
    "labels permuted": (["--labels", "permuted"], {"refuted", "not_shown"}, "beats_trivial"),
    "labels redrawn": (["--labels", "redrawn"], {"refuted", "not_shown"}, "labels_deterministic"),
    "val = train": (["--split", "val=train"], {"refuted", "not_shown"}, "splits_disjoint"),
    "loss of report 000": (["--loss", "origin000"], {"refuted", "not_shown"}, "loss_reads_labels"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "results")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time")
    given = parser.parse_args()
    data = make_world(given.runs)
    threads = 0 if given.jobs == 1 else 1
    jobs = [(given.runs, data, name, seed, threads) for seed in range(given.seeds) for name in VARIANTS]
    rows = []
    with ThreadPoolExecutor(max_workers=given.jobs) as pool:
        for row in pool.map(lambda job: judged_run(*job), jobs):
            rows.append(row)
            write(rows)
            print(f"{row['variant']:<20} seed {row['seed']}  {row['verdict']:<10} {row['failures']}", flush=True)
    print("\n" + table(rows))
    return 0 if all(row["as_expected"] for row in rows) else 1


def write(rows: list[dict[str, object]]) -> None:
    """After every run, so that what an ended session computed is not lost."""
    out = ROOT / "results" / "driving_faults.json"
    out.parent.mkdir(exist_ok=True)
    content = {"made_data": True, "world": WORLD, "command": "make results", "runs": rows}
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def make_world(runs: Path) -> Path:
    data = runs / "world" / "data"
    if not (data / "veritrain_world.json").is_file():
        options = [word for key, value in WORLD.items() for word in (f"--{key}", value)]
        subprocess.run([sys.executable, "-m", "veritrain", "data", "make", "driving", str(data), *options], check=True)
    return data


def judged_run(runs: Path, data: Path, name: str, seed: int, threads: int) -> dict[str, object]:
    """One run in a process of its own (on all processors with ``threads`` 0), unless its verdict exists."""
    flags, expected, culprit = VARIANTS[name]
    folder = runs / f"{name.replace(' ', '_').replace('=', 'is')}-{seed}"
    if not (folder / "verdict.json").is_file():
        command = [sys.executable, "-m", "veritrain", "train", "anomaly", "--data", str(data), "--run", str(folder)]
        start = time.monotonic()
        if (folder / "checkpoints").exists():
            command.append("--resume")
        done = subprocess.run(
            [*command, "--seed", str(seed), "--quick", "--threads", str(threads), *flags],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{folder.name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        (folder / "seconds.txt").write_text(f"{time.monotonic() - start:.1f}\n")
    row = summary(folder, name, seed)
    failures = row["failures"]
    assert isinstance(failures, list)
    row["as_expected"] = row["verdict"] in expected and (not culprit or culprit in failures)
    return row


def summary(folder: Path, name: str, seed: int) -> dict[str, object]:
    verdict = json.loads((folder / "verdict.json").read_text())
    results = json.loads((folder / "results.json").read_text())
    lines = [json.loads(line) for line in (folder / "record.jsonl").read_text().splitlines()]
    fit = next(line["summary"] for line in reversed(lines) if line["event"] == "stop")
    auroc, ap = results["metrics"]["frame_auroc"], results["metrics"]["point_ap"]
    return {
        "variant": name,
        "seed": seed,
        "verdict": verdict["verdict"],
        "failures": [item["check"] for item in verdict["findings"] if item["status"] == "fail"],
        "frame_auroc": auroc["value"],
        "frame_auroc_ci95": auroc["ci95"],
        "frame_auroc_gain_ci95": auroc["gain_ci95"],
        "baseline": auroc["baseline"],
        "point_ap": ap["value"],
        "training_seconds": round(fit["seconds"], 1),
        "steps": max(line["step"] for line in lines if isinstance(line.get("step"), int)),
        "seconds": float((folder / "seconds.txt").read_text()) if (folder / "seconds.txt").is_file() else None,
    }


def table(rows: list[dict[str, object]]) -> str:
    """Counts per variant, as Markdown."""
    head = [
        "variant",
        "runs",
        "shown",
        "plausible",
        "not shown",
        "refuted",
        "named as it must be",
        "frame AUROC (range)",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name in VARIANTS:
        own = [row for row in rows if row["variant"] == name]
        words = [str(row["verdict"]) for row in own]
        if not own:
            continue
        scores = sorted(float(str(row["frame_auroc"])) for row in own)
        counts = [str(words.count(word)) for word in ("shown", "plausible", "not_shown", "refuted")]
        good = sum(bool(row["as_expected"]) for row in own)
        cells = [name, str(len(own)), *counts, f"{good} of {len(own)}", f"{scores[0]:.3f} to {scores[-1]:.3f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
