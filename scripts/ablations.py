"""``make ablations``: positional encodings, alignments, towers and heads of the fusion detector, one key at a time.

Made data: the world of the fault runs (72 scenarios x 12 frames, 96 x 144, seed 23). Descriptive: few seeds, no claim.
Every run has the same 432 optimiser steps, no time budget, no controls and the frame logit of a smooth maximum, which
was the default when the stored runs were made. A run whose results exist, in its folder or in the results file, is
not made again. ``--jobs`` at a time (one a processor; with a GPU they share it).
Writes results/ablations.json after every run and prints the table of docs/results.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "ablations.json"
WORLD = {"scenarios": "72", "frames": "12", "size": "96x144", "seed": "23"}
EPOCHS = "8"
VARIANTS: dict[str, list[str]] = {
    "default (none, nearest)": [],
    "positional sincos": ["--positional", "sincos"],
    "positional learned": ["--positional", "learned"],
    "positional hybrid": ["--positional", "hybrid"],
    "alignment bilinear": ["--alignment", "bilinear"],
    "alignment network": ["--alignment", "network"],
    "fusion concat": ["--fusion", "concat"],
    "fusion late": ["--fusion", "late"],
    "fusion image_only": ["--fusion", "image_only"],
    "fusion points_only": ["--fusion", "points_only"],
    "head multiscale": ["--head", "multiscale"],
    "head voxel": ["--head", "voxel"],
    "points_tower raw": ["--points_tower", "raw"],
    "augment full": ["--augment", "full"],
}
KINDS = ("seen by both", "seen by camera", "seen by lidar", "seen by pair", "sudden_braking")
KIND_METRICS = ("frame_auroc", "object_point_ap")
"""Of each kind of anomaly, by the sensors that it takes, kept for every run."""
METRICS = ("frame_auroc", "point_ap", "object_point_auroc", "pixel_ap")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "ablations")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time")
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS), metavar="VARIANT")
    given = parser.parse_args()
    asked = [(name, seed) for seed in range(given.seeds) for name in given.only]
    found = {(row["variant"], row["seed"]): row for row in stored()}
    missing = [one for one in asked if one not in found]
    data = make_world(given.runs) if missing else given.runs
    with ThreadPoolExecutor(max_workers=given.jobs) as pool:
        waiting = [pool.submit(run, given.runs, data, name, seed) for name, seed in missing]
        for done in as_completed(waiting):
            row = done.result()
            found[row["variant"], row["seed"]] = row
            write([found[one] for one in sorted(found, key=in_order)])
            told = "  ".join(f"{key} {'-' if row[key] is None else format(row[key], '.3f')}" for key in METRICS)
            print(f"{row['variant']:<26} seed {row['seed']}  {told}", flush=True)
    rows = [found[one] for one in asked]
    print("\n" + table(rows) + "\n\n" + table_of_kinds(rows))
    return 0


def stored() -> list[dict[str, Any]]:
    """The rows that the results file holds of this world and these variants."""
    if not RESULTS.is_file():
        return []
    content = json.loads(RESULTS.read_text(encoding="utf-8"))
    same = content["world"] == WORLD and content["epochs"] == int(EPOCHS)
    return [row for row in content["runs"] if same and row["flags"] == VARIANTS.get(row["variant"])]


def in_order(one: tuple[str, int]) -> tuple[int, int]:
    variant, seed = one
    return seed, list(VARIANTS).index(variant)


def make_world(runs: Path) -> Path:
    data = runs / "world" / "data"
    if not (data / "veritrain_world.json").is_file():
        options = [word for key, value in WORLD.items() for word in (f"--{key}", value)]
        subprocess.run([sys.executable, "-m", "veritrain", "data", "make", "driving", str(data), *options], check=True)
    return data


def run(runs: Path, data: Path, name: str, seed: int) -> dict[str, Any]:
    """One training in a process of its own on one thread, unless its results exist."""
    folder = runs / f"{name.split(' (')[0].replace(' ', '-')}-{seed}"
    if not (folder / "results.json").is_file():
        command = [sys.executable, "-m", "veritrain", "train", "anomaly", "--data", str(data), "--run", str(folder)]
        command += ["--epochs", EPOCHS, "--controls", "none", "--threads", "1", "--seed", str(seed), *VARIANTS[name]]
        if not {"late", "image_only", "points_only"} & set(VARIANTS[name]):
            command += ["--frame_join", "smooth_max"]
        if (folder / "checkpoints").exists():
            command.append("--resume")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{folder.name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    results = json.loads((folder / "results.json").read_text())
    metrics = results["metrics"]
    environment = json.loads((folder / "environment.json").read_text())
    row: dict[str, Any] = {"variant": name, "seed": seed, "flags": VARIANTS[name], "parameters": results["parameters"]}
    row |= {"device": environment["gpu"] or "CPU", "torch": environment["packages"]["torch"]}
    row |= {key: metrics[key]["value"] if key in metrics else None for key in METRICS}
    row |= {f"{key}_ci95": metrics[key]["ci95"] if key in metrics else None for key in METRICS}
    row["baselines"] = {key: metrics[key]["baseline"] for key in METRICS if key in metrics}
    kinds = ("seen by both", "seen by camera", "seen by lidar", "seen by pair", "sudden_braking")
    row["by_kind"] = {
        kind: {
            key: entry.get(key) for key in ("positives", "groups", *KIND_METRICS, *(f"{k}_ci95" for k in KIND_METRICS))
        }
        for kind, entry in results["by_kind"].items()
        if kind in kinds
    }
    row["chance"] = {key: metrics[key]["chance"] for key in METRICS if key in metrics}
    return row


def write(rows: list[dict[str, Any]]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    content = {"made_data": True, "world": WORLD, "command": "make ablations", "epochs": int(EPOCHS), "runs": rows}
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def table(rows: list[dict[str, Any]]) -> str:
    """Mean (least to most) over seeds, as Markdown, with chance and the best trivial baseline below."""
    lines = ["| variant | parameters | seeds | " + " | ".join(METRICS) + " |", "|" + "---|" * (3 + len(METRICS))]
    for name in dict.fromkeys(row["variant"] for row in rows):
        same = [row for row in rows if row["variant"] == name]
        cells = [name, f"{same[0]['parameters']:,}", str(len(same))]
        lines.append("| " + " | ".join([*cells, *(spread([row[key] for row in same]) for key in METRICS)]) + " |")
    for title, key in (("chance", "chance"), ("best trivial baseline", "baselines")):
        cells = [f"{rows[0][key][metric]:.3f}" for metric in METRICS]
        lines.append("| " + " | ".join([title, "", "", *cells]) + " |")
    return "\n".join(lines)


def table_of_kinds(rows: list[dict[str, Any]]) -> str:
    """Frame AUROC of each kind's frames against all normal ones, for the ways of fusion; means over seeds."""
    kinds = list(rows[0]["by_kind"])
    counts = rows[0]["by_kind"]
    head = [f"{kind} ({counts[kind]['positives']} frames, {counts[kind]['groups']} groups)" for kind in kinds]
    lines = ["| variant | " + " | ".join(head) + " |", "|" + "---|" * (1 + len(kinds))]
    for name in dict.fromkeys(row["variant"] for row in rows):
        if name.startswith(("default", "fusion")):
            same = [row for row in rows if row["variant"] == name]
            cells = [spread([row["by_kind"][kind]["frame_auroc"] for row in same]) for kind in kinds]
            lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def spread(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    return f"{np.mean(known):.3f}" + (f" ({min(known):.3f} to {max(known):.3f})" if len(known) > 1 else "")


if __name__ == "__main__":
    raise SystemExit(main())
