"""Who is examined, what is recorded and how: drawn once from the seed, before anything is rendered."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace

import numpy as np

from veritrain.worlds.echo_anatomy import PLANES, SYSTOLE, Build
from veritrain.worlds.options import EchoWorldOptions
from veritrain.worlds.whole_numbers import whole_numbers

VALVES = ("AR", "MR", "PR", "TR")
"""Regurgitation of the aortic, mitral, pulmonary and tricuspid valve: class numbers 0 to 3."""
VIEWS = ("PSAX", "PLAX", "A4C")
"""View numbers 0 to 2."""
VALVE_SHARES = (0.32, 0.30, 0.08, 0.30)
"""Of recordings; in the real set they are .322, .302, .077 and .299 of the frames."""
HOME = {"AR": "PLAX", "MR": "A4C", "PR": "PSAX", "TR": "PSAX"}
"""The view that a valve decides on with full confounding."""
SEEN_IN = {valve: tuple(view for view in VIEWS if (view, valve) in PLANES) for valve in VALVES}
FEWEST = 3
"""Recordings of the rarest valve, where there are twelve or more: each part of a split can have one."""
MARGIN = 0.10
"""Radians between a jet and the edge of the fan, at least."""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One heart, one window, one machine.

    Attributes:
        name: twelve letters and digits.
        build: the heart's proportions.
        scale: factor on all of its lengths.
        gain: decibels on the picture.
        dynamic_range: decibels from black to white.
        attenuation: decibels a millimetre that the machine does not make up for.
        window: how much of the fan's edges is shadowed by ribs and lung, 0 to 1.
        half_angle: radians from the middle beam to the outermost.
        style: which machine drew the picture, 0 or 1 (held out: 2).
        seed: of what is random in pictures.
    """

    name: str
    build: Build
    scale: float
    gain: float
    dynamic_range: float
    attenuation: float
    window: float
    half_angle: float
    style: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class JetPlan:
    """How a jet differs from the textbook's.

    Attributes:
        valve: whose it is.
        length: factor. width: factor. turn: radians off the axis. bend: how far it curves, in its own length.
        speed: in units of the Nyquist velocity. turbulence: 0 laminar, 1 mosaic.
    """

    valve: str
    length: float
    width: float
    turn: float
    bend: float
    speed: float
    turbulence: float


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One video.

    Attributes:
        patient: whose.
        series: name, such as "unnamed_1_2".
        view: which.
        valve: the valve that the view was chosen for, also where it does not leak.
        jets: what leaks; none in an empty recording.
        origin: where the plane's point (0, 0) lies before the probe, millimetres to the right and deep.
        turn: radians by which the heart is turned in the picture.
        depth: millimetres.
        apex: column of the probe as a share of the width.
        box: half width in radians, half depth in millimetres, and offsets of the colour box from the jet, same units.
        phase: of the first frame, 0 to 1.
        step: share of a cycle between frames.
        first: number of the first frame.
        seed: of what is random in its pictures.
    """

    patient: Patient
    series: str
    view: str
    valve: str
    jets: tuple[JetPlan, ...]
    origin: tuple[float, float]
    turn: float
    depth: float
    apex: float
    box: tuple[float, float, float, float]
    phase: float
    step: float
    first: int
    seed: int


def plan_recordings(options: EchoWorldOptions) -> list[Recording]:
    """All recordings, patient after patient; the same for the same options."""
    rng = np.random.default_rng([options.seed, 41])
    held_out = options.variant == "held_out"
    patients = [
        _patient(np.random.default_rng([options.seed, 43, number]), held_out) for number in range(options.patients)
    ]
    pairs = _valves_and_views(options, rng)
    empty = _flags(options.empty, len(pairs), rng)
    second = _flags(options.second_jet, len(pairs), rng)
    recordings = []
    for index, (valve, view) in enumerate(pairs):
        number, video = divmod(index, options.videos)
        own = np.random.default_rng([options.seed, 47, number, video])
        one = _recording(own, patients[number], view, valve, options, video)
        extra = [other for other in PLANES[view, valve].valves if other != valve and _together(valve, other)]
        if second[index] and extra:
            one = replace(one, jets=(*one.jets, _jet(own, extra[own.integers(len(extra))], held_out)))
        recordings.append(replace(one, jets=()) if empty[index] else one)
    return recordings


def _flags(share: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` of which the nearest whole number to the share are true."""
    flags = np.zeros(count, bool)
    flags[: round(share * count)] = True
    return rng.permutation(flags)


def _together(one: str, other: str) -> bool:
    """Whether two valves leak in the same half of the cycle."""
    diastolic = {"AR", "PR"}
    return (one in diastolic) == (other in diastolic)


def _valves_and_views(options: EchoWorldOptions, rng: np.random.Generator) -> list[tuple[str, str]]:
    """A valve and a view for each recording: whole numbers nearest to the shares, in random order."""
    total = options.patients * options.videos
    counts = whole_numbers(VALVE_SHARES, total, fewest=FEWEST)
    pairs = []
    for valve, count in zip(VALVES, counts, strict=True):
        views = SEEN_IN[valve]
        chances = [
            options.confounding * (view == HOME[valve]) + (1 - options.confounding) / len(views) for view in views
        ]
        pairs += [
            (valve, view) for view, many in zip(views, whole_numbers(chances, count), strict=True) for _ in range(many)
        ]
    return [pairs[place] for place in rng.permutation(len(pairs))]


def _patient(rng: np.random.Generator, held_out: bool) -> Patient:
    letters = np.array(list(string.ascii_letters + string.digits))
    sizes = rng.uniform(*((1.05, 1.35) if held_out else (0.85, 1.18)), size=5)
    return Patient(
        name="".join(rng.choice(letters, 12)),
        build=Build(
            left_ventricle=float(sizes[0]),
            right_ventricle=float(sizes[1]),
            left_atrium=float(sizes[2]),
            right_atrium=float(sizes[3]),
            aorta=float(min(sizes[4], 1.15)),
            wall=float(rng.uniform(0.75, 1.4)),
            ejection=float(rng.uniform(0.1, 0.3)),
        ),
        scale=float(rng.uniform(0.88, 1.12)),
        gain=float(rng.uniform(-5, 6)),
        dynamic_range=float(rng.uniform(48, 66)),
        attenuation=float(rng.uniform(0.0, 0.12)),
        window=float(rng.uniform(0.0, 1.0)),
        half_angle=float(np.deg2rad(rng.uniform(30, 36) if held_out else rng.uniform(37, 45))),
        style=2 if held_out else int(rng.integers(2)),
        seed=int(rng.integers(2**31)),
    )


def _jet(rng: np.random.Generator, valve: str, held_out: bool) -> JetPlan:
    return JetPlan(
        valve=valve,
        length=float(rng.uniform(0.75, 1.3)),
        width=float(rng.uniform(0.85, 1.6)),
        turn=float(rng.normal(0, 0.3 if held_out else 0.17)),
        bend=float(rng.normal(0, 0.2)),
        speed=float(rng.uniform(0.7, 2.4)),
        turbulence=float(rng.uniform(0.1, 1.0)),
    )


def _recording(
    rng: np.random.Generator, patient: Patient, view: str, valve: str, options: EchoWorldOptions, video: int
) -> Recording:
    jet = _jet(rng, valve, options.variant == "held_out")
    origin, turn, depth = _placed(rng, patient, view, valve)
    start, end = _window(valve)
    step = min(0.035, (end - start) / max(options.frames, 2))
    return Recording(
        patient=patient,
        series=f"unnamed_1_{video + 1}",
        view=view,
        valve=valve,
        jets=(jet,),
        origin=origin,
        turn=turn,
        depth=depth,
        apex=float(rng.uniform(0.45, 0.55)),
        box=(
            float(rng.uniform(0.22, 0.60)),
            float(rng.uniform(24, 52)),
            float(rng.uniform(-0.16, 0.16)),
            float(rng.uniform(-16, 16)),
        ),
        phase=float(rng.uniform(start, end - step * (options.frames - 1))),
        step=step,
        first=int(rng.integers(1, 60)),
        seed=int(rng.integers(2**31)),
    )


def _window(valve: str) -> tuple[float, float]:
    """Phases in which a valve's jet is there: the aortic and the pulmonary leak in diastole, the others in systole."""
    return (SYSTOLE + 0.06, 0.97) if valve in ("AR", "PR") else (0.04, SYSTOLE - 0.02)


def _placed(
    rng: np.random.Generator, patient: Patient, view: str, valve: str
) -> tuple[tuple[float, float], float, float]:
    """Where the probe stands: drawn again until the valve's jet lies inside the fan (at most 60 times)."""
    plane = PLANES[view, valve]
    site = plane.draw(patient.build, 0.0).sites[valve]
    way = np.array(site.towards) / np.hypot(*site.towards)
    ends = np.array([site.orifice, np.array(site.orifice) + way * site.length]) * patient.scale
    for attempt in range(60):
        calm = 1 - attempt / 60
        turn = float(rng.normal(0, 0.16) * calm)
        origin = (
            float(plane.origin[0] * patient.scale + rng.normal(0, 13) * calm),
            float(plane.origin[1] * patient.scale + rng.normal(0, 9) * calm),
        )
        depth = float(rng.uniform(*plane.depth) * (0.5 + 0.5 * patient.scale))
        cos, sin = np.cos(turn), np.sin(turn)
        places = ends @ np.array([[cos, sin], [-sin, cos]]) + origin
        angles, reach = np.abs(np.arctan2(places[:, 0], places[:, 1])), np.hypot(*places.T)
        if angles.max() < patient.half_angle - MARGIN and reach.max() < depth - 12 and reach.min() > 18:
            break
    return origin, turn, depth
