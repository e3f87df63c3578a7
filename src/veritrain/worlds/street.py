"""The normal street: what stands along it in every scenario, whatever its type.

Strips, from right to left in metres: pavement -7.2..-4.2, parking -4.2..-1.75, the ego's lane to 1.75, the
oncoming lane to 5.25, parking to 7.7, pavement to 10.7; beyond them terrain and buildings.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from veritrain.worlds.options import DrivingOptions
from veritrain.worlds.plan import PLACES, ScenarioPlan, stream
from veritrain.worlds.scene import BoxBuilder, Pattern

Colour = tuple[float, float, float]

WALLS: dict[str, tuple[Colour, ...]] = {
    "Town01": ((150, 120, 95), (170, 160, 140), (120, 95, 85)),
    "Town03": ((130, 135, 140), (165, 165, 170), (110, 115, 130)),
    "Town07": ((160, 110, 85), (185, 170, 130), (125, 120, 105)),
}
PAINTS: tuple[Colour, ...] = (
    (175, 25, 25),
    (30, 60, 150),
    (225, 225, 225),
    (40, 42, 46),
    (120, 125, 130),
    (200, 160, 40),
    (35, 95, 60),
    (95, 50, 45),
)
CLOTHES: tuple[Colour, ...] = (
    (200, 50, 60),
    (40, 80, 170),
    (230, 200, 60),
    (60, 130, 70),
    (70, 60, 80),
    (220, 220, 215),
)
PICTURES: tuple[tuple[Colour, Colour], ...] = (
    ((235, 235, 235), (40, 80, 160)),
    ((240, 220, 90), (30, 30, 30)),
    ((60, 120, 80), (235, 235, 225)),
    ((200, 60, 50), (240, 240, 240)),
    ((150, 150, 155), (90, 95, 100)),
)
STRIPS = {"right": -2.9, "left": 6.3, "oncoming": 3.4}
NEAR, FAR = -45.0, 95.0


def add_street(builder: BoxBuilder, plan: ScenarioPlan, options: DrivingOptions) -> int:
    """Everything normal, moving or not; returns the instance number of the car ahead of the ego."""
    random = stream(options, plan.index, PLACES)
    _add_buildings(builder, random, plan.town)
    _add_trees_and_poles(builder, random)
    if options.anomalies == "pairs":  # its cars and boards stand at slots (worlds/pairs.py)
        _add_people(builder, random)
        return _add_lead(builder, random, plan)
    taken = [plan.spot[0]] if plan.lane == "right" else []
    _fill_strip(builder, random, "right", taken)
    taken = [plan.spot[0]] if plan.lane == "left" else []
    _fill_strip(builder, random, "left", taken)
    _add_roadworks(builder, random, plan)
    _add_people(builder, random)
    _add_oncoming(builder, random, plan)
    return _add_lead(builder, random, plan)


def add_car(
    builder: BoxBuilder,
    x: float,
    y: float,
    *,
    paint: Colour,
    semantic: int,
    yaw: float = 0.0,
    velocity: float = 0.0,
    light: float = 0.1,
    camera: bool = True,
    lidar: bool = True,
    size: tuple[float, float, float] = (4.2, 1.8, 1.45),
    instance: int | None = None,
    lift: float = 0.0,
    frame: int = -1,
) -> int:
    """A car whose middle is at (x, y): a painted body with lights and a dark cabin; returns its instance.

    ``lift`` is in metres above the ground; ``instance`` None takes a new number; ``frame`` -1 is there in every frame.
    """
    instance = builder.new_object() if instance is None else instance
    length, width, height = size
    moves = (velocity, 0.0, 0.0)
    turned = np.cos(yaw), np.sin(yaw)
    common: dict[str, Any] = {"semantic": semantic, "yaw": yaw, "velocity": moves, "instance": instance}
    seen: dict[str, Any] = {"camera": camera, "lidar": lidar, "frame": frame}
    builder.add(
        centre=(x, y, lift + 0.22 + 0.3 * height),
        half=(length / 2, width / 2, 0.3 * height),
        colour=paint,
        second=(25, 25, 28),
        pattern=Pattern.CAR,
        light=light,
        **common,
        **seen,
    )
    shift = -0.08 * length
    builder.add(
        centre=(x + shift * turned[0], y + shift * turned[1], lift + 0.2 + 0.78 * height),
        half=(0.27 * length, 0.44 * width, 0.2 * height),
        colour=(38, 44, 52),
        **common,
        **seen,
    )
    return instance


def _add_buildings(builder: BoxBuilder, random: np.random.Generator, town: str) -> None:
    for side, face in ((-1, 8.2), (1, 11.7)):
        x = NEAR - float(random.uniform(0, 10))
        while x < FAR + 40:
            length = float(random.uniform(9, 20))
            depth, height = 8.0, float(random.uniform(7, 19))
            wall = WALLS[town][int(random.integers(3))]
            shade = float(random.uniform(0.85, 1.1))
            builder.add(
                centre=(x + length / 2, side * (face + float(random.uniform(0, 2)) + depth / 2), height / 2),
                half=(length / 2, depth / 2, height / 2),
                semantic=3,
                colour=tuple(shade * part for part in wall),  # type: ignore[arg-type]
                second=(60, 70, 85),
                pattern=Pattern.WINDOWS,
                period=float(random.uniform(2.4, 3.6)),
            )
            x += length + float(random.choice([0.0, 0.0, 2.5, 5.0]))


def _add_trees_and_poles(builder: BoxBuilder, random: np.random.Generator) -> None:
    for y in (-5.6, 9.6):
        x = NEAR + float(random.uniform(0, 12))
        while x < FAR:
            choice = float(random.uniform())
            if choice < 0.45:
                _add_tree(builder, random, x, y)
            elif choice < 0.8:
                _add_pole(builder, random, x, y)
            elif choice < 0.92:
                _add_fence(builder, x, y)
            x += float(random.uniform(6, 13))


def _add_tree(builder: BoxBuilder, random: np.random.Generator, x: float, y: float) -> None:
    instance, crown = builder.new_object(), float(random.uniform(0.9, 1.6))
    green = (float(random.uniform(40, 75)), float(random.uniform(85, 125)), 45.0)
    builder.add(centre=(x, y, 1.2), half=(0.14, 0.14, 1.2), semantic=9, colour=(85, 65, 45), instance=instance)
    builder.add(
        centre=(x, y, 2.2 + crown),
        half=(crown, crown, crown),
        semantic=9,
        colour=green,
        second=(30, 70, 35),
        pattern=Pattern.LEAVES,
        period=0.45,
        yaw=float(random.uniform(0, 1.5)),
        instance=instance,
    )


def _add_pole(builder: BoxBuilder, random: np.random.Generator, x: float, y: float) -> None:
    builder.add(centre=(x, y, 2.6), half=(0.09, 0.09, 2.6), semantic=6, colour=(95, 98, 100))
    if random.uniform() < 0.5:
        sign: Colour = ((190, 30, 35), (30, 70, 160), (230, 190, 40))[int(random.integers(3))]
        builder.add(centre=(x - 0.12, y, 2.4), half=(0.03, 0.4, 0.4), semantic=8, colour=sign)


def _add_fence(builder: BoxBuilder, x: float, y: float) -> None:
    builder.add(
        centre=(x, y, 0.55),
        half=(2.2, 0.05, 0.55),
        semantic=5,
        colour=(110, 90, 70),
        second=(150, 130, 105),
        pattern=Pattern.BARS,
        period=0.4,
    )


def _fill_strip(builder: BoxBuilder, random: np.random.Generator, strip: str, taken: list[float]) -> None:
    """Parked cars, boards and cones in slots of a parking strip; the slot of the spot stays free."""
    x = NEAR + float(random.uniform(0, 6))
    while x < FAR:
        choice, y = float(random.uniform()), STRIPS[strip] + float(random.uniform(-0.2, 0.2))
        paint = PAINTS[int(random.integers(len(PAINTS)))]
        angle, lit = float(random.normal(0, 0.03)), float(random.uniform(0, 0.15))
        if all(not -9.5 < x - place < 4.5 for place in taken):
            if choice < 0.34:
                turn = angle if strip == "right" or random.uniform() < 0.4 else angle + np.pi
                add_car(builder, x, y, paint=paint, semantic=14, yaw=turn, light=lit)
            elif choice < 0.50:
                add_board(builder, random, x, y)
            elif choice < 0.62:
                _add_cone(builder, x, y)
        x += float(random.uniform(5.5, 8.0))


def add_board(builder: BoxBuilder, random: np.random.Generator, x: float, y: float) -> None:
    """A thin board that faces the traffic, with a plain two-coloured picture on it."""
    front, back = PICTURES[int(random.integers(len(PICTURES)))]
    builder.add(
        centre=(x, y, 0.8),
        half=(0.04, float(random.uniform(0.85, 1.0)), 0.72),
        semantic=20,
        colour=front,
        second=back,
        pattern=Pattern((Pattern.PLAIN, Pattern.BARS, Pattern.STRIPES)[int(random.integers(3))]),
        period=float(random.uniform(0.5, 1.2)),
        yaw=float(random.normal(0, 0.06)),
    )


def _add_cone(builder: BoxBuilder, x: float, y: float) -> None:
    builder.add(
        centre=(x, y, 0.38),
        half=(0.2, 0.2, 0.38),
        semantic=20,
        colour=(235, 95, 25),
        second=(240, 240, 235),
        pattern=Pattern.STRIPES,
        period=0.42,
    )


def _add_roadworks(builder: BoxBuilder, random: np.random.Generator, plan: ScenarioPlan) -> None:
    """Cones and a board at the edge of the oncoming lane, so that boards there are normal too."""
    x = float(random.uniform(8, 40))
    if random.uniform() < 0.5 and (plan.lane != "oncoming" or not -9.5 < x - plan.spot[0] < 4.5):
        add_board(builder, random, x, STRIPS["oncoming"] + float(random.uniform(-0.3, 0.3)))
        _add_cone(builder, x - 3.0, STRIPS["oncoming"] + 1.0)


def _add_people(builder: BoxBuilder, random: np.random.Generator) -> None:
    for _ in range(int(random.integers(3, 8))):
        y = float(random.choice([-4.9, -6.4, 8.4, 9.9]))
        x, pace = float(random.uniform(-5, 45)), float(random.choice([-0.13, 0.0, 0.13]))
        colour = CLOTHES[int(random.integers(len(CLOTHES)))]
        instance, tall = builder.new_object(), float(random.uniform(0.9, 1.05))
        person: dict[str, Any] = {"semantic": 112, "velocity": (pace, 0.0, 0.0), "instance": instance}
        builder.add(centre=(x, y, 0.42 * tall), half=(0.16, 0.2, 0.42 * tall), colour=(45, 45, 60), **person)
        builder.add(centre=(x, y, 1.14 * tall), half=(0.18, 0.27, 0.3 * tall), colour=colour, **person)
        builder.add(centre=(x, y, 1.58 * tall), half=(0.12, 0.12, 0.14 * tall), colour=(190, 150, 125), **person)


def _add_oncoming(builder: BoxBuilder, random: np.random.Generator, plan: ScenarioPlan) -> None:
    """Up to two cars in the oncoming lane; they wait behind the spot where it lies in their lane."""
    x = float(random.uniform(18, 60))
    for _ in range(int(random.integers(0, 3))):
        paint, speed = PAINTS[int(random.integers(len(PAINTS)))], -float(random.uniform(0.6, 1.2))
        waits = plan.lane == "oncoming"
        place = plan.spot[0] + x - 8.0 if waits else x
        yaw = np.pi + float(random.normal(0, 0.01))
        add_car(builder, place, 3.5, paint=paint, semantic=114, yaw=yaw, velocity=0.0 if waits else speed)
        x += float(random.uniform(9, 25))


def _add_lead(builder: BoxBuilder, random: np.random.Generator, plan: ScenarioPlan) -> int:
    """The car ahead, in every scenario: that there is one tells nothing about braking."""
    gap, drift = float(random.uniform(6.5, 10.5)), float(random.uniform(-0.1, 0.1))
    paint = PAINTS[int(random.integers(len(PAINTS)))]
    dim = float(random.uniform(0.0, 0.25))
    return add_car(builder, gap + 2.1, 0.0, paint=paint, semantic=114, velocity=plan.speed + drift, light=dim)
