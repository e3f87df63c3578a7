"""The things that do not belong on a street: shapes and colours of the static anomalies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from veritrain.worlds.options import DrivingOptions
from veritrain.worlds.plan import ANOMALY, ScenarioPlan, stream
from veritrain.worlds.scene import BoxBuilder, Pattern
from veritrain.worlds.street import PAINTS, Colour, add_car

Part = tuple[tuple[float, float, float], tuple[float, float, float]]
"""(centre, half) of one box, in metres, about the shape's foot point; x is its own forward."""

PALETTES: dict[str, tuple[tuple[Colour, Colour], ...]] = {
    "standard": (
        ((235, 40, 205), (250, 235, 60)),
        ((40, 225, 230), (230, 40, 190)),
        ((150, 240, 40), (140, 40, 210)),
        ((245, 120, 200), (60, 20, 120)),
        ((90, 250, 150), (240, 60, 160)),
    ),
    "held_out": (
        ((255, 150, 240), (0, 110, 110)),
        ((120, 30, 255), (255, 220, 150)),
        ((0, 255, 200), (120, 0, 60)),
    ),
}


def _animal(random: np.random.Generator) -> list[Part]:
    size = float(random.uniform(1.2, 1.45))
    legs = [((x, y, 0.4), (0.13, 0.13, 0.4)) for x in (-0.65, 0.65) for y in (-0.3, 0.3)]
    body = [
        ((0.0, 0.0, 1.2), (1.0, 0.48, 0.45)),
        ((1.15, 0.0, 1.9), (0.2, 0.2, 0.55)),
        ((1.4, 0.0, 2.4), (0.4, 0.24, 0.2)),
    ]
    return _scaled(legs + body, size)


def _furniture(random: np.random.Generator) -> list[Part]:
    size = float(random.uniform(1.3, 1.5))
    sofa = [
        ((0.0, 0.0, 0.35), (0.55, 1.1, 0.35)),
        ((0.45, 0.0, 0.95), (0.15, 1.1, 0.5)),
        ((0.0, -1.05, 0.75), (0.55, 0.15, 0.25)),
        ((0.0, 1.05, 0.75), (0.55, 0.15, 0.25)),
    ]
    wardrobe = [((0.0, 0.0, 1.25), (0.4, 0.75, 1.25)), ((-0.5, -0.6, 1.2), (0.12, 0.35, 1.1))]
    return _scaled(sofa if random.uniform() < 0.5 else wardrobe, size)


def _boulders(random: np.random.Generator) -> list[Part]:
    places = random.uniform(-0.6, 0.6, size=(4, 2))
    sizes = random.uniform(0.65, 0.9, size=4)
    return [
        ((float(x), float(y), float(0.5 + 0.6 * layer)), (float(size), float(size), float(0.8 * size)))
        for layer, ((x, y), size) in enumerate(zip(places, sizes, strict=True))
    ]


def _pallets(random: np.random.Generator) -> list[Part]:
    count = int(random.integers(4, 7))
    shifts = random.uniform(-0.2, 0.2, size=(count, 2))
    return [((float(x), float(y), 0.25 + 0.5 * row), (0.9, 1.15, 0.2)) for row, (x, y) in enumerate(shifts)]


def _drone(random: np.random.Generator) -> list[Part]:
    height = float(random.uniform(1.7, 2.6))
    arms = [((x, y, height + 0.2), (0.45, 0.45, 0.1)) for x in (-0.75, 0.75) for y in (-0.85, 0.85)]
    return [((0.0, 0.0, height), (0.7, 0.6, 0.42)), ((0.0, 0.0, height + 0.1), (0.12, 1.1, 0.07)), *arms]


def _falling(random: np.random.Generator) -> list[Part]:
    height = float(random.uniform(0.8, 1.5))
    return [((0.0, float(random.uniform(-0.5, 0.5)), height + 0.95 * step), (0.5, 0.6, 0.4)) for step in range(3)]


def _arch(random: np.random.Generator) -> list[Part]:
    wide = float(random.uniform(0.8, 1.1))
    return [
        ((0.0, -wide, 1.0), (0.3, 0.22, 1.0)),
        ((0.0, wide, 1.0), (0.3, 0.22, 1.0)),
        ((0.0, 0.0, 2.2), (0.3, wide + 0.22, 0.22)),
    ]


def _tower(random: np.random.Generator) -> list[Part]:
    step = float(random.uniform(0.5, 0.65))
    return [((0.0, 0.0, step * (row + 0.5)), (0.95 - 0.2 * row, 0.95 - 0.2 * row, step / 2)) for row in range(4)]


SHAPES: dict[str, tuple[tuple[int, Callable[[np.random.Generator], list[Part]]], ...]] = {
    "standard": ((30, _animal), (29, _furniture), (31, _boulders), (32, _pallets), (33, _drone), (34, _falling)),
    "held_out": ((32, _arch), (29, _tower)),
}
"""variant -> (AnoVox id, shape): 29 home, 30 animal, 31 nature, 32 special, 33 airplane, 34 falling."""


def add_oddity(builder: BoxBuilder, plan: ScenarioPlan, options: DrivingOptions) -> tuple[int, int]:
    """The static anomaly of ``plan`` at its spot; returns (instance, AnoVox id)."""
    random = stream(options, plan.index, ANOMALY)
    if plan.visibility == "camera":
        return _add_painting(builder, random, plan, options.variant)
    if plan.visibility == "pair":
        return _add_cut_out(builder, random, plan)
    return _add_object(builder, random, plan, options.variant)


def _add_object(builder: BoxBuilder, random: np.random.Generator, plan: ScenarioPlan, variant: str) -> tuple[int, int]:
    semantic, shape = SHAPES[variant][int(random.integers(len(SHAPES[variant])))]
    first, second = PALETTES[variant][int(random.integers(len(PALETTES[variant])))]
    pattern = (Pattern.STRIPES, Pattern.CHECKER, Pattern.BARS)[int(random.integers(3))]
    period, yaw = float(random.uniform(0.5, 0.9)), float(random.uniform(-0.9, 0.9))
    instance, (x, y) = builder.new_object(), plan.spot
    for (cx, cy, cz), half in shape(random):
        builder.add(
            centre=(x + np.cos(yaw) * cx - np.sin(yaw) * cy, y + np.sin(yaw) * cx + np.cos(yaw) * cy, cz),
            half=half,
            yaw=yaw,
            semantic=semantic,
            instance=instance,
            colour=first,
            second=second,
            pattern=pattern,
            period=period,
            camera=plan.visibility == "both",  # a LiDAR-only object looks exactly like what is behind it
        )
    return instance, semantic


def _add_painting(
    builder: BoxBuilder, random: np.random.Generator, plan: ScenarioPlan, variant: str
) -> tuple[int, int]:
    """A picture without thickness on the ground or on a board-sized film: no ray of a LiDAR meets it."""
    first, second = PALETTES[variant][int(random.integers(len(PALETTES[variant])))]
    pattern = (Pattern.STRIPES, Pattern.CHECKER, Pattern.BARS)[int(random.integers(3))]
    flat = bool(random.uniform() < 0.5)
    long = float(random.uniform(1.6, 2.6))
    instance, (x, y) = builder.new_object(), plan.spot
    builder.add(
        centre=(x, y, 0.012 if flat else float(random.uniform(0.9, 1.4))),
        half=(long, float(random.uniform(1.2, 1.7)), 0.01) if flat else (0.01, float(random.uniform(0.7, 1.1)), 0.8),
        yaw=float(random.uniform(-0.2, 0.2)),
        semantic=32,
        instance=instance,
        colour=first,
        second=second,
        pattern=pattern,
        period=float(random.uniform(0.6, 1.1)),
        lidar=False,
    )
    return instance, 32


def _add_cut_out(builder: BoxBuilder, random: np.random.Generator, plan: ScenarioPlan) -> tuple[int, int]:
    """A board cut out and painted as a car: the camera sees a car, the LiDAR a board like any other."""
    x, y = plan.spot
    paint = PAINTS[int(random.integers(len(PAINTS)))]
    tail = float(random.uniform(0, 0.15))
    instance = add_car(builder, x + 2.1, y, paint=paint, semantic=32, light=tail, lidar=False)
    builder.add(
        centre=(x, y, 0.8),
        half=(0.04, float(random.uniform(0.85, 1.0)), 0.72),
        yaw=float(random.normal(0, 0.06)),
        semantic=32,
        instance=instance,
        colour=paint,
        camera=False,
    )
    return instance, 32


def _scaled(parts: list[Part], size: float) -> list[Part]:
    return [
        ((cx * size, cy * size, cz * size), (hx * size, hy * size, hz * size)) for (cx, cy, cz), (hx, hy, hz) in parts
    ]
