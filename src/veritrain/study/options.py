"""What a study file may say. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["higher", "lower"]
Split = Literal["test", "val"]


@dataclass(frozen=True, kw_only=True)
class ClaimOptions:
    """Arm ``a`` is better than arm ``b``.

    Attributes:
        a: an arm.
        b: the arm it is held against.
        metric: a name in ``results.json``, or several: then their unweighted mean.
        split: test, or val where a study only chooses.
        direction: higher or lower is better.
        minimal_effect: a difference below this does not matter, in the metric's unit; 0 declares none.
        spread: standard deviation of the paired difference that is expected, from a pilot; with it, ``seeds: needed``
            also asks for power. 0 declares none.
    """

    a: str
    b: str
    metric: str | list[str]
    split: Split = "test"
    direction: Direction = "higher"
    minimal_effect: float = 0.0
    spread: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SelectionOptions:
    """How one of several configurations of an arm is chosen: the best mean on validation.

    Attributes:
        metric: a name under ``selection`` in ``results.json``, or several: then their unweighted mean.
        direction: higher or lower is better.
        seeds: how many, from 0 on; the chosen configurations run again with other seeds.
    """

    metric: str | list[str]
    direction: Direction = "higher"
    seeds: int = 1


@dataclass(frozen=True, kw_only=True)
class ArmOptions:
    """One of the things that are compared.

    Attributes:
        options: recipe keys of the arm, on top of the study's base.
        configurations: name to recipe keys on top of those; with several, the best on validation is chosen.
        select_by: chooses among them instead of the study's selection metric.
    """

    options: dict[str, Any] = field(default_factory=dict)
    configurations: dict[str, Any] = field(default_factory=dict)
    select_by: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class StudyFile:
    """A study as it is written.

    Attributes:
        name: letters, digits, space and ``_ . + -``.
        task: of ``veritrain train``.
        data: a data set's folder, or a world to make: ``{world: NAME, KEY: VALUE ...}`` as ``veritrain data make``.
            Empty where the command line names the folder (``--data``).
        arms: name to arm.
        primary: the one claim, fixed before anything runs.
        base: recipe keys of every cell.
        selection: how the best configuration of an arm is chosen; needed where an arm has several.
        seeds: needed (as many as the primary claim needs), a number, or a list.
        descriptive: further claims, judged as one family.
        family: max_t (one joint sign-flip test) or holm, for the descriptive claims.
        alpha: level of the primary claim and of the family.
        metrics: also shown in the table of arms.
        controls: none, quick or full, in every cell.
        cell_seconds: budget of training time of a cell; 0 sets none.
        threads: of each process.
        processes: at a time; 0 takes one for every ``threads`` processors.
    """

    name: str
    task: str
    data: str | dict[str, Any] = ""
    arms: dict[str, Any]
    primary: dict[str, Any]
    base: dict[str, Any] = field(default_factory=dict)
    selection: dict[str, Any] | None = None
    seeds: int | list[int] | Literal["needed"] = "needed"
    descriptive: list[dict[str, Any]] = field(default_factory=list)
    family: Literal["max_t", "holm"] = "max_t"
    alpha: float = 0.05
    metrics: list[str] = field(default_factory=list)
    controls: Literal["none", "quick", "full"] = "none"
    cell_seconds: float = 0.0
    threads: int = 1
    processes: int = 0
