"""Other looks at the same moment: image, returns, labels and calibration move together.

What is done to a sample is a :class:`Plan`, drawn from (seed, epoch, index) alone. After each step a return still
projects on the pixel that shows what it hit: what moves the image changes the intrinsics, what moves the returns
changes the extrinsics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from veritrain.data.options import Augment
from veritrain.data.paired_view import flipped
from veritrain.data.sample import Calibration, Frame

LARGEST_ZOOM = 1.3
"""The crop keeps at least 1 / 1.3 of the height and the width."""

LARGEST_YAW = np.radians(15.0)
SCALES = (0.95, 1.05)
LARGEST_DROPOUT = 0.3
BRIGHTNESS = (0.75, 1.25)
CONTRAST = (0.75, 1.25)
COLOUR = (0.93, 1.07)
"""Ranges of what ``full`` draws, uniformly."""

LEAST_LEFT = 0.5
"""A crop or a dropout that would leave less than this share of the anomalous pixels or returns is not made:
the frame's label would no longer be true."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done to one sample in one epoch; the default is nothing.

    Attributes:
        flip: left and right exchanged.
        zoom: at least 1; the image is cut to 1 / zoom of its height and width and enlarged to its size again.
        across, down: where the cut lies in the room it has, 0 (left, top) to 1: a shift of the image.
        yaw: radians by which the LiDAR frame is turned about z.
        scale: factor of all distances.
        dropout: share of returns left out.
        dropout_seed: which ones.
        brightness: factor of the image. contrast: factor about its mean. colour: factors of red, green, blue.
    """

    flip: bool = False
    zoom: float = 1.0
    across: float = 0.5
    down: float = 0.5
    yaw: float = 0.0
    scale: float = 1.0
    dropout: float = 0.0
    dropout_seed: int = 0
    brightness: float = 1.0
    contrast: float = 1.0
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)


def draw_plan(augment: Augment, *, seed: int, epoch: int, index: int) -> Plan:
    """A pure function of its arguments."""
    if augment == "none":
        return Plan()
    rng = np.random.default_rng([seed, epoch, index])
    flip = bool(rng.random() < 0.5)
    if augment == "flip":
        return Plan(flip=flip)
    red, green, blue = rng.uniform(*COLOUR, 3).tolist()
    return Plan(
        flip=flip,
        zoom=float(rng.uniform(1.0, LARGEST_ZOOM)),
        across=float(rng.random()),
        down=float(rng.random()),
        yaw=float(rng.uniform(-LARGEST_YAW, LARGEST_YAW)),
        scale=float(rng.uniform(*SCALES)),
        dropout=float(rng.uniform(0.0, LARGEST_DROPOUT)),
        dropout_seed=int(rng.integers(2**32)),
        brightness=float(rng.uniform(*BRIGHTNESS)),
        contrast=float(rng.uniform(*CONTRAST)),
        colour=(red, green, blue),
    )


def augmented(frame: Frame, plan: Plan) -> Frame:
    """The frame after all steps of the plan; the given one stays as it is."""
    frame = flipped(frame) if plan.flip else frame
    if plan.zoom != 1.0:
        frame = cropped(frame, zoom=plan.zoom, across=plan.across, down=plan.down)
    if plan.yaw:
        frame = turned(frame, plan.yaw)
    if plan.scale != 1.0:
        frame = scaled(frame, plan.scale)
    if plan.dropout:
        frame = thinned(frame, plan.dropout, seed=plan.dropout_seed)
    if (plan.brightness, plan.contrast, plan.colour) != (1.0, 1.0, (1.0, 1.0, 1.0)):
        frame = recoloured(frame, brightness=plan.brightness, contrast=plan.contrast, colour=plan.colour)
    return frame


def cropped(frame: Frame, *, zoom: float, across: float, down: float) -> Frame:
    """A part of the image enlarged to its size (bilinear), its labels likewise (nearest), the intrinsics with it.

    Args:
        zoom: 1 / share of the height and width that is kept.
        across, down: 0 to 1, where the part lies.
    """
    height, width = frame.image.shape[:2]
    tall, wide = max(1, round(height / zoom)), max(1, round(width / zoom))
    top, left = round(down * (height - tall)), round(across * (width - wide))
    part = frame.pixel_labels[top : top + tall, left : left + wide]
    if (part == 1).sum() < LEAST_LEFT * (frame.pixel_labels == 1).sum():
        return frame
    box = (left, top, left + wide, top + tall)
    image = Image.fromarray(frame.image).resize((width, height), Image.Resampling.BILINEAR, box=box)
    rows, columns = _nearest(tall, height), _nearest(wide, width)
    x, y = width / wide, height / tall
    enlarge = np.array([[x, 0.0, -left * x], [0.0, y, -top * y], [0.0, 0.0, 1.0]])
    return replace(
        frame,
        image=np.asarray(image),
        pixel_labels=np.ascontiguousarray(part[rows[:, None], columns]),
        calibration=replace(frame.calibration, intrinsics=enlarge @ frame.calibration.intrinsics),
    )


def _nearest(size: int, new: int) -> NDArray[np.int64]:
    """(new,) int64: the old pixel that holds the middle of each new one."""
    return ((np.arange(new) + 0.5) * size / new).astype(np.int64)


def turned(frame: Frame, yaw: float) -> Frame:
    """The LiDAR frame turned about z by ``yaw`` radians; the extrinsics turn back, so projections stay."""
    cosine, sine = np.cos(yaw), np.sin(yaw)
    turn = np.eye(4)
    turn[:2, :2] = [[cosine, -sine], [sine, cosine]]
    points = frame.points.copy()
    points[:, :2] = frame.points[:, :2].astype(np.float64) @ turn[:2, :2].T
    return replace(frame, points=points, calibration=_moved(frame.calibration, turn))


def scaled(frame: Frame, factor: float) -> Frame:
    """A scene ``factor`` times as large, the distance between the sensors with it: the image is the same."""
    points = frame.points.copy()
    points[:, :3] *= np.float32(factor)
    extrinsics = frame.calibration.camera_from_lidar.copy()
    extrinsics[:3, 3] *= factor
    return replace(frame, points=points, calibration=replace(frame.calibration, camera_from_lidar=extrinsics))


def thinned(frame: Frame, share: float, *, seed: int) -> Frame:
    """Returns left out at random, each with probability ``share``, with their labels and ids."""
    kept = np.random.default_rng(seed).random(len(frame.points)) >= share
    anomalous = frame.point_labels == 1
    if not kept.any() or (anomalous & kept).sum() < LEAST_LEFT * anomalous.sum():
        return frame
    return replace(
        frame,
        points=frame.points[kept],
        point_labels=frame.point_labels[kept],
        point_ids=frame.point_ids[kept],
    )


def recoloured(frame: Frame, *, brightness: float, contrast: float, colour: tuple[float, float, float]) -> Frame:
    """Contrast about the image's mean, then brightness and colour as factors; one table of 256 values a channel."""
    mean = float(frame.image.mean())
    values = ((np.arange(256) - mean) * contrast + mean) * brightness
    table = np.clip(np.rint(np.outer(colour, values)), 0, 255).astype(np.uint8)
    return replace(frame, image=np.asarray(Image.fromarray(frame.image).point(table.ravel().tolist())))


def _moved(calibration: Calibration, motion: NDArray[np.float64]) -> Calibration:
    """The calibration for returns that were moved by ``motion`` (4, 4)."""
    return replace(calibration, camera_from_lidar=calibration.camera_from_lidar @ np.linalg.inv(motion))
