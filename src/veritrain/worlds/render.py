"""One moment of a scenario as its sensors measure it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from veritrain.worlds.oddities import add_oddity
from veritrain.worlds.options import DrivingOptions
from veritrain.worlds.paint import paint, semantic_ids, with_grain
from veritrain.worlds.pairs import add_things
from veritrain.worlds.plan import NOISE, ScenarioPlan, stream
from veritrain.worlds.raycast import Hits, RayGrid, camera_grid, cast, lidar_grid
from veritrain.worlds.scene import BoxBuilder, Boxes
from veritrain.worlds.street import add_street

BRAKING_ID = 100
"""AnoVox's id of abnormal behaviour: the lead car while it brakes."""
UPPER_FOV, LOWER_FOV = 15.0, -25.0
NOISE_STDDEV = 0.1
"""Metres along the ray, LIDAR only (AnoVox ``noise_stddev``); SEMANTIC-LIDAR has none in CARLA."""
ATTENUATION = 0.004
"""CARLA's LiDAR intensity is exp(-attenuation * distance), whatever the surface."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A built scenario.

    Attributes:
        plan: what was drawn for it.
        boxes: all boxes in world metres at frame 0, anomaly included.
        oddity: instance of the static anomaly, -1 if there is none.
        lead: instance of the car ahead.
    """

    plan: ScenarioPlan
    boxes: Boxes
    oddity: int
    lead: int


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What all sensors measure in one frame.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth: (H, W) float64 metres along the viewing axis, 1000 for the sky.
        semantic: (H, W) uint8 AnoVox ids.
        instance: (H, W) int64 object numbers, 0 for ground and sky.
        lidar: (N, 4) float32 x, y, z in metres (right-handed), intensity.
        semantic_lidar: (M, 4) float64 x, y, z, AnoVox id.
        ego: (3,) float64 metres, where the sensors are in the world.
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float64]
    semantic: NDArray[np.uint8]
    instance: NDArray[np.int64]
    lidar: NDArray[np.float32]
    semantic_lidar: NDArray[np.float64]
    ego: NDArray[np.float64]


def build_scene(plan: ScenarioPlan, options: DrivingOptions, *, with_anomaly: bool = True) -> Scene:
    """The scenario's boxes; ``with_anomaly=False`` leaves a static anomaly out and nothing else."""
    builder = BoxBuilder.empty()
    lead = add_street(builder, plan, options)
    oddity = -1
    if options.anomalies == "pairs":
        oddity = add_things(builder, plan, options, with_odd=with_anomaly)
    elif plan.kind == "static" and with_anomaly:
        oddity, _ = add_oddity(builder, plan, options)
    return Scene(plan=plan, boxes=builder.build(), oddity=oddity, lead=lead)


def render(scene: Scene, options: DrivingOptions, frame: int) -> Moment:
    """All sensors at ``frame`` (0-based)."""
    plan = scene.plan
    ego = np.array([plan.speed * frame, plan.ego_y, 0.0])
    boxes = _boxes_now(scene, frame, ego)
    random = stream(options, plan.index, NOISE, frame)
    image, depth, semantic, instance = _photograph(boxes.where(boxes.camera), ego, plan, options, random)
    seen = boxes.where(boxes.lidar)
    return Moment(
        image=image,
        depth=depth,
        semantic=semantic,
        instance=instance,
        lidar=_sweep_plain(seen, ego, plan, options, random),
        semantic_lidar=_sweep_semantic(seen, ego, plan, options, random),
        ego=ego,
    )


def _boxes_now(scene: Scene, frame: int, ego: NDArray[np.float64]) -> Boxes:
    plan, boxes = scene.plan, scene.boxes.at(frame, ego)
    boxes = boxes.where((boxes.frame < 0) | (boxes.frame == frame))
    if not plan.is_alive(frame):
        return boxes.where(boxes.instance != scene.oddity)
    if plan.kind != "sudden_braking":
        return boxes
    lead = boxes.instance == scene.lead
    fallen_back = np.where(lead, -0.12 * (frame - plan.alive[0] + 1), 0.0)
    centre = boxes.centre + np.stack([fallen_back, 0 * fallen_back, 0 * fallen_back], axis=1)
    return replace(
        boxes,
        centre=centre,
        semantic=np.where(lead, BRAKING_ID, boxes.semantic),
        light=np.where(lead, 1.0, boxes.light),
    )


def _photograph(
    boxes: Boxes, ego: NDArray[np.float64], plan: ScenarioPlan, options: DrivingOptions, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.uint8], NDArray[np.int64]]:
    grid = camera_grid(options.height, options.width)
    hits = cast(grid, boxes)
    points = _points(grid, hits)
    image = with_grain(paint(grid, hits, boxes, points, ego, plan.weather), plan.weather, random)
    depth = np.where(np.isfinite(hits.distance), hits.distance, 1000.0)
    instance = np.where(hits.box >= 0, np.append(boxes.instance, 0)[np.maximum(hits.box, -1)], 0)
    return image, depth, semantic_ids(hits, boxes, points, ego).astype(np.uint8), instance


def _sweep(
    boxes: Boxes, options: DrivingOptions, drop: float, random: np.random.Generator
) -> tuple[RayGrid, Hits, NDArray[np.bool_]]:
    """One turn of a LiDAR: its own start angle and its own lost rays, so that no two sweeps share rows."""
    start = np.pi + float(random.uniform(-0.25, 0.25)) * 2 * np.pi / options.azimuth_steps
    grid = lidar_grid(options.channels, options.azimuth_steps, upper=UPPER_FOV, lower=LOWER_FOV, start=start)
    hits = cast(grid, boxes)
    returned = np.isfinite(hits.distance) & (random.uniform(size=hits.box.shape) >= drop)
    return grid, hits, returned


def _sweep_plain(
    boxes: Boxes, ego: NDArray[np.float64], plan: ScenarioPlan, options: DrivingOptions, random: np.random.Generator
) -> NDArray[np.float32]:
    grid, hits, returned = _sweep(boxes, options, plan.weather.drop, random)
    distance = np.where(returned, hits.distance, 0.0) + random.normal(0.0, NOISE_STDDEV, size=hits.box.shape)
    points = grid.directions * np.maximum(distance, 0.1)[..., None]
    intensity = np.exp(-ATTENUATION * np.maximum(distance, 0.0))[..., None]
    return np.concatenate([points, intensity], axis=-1)[returned].astype(np.float32)


def _sweep_semantic(
    boxes: Boxes, ego: NDArray[np.float64], plan: ScenarioPlan, options: DrivingOptions, random: np.random.Generator
) -> NDArray[np.float64]:
    grid, hits, returned = _sweep(boxes, options, plan.weather.drop, random)
    points = _points(grid, hits)
    ids = semantic_ids(hits, boxes, points, ego).astype(np.float64)[..., None]
    rows: NDArray[np.float64] = np.concatenate([points, ids], axis=-1)[returned]
    return np.concatenate([rows[:, :3].astype(np.float32).astype(np.float64), rows[:, 3:]], axis=1)


def _points(grid: RayGrid, hits: Hits) -> NDArray[np.float64]:
    return grid.directions * np.where(np.isfinite(hits.distance), hits.distance, 0.0)[..., None]
