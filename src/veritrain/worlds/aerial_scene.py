"""A scene: a piece of land under one light, and the windows that its images show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veritrain.worlds.aerial_cover import cover, finish
from veritrain.worlds.aerial_ground import draw_ground
from veritrain.worlds.aerial_guests import guests
from veritrain.worlds.aerial_land import Land, Thing
from veritrain.worlds.aerial_palette import PALETTES
from veritrain.worlds.aerial_render import Label, Light, Window, developed, draw_things, labels_of
from veritrain.worlds.aerial_sites import LOOKS, SITES
from veritrain.worlds.aerial_sketch import Colour
from veritrain.worlds.options import AerialOptions

UNITS = 256.0
"""Scene units along the shorter side of an image, at zoom 1."""
SPREAD = 1.75
"""A scene is so many times as long and as wide as its images: any two of them share ground."""
KEPT_SHARE = 0.5
"""A thing of whose box less lies in the image is not drawn in that image, and not labelled."""
LEAST_BREADTH, LEAST_SIDE = 1.5, 2.0
"""Nor is one that is narrower, pixels; nor one of whose box less is seen along either side."""
TRIES = 12


@dataclass(frozen=True, kw_only=True)
class ScenePlan:
    """What is decided before a scene is laid out.

    Attributes:
        number: of it, from 0.
        site: name of the site. cover: what lies around it.
        images: how many are cut out of it.
    """

    number: int
    site: str
    cover: str
    images: int

    @property
    def name(self) -> str:
        """Name in ``scenes.json``."""
        return f"{self.site}-{self.number:05d}"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A scene that was laid out.

    Attributes:
        land: its ground and its things.
        size: (H, W) in pixels. unit: pixels for a scene unit.
        windows: one an image.
        shade: what shadow leaves of each colour, of 255. light: the camera's.
    """

    land: Land
    size: tuple[int, int]
    unit: float
    windows: tuple[Window, ...]
    shade: Colour
    light: Light


def lay_out(plan: ScenePlan, options: AerialOptions) -> Scene:
    """The scene of a plan: laid out again, with other random numbers, until the classes it is for are all there.

    Raises:
        RuntimeError: no try had them; a fault of the site.
    """
    site = SITES[plan.site]
    for attempt in range(TRIES):
        rng = np.random.default_rng([options.seed, 71, plan.number, attempt])
        size = round(options.height * SPREAD), round(options.width * SPREAD)
        zoom = float(rng.uniform(*site.zoom))
        unit = min(options.height, options.width) / UNITS * zoom
        sun, shade, light = _daylight(rng)
        way, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.30, 0.52)
        land = Land(
            (size[1] / unit, size[0] / unit),
            UNITS / zoom,
            rng,
            PALETTES[options.variant],
            LOOKS,
            sun,
            (float(far * np.cos(way)), float(far * np.sin(way))),
        )
        cover(land, plan.cover)
        site.lay(land)
        guests(land)
        finish(land, plan.cover, busy=site.busy)
        windows = _windows(land, unit, plan, options, size, rng)
        seen = [{land.things[place].kind for place in window.things} for window in windows]
        wanted = [site.mains[number % len(site.mains)] for number in range(plan.images)]
        if all(main in kinds for main, kinds in zip(wanted, seen, strict=True)):
            return Scene(land=land, size=size, unit=unit, windows=windows, shade=shade, light=light)
    raise RuntimeError(f"site {plan.site} over {plan.cover} was laid out {TRIES} times without its classes")


def _daylight(rng: np.random.Generator) -> tuple[tuple[float, float], Colour, Light]:
    """The shadow of a point one unit high, what shadow leaves of each colour, and the camera's light."""
    way, low = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.15)
    depth = float(rng.uniform(0.42, 0.62))
    bright = rng.uniform(0.86, 1.16)
    warm = rng.normal(0, 0.035)
    light = Light(
        gain=(float(bright * (1 + warm)), float(bright), float(bright * (1 - warm))),
        contrast=float(rng.uniform(0.85, 1.15)),
        haze=float(rng.uniform(0, 0.14)),
        grain=float(rng.uniform(1.5, 4.5)),
    )
    sun = (float(low * np.cos(way)), float(low * np.sin(way)))
    return sun, (int(255 * depth), int(255 * (depth + 0.02)), int(255 * (depth + 0.07))), light


def _windows(
    land: Land, unit: float, plan: ScenePlan, options: AerialOptions, size: tuple[int, int], rng: np.random.Generator
) -> tuple[Window, ...]:
    """One an image: each holds, in turns, a thing of a class that the site is for."""
    mains = SITES[plan.site].mains
    windows = []
    for number in range(plan.images):
        kind = mains[number % len(mains)]
        anchors = [thing for thing in land.things if thing.kind == kind]
        left, top = 0, 0
        if anchors:
            left, top = _around(anchors[int(rng.integers(len(anchors)))], unit, options, size, rng)
        windows.append(
            Window(
                left=left,
                top=top,
                width=options.width,
                height=options.height,
                things=_drawn(land.things, unit, (left, top, options.width, options.height)),
            )
        )
    return tuple(windows)


def _around(
    anchor: Thing, unit: float, options: AerialOptions, size: tuple[int, int], rng: np.random.Generator
) -> tuple[int, int]:
    """Left top corner of a window, anywhere, that shows the whole of a thing (its middle, if it is too large)."""
    corner = []
    for axis, side, whole in ((0, options.width, size[1]), (1, options.height, size[0])):
        low, high = anchor.extent[axis] * unit, anchor.extent[axis + 2] * unit
        first, last = np.ceil(high) + 2 - side, np.floor(low) - 2
        if first > last:
            first = last = np.round((low + high - side) / 2)
        place = rng.integers(int(first), int(last) + 1)
        corner.append(int(np.clip(place, 0, whole - side)))
    return corner[0], corner[1]


def _drawn(things: list[Thing], unit: float, window: tuple[int, int, int, int]) -> tuple[int, ...]:
    """Places of the things that an image shows; what stands on a thing that is not drawn is not drawn either."""
    left, top, width, height = window
    kept: list[int] = []
    gone = set()
    for place, thing in enumerate(things):
        low = np.array(thing.extent[:2]) * unit - (left, top)
        high = np.array(thing.extent[2:]) * unit - (left, top)
        seen = np.minimum(high, (width, height)) - np.maximum(low, 0)
        share = np.prod(np.maximum(seen, 0)) / np.prod(high - low)
        large = seen.min() >= LEAST_SIDE and thing.breadth * unit >= LEAST_BREADTH
        if share >= KEPT_SHARE and large and thing.host not in gone:
            kept.append(place)
        else:
            gone.add(place)
    return tuple(kept)


def draw_scene(scene: Scene, seed: int, number: int) -> list[tuple[NDArray[np.uint8], list[Label]]]:
    """(h, w, 3) uint8 image and labels of each window."""
    land = scene.land
    ground = draw_ground(land, scene.size, scene.unit, scene.shade, np.random.default_rng([seed, 73, number]))
    drawn = []
    for index, window in enumerate(scene.windows):
        picture, owners, finer = draw_things(ground, land.things, scene.unit, window, scene.shade)
        image = developed(picture, scene.light, np.random.default_rng([seed, 79, number, index]))
        drawn.append((image, labels_of(owners, finer, land.things, window)))
    return drawn
