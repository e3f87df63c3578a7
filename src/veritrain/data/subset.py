"""A part of an AnoVox data set as a data set of its own, file by file, in the layout it had."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.anovox_index import ARCHIVE, CONFIGURATION, COUNTER, Scenario
from veritrain.data.choosing import demand_possible, draw_groups, spaced, words_of
from veritrain.data.options import AnoVoxOptions
from veritrain.data.taking import demand_apart, take, whole_or_nothing, world_card, write_card
from veritrain.errors import StorageError, UsageError


@dataclass(frozen=True, kw_only=True)
class SubsetOptions:
    """What to take. Every word narrows what the others leave.

    Attributes:
        scenarios: folder names of scenarios, or beginnings of them (Scenario_1a2b, or 1a2b), separated by commas.
        types: normality, static, sudden_braking, unknown, separated by commas.
        towns: such as Town03, separated by commas.
        share: of the scenarios of each type that are left (echo: of the patients of each class), drawn by the seed; at
            least one each.
        frames: of each scenario (echo: of each video), evenly spaced in time; 0 takes all.
        seed: of the drawing.
        link: hard links instead of copies: no room taken, but a change in one place is a change in both.

    Raises:
        ConfigError: a value is out of range.
    """

    scenarios: str = ""
    types: str = ""
    towns: str = ""
    share: float = 1.0
    frames: int = 0
    seed: int = 0
    link: bool = False

    def __post_init__(self) -> None:
        demand_possible(share=self.share, frames=self.frames, seed=self.seed, example=20)


@dataclass(frozen=True, kw_only=True)
class SubsetSummary:
    """What was written.

    Attributes:
        path: the new data set.
        scenarios: how many.
        frames: how many.
        by_type: scenario type -> scenarios.
        files: files written or linked.
        left: files in folders of the scenarios taken that belong to no frame, and so were left.
    """

    path: Path
    scenarios: int
    frames: int
    by_type: dict[str, int]
    files: int
    left: int


def write_subset(source: AnoVoxFormat, out: Path | str, options: SubsetOptions) -> SubsetSummary:
    """Copies or links the chosen frames of the chosen scenarios with everything that belongs to them.

    Only frames with camera and LiDAR are taken, and only scenarios that can be read. The result is read again.

    Raises:
        UsageError: ``out`` holds something or lies inside the data set, or nothing is left to take.
        StorageError: the disk is full, read-only, or cannot link; what was written is removed again.
        DataError: the result does not read as what was taken.
    """
    folder = Path(out)
    chosen = choose(source, options)
    demand_apart(folder, source.path)
    taken = {scenario.group: spaced(scenario.frames, options.frames) for scenario in chosen}
    with whole_or_nothing(folder, link=options.link):
        counts = [_write(source, folder, scenario, set(taken[scenario.group]), options) for scenario in chosen]
        _write_card(source, folder, chosen, taken, options)
    _demand_equal(folder, source, taken)
    return SubsetSummary(
        path=folder,
        scenarios=len(chosen),
        frames=sum(len(frames) for frames in taken.values()),
        by_type=dict(sorted(Counter(scenario.kind for scenario in chosen).items())),
        files=sum(files for files, _ in counts),
        left=sum(left for _, left in counts),
    )


def choose(source: AnoVoxFormat, options: SubsetOptions) -> list[Scenario]:
    """The scenarios to take, sorted by group.

    Raises:
        UsageError: a word fits no scenario, or none is left.
    """
    left = [scenario for _, scenario in sorted(source.scenarios.items())]
    for name, text in (("types", options.types), ("towns", options.towns)):
        words = words_of(text)
        known = sorted({_property(scenario, name) for scenario in source.scenarios.values()})
        unknown = sorted(set(words) - set(known))
        if unknown:
            raise UsageError(
                f"no scenario of {name} '{unknown[0]}'", expected=", ".join(known), found=text, fix="choose from these"
            )
        left = [scenario for scenario in left if not words or _property(scenario, name) in words]
    left = _named(left, words_of(options.scenarios))
    drawn = draw_groups(
        {scenario.group: [tuple(scenario.kind.encode())] for scenario in left}, options.share, options.seed
    )
    left = [scenario for scenario in left if scenario.group in drawn]
    if not left:
        raise UsageError(
            "nothing is left to take",
            file=source.path,
            expected="at least one scenario that fits all words",
            found=f"types '{options.types}', towns '{options.towns}', scenarios '{options.scenarios}'",
            fix="`veritrain data check` lists types, towns and scenarios",
        )
    return left


def _property(scenario: Scenario, name: str) -> str:
    return scenario.kind if name == "types" else scenario.town


def _named(scenarios: list[Scenario], words: list[str]) -> list[Scenario]:
    taken = []
    for word in words:
        beginning = word if word.startswith("Scenario_") else f"Scenario_{word}"
        fitting = [scenario for scenario in scenarios if scenario.path.name.startswith(beginning)]
        if not fitting:
            raise UsageError(
                f"no scenario '{word}'",
                expected="the beginning of a scenario's folder name, after types and towns had their say",
                found=word,
                fix="`veritrain data check PATH --json` lists them under by_scenario",
            )
        taken += fitting
    groups = {scenario.group for scenario in taken}
    return [scenario for scenario in scenarios if not words or scenario.group in groups]


def _place(source: AnoVoxFormat, scenario: Scenario) -> Path:
    """Where a scenario lies below the new root: with its archive's name, which says town and type."""
    archive = next((parent for parent in scenario.path.parents if ARCHIVE.fullmatch(parent.name)), None)
    if archive is not None:
        return scenario.path.relative_to(archive.parent)
    return Path(scenario.path.name) if scenario.path == source.path else scenario.path.relative_to(source.path)


def _write(
    source: AnoVoxFormat, folder: Path, scenario: Scenario, frames: set[int], options: SubsetOptions
) -> tuple[int, int]:
    """Files written, and files left because they belong to no frame."""
    target = folder / _place(source, scenario)
    written = left = 0
    for file in sorted(path for path in scenario.path.rglob("*") if path.is_file()):
        below = file.relative_to(scenario.path)
        token = file.stem.rsplit("_", 1)[-1]
        of_a_frame = len(below.parts) > 1 and COUNTER.fullmatch(token) is not None
        if len(below.parts) > 1 and not of_a_frame:
            left += 1
        elif not of_a_frame or int(token) in frames:
            take(file, target / below, link=options.link)
            written += 1
    configuration = scenario.path.parent / CONFIGURATION
    for file in sorted(configuration.glob("*.json")):
        if not (target.parent / CONFIGURATION / file.name).exists():
            take(file, target.parent / CONFIGURATION / file.name, link=options.link)
            written += 1
    return written, left


def _write_card(
    source: AnoVoxFormat, folder: Path, chosen: list[Scenario], taken: dict[str, list[int]], options: SubsetOptions
) -> None:
    """``subset.json``, and the world's own card where the data are made: a part of made data is made."""
    made = world_card((source.path, *source.path.resolve().parents[:3]))
    if made is not None:
        take(made, folder / made.name, link=options.link)
    content = {
        "layout": source.layout,
        "asked": asdict(options),
        "of": {"scenarios": len(source.scenarios), "frames": sum(len(one.frames) for one in source.scenarios.values())},
        "left_out_as_broken": len(source.skipped),
        "taken": {scenario.group: {"type": scenario.kind, "frames": taken[scenario.group]} for scenario in chosen},
    }
    write_card(folder, content)


def _demand_equal(folder: Path, source: AnoVoxFormat, taken: dict[str, list[int]]) -> None:
    """Reads the result's names and holds them against what was taken."""
    options = AnoVoxOptions(layout=source.layout)
    found = {group: scenario.frames for group, scenario in AnoVoxFormat(folder, options).scenarios.items()}
    if found != taken:
        raise StorageError(
            "the subset does not read as what was taken",
            file=folder,
            expected=f"{len(taken)} scenarios, {sum(map(len, taken.values()))} frames",
            found=f"{len(found)} scenarios, {sum(map(len, found.values()))} frames",
            fix="the data set changed while it was copied: remove the subset and take it again",
        )
