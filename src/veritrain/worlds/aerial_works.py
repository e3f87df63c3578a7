"""Looks of works: chimneys, dams, storage tanks, windmills. Tall ones lean away from the camera and throw shadows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from veritrain.worlds.aerial_palette import Palette, lighter, pick
from veritrain.worlds.aerial_sketch import Point, Sketch, ellipse, hull

FOAM = (214, 224, 226)
STEEL = ((236, 238, 240), (214, 206, 196))
"""Of windmills; the second is held out."""


def chimney(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A tapered stack of height ``length``, banded or bare, with a dark mouth and smoke; ``width`` is its foot."""
    foot, mouth = width / 2, width * float(rng.uniform(0.32, 0.40))
    bare = rng.random() < 0.3
    shaft = pick(palette.concrete, rng)
    paint = pick(palette.bands, rng)
    rings = int(rng.integers(5, 8))
    levels = np.linspace(0, length, rings + 1)
    radii = foot + (mouth - foot) * levels / length
    discs = [
        ellipse(sketch.raised((0, 0), height), (radius, radius), 16)
        for height, radius in zip(levels, radii, strict=True)
    ]
    for ring in range(rings):
        banded = (rings - ring) % 2 and (not bare or ring == rings - 1)
        colour = paint if banded else shaft if bare else (232, 230, 226)
        sketch.polygon(hull(np.concatenate(discs[ring : ring + 2])), colour)
        dark = hull(np.concatenate([_half(discs[ring]), _half(discs[ring + 1])]))
        sketch.polygon(dark, lighter(colour, 0.78))
    top = sketch.raised((0, 0), length)
    sketch.polygon(discs[-1], lighter(shaft, 1.1))
    sketch.ellipse(top, (mouth * 0.72, mouth * 0.72), (46, 42, 42), corners=14)
    end = sketch.shaded((0, 0), length)
    sketch.shadows.append(
        sketch.to_scene(hull(np.concatenate([ellipse((0, 0), (foot, foot), 12), ellipse(end, (mouth, mouth), 12)])))
    )
    if rng.random() < 0.6:
        way = rng.uniform(0, 2 * np.pi)
        for step in range(1, 6):
            far, size = mouth * (0.4 + 1.25 * step), mouth * (0.7 + 0.38 * step)
            place = (top[0] + far * np.cos(way), top[1] + far * np.sin(way))
            sketch.puff(ellipse(place, (size, size), 12))


def _half(disc: np.ndarray) -> np.ndarray:
    """The half of a disc that lies away from the light of its frame."""
    return disc[: len(disc) // 2 + 1]


def storage_tank(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A cylinder: wall, pale roof with a rim, a floating roof that lies deep or a cone with seams; ``length`` wide."""
    del width
    radius, shade = length / 2 * 0.94, pick(palette.tanks, rng)
    height = length * float(rng.uniform(0.22, 0.42))
    outline = ellipse((0, 0), (radius, radius), 24)
    sketch.block(outline, height, lighter(shade, 0.93), lighter(shade, 0.66))
    if rng.random() < 0.45:
        inner = ellipse((0, 0), (radius * 0.88, radius * 0.88), 22)
        sketch.polygon(inner, lighter(shade, 0.55), height=height)
        sun = np.array(sketch.shaded((0, 0), height)) * 0.45
        shift = sun / max(np.hypot(*sun), 1e-9) * min(np.hypot(*sun), radius * 0.3)
        lit = inner * 0.94 + shift * 0.5
        sketch.polygon(lit, lighter(shade, 0.86), height=height)
        sketch.ellipse((shift[0], shift[1]), (radius * 0.12, radius * 0.12), lighter(shade, 0.7), height=height)
    else:
        sketch.ellipse((0, 0), (radius * 0.90, radius * 0.90), shade, height=height)
        for angle in np.arange(6) * np.pi / 6 + rng.uniform(0, 1):
            end = np.array([np.cos(angle), np.sin(angle)]) * radius * 0.88
            sketch.line([tuple(-end), tuple(end)], length * 0.014, lighter(shade, 0.88), height=height)
        sketch.ellipse((0, 0), (radius * 0.14, radius * 0.14), lighter(shade, 0.72), height=height, corners=10)
    if palette.held_out:
        sketch.line([(-radius, 0), (radius, 0)], length * 0.06, lighter(shade, 0.6), height=height)


def windmill(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A white tower of height ``length`` with three blades of ``width`` / 2, seen against its long shadow."""
    blade = width / 2
    white = pick((STEEL[palette.held_out],), rng, 4)
    leaning = sketch.raised((0, 0), 1.0)
    facing = np.arctan2(leaning[1], leaning[0]) + np.pi / 2 + rng.uniform(-0.7, 0.7)
    spin = rng.uniform(0, 2 * np.pi / 3)
    across = np.array([np.cos(facing), np.sin(facing)])
    shape = _blade(blade, wide=0.20 if palette.held_out else 0.17)
    thick = max(length * 0.055, 1.2)
    for place_of, seen in ((sketch.shaded, False), (sketch.raised, True)):
        top = place_of((0, 0), length)
        tower = [(-thick, -thick * 0.2), (thick, thick * 0.2), (top[0] + thick * 0.5, top[1]), (top[0], top[1] - thick)]
        mast = hull(np.array([*tower, (0, thick), (top[0], top[1] + thick * 0.5)]))
        parts = [mast]
        for number in range(3):
            angle = spin + number * 2 * np.pi / 3
            parts.append(np.array([_on_rotor(place_of, across, length, point, angle) for point in shape]))
        for part in parts:
            if seen:
                sketch.polygon(part, white)
            else:
                sketch.shadows.append(sketch.to_scene(part))
    hub = sketch.raised((0, 0), length)
    sketch.ellipse(hub, (thick * 0.9, thick * 0.9), lighter(white, 0.8), corners=10)


def _blade(reach: float, wide: float) -> list[Point]:
    """A blade along the first axis of the rotor's plane."""
    return [
        (0.0, -reach * 0.04),
        (reach * 0.25, -reach * wide * 0.6),
        (reach, -reach * 0.02),
        (reach, reach * 0.02),
        (reach * 0.2, reach * wide * 0.5),
        (0.0, reach * 0.04),
    ]


def _on_rotor(
    place_of: Callable[[Point, float], Point], across: np.ndarray, hub: float, point: Point, angle: float
) -> Point:
    """Where a point of the rotor's upright disc is seen, or where its shadow falls."""
    side = point[0] * np.cos(angle) - point[1] * np.sin(angle)
    up = point[0] * np.sin(angle) + point[1] * np.cos(angle)
    return place_of((float(across[0] * side), float(across[1] * side)), float(hub + up))


def dam(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A wall across a valley, bent against the water at negative y: road on its crest, gates, a white spillway."""
    stone = pick(palette.concrete, rng)
    bend = length * float(rng.uniform(0.0, 0.16))
    xs = np.linspace(-length / 2, length / 2, 17)
    crest = -bend * (1 - (2 * xs / length) ** 2) + bend * 0.5
    upper, lower = width * 0.32, width * 0.68
    face = np.concatenate(
        [np.stack([xs, crest], axis=1), np.stack([xs * 0.96, crest + lower - bend * 0.1], axis=1)[::-1]]
    )
    sketch.polygon(face, lighter(stone, 0.76))
    for x, y in zip(xs[1:-1], crest[1:-1], strict=True):
        sketch.line([(x, y), (x * 0.96, y + lower)], width * 0.03, lighter(stone, 0.66))
    gates = length * float(rng.uniform(0.22, 0.34))
    middle = float(crest[8])
    sketch.polygon(
        [(-gates / 2, middle), (gates / 2, middle), (gates * 0.46, middle + lower), (-gates * 0.46, middle + lower)],
        FOAM,
    )
    spray = [(-gates * 0.46, middle + lower), (gates * 0.46, middle + lower), (gates * 0.7, middle + lower * 1.9)]
    sketch.polygon([*spray, (-gates * 0.7, middle + lower * 1.9)], FOAM, own=False)
    sketch.puff([*spray, (gates * 0.2, middle + lower * 2.6), (-gates * 0.8, middle + lower * 2.0)])
    sketch.line(np.stack([xs, crest - upper / 2], axis=1), upper, lighter(stone, 1.12))
    sketch.line(np.stack([xs, crest - upper / 2], axis=1), upper * 0.34, (112, 112, 112))
    for x in np.linspace(-gates / 2, gates / 2, 6):
        sketch.rectangle((float(x), middle - upper * 0.1), (length * 0.02, width * 0.55), lighter(stone, 0.95))
    sketch.shadow(np.stack([xs[[0, -1, -1, 0]], crest[[0, -1, -1, 0]] + [0, 0, lower, lower]], axis=1), width * 0.25)
