"""Colours of what a ray meets: patterns of boxes, markings of the ground, light, fog and grain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veritrain.worlds.plan import Weather
from veritrain.worlds.raycast import GROUND, SKY, Hits, RayGrid
from veritrain.worlds.scene import Boxes, Pattern

Colours = NDArray[np.float64]

ROAD, PAVEMENT, SKY_ID, TERRAIN, ROAD_LINE = 1, 2, 11, 10, 24
GROUND_COLOURS = {ROAD: (78, 78, 82), PAVEMENT: (138, 134, 128), TERRAIN: (92, 104, 66), ROAD_LINE: (215, 215, 210)}
DIM_LIGHT, FULL_LIGHT, HEADLIGHT = np.array([88.0, 12, 14]), np.array([255.0, 45, 35]), np.array([235.0, 230, 200])


def ground_ids(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
    """AnoVox ids of ground points at world metres ``x``, ``y`` (any equal shape): the strips of the street."""
    ids = np.full(x.shape, TERRAIN, dtype=np.int64)
    ids[(y > -7.2) & (y < 10.7)] = PAVEMENT
    ids[(y > -4.2) & (y < 7.7)] = ROAD
    dashes = (np.abs(y - 1.75) < 0.1) & (x % 6.0 < 3.0)
    edges = (np.abs(y + 1.75) < 0.08) | (np.abs(y - 5.25) < 0.08)
    crossing = (x % 60.0 > 41.0) & (x % 60.0 < 44.0) & (y > -1.75) & (y < 5.25) & (y % 1.0 < 0.5)
    ids[dashes | edges | crossing] = ROAD_LINE
    return ids


def semantic_ids(hits: Hits, boxes: Boxes, points: NDArray[np.float64], ego: NDArray[np.float64]) -> NDArray[np.int64]:
    """(R, C) int64 AnoVox ids of what each ray meets; ``points`` (R, C, 3) in the sensor frame."""
    ids = np.full(hits.box.shape, SKY_ID, dtype=np.int64)
    ground = hits.box == GROUND
    ids[ground] = ground_ids(points[ground, 0] + ego[0], points[ground, 1] + ego[1])
    solid = hits.box >= 0
    ids[solid] = boxes.semantic[hits.box[solid]]
    return ids


def paint(
    grid: RayGrid, hits: Hits, boxes: Boxes, points: NDArray[np.float64], ego: NDArray[np.float64], weather: Weather
) -> Colours:
    """(R, C, 3) float64 colours in [0, 255] before grain: surface, light, then fog by distance."""
    colours = _sky(grid, weather)
    ground, solid = hits.box == GROUND, hits.box >= 0
    shine = np.zeros(hits.box.shape)
    colours[ground] = _ground_colours(points[ground] + ego)
    colours[solid], shine[solid] = _box_colours(boxes, hits.box[solid], points[solid])
    lit = colours * np.array(weather.tint) * weather.light
    colours = np.where((shine > 0)[..., None], np.maximum(lit, colours * shine[..., None]), lit)
    clear = np.exp(-weather.fog * np.where(np.isfinite(hits.distance), hits.distance, 60.0))
    clear = np.where(hits.box == SKY, np.exp(-weather.fog * 40.0), clear)[..., None]
    return clear * colours + (1 - clear) * np.array(weather.fog_colour)


def with_grain(colours: Colours, weather: Weather, random: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 image: camera noise on top, rounded and clipped."""
    noisy = colours + random.normal(0.0, weather.grain, size=colours.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _sky(grid: RayGrid, weather: Weather) -> Colours:
    up = np.clip(grid.directions[..., 2:3] * 1.4, 0.0, 1.0)
    dim = 0.25 if "Night" in weather.name else 1.0
    return dim * ((1 - up) * np.array([205.0, 212, 220]) + up * np.array([120.0, 165, 225]))


def _ground_colours(world: NDArray[np.float64]) -> Colours:
    table = np.zeros((32, 3))
    for name, colour in GROUND_COLOURS.items():
        table[name] = colour
    speckle = _hash_noise(np.floor(world[:, 0] / 0.6), np.floor(world[:, 1] / 0.6))
    return table[ground_ids(world[:, 0], world[:, 1])] * (0.94 + 0.12 * speckle)[:, None]


def _box_colours(
    boxes: Boxes, index: NDArray[np.int64], points: NDArray[np.float64]
) -> tuple[Colours, NDArray[np.float64]]:
    local = _local(boxes, index, points)
    half = boxes.half[index]
    face = np.argmax(np.abs(local) / half, axis=1)
    along = np.where(face == 0, local[:, 1], local[:, 0])
    upward = np.where(face == 2, local[:, 1], local[:, 2])
    second = _uses_second(boxes.pattern[index], along, upward, boxes.period[index])
    colours = np.where(second[:, None], boxes.second[index], boxes.colour[index])
    colours = colours * np.array([0.92, 0.74, 1.06])[face][:, None]
    shine = _car_lights(boxes, index, local / half, face, colours)
    return colours, shine


def _local(boxes: Boxes, index: NDArray[np.int64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    offset, yaw = points - boxes.centre[index], boxes.yaw[index]
    cosine, sine = np.cos(yaw), np.sin(yaw)
    x = cosine * offset[:, 0] + sine * offset[:, 1]
    y = cosine * offset[:, 1] - sine * offset[:, 0]
    return np.stack([x, y, offset[:, 2]], axis=1)


def _uses_second(
    pattern: NDArray[np.int64], along: NDArray[np.float64], upward: NDArray[np.float64], period: NDArray[np.float64]
) -> NDArray[np.bool_]:
    u, v = along / period, upward / period
    half_u, half_v = u % 1.0 < 0.5, v % 1.0 < 0.5
    choices = {
        Pattern.WINDOWS: (u % 1.0 < 0.45) & (v % 1.0 < 0.5),
        Pattern.STRIPES: half_v,
        Pattern.BARS: half_u,
        Pattern.CHECKER: half_u ^ half_v,
        Pattern.LEAVES: _hash_noise(np.floor(u), np.floor(v)) < 0.5,
    }
    second = np.zeros(pattern.shape, dtype=np.bool_)
    for name, where in choices.items():
        second |= (pattern == name) & where
    return second


def _car_lights(
    boxes: Boxes, index: NDArray[np.int64], unit: NDArray[np.float64], face: NDArray[np.int64], colours: Colours
) -> NDArray[np.float64]:
    """Paints tail and head lights of cars into ``colours``; returns (P,) how much each point shines by itself."""
    shine = np.zeros(len(index))
    bloom = boxes.light[index] > 0.5
    lamp = (np.abs(unit[:, 1]) > np.where(bloom, 0.4, 0.55)) & (unit[:, 2] > np.where(bloom, -0.5, -0.1))
    lamp &= (boxes.pattern[index] == Pattern.CAR) & (face == 0)
    rear, front = lamp & (unit[:, 0] < 0), lamp & (unit[:, 0] > 0)
    level = boxes.light[index][rear]
    colours[rear] = DIM_LIGHT + level[:, None] * (FULL_LIGHT - DIM_LIGHT)
    colours[front] = HEADLIGHT
    shine[rear] = level
    shine[front] = 0.8
    return shine


def _hash_noise(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values in [0, 1) that look random but depend on the cell (a, b) alone."""
    cells = a.astype(np.int64).astype(np.uint64) * np.uint64(73_856_093) ^ b.astype(np.int64).astype(
        np.uint64
    ) * np.uint64(19_349_663)
    mixed = (cells * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    return mixed.astype(np.float64) / float(1 << 24)
