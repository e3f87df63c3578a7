"""``make pairs``: can the fusion network see what is odd only for both sensors together, and does fusion win there?

Made data: worlds of pairs (``--anomalies pairs``), seed 23, never used while anything was tuned. Three stages, each
resumable: a run whose results exist is not made again, and one whose folder is gone is taken from the results file.

1. ``curve``: attention fusion on pure pairs (cue 0) with 45, 90 and 180 training groups: does the object-point AUROC
   reach 0.8? ``long``: the same with two and four times the steps.
2. ``ease``: attention fusion and both single sensors on pairs with a cue for each sensor alone: where does it start?
3. ``compare``: five ways of fusion, paired by seed. One primary claim, named before any run: attention fusion beats the
   better single sensor in object-point AP. Everything else is descriptive. The seeds that the claim needs and its power
   at a range of effects are printed before any run, and again at the effect and spread of the first two seeds.

``--jobs`` runs at a time (by default one a processor; with a GPU they share it), ``--until`` seconds after which no run
is started and those under way are asked to save and stop. Writes results/pair_study.json after every run, in which each
run has the device it was trained on, and prints the tables of docs/results.md.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veritrain.statistics.comparison import compare_paired
from veritrain.statistics.power import seeds_needed, sign_flip_power

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "pair_study.json"
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
JOINED = ("--frame_join", "smooth_max")
"""Of attention and concatenation: the default when the stored runs were made."""
VALIDATIONS = 8
"""About so many in a run."""
REACHED = 0.8
SINGLE = ("image_only", "points_only")
FUSIONS = ("attention", *SINGLE, "concat", "late")
CLAIMED = ("attention", *SINGLE)
"""The arms of the primary claim; their seeds are made first."""
EFFECTS = (0.5, 1.0, 1.5, 2.0, 3.0)
"""Mean paired gains, in their own standard deviations, for which power is printed before any run."""


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
    claimed = [Job(fusion, cue, TRAIN_GROUPS, seed, COMPARED_STEPS) for seed in range(seeds) for fusion in CLAIMED]
    others = [fusion for fusion in FUSIONS if fusion not in CLAIMED]
    return claimed + [
        Job(fusion, cue, TRAIN_GROUPS, seed, COMPARED_STEPS) for seed in range(seeds) for fusion in others
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", default=["curve", "long", "ease", "compare"])
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "pairs")
    parser.add_argument("--cue", type=float, default=0.0, help="of stage compare")
    parser.add_argument("--seeds", type=int, default=6, help="of stage compare")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at a time")
    parser.add_argument("--until", type=float, default=float("inf"), help="seconds for all of it")
    given = parser.parse_args()
    runner = Runner(given.runs, given.jobs, time.monotonic() + given.until)
    for stage in given.stages:
        jobs = jobs_of(stage, given.cue, given.seeds)
        if stage == "compare":
            print(power_table(given.seeds), flush=True)
        rows = all_runs(runner, stage, jobs)
        if rows:
            print("\n" + table(stage, rows) + "\n", flush=True)
        print(f"stage {stage}: {len(rows)} of {len(jobs)} runs", flush=True)
    return 0


def make_world(runs: Path, cue: float) -> Path:
    data = runs / f"world-cue{cue:g}" / "data"
    if not (data / "veritrain_world.json").is_file():
        options = [word for key, value in WORLD.items() for word in (f"--{key}", value)]
        command = [sys.executable, "-m", "veritrain", "data", "make", "driving", str(data), *options]
        subprocess.run([*command, "--pair_cue", str(cue)], check=True, stdout=subprocess.DEVNULL)
    return data


class Runner:
    """Trainings in processes of their own, one thread each.

    Args:
        runs: where their folders are. jobs: at a time. deadline: on the monotonic clock; see ``--until``.
    """

    def __init__(self, runs: Path, jobs: int, deadline: float) -> None:
        self.runs, self.jobs, self.deadline = runs, jobs, deadline
        self._lock = threading.Lock()

    def train(self, job: Job) -> dict[str, Any] | None:
        """The row of a job, trained unless its results exist; None where the time ran out before."""
        folder = self.runs / job.name
        if not (folder / "results.json").is_file():
            if time.monotonic() >= self.deadline:
                return None
            with self._lock:
                make_world(self.runs, job.cue)
            status, errors = self._run(command_of(job, self.runs))
            if not (folder / "results.json").is_file():
                if status in (128 + signal.SIGTERM, -signal.SIGTERM):
                    return None
                raise SystemExit(f"{job.name} ended with {status}:\n{errors[-2000:]}")
        return row_of(folder, job)

    def _run(self, command: list[str]) -> tuple[int, str]:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        left = self.deadline - time.monotonic()
        try:
            _, errors = process.communicate(timeout=left if left < threading.TIMEOUT_MAX else None)
        except subprocess.TimeoutExpired:
            process.terminate()
            _, errors = process.communicate()
        return process.returncode, errors


def all_runs(runner: Runner, stage: str, jobs: list[Job]) -> list[dict[str, Any]]:
    """Every job's row, in the order of the jobs; what the results file knows is not trained again."""
    known = {row["name"]: row for row in stored(stage)}
    found = {job.name: known[job.name] for job in jobs if job.name in known and fits(known[job.name], job)}
    rows = [found[job.name] for job in jobs if job.name in found]
    with ThreadPoolExecutor(max_workers=runner.jobs) as pool:
        waiting = {pool.submit(runner.train, job): job for job in jobs if job.name not in found}
        for done in as_completed(waiting):
            row = done.result()
            if row is None:
                continue
            found[row["name"]] = row
            rows = [found[job.name] for job in jobs if job.name in found]
            write(stage, rows)
            print(f"{row['name']:<44} object-point AUROC {row['object_point_auroc']:.3f}  "
                  f"AP {row['object_point_ap']:.3f}  steps {row['steps']}", flush=True)  # fmt: skip
            if stage == "compare" and pilot_just_complete(rows, row):
                print(plan(rows), flush=True)
    return rows


def stored(stage: str) -> list[dict[str, Any]]:
    """The rows that the results file holds of a stage of this study's world."""
    if not RESULTS.is_file():
        return []
    content = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = content.get(stage, {}).get("runs", []) if content.get("world") == WORLD else []
    return rows


def fits(row: dict[str, Any], job: Job) -> bool:
    """Whether a stored row is this job's: all that is varied agrees (steps are whole epochs, so at least as many)."""
    same = all(row[key] == getattr(job, key) for key in ("fusion", "cue", "groups", "seed"))
    return same and job.steps <= row["steps"] < job.steps + job.groups * int(WORLD["frames"]) // BATCH


def command_of(job: Job, runs: Path) -> list[str]:
    folder = runs / job.name
    epochs = -(-job.steps // (job.groups * int(WORLD["frames"]) // BATCH))
    command = [sys.executable, "-m", "veritrain", "train", "anomaly", "--run", str(folder)]
    command += ["--data", str(runs / f"world-cue{job.cue:g}" / "data"), "--fusion", job.fusion, "--seed", str(job.seed)]
    command += ["--train_groups", str(job.groups), "--epochs", str(epochs), "--controls", "none", *SETTINGS]
    command += JOINED if job.fusion in ("attention", "concat") else ()
    command += ["--validate_every", str(max(1, epochs // VALIDATIONS)), "--memory_mb", "6000", "--threads", "1"]
    return [*command, "--resume"] if (folder / "checkpoints").exists() else command


def row_of(folder: Path, job: Job) -> dict[str, Any]:
    results = json.loads((folder / "results.json").read_text())
    lines = [json.loads(line) for line in (folder / "record.jsonl").read_text().splitlines()]
    steps = max((line["step"] for line in lines if isinstance(line.get("step"), int)), default=None)
    environment = json.loads((folder / "environment.json").read_text())
    row: dict[str, Any] = {"name": job.name, **asdict(job), "steps": steps}
    row |= {"device": environment["gpu"] or "CPU", "torch": environment["packages"]["torch"]}
    for metric in ("object_point_auroc", "object_point_ap", "point_ap", "frame_auroc"):
        entry = results["metrics"][metric]
        row |= {metric: entry["value"], f"{metric}_ci95": entry["ci95"], f"{metric}_chance": entry["chance"],
                f"{metric}_baseline": entry["baseline"], f"{metric}_n": entry["n"]}  # fmt: skip
        row["test_groups"] = entry["groups"]
    row["by_kind"] = results.get("by_kind")
    row["by_size"] = results.get("by_size")
    return row


def power_table(seeds: int) -> str:
    """What the comparison can show, before any run."""
    lines = [
        f"one primary claim needs at least {seeds_needed(1)} seeds (exact sign-flip test, level 0.05); {seeds} asked"
    ]
    for effect in EFFECTS:
        power = sign_flip_power(effect, seeds)
        lines.append(f"  power with {seeds} seeds at a mean gain of {effect:g} standard deviations: {power:.2f}")
    return "\n".join(lines)


def pilot_just_complete(rows: list[dict[str, Any]], newest: dict[str, Any]) -> bool:
    pilot = {(fusion, seed) for fusion in CLAIMED for seed in range(2)}
    made = {(row["fusion"], row["seed"]) for row in rows}
    return pilot <= made and (newest["fusion"], newest["seed"]) in pilot


def of(rows: list[dict[str, Any]], fusion: str, seeds: list[int], metric: str = "object_point_ap") -> list[float]:
    by_seed = {row["seed"]: row[metric] for row in rows if row["fusion"] == fusion}
    return [by_seed[seed] for seed in seeds]


def seeds_of(rows: list[dict[str, Any]]) -> list[int]:
    """The seeds that every arm of the primary claim has."""
    made = [{row["seed"] for row in rows if row["fusion"] == fusion} for fusion in CLAIMED]
    return sorted(set.intersection(*made))


def better_single(rows: list[dict[str, Any]], seeds: list[int]) -> str:
    return max(SINGLE, key=lambda name: float(np.mean(of(rows, name, seeds))))


def plan(rows: list[dict[str, Any]]) -> str:
    """What the first two seeds say about the seeds that are needed."""
    seeds = [0, 1]
    gains = np.array(of(rows, "attention", seeds)) - np.array(of(rows, better_single(rows, seeds), seeds))
    spread = float(gains.std(ddof=1))
    effect = float(gains.mean()) / max(spread, 1e-6)
    lines = [f"one primary claim needs at least {seeds_needed(1)} seeds (exact sign-flip test, level 0.05)",
             f"pilot of 2 seeds: mean gain {gains.mean():+.3f}, standard deviation {spread:.3f}"]  # fmt: skip
    lines += [f"  power with {n} seeds at that effect: {sign_flip_power(effect, n):.2f}" for n in (6, 8, 10)]
    return "\n".join(lines)


def write(stage: str, rows: list[dict[str, Any]]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    content = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"made_data": True, "command": "make pairs"}
    content |= {"world": WORLD, "steps": STEPS}
    made = {row["name"] for row in rows}
    kept = [row for row in stored(stage) if row["name"] not in made]
    content[stage] = {**content.get(stage, {}), "runs": [*kept, *rows]}
    if stage == "compare" and rows[0]["cue"] == 0 and len(seeds_of(rows)) > 1:
        content[stage]["primary"] = primary(rows)
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def primary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The one claim: attention fusion over the better single sensor, paired by seed."""
    seeds = seeds_of(rows)
    single = better_single(rows, seeds)
    found = compare_paired(of(rows, "attention", seeds), of(rows, single, seeds))
    return {"claim": "attention fusion beats the better single sensor in object-point AP", "against": single,
            "needed_seeds": seeds_needed(1), "seeds": seeds, **asdict(found)}  # fmt: skip


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
    if stage == "compare" and len(seeds_of(rows)) > 1:
        claim = primary(rows)
        lines.append(f"primary claim: {claim['word']} over {claim['against']}: mean gain {claim['gain']:+.3f}, "
                     f"95 % interval {claim['low']:+.3f} to {claim['high']:+.3f}, p = {claim['p']:.3f}, "
                     f"{claim['n']} seeds (at least {claim['needed_seeds']} needed)")  # fmt: skip
    return "\n".join(lines)


def spread_of(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else f"{values[0]:.3f}"


if __name__ == "__main__":
    raise SystemExit(main())
