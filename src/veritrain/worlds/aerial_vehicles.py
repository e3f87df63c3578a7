"""Looks of what moves: airplanes, ships, vehicles. The nose, the bow and the bonnet point along x."""

from __future__ import annotations

import numpy as np

from veritrain.worlds.aerial_palette import Palette, lighter, pick
from veritrain.worlds.aerial_sketch import Colour, Points, Sketch, ellipse

GLASS = (52, 62, 74)


def airplane(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """Fuselage, wings of span ``width``, tail and engines: swept or straight wings (held out: delta wings)."""
    skin, accent = pick(palette.planes, rng), pick(palette.tails, rng)
    half, reach = width / 2, length / 2
    straight = rng.random() < 0.3
    thick = length * (0.125 if straight else 0.105)
    if palette.held_out:
        wings = [
            (reach * 0.45, thick * 0.3),
            (-reach * 0.70, half),
            (-reach * 0.86, half),
            (-reach * 0.78, thick * 0.3),
        ]
    elif straight:
        wings = [(reach * 0.36, thick * 0.3), (reach * 0.24, half), (reach * 0.02, half), (-reach * 0.08, thick * 0.3)]
    else:
        wings = [
            (reach * 0.32, thick * 0.3),
            (-reach * 0.20, half),
            (-reach * 0.32, half),
            (-reach * 0.14, thick * 0.3),
        ]
    tail = [(-reach * 0.66, 0.0), (-reach * 0.86, half * 0.40), (-reach * 0.98, half * 0.40), (-reach * 0.90, 0.0)]
    body = _body(reach, thick / 2)
    for part in (wings, _mirrored(wings), tail, _mirrored(tail), body):
        sketch.shadow(np.array(part), length * 0.10, floats=True)
    for side in (1, -1):
        for share in (0.34,) if straight or rng.random() < 0.7 else (0.30, 0.58):
            x = reach * (0.34 if straight else 0.30 - 0.52 * share * 0.9)
            if not palette.held_out:
                sketch.rectangle((x, side * half * share), (length * 0.13, thick * 0.52), lighter(skin, 0.6))
    for part in (wings, tail):
        sketch.polygon(part, lighter(skin, 0.93))
        sketch.polygon(_mirrored(part), skin)
    sketch.polygon(body, lighter(skin, 1.04))
    sketch.line([(-reach * 0.98, 0), (-reach * 0.56, 0)], thick * 0.36, accent)
    sketch.rectangle((reach * 0.86, 0), (length * 0.035, thick * 0.5), GLASS)


def _body(reach: float, half: float) -> Points:
    nose = ellipse((reach - 2.2 * half, 0), (2.2 * half, half), 9, -np.pi / 2, np.pi / 2)
    tail = [(-reach * 0.5, half), (-reach, half * 0.25), (-reach, -half * 0.25), (-reach * 0.5, -half)]
    return np.concatenate([nose, tail])


def _mirrored(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x, -y) for x, y in points]


def ship(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A hull with a pointed bow: a yacht, a tanker with pipes, or a freighter with stacks of containers."""
    hull, deck = pick(palette.hulls, rng), pick(palette.decks, rng)
    reach, half = length / 2, width / 2
    blunt = float(rng.uniform(0.30, 0.55))
    outline = np.array(
        [
            (reach, 0),
            (reach * (1 - blunt * 0.35), half * 0.62),
            (reach * (1 - blunt), half),
            (-reach * 0.86, half),
            (-reach, half * 0.68),
        ]
    )
    whole = np.concatenate([outline, outline[::-1] * (1, -1)])
    sketch.shadow(whole, width * 0.30)
    sketch.polygon(whole, hull)
    sketch.polygon(whole * (0.93, 0.76), deck)
    if length < 16:
        sketch.rectangle((-reach * 0.12, 0), (length * 0.36, width * 0.5), lighter(hull, 1.1))
        sketch.rectangle((reach * 0.14, 0), (length * 0.08, width * 0.46), GLASS)
        return
    bridge = -reach * 0.70
    style = int(rng.integers(3))
    holds = np.arange(-reach * 0.42, reach * 0.55, length * 0.13)
    for x in holds if style else ():
        if style == 1:
            for row in (-0.24, 0.0, 0.24):
                block = pick(palette.cars, rng, 14.0)
                sketch.rectangle((float(x), row * width), (length * 0.115, width * 0.22), block)
        else:
            sketch.rectangle((float(x), 0), (length * 0.09, width * 0.46), lighter(deck, 0.74))
    if not style:
        sketch.rectangle((reach * 0.05, 0), (length * 0.62, width * 0.10), lighter(deck, 0.70))
        for x in holds[::2]:
            sketch.rectangle((float(x), 0), (length * 0.02, width * 0.58), lighter(deck, 0.78))
    sketch.rectangle((bridge, 0), (length * 0.12, width * 0.74), (234, 234, 232))
    sketch.rectangle((bridge + length * 0.05, 0), (length * 0.025, width * 0.66), GLASS)
    sketch.ellipse((bridge - length * 0.05, 0), (width * 0.12, width * 0.12), (66, 60, 60), corners=8)


def wake(sketch: Sketch, length: float, width: float, rng: np.random.Generator, water: Colour) -> None:
    """The waves behind a moving ship and along its sides; they are not part of it."""
    waves, foam = lighter(water, 1.22), lighter(water, 1.45)
    reach, half = length / 2, width / 2
    far = length * float(rng.uniform(0.5, 1.1))
    for side in (1, -1):
        bow, stern = (reach * 0.8, side * half * 0.4), (-reach, side * half * 1.3)
        end = (-reach - far * 0.6, side * half * 1.9)
        sketch.polygon([bow, stern, end, (-reach, side * half * 0.95)], waves, own=False)
    trail = [(-reach * 0.9, half * 0.6), (-reach - far, half * 0.5), (-reach - far, -half * 0.5)]
    sketch.polygon([*trail, (-reach * 0.9, -half * 0.6)], foam, own=False)


def vehicle(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A car with windscreens and a roof, or, if it is long, a lorry with a cab and a load."""
    paint = pick(palette.cars, rng)
    reach, half = length / 2, width / 2
    corner = width * 0.22
    outline = np.array(
        [
            (reach, -half + corner),
            (reach, half - corner),
            (reach - corner, half),
            (-reach + corner, half),
            (-reach, half - corner),
            (-reach, -half + corner),
            (-reach + corner, -half),
            (reach - corner, -half),
        ]
    )
    sketch.shadow(outline, width * 0.42)
    if length > 2.6 * width:
        load = pick(((228, 228, 226), (198, 200, 204), (92, 116, 150), (186, 176, 150)), rng, 8)
        sketch.rectangle((-length * 0.11, 0), (length * 0.78, width), load)
        sketch.rectangle((-length * 0.11, 0), (length * 0.74, width * 0.12), lighter(load, 0.9))
        sketch.rectangle((length * 0.405, 0), (length * 0.19, width * 0.92), paint)
        sketch.rectangle((length * 0.45, 0), (length * 0.04, width * 0.8), GLASS)
        return
    sketch.polygon(outline, paint)
    sketch.rectangle((length * 0.17, 0), (length * 0.13, width * 0.80), GLASS)
    sketch.rectangle((-length * 0.33, 0), (length * 0.09, width * 0.76), GLASS)
    sketch.rectangle((-length * 0.08, 0), (length * 0.36, width * 0.72), lighter(paint, 1.12))
