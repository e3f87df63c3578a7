"""A study file becomes arms, configurations, seeds and cells; what is wrong with it is said before anything runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from veritrain import catalog, config
from veritrain.errors import ConfigError, did_you_mean
from veritrain.statistics.power import seeds_for_power, seeds_needed
from veritrain.study.options import ArmOptions, ClaimOptions, SelectionOptions, StudyFile
from veritrain.tasks.options import RECIPES

Metric = tuple[str, ...]
Stage = Literal["selection", "final"]

NAME = re.compile(r"\w[\w .+-]{0,60}")
SET_BY_STUDY = {
    "data": "data",
    "seed": "seeds",
    "controls": "controls",
    "threads": "threads",
    "max_seconds": "cell_seconds",
}
"""Recipe key to the key of the study file that sets it."""
SURROUNDINGS = ("cache", "checkpoint_every", "data", "hold", "keep_checkpoints", "loggers", "memory_mb", "prefetch",
                "threads", "workers")  # fmt: skip
"""Recipe keys that say how a run is made, not what is computed; that the data are equal is told by their digest."""
POWER = 0.8
"""With which a claim that declares a spread is to be shown."""
MOST_SEEDS = 100


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One way to train an arm.

    Attributes:
        name: empty where the arm has only one.
        options: recipe keys that the study file gives, typed.
        recipe: all keys, with the study's controls and budget; data and seed are placeholders.
    """

    arm: str
    name: str
    options: Mapping[str, Any]
    recipe: Any

    @property
    def label(self) -> str:
        return f"{self.arm} ({self.name})" if self.name else self.arm


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One of the things that are compared; ``select_by`` is empty where there is nothing to choose."""

    name: str
    configurations: tuple[Configuration, ...]
    select_by: Metric


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training: a configuration and a seed."""

    configuration: Configuration
    seed: int
    stage: Stage

    @property
    def name(self) -> str:
        """Of its run folder: equal for equal options and seed, whatever else the study file says."""
        one = self.configuration
        given = json.dumps([dict(one.options), getattr(one.recipe, "controls", None)], sort_keys=True)
        given += str(getattr(one.recipe, "max_seconds", None))
        parts = [slug(one.arm), *([slug(one.name)] if one.name else []), f"seed{self.seed}"]
        return "--".join([*parts, hashlib.sha256(given.encode()).hexdigest()[:8]])

    @property
    def label(self) -> str:
        return f"{self.configuration.label}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Study:
    """A checked study.

    Attributes:
        file: as it was written; without its data where the command line names others, so that what is kept of it
            never claims to be of data that it was not made on.
        data: the data set's folder, or the world to make.
        arms: in the order of the file.
        primary: the one claim that is fixed beforehand.
        descriptive: judged as one family.
        selection: None where no arm has a choice.
        selection_seeds: empty then.
        seeds: of the final cells; none of them is a selection seed.
        needed: the least number of seeds with which the primary claim can be shown (and, where it declares a spread,
            is shown with a chance of POWER).
    """

    file: StudyFile
    data: str | dict[str, Any]
    arms: tuple[Arm, ...]
    primary: ClaimOptions
    descriptive: tuple[ClaimOptions, ...]
    selection: SelectionOptions | None
    selection_seeds: tuple[int, ...]
    seeds: tuple[int, ...]
    needed: int

    @property
    def claims(self) -> tuple[ClaimOptions, ...]:
        """The primary claim, then the descriptive ones."""
        return (self.primary, *self.descriptive)

    def arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)

    def selection_cells(self) -> Iterator[Cell]:
        """By seed, then arm, then configuration; only arms that have a choice."""
        for seed in self.selection_seeds:
            for arm in self.arms:
                for one in arm.configurations if len(arm.configurations) > 1 else ():
                    yield Cell(configuration=one, seed=seed, stage="selection")

    def final_cells(self, chosen: Mapping[str, Configuration]) -> Iterator[Cell]:
        """By seed, then arm, so that pairs are complete early; only arms whose configuration is chosen."""
        for seed in self.seeds:
            for arm in self.arms:
                if arm.name in chosen:
                    yield Cell(configuration=chosen[arm.name], seed=seed, stage="final")

    @property
    def world(self) -> tuple[str, dict[str, Any]] | None:
        """Name and options of the world to make; None where the data lie somewhere."""
        if isinstance(self.data, str):
            return None
        return str(self.data["world"]), {key: value for key, value in self.data.items() if key != "world"}

    def data_in(self, out: Path) -> Path:
        """Where the data lie, or will lie once the world is made."""
        if self.world is None:
            return Path(str(self.data))
        return out / f"data-{hashlib.sha256(json.dumps(self.world, sort_keys=True).encode()).hexdigest()[:8]}"


def slug(name: str) -> str:
    """A name as a part of a folder's name."""
    return re.sub(r"[^\w.+-]+", "-", name)


def metric_of(metric: str | Sequence[str]) -> Metric:
    return (metric,) if isinstance(metric, str) else tuple(metric)


def told(metric: str | Sequence[str]) -> str:
    """A metric in words: its name, or "mean of a and b"."""
    names = metric_of(metric)
    return names[0] if len(names) == 1 else "mean of " + ", ".join(names[:-1]) + f" and {names[-1]}"


def load_study(path: Path, *, seeds: int | None = None, data: str = "") -> Study:
    """Read and check a study file.

    Args:
        seeds: instead of the file's; of a list the first so many.
        data: a data set's folder, instead of the file's; empty takes the file's.

    Raises:
        ConfigError: an unknown key (with its line and the nearest known one), an impossible value, no data, an arm or a
            claim that names nothing, a key that the study sets itself, a configuration that is there twice.
    """
    try:
        return _checked(path, seeds, data)
    except ConfigError as error:
        error.file = error.file or str(path)
        raise


def _checked(path: Path, seeds: int | None, data: str) -> Study:
    file = _mapped(path, StudyFile, (), config.read_mapping(path))
    where = data or file.data
    if data:
        file = replace(file, data="")
    for what, name in (("study", file.name), *(("arm", arm) for arm in file.arms)):
        _demand_name(what, name)
    if file.task not in RECIPES:
        raise ConfigError(f"no task '{file.task}'", found=file.task, fix=did_you_mean(file.task, RECIPES))
    _demand_data(where)
    selection = None if file.selection is None else _mapped(path, SelectionOptions, ("selection",), file.selection)
    arms = tuple(_arm(path, file, name, selection) for name in file.arms)
    _demand_unlike(arms)
    primary = _claim(path, file, ("primary",), file.primary)
    descriptive = tuple(_claim(path, file, (), one) for one in file.descriptive)
    choosing = any(len(arm.configurations) > 1 for arm in arms)
    if choosing and selection is None:
        raise ConfigError(
            "arms with several configurations, and nothing that chooses", expected="selection: {metric: ...}"
        )
    if selection is not None and (not choosing or selection.seeds < 1):
        raise ConfigError(
            "nothing to select", expected="an arm with several configurations, and seeds of at least 1",
            found=f"selection seeds: {selection.seeds}", fix="leave selection out, or add configurations",
        )  # fmt: skip
    needed = _needed(primary, file.alpha)
    early = tuple(range(selection.seeds)) if selection is not None else ()
    return Study(
        file=file,
        data=where,
        arms=arms,
        primary=primary,
        descriptive=descriptive,
        selection=selection,
        selection_seeds=early,
        seeds=_seeds(file, len(early), needed, seeds),
        needed=needed,
    )


def _mapped(path: Path, kind: type[Any], under: tuple[str, ...], content: Any) -> Any:
    """An option dataclass from a part of the file; unknown keys with line and suggestion."""
    config.demand_keys(path, config.names_of(kind), under=under)
    return config.build(kind, content)


def _demand_name(what: str, name: Any) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigError(
            f"not a name of {'an' if what == 'arm' else 'a'} {what}",
            expected="a letter or a digit, then letters, digits, space and _ . + - (at most 61)",
            found=repr(name),
            fix="in YAML, put words such as 1, no and on in quotes",
        )


def _demand_data(data: str | Mapping[str, Any]) -> None:
    if isinstance(data, str):
        if data:
            return
        raise ConfigError(
            "no data to study",
            expected="data: in the study file, or a folder on the command line",
            found="neither",
            fix="add --data FOLDER",
        )
    world = data.get("world")
    if world not in catalog.WORLDS:
        raise ConfigError(
            "no world to make",
            expected="data: PATH, or data: {world: NAME, KEY: VALUE ...}",
            found=repr(data),
            fix=did_you_mean(str(world), catalog.WORLDS),
        )


def _arm(path: Path, file: StudyFile, name: str, selection: SelectionOptions | None) -> Arm:
    arm: ArmOptions = _mapped(path, ArmOptions, ("arms", name), file.arms[name])
    ways: Mapping[str, Any] = arm.configurations or {"": {}}
    for way in arm.configurations:
        _demand_name("configuration", way)
    if arm.select_by and len(ways) < 2:
        raise ConfigError(f"arm '{name}' has nothing to select", expected="configurations", found="select_by alone")
    select_by = tuple(arm.select_by) or (() if selection is None else metric_of(selection.metric))
    names = config.names_of(RECIPES[file.task])
    for under in (
        ("base",),
        ("arms", name, "options"),
        *(("arms", name, "configurations", way) for way in ways if way),
    ):
        _demand_options(path, file, under, names)
    made = []
    for way, own in ways.items():
        given = {**file.base, **arm.options, **(own or {})}
        recipe = _recipe(file, given, f"arm '{name}'" + (f", configuration '{way}'" if way else ""))
        typed = {key: config.plain(recipe)[key] for key in sorted(given)}
        made.append(
            Configuration(arm=name, name=way if len(arm.configurations) > 1 else "", options=typed, recipe=recipe)
        )
    return Arm(name=name, configurations=tuple(made), select_by=select_by if len(made) > 1 else ())


def _demand_options(path: Path, file: StudyFile, under: tuple[str, ...], names: set[str]) -> None:
    content: Any = {"base": file.base, "arms": file.arms}
    for step in under:
        content = (content or {}).get(step)
    if not content:
        return
    config.demand_keys(path, names, under=under)
    taken = sorted(set(content) & set(SET_BY_STUDY))
    if taken:
        raise ConfigError(
            f"the study sets {', '.join(taken)} itself",
            expected="the key " + ", ".join(SET_BY_STUDY[key] for key in taken) + " of the study file",
            found=f"{', '.join(taken)} under {' '.join(under)}",
            fix="move it",
        )


def _recipe(file: StudyFile, given: Mapping[str, Any], where: str) -> Any:
    kind = RECIPES[file.task]
    names = config.names_of(kind)
    if file.cell_seconds and "max_seconds" not in names:
        raise ConfigError(f"the task '{file.task}' has no budget of seconds", found="cell_seconds", fix="leave it out")
    ours = {"data": "data", "seed": 0, "controls": file.controls, "max_seconds": file.cell_seconds}
    try:
        return config.build(kind, {**{key: value for key, value in ours.items() if key in names}, **given})
    except ConfigError as error:
        raise ConfigError(
            f"{where}: {error.message}", expected=error.expected, found=error.found, fix=error.fix
        ) from error


def _demand_unlike(arms: Sequence[Arm]) -> None:
    """Folders of arms and configurations have names of their own, and no arm tries one recipe twice."""
    for title, names in (
        ("arms", [arm.name for arm in arms]),
        *((f"configurations of '{arm.name}'", [one.name for one in arm.configurations]) for arm in arms),
    ):
        if len({slug(name).casefold() for name in names}) < len(names):
            raise ConfigError(f"{title} whose folders would have one name", found=", ".join(names))
    if len(arms) < 2:
        raise ConfigError("nothing to compare", expected="at least 2 arms", found=str(len(arms)))
    for arm in arms:
        seen: dict[str, str] = {}
        for one in arm.configurations:
            same = seen.setdefault(config.fingerprint(one.recipe), one.name)
            if same != one.name:
                raise ConfigError(
                    f"arm '{arm.name}' tries one recipe twice", found=f"'{same}' and '{one.name}'", fix="drop one"
                )


def _claim(path: Path, file: StudyFile, under: tuple[str, ...], content: Any) -> ClaimOptions:
    if not under:
        unknown = [key for key in content if key not in config.names_of(ClaimOptions)]
        if unknown:
            fix = did_you_mean(str(unknown[0]), config.names_of(ClaimOptions))
            raise ConfigError(f"unknown key '{unknown[0]}' of a claim", found=str(unknown[0]), fix=fix)
        claim: ClaimOptions = config.build(ClaimOptions, content)
    else:
        claim = _mapped(path, ClaimOptions, under, content)
    for arm in (claim.a, claim.b):
        if arm not in file.arms:
            raise ConfigError(f"a claim about no arm '{arm}'", found=arm, fix=did_you_mean(arm, file.arms))
    if claim.a == claim.b:
        raise ConfigError("an arm is never better than itself", found=f"a: {claim.a}, b: {claim.b}")
    if claim.minimal_effect < 0 or claim.spread < 0 or (claim.spread and not claim.minimal_effect):
        raise ConfigError(
            "the claim cannot be planned",
            expected="minimal_effect and spread of at least 0, and a minimal_effect beside a spread",
            found=f"minimal_effect {claim.minimal_effect:g}, spread {claim.spread:g}",
        )
    return claim


def _needed(primary: ClaimOptions, alpha: float) -> int:
    least = seeds_needed(1, alpha)
    if not primary.spread:
        return least
    effect = primary.minimal_effect / primary.spread
    enough = seeds_for_power(effect, power=POWER, alpha=alpha, most=MOST_SEEDS)
    if enough is None:
        raise ConfigError(
            f"{MOST_SEEDS} seeds would not show the minimal effect",
            expected=f"power {POWER:g} at level {alpha:g}",
            found=f"an effect of {effect:.3g} standard deviations",
            fix="ask for a larger effect, or find out what makes the spread so large",
        )
    return enough


def _seeds(file: StudyFile, first: int, needed: int, asked: int | None) -> tuple[int, ...]:
    given = file.seeds
    if isinstance(given, list):
        wanted = given if asked is None else given[:asked]
        enough = len(wanted) >= (asked or 1) and min(wanted, default=-1) >= first
        if not enough or len(set(wanted)) < len(wanted):
            raise ConfigError(
                "not fresh seeds",
                expected=f"at least {asked or 1}, each once and from {first} on (smaller ones are of the selection)",
                found=str(given),
            )
        return tuple(wanted)
    count = asked if asked is not None else needed if given == "needed" else int(given)
    if count < 1:
        raise ConfigError("no seeds", expected="at least 1", found=str(count))
    return tuple(range(first, first + count))


def recipe_of(cell: Cell, data: Path, threads: int) -> Any:
    """The full recipe of a cell."""
    names = config.names_of(type(cell.configuration.recipe))
    more = {"threads": threads} if "threads" in names else {}
    return replace(cell.configuration.recipe, data=str(data), seed=cell.seed, **more)


def words_of(cell: Cell, task: str, data: Path, threads: int) -> list[str]:
    """What follows ``veritrain`` to make the cell, without ``--run``: only keys that the study sets."""
    recipe = config.plain(recipe_of(cell, data, threads))
    keys = [key for key in SET_BY_STUDY if key in recipe and (key != "max_seconds" or recipe[key])]
    return ["train", task, *(f"--{key}={_word(recipe[key])}" for key in (*keys, *cell.configuration.options))]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def changed_keys(wanted: Any, stored: Any) -> list[str]:
    """Recipe keys that decide what is computed, data and seed left out, and differ."""
    now, before = config.plain(wanted), config.plain(stored)
    return [key for key in now if key not in (*SURROUNDINGS, "seed") and now[key] != before[key]]
