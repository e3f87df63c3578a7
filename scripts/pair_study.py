"""``make pairs``: can the fusion network see what is odd only for both sensors together, and does fusion win there?

Made data: worlds of pairs (``--anomalies pairs``), seed 23, never used while anything was tuned. Three stages, each
resumable (a run whose results exist is not made again):

1. ``curve``: attention fusion on pure pairs (cue 0) with 45, 90 and 180 training groups: does the object-point AUROC
   reach 0.8? ``long``: the same with two and four times the steps.
2. ``ease``: attention fusion and both single sensors on pairs with a cue for each sensor alone: where does it start?
3. ``compare``: five ways of fusion, paired by seed. One primary claim, named before any run: attention fusion beats the
   better single sensor in object-point AP. Everything else is descriptive. The seeds that the claim needs and its power
   are printed first, from the spread of the first two seeds.

Writes results/pair_study.json after every run and prints the tables of docs/results.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veritrain.statistics.comparison import compare_paired
from veritrain.statistics.power import seeds_needed, sign_flip_power

ROOT = Path(__file__).resolve().parent.parent
WORLD = {"scenarios": "360", "frames": "8", "size": "96x144", "seed": "23", "anomalies": "pairs"}
TRAIN_GROUPS = 180
"""Half of the scenarios."""
BATCH = 8
STEPS = 3000
"""Optimiser steps of the learning curve, whatever the number of training groups."""
COMPARED_STEPS = 6000
"""Of the other stages: with 3,000 attention fusion has learned little (docs/results.md)."""
SETTINGS = ("--learning_rate", "0.002", "--modality_dropout", "0")
"""Chosen on the world of seed 11. Samples whose sensors do not meet (modality dropout) say nothing about pairs."""
VALIDATIONS = 8
"""About so many in a run."""
REACHED = 0.8
SINGLE = ("image_only", "points_only")
FUSIONS = ("attention", "concat", "late", *SINGLE)


@dataclass(frozen=True)
class Job:
    """One training: what is varied, nothing else."""

    fusion: str
    cue: float
    groups: int
    seed: int
    steps: int = STEPS

    @property
    def name(self) -> str:
        longer = "" if self.steps == STEPS else f"-steps{self.steps}"
        return f"{self.fusion}-cue{self.cue:g}-groups{self.groups}-seed{self.seed}{longer}"


def jobs_of(stage: str, cue: float, seeds: int) -> list[Job]:
    if stage == "curve":
        return [Job("attention", 0.0, groups, seed) for groups in (TRAIN_GROUPS, 90, 45) for seed in range(2)]
    if stage == "long":
        return [Job("attention", 0.0, TRAIN_GROUPS, 0, steps) for steps in (2 * STEPS, 4 * STEPS)]
    if stage == "ease":
        cues = (0.0, 0.1, 0.2, 0.4)
        return [Job(fusion, one, TRAIN_GROUPS, 0, COMPARED_STEPS) for one in cues for fusion in ("attention", *SINGLE)]
    return [Job(fusion, cue, TRAIN_GROUPS, seed, COMPARED_STEPS) for seed in range(seeds) for fusion in FUSIONS]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", default=["curve", "long", "ease", "compare"])
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "pairs")
    parser.add_argument("--cue", type=float, default=0.0, help="of stage compare")
    parser.add_argument("--seeds", type=int, default=6, help="of stage compare")
    given = parser.parse_args()
    for stage in given.stages:
        jobs = jobs_of(stage, given.cue, given.seeds)
        for cue in sorted({job.cue for job in jobs}):
            make_world(given.runs, cue)
        rows = all_runs(given.runs, stage, jobs)
        print("\n" + table(stage, rows) + "\n", flush=True)
    return 0


def make_world(runs: Path, cue: float) -> Path:
    data = runs / f"world-cue{cue:g}" / "data"
    if not (data / "veritrain_world.json").is_file():
        options = [word for key, value in WORLD.items() for word in (f"--{key}", value)]
        command = [sys.executable, "-m", "veritrain", "data", "make", "driving", str(data), *options]
        subprocess.run([*command, "--pair_cue", str(cue)], check=True, stdout=subprocess.DEVNULL)
    return data


def all_runs(runs: Path, stage: str, jobs: list[Job]) -> list[dict[str, Any]]:
    """Every job's row; the plan of the comparison is printed once two seeds of it are there."""
    rows = []
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for row in pool.map(lambda job: run(runs, job), jobs):
            rows.append(row)
            write(stage, rows)
            print(f"{row['name']:<44} object-point AUROC {row['object_point_auroc']:.3f}  "
                  f"AP {row['object_point_ap']:.3f}  steps {row['steps']}", flush=True)  # fmt: skip
            if [one["seed"] for one in rows] == [0] * len(FUSIONS) + [1] * len(FUSIONS):
                print(plan(rows), flush=True)
    return rows


def run(runs: Path, job: Job) -> dict[str, Any]:
    """One training in a process of its own on one thread, unless its results exist."""
    folder = runs / job.name
    if not (folder / "results.json").is_file():
        epochs = -(-job.steps // (job.groups * int(WORLD["frames"]) // BATCH))
        command = [sys.executable, "-m", "veritrain", "train", "anomaly", "--run", str(folder)]
        command += ["--data", str(make_world(runs, job.cue)), "--fusion", job.fusion, "--seed", str(job.seed)]
        command += ["--train_groups", str(job.groups), "--epochs", str(epochs), "--controls", "none", *SETTINGS]
        command += ["--validate_every", str(max(1, epochs // VALIDATIONS)), "--memory_mb", "6000"]
        if (folder / "checkpoints").exists():
            command.append("--resume")
        done = subprocess.run([*command, "--threads", "1"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{job.name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    results = json.loads((folder / "results.json").read_text())
    lines = [json.loads(line) for line in (folder / "record.jsonl").read_text().splitlines()]
    steps = max((line["step"] for line in lines if isinstance(line.get("step"), int)), default=None)
    row: dict[str, Any] = {"name": job.name, **asdict(job), "steps": steps}
    for metric in ("object_point_auroc", "object_point_ap", "point_ap", "frame_auroc"):
        entry = results["metrics"][metric]
        row |= {metric: entry["value"], f"{metric}_ci95": entry["ci95"], f"{metric}_chance": entry["chance"],
                f"{metric}_baseline": entry["baseline"], f"{metric}_n": entry["n"]}  # fmt: skip
        row["test_groups"] = entry["groups"]
    row["by_kind"] = results.get("by_kind")
    return row


def of(rows: list[dict[str, Any]], fusion: str, metric: str = "object_point_ap") -> list[float]:
    return [row[metric] for row in sorted(rows, key=lambda row: row["seed"]) if row["fusion"] == fusion]


def better_single(rows: list[dict[str, Any]]) -> str:
    return max(SINGLE, key=lambda name: float(np.mean(of(rows, name))))


def plan(rows: list[dict[str, Any]]) -> str:
    """What the first two seeds say about the seeds that are needed."""
    gains = np.array(of(rows, "attention")) - np.array(of(rows, better_single(rows)))
    spread = float(gains.std(ddof=1))
    effect = float(gains.mean()) / max(spread, 1e-6)
    lines = [f"one primary claim needs at least {seeds_needed(1)} seeds (exact sign-flip test, level 0.05)",
             f"pilot of 2 seeds: mean gain {gains.mean():+.3f}, standard deviation {spread:.3f}"]  # fmt: skip
    lines += [f"  power with {n} seeds at that effect: {sign_flip_power(effect, n):.2f}" for n in (6, 8, 10)]
    return "\n".join(lines)


def write(stage: str, rows: list[dict[str, Any]]) -> None:
    out = ROOT / "results" / "pair_study.json"
    out.parent.mkdir(exist_ok=True)
    content = json.loads(out.read_text()) if out.is_file() else {"made_data": True, "command": "make pairs"}
    content |= {"world": WORLD, "steps": STEPS}
    content[stage] = {"runs": rows}
    if stage == "compare" and len(rows) % len(FUSIONS) == 0:
        content[stage]["primary"] = primary(rows)
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def primary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The one claim: attention fusion over the better single sensor, paired by seed."""
    single = better_single(rows)
    found = compare_paired(of(rows, "attention"), of(rows, single))
    return {"claim": "attention fusion beats the better single sensor in object-point AP", "against": single,
            "needed_seeds": seeds_needed(1), **asdict(found)}  # fmt: skip


def table(stage: str, rows: list[dict[str, Any]]) -> str:
    """Means over seeds per row of the stage, as Markdown."""
    head = [
        "fusion",
        "cue",
        "training groups",
        "steps",
        "seeds",
        "object-point AUROC",
        "object-point AP",
        "frame AUROC",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    seen: dict[tuple[str, float, int, int], list[dict[str, Any]]] = {}
    for row in rows:
        seen.setdefault((row["fusion"], row["cue"], row["groups"], row["steps"]), []).append(row)
    for (fusion, cue, groups, steps), same in seen.items():
        cells = [fusion, f"{cue:g}", str(groups), str(steps), str(len(same))]
        cells += [
            spread_of([row[key] for row in same]) for key in ("object_point_auroc", "object_point_ap", "frame_auroc")
        ]
        lines.append("| " + " | ".join(cells) + " |")
    first = rows[0]
    lines.append(
        f"\nchance: object-point AUROC 0.500, AP {first['object_point_ap_chance']:.3f}; best input-free baseline AP "
        f"{first['object_point_ap_baseline']:.3f}; n {first['object_point_ap_n']:,} returns on objects, "
        f"{first['test_groups']} test groups"
    )
    if stage in ("curve", "long"):
        reached = [row["name"] for row in rows if row["object_point_auroc"] >= REACHED]
        lines.append(f"object-point AUROC of at least {REACHED}: {len(reached)} of {len(rows)} runs")
    if stage == "compare":
        claim = primary(rows)
        lines.append(f"primary claim: {claim['word']} over {claim['against']}: mean gain {claim['gain']:+.3f}, "
                     f"95 % interval {claim['low']:+.3f} to {claim['high']:+.3f}, p = {claim['p']:.3f}, "
                     f"{claim['n']} seeds (at least {claim['needed_seeds']} needed)")  # fmt: skip
    return "\n".join(lines)


def spread_of(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else f"{values[0]:.3f}"


if __name__ == "__main__":
    raise SystemExit(main())
