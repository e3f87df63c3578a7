"""Looks of what is built for going somewhere: airports, harbours, bridges, overpasses, expressways, railways."""

from __future__ import annotations

import numpy as np

from veritrain.worlds.aerial_palette import Palette, lighter, pick
from veritrain.worlds.aerial_sketch import Colour, Point, Sketch, ellipse, rectangle

PAINT = (226, 226, 222)
YELLOW = (206, 176, 74)


def airport(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A runway with its markings, a taxiway beside it with links, an apron and a terminal with piers."""
    dark, light = pick(palette.asphalt, rng), pick(palette.concrete, rng)
    hall = pick(palette.hall, rng)
    strip, lane = width * 0.145, width * 0.06
    runway, taxi = -width / 2 + strip / 2, -width * 0.10
    grass = lighter(pick(palette.grass, rng), 1.08)
    sketch.rectangle((0, (runway + taxi) / 2), (length * 0.96, taxi - runway), grass, own=False)
    sketch.rectangle((0, taxi), (length * 0.94, lane), lighter(dark, 1.14))
    for share in (-0.455, -0.2, 0.16, 0.455):
        slant = 0.0 if abs(share) > 0.4 else 0.09 * length * np.sign(share)
        ends = [(share * length - slant, runway), (share * length, taxi)]
        sketch.line(ends, lane * 0.9, lighter(dark, 1.14))
    apron_y, apron = (taxi + width / 2) / 2 + lane * 0.2, width / 2 - taxi - lane * 0.4
    sketch.rectangle((0, apron_y), (length * 0.64, apron), light)
    for x in np.linspace(-0.3, 0.3, 11) * length:
        sketch.rectangle((float(x), apron_y), (0.5, apron), lighter(light, 0.93))
    sketch.rectangle((0, taxi), (length * 0.94, 0.8), YELLOW)
    _runway(sketch, (length, strip), runway, dark)
    depth = width * 0.14
    for x in (-0.17, 0.0, 0.17):
        pier = (x * length, width / 2 - depth - width * 0.05)
        sketch.block(rectangle(pier, (length * 0.028, width * 0.12)), 2.0, lighter(hall, 1.05), lighter(hall, 0.62))
    roof = rectangle((0, width / 2 - depth / 2), (length * 0.48, depth))
    sketch.block(roof, 3.5, hall, lighter(hall, 0.6))
    for x in np.linspace(-0.2, 0.2, 6) * length:
        place = (float(x), width / 2 - depth / 2)
        sketch.rectangle(place, (length * 0.02, depth * 0.7), lighter(hall, 0.84), height=3.5)


def _runway(sketch: Sketch, size: Point, y: float, dark: Colour) -> None:
    length, strip = size
    sketch.rectangle((0, y), (length, strip), lighter(dark, 0.9))
    sketch.rectangle((0, y), (length * 0.9, strip * 0.35), lighter(dark, 0.82))
    for x in np.arange(-0.38, 0.39, 0.055) * length:
        sketch.rectangle((float(x), y), (length * 0.03, strip * 0.07), PAINT)
    for side in (-1, 1):
        sketch.rectangle((0, y + side * strip * 0.46), (length * 0.98, strip * 0.05), PAINT)
        for key in np.linspace(-0.36, 0.36, 6):
            sketch.rectangle((side * length * 0.47, y + key * strip), (length * 0.03, strip * 0.08), PAINT)
        for row in (-0.22, 0.22):
            sketch.rectangle((side * length * 0.40, y + row * strip), (length * 0.022, strip * 0.14), PAINT)


def stands_of_airport(length: float, width: float) -> list[tuple[Point, float]]:
    """Where airplanes park on an airport of this size, and where they point, in its own frame."""
    nose = np.pi / 2
    between = [(x * length, width * 0.17) for x in (-0.29, -0.22, -0.12, -0.05, 0.05, 0.12, 0.22, 0.29)]
    taxiing = [(-0.14 * length, width * 0.0), (0.2 * length, width * 0.0)]
    on_runway = [(-0.30 * length, -width / 2 + width * 0.0725)]
    return [((x, y), nose) for x, y in between] + [(place, 0.0) for place in taxiing + on_runway]


def harbor(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A quay along x at negative y with piers that reach ``width`` into the water at positive y."""
    stone = pick(palette.concrete, rng)
    quay = width * 0.26
    top = -width / 2
    sketch.shadow(rectangle((0, top + quay / 2), (length, quay)), 1.6)
    for x, reach, thick in piers_of_harbor(length, width):
        middle = (x, top + quay + (reach - quay) / 2)
        sketch.shadow(rectangle(middle, (thick, reach - quay)), 1.6)
        sketch.rectangle(middle, (thick, reach - quay), lighter(stone, 0.96))
        for y in np.arange(top + quay + 3, top + reach - 1, 6.0):
            sketch.rectangle((x, float(y)), (thick * 1.2, 1.1), lighter(stone, 0.72))
        sketch.rectangle((x, top + reach - thick / 2), (thick * 1.5, thick), lighter(stone, 1.06))
    sketch.rectangle((0, top + quay / 2), (length, quay), stone)
    sketch.rectangle((0, top + quay * 0.94), (length, quay * 0.12), lighter(stone, 0.74))
    for x in np.arange(-length / 2 + 5, length / 2 - 5, 9.0):
        if rng.random() < 0.6:
            size = (float(rng.uniform(5, 8)), float(rng.uniform(0.24, 0.4)) * quay)
            sketch.rectangle((float(x) + 2, top + quay * 0.42), size, pick(palette.cars, rng, 12))


def piers_of_harbor(length: float, width: float) -> list[tuple[float, float, float]]:
    """(x, reach from the quay's outer edge, thickness) of the piers of a harbour of this size, in its own frame."""
    count = max(round(length / 28), 2)
    places = np.linspace(-length / 2 + 4, length / 2 - 4, count)
    return [(float(x), width * (1.0 if index % 2 == 0 else 0.86), 5.0) for index, x in enumerate(places)]


def bridge(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A deck over water with rails and lane lines, on piers; plain, a truss, or hung from two towers."""
    deck, rail = pick(palette.asphalt, rng), pick(palette.concrete, rng)
    style = int(rng.integers(3))
    height = 5.0
    for x in np.linspace(-0.4, 0.4, max(round(length / 18), 2)) * length:
        sketch.rectangle((float(x), 0), (2.4, width * 1.12), lighter(rail, 0.7), own=False)
    sketch.shadow(rectangle((0, 0), (length, width)), height, floats=True)
    sketch.rectangle((0, 0), (length, width), lighter(rail, 1.14))
    sketch.rectangle((0, 0), (length, width * 0.76), lighter(deck, 1.06))
    for x in np.arange(-length / 2 + 2, length / 2 - 2, 6.0):
        sketch.rectangle((float(x) + 1.2, 0), (2.6, width * 0.05), PAINT)
    if style == 1:
        steel = lighter(rail, 0.72)
        for side in (-1, 1):
            for x in np.arange(-length / 2 + 4, length / 2 - 4, 8.0):
                sketch.line([(float(x), side * width * 0.42), (float(x) + 4, -side * width * 0.42)], 0.8, steel)
            sketch.rectangle((0, side * width * 0.44), (length, width * 0.08), steel)
    elif style == 2:
        for x in (-0.24 * length, 0.24 * length):
            sketch.shadow(rectangle((x, 0), (3, width * 1.1)), 16)
            sketch.rectangle((x, 0), (3.2, width * 1.2), lighter(rail, 0.82))
            for side in (-1, 1):
                for far in (0.08, 0.15, 0.22):
                    ends = [(x - far * length, side * width * 0.40), (x + far * length, side * width * 0.40)]
                    sketch.line(ends, 0.7, (216, 216, 212))


def overpass(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A carriageway lifted along x over another road, with parapets, lane lines and, mostly, looped ramps."""
    deck, rail = pick(palette.asphalt, rng), pick(palette.concrete, rng)
    loops = int(rng.choice([0, 2, 4], p=(0.3, 0.3, 0.4))) if length < 3.3 * width else 0
    radius = length * 0.17
    corners = [(1, 1), (-1, -1), (1, -1), (-1, 1)][:loops]
    for sign_x, sign_y in corners:
        middle = (sign_x * (width * 0.5 + radius * 0.86), sign_y * (width * 0.5 + radius * 0.86))
        way = ellipse(middle, (radius, radius), 29)
        closed = np.concatenate([way, way[:1]])
        sketch.line(closed, 6.0, lighter(rail, 0.95))
        sketch.line(closed, 4.4, lighter(deck, 1.08))
    sketch.shadow(rectangle((0, 0), (length * 0.62, width)), 6.0, floats=True)
    sketch.rectangle((0, 0), (length, width), lighter(rail, 1.16))
    sketch.rectangle((0, 0), (length, width * 0.86), lighter(deck, 1.12))
    carriageway(sketch, (length, width * 0.86))


def carriageway(sketch: Sketch, size: Point) -> None:
    """Lines of a road of two carriageways around y = 0: a barrier in the middle, dashes between lanes, edges."""
    length, width = size
    sketch.rectangle((0, 0), (length, width * 0.05), (188, 186, 178))
    for side in (-1, 1):
        sketch.rectangle((0, side * width * 0.47), (length, width * 0.03), PAINT)
        for x in np.arange(-length / 2, length / 2 - 3, 9.0):
            sketch.rectangle((float(x) + 1.8, side * width * 0.25), (3.4, width * 0.03), PAINT)


def service_area(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A lot with slip roads at both ends towards the road at negative y: bays, a restaurant, a canopy over pumps."""
    ground, hall, canopy = pick(palette.concrete, rng), pick(palette.roof, rng), pick(palette.canopies, rng)
    top, bottom = -width / 2, width / 2
    outline = [
        (-length / 2, top),
        (-length * 0.36, top),
        (-length * 0.30, top + width * 0.12),
        (length * 0.30, top + width * 0.12),
        (length * 0.36, top),
        (length / 2, top),
        (length * 0.40, bottom - width * 0.1),
        (length * 0.34, bottom),
        (-length * 0.34, bottom),
        (-length * 0.40, bottom - width * 0.1),
    ]
    sketch.polygon(outline, lighter(ground, 0.96))
    for x in np.arange(-length * 0.33, length * 0.12, 6.4):
        sketch.rectangle((float(x), bottom - width * 0.16), (0.7, width * 0.24), PAINT)
    for x in np.arange(-length * 0.28, length * 0.10, 8.0):
        sketch.line([(float(x), top + width * 0.24), (float(x) + 4, top + width * 0.48)], 0.7, PAINT)
    house = rectangle((-length * 0.08, width * 0.10), (length * 0.32, width * 0.15))
    sketch.block(house, 3.5, hall, lighter(hall, 0.6))
    place = rectangle((length * 0.25, -width * 0.05), (length * 0.17, width * 0.30))
    sketch.block(place, 3.0, canopy, lighter(canopy, 0.6))
    inner = rectangle((length * 0.25, -width * 0.05), (length * 0.14, width * 0.22))
    sketch.polygon(inner, lighter(canopy, 1.2), height=3.0)
    sketch.block(rectangle((length * 0.25, width * 0.30), (length * 0.10, width * 0.14)), 2.5, hall, lighter(hall, 0.6))


def bays_of_service_area(length: float, width: float) -> list[tuple[Point, float]]:
    """Where vehicles park in a service area of this size, and where they point, in its own frame."""
    cars = [
        ((float(x) + 3.2, width / 2 - width * 0.16), np.pi / 2) for x in np.arange(-length * 0.33, length * 0.11, 6.4)
    ]
    slant = float(np.arctan2(width * 0.24, 4))
    lorries = [
        ((float(x) + 6.0, -width / 2 + width * 0.36), slant) for x in np.arange(-length * 0.28, length * 0.02, 8.0)
    ]
    return cars + lorries


def toll_station(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A canopy of ``length`` across the lanes (along x), and between lanes the islands with their booths."""
    canopy, stone = pick(palette.canopies, rng), pick(palette.concrete, rng)
    lanes = max(round(length / 9), 4)
    for x in np.linspace(-length / 2 + 1.5, length / 2 - 1.5, lanes + 1):
        sketch.rectangle((float(x), 0), (1.8, width), lighter(stone, 1.14))
        for end in (-1, 1):
            sketch.rectangle((float(x), end * width * 0.46), (1.8, width * 0.08), YELLOW)
            sketch.rectangle((float(x), end * width * 0.30), (2.6, width * 0.10), (232, 232, 230))
    roof = rectangle((0, 0), (length, width * 0.34))
    sketch.block(roof, 4.0, canopy, lighter(canopy, 0.55))
    sketch.rectangle((0, 0), (length, width * 0.10), lighter(canopy, 1.25), height=4.0)
    for x in np.linspace(-length / 2 + 1, length / 2 - 1, lanes + 1):
        sketch.rectangle((float(x), 0), (0.7, width * 0.34), lighter(canopy, 0.8), height=4.0)


def train_station(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """Roofs over platforms along the tracks, in strips rails between them, a hall beside; or one ribbed vault."""
    roof, hall = pick(palette.hall, rng), pick(palette.roof, rng)
    deep = width * 0.30
    y0 = -width / 2 + deep
    spread = width - deep
    vault = rng.random() < (0.6 if palette.held_out else 0.3)
    strips = max(round(spread / 10), 2)
    ballast = (122, 112, 104)
    sketch.rectangle((0, y0 + spread / 2), (length, spread), ballast)
    for index in range(strips * 3):
        y = y0 + (index + 0.5) * spread / (strips * 3)
        sketch.rectangle((0, y), (length, 0.7), (74, 70, 68))
    if vault:
        whole = rectangle((0, y0 + spread / 2), (length * 0.66, spread * 0.92))
        sketch.block(whole, 4.0, roof, lighter(roof, 0.6))
        for x in np.linspace(-0.33, 0.33, 15) * length:
            place = (float(x), y0 + spread / 2)
            sketch.rectangle(place, (length * 0.012, spread * 0.92), lighter(roof, 0.8), height=4.0)
        for share, light in ((0.5, 1.14), (0.16, 1.24)):
            sketch.rectangle(
                (0, y0 + spread / 2), (length * 0.66, spread * 0.3 * share), lighter(roof, light), height=4.0
            )
    else:
        for index in range(strips):
            y = y0 + (index + 0.5) * spread / strips
            strip = rectangle((0, y), (length * 0.90, spread / strips * 0.52))
            sketch.block(strip, 3.0, roof, lighter(roof, 0.6))
            sketch.rectangle((0, y), (length * 0.90, 1.0), lighter(roof, 0.8), height=3.0)
    front = rectangle((0, -width / 2 + deep * 0.45), (length * 0.50, deep * 0.8))
    sketch.block(front, 5.0, hall, lighter(hall, 0.6))
    sketch.rectangle((0, -width / 2 + deep * 0.45), (length * 0.16, deep * 0.8), lighter(hall, 1.2), height=5.0)
