"""What each scenario of the driving world is, drawn before anything is built.

The background (town, weather, traffic, the spot that an anomaly would take, the frames in which it would be
there) comes from one random stream for every type of scenario; the type comes from another. So nothing but
the anomaly itself tells the types apart: a model that reads the town, the weather or the free parking slot
learns nothing.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np

from veritrain.worlds.options import DrivingOptions

TYPES = ("static", "normality", "static", "sudden_braking", "static", "static")
"""Scenario types in turn: 48 static, 12 normality, 12 sudden braking of 72. Frames without a visible anomaly
also come from the anomalous scenarios, whose anomaly is there only for a while."""

PAIR_TYPES = ("static", "normality", "static")
"""Scenario types in turn of a world of pairs."""

VISIBILITIES = ("camera", "lidar", "both", "pair")
"""What it takes to see a static anomaly."""

VISIBILITY_CYCLE = ("camera", "lidar", "both", "lidar", "pair", "lidar")
"""Static scenarios take these in turn: LiDAR-only is the most frequent, so that neither sensor is enough alone."""

SLOTS = ((-2.9, 6.0, 11.0), (-2.9, 16.0, 24.0), (3.4, 6.0, 11.0), (3.4, 16.0, 24.0))
"""(y, least x, most x) in metres at frame 0, where the things of a world of pairs stand: on the right and in the
oncoming lane, one near and one farther each."""

TOWNS = ("Town01", "Town03", "Town07")

WEATHERS = ("ClearNoon", "CloudyNoon", "WetSunset", "HardRainNoon", "FogMorning", "ClearNight", "WetNight")

GOLDEN = (5**0.5 - 1) / 2

BACKGROUND, PLACES, NAMES, NOISE, ANOMALY, RESIDENT = range(6)
"""Random streams of a scenario: independent of one another, so that one can change without the others."""


@dataclass(frozen=True, kw_only=True)
class Weather:
    """Light and air. ``light`` in (0, 1]; ``fog`` per metre; ``tint`` RGB factors; ``grain`` in grey levels."""

    name: str
    light: float
    fog: float
    fog_colour: tuple[float, float, float]
    tint: tuple[float, float, float]
    grain: float
    drop: float
    """Share of LiDAR rays that never return."""


@dataclass(frozen=True, kw_only=True)
class ScenarioPlan:
    """One scenario before it is built.

    Attributes:
        index: 0-based number in the world.
        kind: "normality", "static" or "sudden_braking".
        visibility: for static scenarios one of VISIBILITIES; "camera" for braking lights; None for normality.
        town: map name.
        weather: light and air.
        id: uuid of the scenario.
        first_counter: CARLA frame counter of the first frame.
        speed: metres per frame of the ego vehicle.
        ego_y: lateral place of the ego in metres from its lane's centre.
        spot: (x, y) metres where a static anomaly stands, kept free in every scenario.
        lane: which strip the spot is in: "right", "left" or "oncoming".
        alive: (first frame, number of frames) of the anomaly, going round from the scenario's end to its start.
        frames: frames of the scenario.
        salt: what Python's string hash is salted with in this scenario's generator process.
    """

    index: int
    kind: str
    visibility: str | None
    town: str
    weather: Weather
    id: str
    first_counter: int
    speed: float
    ego_y: float
    spot: tuple[float, float]
    lane: str
    alive: tuple[int, int]
    frames: int
    salt: int

    def is_alive(self, frame: int) -> bool:
        """Whether the anomaly is there (and, for a braking car, brakes) in ``frame``."""
        first, length = self.alive
        return self.kind != "normality" and (frame - first) % self.frames < length


def stream(options: DrivingOptions, index: int, which: int, frame: int = 0) -> np.random.Generator:
    """The random stream ``which`` of scenario ``index`` (and frame), the same in every process."""
    variant = 1 if options.variant == "held_out" else 0
    return np.random.default_rng([options.seed, variant, index, which, frame])


def slots_of(options: DrivingOptions, index: int) -> list[tuple[float, float]]:
    """(x, y) metres of the four slots of scenario ``index`` of a world of pairs, whether something is odd or not."""
    random = stream(options, index, RESIDENT)
    return [(float(random.uniform(least, most)), y + float(random.uniform(-0.25, 0.25))) for y, least, most in SLOTS]


def odd_slot(options: DrivingOptions, index: int) -> int:
    """Which of the slots the odd thing of scenario ``index`` takes."""
    return int(stream(options, index, ANOMALY).integers(len(SLOTS)))


def plan_scenarios(options: DrivingOptions) -> list[ScenarioPlan]:
    """All scenarios of the world, in order of their index."""
    kinds = _kinds(options)
    phases = _phases(options, kinds)
    return [_plan(options, index, *kinds[index], phases[index]) for index in range(options.scenarios)]


def _phases(options: DrivingOptions, kinds: list[tuple[str, str | None]]) -> list[float]:
    """A number in [0, 1) per scenario that fixes where its anomaly's window lies.

    Within each kind the numbers follow the golden ratio, so that they fill the interval evenly: with a few dozen
    scenarios independent draws would leave early frames, say, anomalous more often than late ones.
    """
    seen: dict[tuple[str, str | None], int] = {}
    phases = []
    for kind in kinds:
        if kind not in seen:
            offsets = np.random.default_rng([options.seed, 78, len(seen)])
            seen[kind] = int(offsets.integers(1_000_000))
        phases.append(seen[kind] * GOLDEN % 1.0)
        seen[kind] += 1
    return phases


def _kinds(options: DrivingOptions) -> list[tuple[str, str | None]]:
    """(type, visibility) per scenario: equal shares in turn, then shuffled by the world's seed."""
    kinds: list[tuple[str, str | None]] = []
    pairs = options.anomalies == "pairs"
    types, cycle = (PAIR_TYPES, ("pair",)) if pairs else (TYPES, VISIBILITY_CYCLE)
    static = 0
    for index in range(options.scenarios):
        kind = types[index % len(types)]
        if kind == "static":
            kinds.append((kind, cycle[static % len(cycle)]))
            static += 1
        else:
            kinds.append((kind, "camera" if kind == "sudden_braking" else None))
    order = np.random.default_rng([options.seed, 77]).permutation(options.scenarios)
    return [kinds[place] for place in order]


def _plan(options: DrivingOptions, index: int, kind: str, visibility: str | None, phase: float) -> ScenarioPlan:
    random = stream(options, index, BACKGROUND)
    speed = float(random.uniform(0.5, 1.0))
    window = _alive(random, options.frames, phase)
    braking = _braking(random, options.frames, phase)
    alive = braking if kind == "sudden_braking" else window
    ego_y = float(random.uniform(-0.35, 0.35))
    lane = str(random.choice(["right", "left", "oncoming"], p=[0.3, 0.15, 0.55]))
    y = {"right": -2.9, "left": 6.3, "oncoming": 3.4}[lane] + float(random.uniform(-0.25, 0.25))
    ahead = float(random.uniform(5.5, 8.5)) + (2.0 if lane == "left" else 0.0)
    last = min(sum(window), options.frames) - 1
    spot = (speed * last + ahead, y)  # still ahead when it is last there
    if options.anomalies == "pairs":
        spot = slots_of(options, index)[odd_slot(options, index)]
        lane = "right" if spot[1] < 0 else "oncoming"
    names = stream(options, index, NAMES)
    return ScenarioPlan(
        index=index,
        kind=kind,
        visibility=visibility,
        town=str(random.choice(TOWNS)),
        weather=_weather(random),
        id=str(uuid.UUID(bytes=names.bytes(16), version=4)),
        first_counter=int(names.integers(300, 9000)),
        speed=speed,
        ego_y=ego_y,
        spot=spot,
        lane=lane,
        alive=alive,
        frames=options.frames,
        salt=int(names.integers(1, 2**62)),
    )


def _alive(random: np.random.Generator, frames: int, phase: float) -> tuple[int, int]:
    """(first frame, number of frames): 0.4 to 0.75 of the scenario, going round from its end to its start.

    So every frame is covered equally often (its number tells nothing), and every scenario has frames with and
    without its anomaly (knowing a street again tells little).
    """
    length = int(random.integers(round(0.4 * frames), round(0.75 * frames) + 1))
    return int(phase * frames), max(1, length)


def _braking(random: np.random.Generator, frames: int, phase: float) -> tuple[int, int]:
    """(first frame, number of frames): a quarter to nearly half of the scenario in one piece."""
    shortest, longest = round(0.25 * frames), round(0.42 * frames)
    length = max(1, min(frames - 1, int(random.integers(shortest, longest + 1))))
    return int(phase * (frames - length + 1)), length


def _weather(random: np.random.Generator) -> Weather:
    name = str(random.choice(WEATHERS))
    night = "Night" in name
    light = float(random.uniform(0.5, 0.65) if night else random.uniform(0.75, 1.05))
    haze = {"FogMorning": 0.022, "HardRainNoon": 0.012}.get(name, 0.004)
    grey = float(random.uniform(150, 205)) * (0.25 if night else 1.0)
    warm = float(random.uniform(-0.05, 0.05)) + (0.08 if "Sunset" in name else -0.06 if night else 0.0)
    return Weather(
        name=name,
        light=light,
        fog=haze * float(random.uniform(0.7, 1.3)),
        fog_colour=(grey, grey, grey * 1.05),
        tint=(1 + warm, 1.0, 1 - warm),
        grain=float(random.uniform(2.0, 5.0)) + (2.0 if night else 0.0),
        drop=float(random.uniform(0.002, 0.02)) + (0.03 if "Rain" in name or "Wet" in name else 0.0),
    )
