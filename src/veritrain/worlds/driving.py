"""The driving world: streets with known anomalies, written in AnoVox's layout. Made data."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from veritrain.worlds.anovox_setup import archive_name, configuration, output_name
from veritrain.worlds.anovox_writer import scenario_folder, write_broken_scenario, write_scenario
from veritrain.worlds.drawing_jobs import drawn, world_folder
from veritrain.worlds.options import DrivingOptions
from veritrain.worlds.plan import ScenarioPlan, plan_scenarios

SIDECAR = "veritrain_world.json"
"""Beside the archives: options, seed, licence and what each anomaly takes to be seen. No loader reads it."""

MINIMUM_VISIBLE = 12
"""k of the sidecar's counts: points or pixels that make an anomaly visible, as the reader's default."""

Counts = list[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class WorldSummary:
    """What was written.

    Attributes:
        path: the data set's folder.
        scenarios: whole scenarios.
        frames: frames of whole scenarios.
        positives: frames with at least MINIMUM_VISIBLE anomalous points or pixels.
        by_type: scenario type -> scenarios.
        by_visibility: what it takes to see a static anomaly -> scenarios.
        broken: scenarios written that cannot be read: without ``sensor_setup.json``, in the 2023 layout without clouds.
    """

    path: Path
    scenarios: int
    frames: int
    positives: int
    by_type: dict[str, int]
    by_visibility: dict[str, int]
    broken: int


class DrivingWorld:
    """Streets seen by one camera and one LiDAR, in AnoVox's layout; equal options give equal bytes."""

    options_type = DrivingOptions
    """What ``data make`` asks for."""

    def __init__(self, options: DrivingOptions | None = None) -> None:
        self.options = options or DrivingOptions()

    def write(
        self, out: Path | str, progress: Callable[[int, int], None] | None = None, *, workers: int | None = None
    ) -> WorldSummary:
        """Writes the world below ``out``, scenario by scenario.

        Args:
            out: a folder that does not exist yet or is empty.
            progress: called with (scenarios written, scenarios in all).
            workers: processes; None takes one per processor. The bytes do not depend on it.

        Raises:
            UsageError: ``out`` holds something.
            StorageError: the disk is full or read-only; what was written is removed again.
        """
        folder = Path(out)
        with world_folder(folder, "driving", room="about 0.5 MB a frame"):
            folder.mkdir(parents=True, exist_ok=True)
            plans = plan_scenarios(self.options)
            jobs = [(folder, plan, self.options) for plan in plans]
            counts = list(drawn(_write_job, jobs, progress, workers=workers))
            self._write_rest(folder, plans, counts)
        return self._summary(folder, plans, counts)

    def _write_rest(self, out: Path, plans: list[ScenarioPlan], counts: list[Counts]) -> None:
        """Configuration folders, broken scenarios and the sidecar."""
        for archive in sorted({archive_name(plan) for plan in plans}):
            inside = [plan for plan in plans if archive_name(plan) == archive]
            folder = out / archive / output_name(self.options) / "Scenario_Configuration_Files"
            folder.mkdir(parents=True)
            text = json.dumps(configuration(inside[0].town, inside), indent=1)
            (folder / f"{inside[0].town}.json").write_text(text + "\n", encoding="utf-8")
        for plan in self._broken_plans(plans):
            write_broken_scenario(out, plan, self.options)
        text = json.dumps(self._sidecar(out, plans, counts), indent=1, sort_keys=True)
        (out / SIDECAR).write_text(text + "\n", encoding="utf-8")

    def _broken_plans(self, plans: list[ScenarioPlan]) -> list[ScenarioPlan]:
        extra = replace(self.options, scenarios=len(plans) + self.options.broken)
        return plan_scenarios(extra)[len(plans) :]

    def _sidecar(self, out: Path, plans: list[ScenarioPlan], counts: list[Counts]) -> dict[str, Any]:
        return {
            "schema": 1,
            "world": "driving",
            "licence": "CC0-1.0",
            "commercial_use": True,
            "nature": "made data: rendered by Veritrain, no recording of any place or person",
            "options": asdict(self.options),
            "minimum_visible": MINIMUM_VISIBLE,
            "scenarios": {
                f"{plan.town}/Scenario_{plan.id}": {
                    "path": str(scenario_folder(out, plan, self.options).relative_to(out)),
                    "type": plan.kind,
                    "visible_by": plan.visibility,
                    "weather": plan.weather.name,
                    "alive": [plan.first_counter + frame for frame in range(plan.frames) if plan.is_alive(frame)],
                    "first_frame": plan.first_counter,
                    "points": [points for points, _ in seen],
                    "pixels": [pixels for _, pixels in seen],
                }
                for plan, seen in zip(plans, counts, strict=True)
            },
        }

    def _summary(self, out: Path, plans: list[ScenarioPlan], counts: list[Counts]) -> WorldSummary:
        visible = [max(seen) >= MINIMUM_VISIBLE for frames in counts for seen in frames]
        return WorldSummary(
            path=out,
            scenarios=len(plans),
            frames=len(visible),
            positives=sum(visible),
            by_type=_tally([plan.kind for plan in plans]),
            by_visibility=_tally([plan.visibility for plan in plans if plan.kind == "static" and plan.visibility]),
            broken=self.options.broken,
        )


def _write_job(job: tuple[Path, ScenarioPlan, DrivingOptions]) -> Counts:
    return write_scenario(*job)


def _tally(words: list[str]) -> dict[str, int]:
    return {word: words.count(word) for word in sorted(set(words))}
