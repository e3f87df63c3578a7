"""What a study knows of its cells: ``study.json``, a line a cell, so that results outlive their run folders.

A cell counts as finished when its run folder holds ``results.json`` and the recipe that is asked for, or when the
ledger says so of an equal recipe. Recipes are compared key by key with today's defaults filled in, so that a new key of
a later version does not make old results strangers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from veritrain import config
from veritrain.errors import ConfigError, DataError, RecordError, did_you_mean
from veritrain.record import RunFolder, read_run, write_text
from veritrain.record.folder import nulled
from veritrain.study.options import ClaimOptions
from veritrain.study.plan import SURROUNDINGS, Cell, Configuration, Metric, Study, changed_keys, metric_of

SCHEMA = 1
FINISHED, INTERRUPTED, FAILED = "finished", "interrupted", "failed"
DIVERGED = 4
"""Exit code of a training whose loss or gradient stopped being a number: a result of the recipe, not made again."""
OF_THE_DATA = ("groups", "contents", "labels_sha256", "positives", "negatives", "unknown")
"""Of each part of ``data.json``."""
KEPT = ("value", "ci95", "n", "groups", "chance", "baseline", "baseline_name")
"""Of each metric on test."""


class Ledger:
    """``study.json`` of a study's folder.

    Args:
        folder: of the study; the file need not exist yet.

    Raises:
        RecordError: the file is no ledger, or of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "study.json"
        self.runs = folder / "cells"
        content = _read(self.path)
        self.registered: dict[str, Any] | None = content.get("registered")
        self.choices: dict[str, Any] = content.get("choices", {})
        self.recipes: dict[str, Any] = content.get("recipes", {})
        self.cells: dict[str, dict[str, Any]] = content.get("cells", {})
        self._equal: dict[tuple[str, str], bool] = {}

    def save(self, study: Study) -> None:
        """Write the file, whole or not at all."""
        head = {
            "schema": SCHEMA,
            "study": study.file.name,
            "task": study.file.task,
            "registered": self.registered,
            "choices": self.choices,
        }
        text = json.dumps(nulled(head), indent=1).removesuffix("\n}")
        for key, rows in (("recipes", self.recipes), ("cells", self.cells)):
            lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(nulled(row))}" for name, row in rows.items())
            text += f',\n "{key}": {{\n{lines}\n }}'
        write_text(self.path, text + "\n}\n")

    def folder_of(self, cell: Cell) -> RunFolder:
        return RunFolder(self.runs / cell.name)

    def entry(self, cell: Cell) -> dict[str, Any] | None:
        """What is known of a cell that was made with an equal recipe; None where nothing is."""
        found = self.cells.get(cell.name)
        if found is None or not self._is_equal(found.get("recipe"), cell.configuration):
            return None
        return found

    def finished(self, cell: Cell) -> dict[str, Any] | None:
        """The same, when the cell has results."""
        found = self.entry(cell)
        return found if found is not None and found["status"] == FINISHED else None

    def is_settled(self, cell: Cell) -> bool:
        """Finished, or diverged: making it again would change nothing."""
        found = self.entry(cell)
        return found is not None and (found["status"] == FINISHED or has_diverged(found))

    def look_at(self, cell: Cell) -> None:
        """Take a finished run folder in that the ledger does not know yet.

        Raises:
            ConfigError: a run of another recipe lies there.
        """
        if self.finished(cell) is None:
            entry = entry_of_folder(self.folder_of(cell), cell)
            if entry is not None:
                self.put(cell, entry)

    def put(self, cell: Cell, entry: Mapping[str, Any]) -> None:
        """Note a cell; the seconds of earlier tries are added to those of this one."""
        before = self.entry(cell) or {}
        recipe = config.plain(cell.configuration.recipe)
        fingerprint = config.fingerprint(cell.configuration.recipe, without=(*SURROUNDINGS, "seed"))
        about = {
            "arm": cell.configuration.arm,
            "configuration": cell.configuration.name,
            "seed": cell.seed,
            "stage": cell.stage,
            "recipe": fingerprint,
        }
        spent = [one for one in (before.get("seconds"), entry.get("seconds")) if one is not None]
        self.recipes[fingerprint] = {k: v for k, v in recipe.items() if k not in (*SURROUNDINGS, "seed")}
        self.cells[cell.name] = {**about, **entry, "seconds": round(float(sum(spent)), 1) if spent else None}

    def register(self, study: Study) -> None:
        """Fix the primary claim; a change of its seeds is kept, for tables to tell.

        Raises:
            ConfigError: the claim changed after one of its cells was finished.
        """
        now: dict[str, Any] = {"claim": asdict(study.primary), "alpha": study.file.alpha, "seeds": list(study.seeds)}
        arms = (study.primary.a, study.primary.b)
        seen = [cell for cell in self.cells.values()
                if cell["stage"] == "final" and cell["status"] == FINISHED and cell["arm"] in arms]  # fmt: skip
        if self.registered is None or not seen:
            self.registered = now
            return
        before = self.registered
        if (before["claim"], before["alpha"]) != (now["claim"], now["alpha"]):
            raise ConfigError(
                f"the primary claim changed after {len(seen)} of its cells were finished",
                expected=json.dumps({**before["claim"], "alpha": before["alpha"]}),
                found=json.dumps({**now["claim"], "alpha": now["alpha"]}),
                fix="put it back and name the new one among the descriptive claims, or start anew with another --out",
            )
        if before["seeds"] != now["seeds"]:
            change = {"from": before["seeds"], "to": now["seeds"], "finished_before": len(seen)}
            self.registered = {**now, "changes": [*before.get("changes", ()), change]}

    def choose(self, study: Study) -> dict[str, Configuration]:
        """Arm to its configuration: the only one, or the best on validation once all its tries are settled.

        A choice stands once it is made, as long as the arm's configurations and what chooses stay the same. Of equal
        ones the first is taken; one that diverged, or whose score is undefined, is not chosen.
        """
        chosen = {}
        for arm in study.arms:
            if len(arm.configurations) == 1:
                chosen[arm.name] = arm.configurations[0]
                continue
            tried = [[c for c in study.selection_cells() if c.configuration is one] for one in arm.configurations]
            key = [[cell.name for cell in cells] for cells in tried] + [[*arm.select_by, _direction(study)]]
            if not all(self.is_settled(cell) for cells in tried for cell in cells):
                continue
            if (self.choices.get(arm.name) or {}).get("among") != key:
                scores = [self._mean(cells, arm.select_by) for cells in tried]
                self.choices[arm.name] = {"chosen": _best(study, arm.configurations, scores),
                                          "scores": scores, "among": key}  # fmt: skip
            name = self.choices[arm.name]["chosen"]
            chosen.update((arm.name, one) for one in arm.configurations if one.name == name)
        return chosen

    def _mean(self, cells: Iterable[Cell], metric: Metric) -> float | None:
        entries = [self.finished(cell) for cell in cells]
        values = [None if entry is None else value_of(entry, metric, "val") for entry in entries]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known and len(known) == len(values) else None

    def demand_one_data(self, cells: Iterable[Cell]) -> None:
        """Refuse to compare runs that were not made on the same data.

        Raises:
            DataError: two finished cells have different digests, or one has none.
        """
        digests: dict[str | None, list[str]] = {}
        for cell in cells:
            entry = self.finished(cell)
            if entry is not None:
                digests.setdefault(entry["data"], []).append(cell.name)
        if len(digests) > 1 or None in digests:
            told = [f"{(digest or 'no digest')[:12]}: {len(names)} cells, such as {names[0]}"
                    for digest, names in digests.items()]  # fmt: skip
            raise DataError(
                "the runs of this study were not made on the same data",
                expected="the same split and contents in every data.json",
                found="; ".join(told),
                fix="give all arms the same data, or start anew with another --out",
                file=self.path,
            )

    def _is_equal(self, fingerprint: str | None, wanted: Configuration) -> bool:
        stored = self.recipes.get(str(fingerprint))
        if stored is None:
            return False
        key = (str(fingerprint), f"{wanted.arm}\n{wanted.name}")
        if key not in self._equal:
            kind = type(wanted.recipe)
            known = set(stored) <= config.names_of(kind)
            names = config.names_of(kind) - set(stored)
            around = {name: config.plain(wanted.recipe)[name] for name in names & {*SURROUNDINGS, "seed"}}
            whole = {**config.in_todays_words(kind, stored), **around}
            self._equal[key] = known and _builds_equal(wanted.recipe, whole)
        return self._equal[key]


def _builds_equal(wanted: Any, values: Mapping[str, Any]) -> bool:
    try:
        return not changed_keys(wanted, config.build(type(wanted), values))
    except ConfigError:
        return False  # a value that today's recipe refuses


def take_in(study: Study, ledger: Ledger) -> None:
    """Let the ledger know every finished run folder of the study.

    Raises:
        ConfigError: a run of another recipe lies where a cell belongs.
    """
    for cell in study.selection_cells():
        ledger.look_at(cell)
    for cell in study.final_cells(ledger.choose(study)):
        ledger.look_at(cell)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordError("not a ledger", expected="the study.json of a study", found=str(error), file=path) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise RecordError("a ledger of another version", expected=f"schema {SCHEMA}", found=str(found), file=path)
    return content


def _direction(study: Study) -> str:
    return "higher" if study.selection is None else study.selection.direction


def _best(study: Study, configurations: Iterable[Configuration], scores: Iterable[float | None]) -> str | None:
    """The name of the configuration with the best score; None where none has one."""
    sign = 1.0 if _direction(study) == "higher" else -1.0
    best: tuple[float, str] | None = None
    for one, score in zip(configurations, scores, strict=True):
        if score is not None and (best is None or sign * score > best[0]):
            best = (sign * score, one.name)
    return None if best is None else best[1]


def has_diverged(entry: Mapping[str, Any]) -> bool:
    """Failed because the loss or a gradient stopped being a number."""
    return bool(entry["status"] == FAILED and entry.get("exit_code") == DIVERGED)


def value_of(entry: Mapping[str, Any], metric: Metric, split: str) -> float | None:
    """The value of a metric in a finished entry, or the mean of several; None where one is undefined or missing."""
    scores = entry["metrics"].get(split, {})
    values = [(scores.get(name) or {}).get("value") for name in metric]
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def paired_values(study: Study, ledger: Ledger, claim: ClaimOptions) -> list[tuple[int, float | None, float | None]]:
    """(seed, value of a, value of b) for each final seed; None where a cell is not finished or the value undefined."""
    chosen = ledger.choose(study)

    def value(arm: str, seed: int) -> float | None:
        if arm not in chosen:
            return None
        entry = ledger.finished(Cell(configuration=chosen[arm], seed=seed, stage="final"))
        return None if entry is None else value_of(entry, metric_of(claim.metric), claim.split)

    return [(seed, value(claim.a, seed), value(claim.b, seed)) for seed in study.seeds]


def demand_metrics(entry: Mapping[str, Any], metric: Metric, split: str) -> None:
    """Refuse a metric that the results do not name; one that is there and undefined is a result.

    Raises:
        ConfigError: with the nearest name.
    """
    scores = entry["metrics"].get(split, {})
    for name in metric:
        if name not in scores:
            raise ConfigError(
                f"no metric '{name}' on {split}",
                expected=", ".join(sorted(scores)),
                found=name,
                fix=did_you_mean(name, scores),
            )


def entry_of_folder(folder: RunFolder, cell: Cell) -> dict[str, Any] | None:
    """What a finished run folder holds; None where it is not finished.

    Raises:
        ConfigError: a run of another recipe lies there. RecordError: a file is not what it should be.
    """
    if not folder.recipe.is_file():
        return None
    _demand_recipe(folder, cell)
    asked = getattr(cell.configuration.recipe, "controls", "none")
    if not folder.results.is_file() or (asked != "none" and not folder.verdict.is_file()):
        return None
    results, card = _object(folder.results), _object(folder.data)
    verdict = _object(folder.verdict) if folder.verdict.is_file() else {}
    summary, version = _told(folder)
    return {
        "status": FINISHED,
        "data": data_digest(card),
        "made_data": results.get("made_data"),
        "version": version,
        "steps": summary.get("steps"),
        "stop_reason": summary.get("stop_reason"),
        "parameters": results.get("parameters"),
        "verdict": verdict.get("verdict"),
        "metrics": {
            "test": {
                name: {key: one[key] for key in KEPT if key in one} for name, one in results.get("metrics", {}).items()
            },
            "val": (results.get("selection") or {}).get("metrics", {}),
        },
    }


def _demand_recipe(folder: RunFolder, cell: Cell) -> None:
    kind = type(cell.configuration.recipe)
    stored = config.load(kind, folder.recipe)
    changed = changed_keys(cell.configuration.recipe, stored) + (["seed"] if stored.seed != cell.seed else [])
    if changed:
        now, before = {**config.plain(cell.configuration.recipe), "seed": cell.seed}, config.plain(stored)
        raise ConfigError(
            "a run of another recipe lies where this cell belongs",
            expected=", ".join(f"{key} = {now[key]}" for key in changed),
            found=", ".join(f"{key} = {before[key]}" for key in changed),
            fix="move that run away, or choose another --out",
            file=folder.recipe,
        )


def data_digest(card: Mapping[str, Any]) -> str | None:
    """SHA-256 of what a run was made on: the split, and each part's groups, contents and labels (their hash, or their
    counts); None where none is told."""
    splits = card.get("splits")
    if not isinstance(splits, Mapping) or not card.get("split_sha256"):
        return None
    parts = {part: [content.get(key) for key in OF_THE_DATA] for part, content in splits.items()}
    return hashlib.sha256(json.dumps([card["split_sha256"], parts], sort_keys=True).encode()).hexdigest()


def _object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordError("cannot be read", expected="a JSON object", found=str(error), file=path) from error
    if not isinstance(content, dict):
        raise RecordError("not an object", expected="a JSON object", found=type(content).__name__, file=path)
    return content


def _told(folder: RunFolder) -> tuple[Mapping[str, Any], str | None]:
    """How training ended and which version trained, as the record says; nothing where there is no record."""
    if not folder.is_run():
        return {}, None
    record = read_run(folder.path)
    summary: Mapping[str, Any] = next(
        (line["summary"] for line in reversed(record.of("stop")) if line.get("summary")), {}
    )
    version = next((line["version"] for line in reversed(record.of("start")) if line.get("version")), None)
    return summary, version
