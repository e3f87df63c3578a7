"""One frame of a recording: grey values, colour, what the machine draws around them, and the box of each jet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from veritrain.worlds.echo_anatomy import PLANES, SYSTOLE, Anatomy
from veritrain.worlds.echo_flow import WALL_FILTER, Flow, aliased, colour_table
from veritrain.worlds.echo_plan import JetPlan, Recording
from veritrain.worlds.echo_scan import SPARE, TOP, Fan, Speckle, cloud
from veritrain.worlds.echo_shapes import Field

BLOOD, MUSCLE, THIN_WALL, LEAFLET, TISSUE = -66.0, -31.0, -20.0, -10.0, -42.0
"""Backscatter in decibels below white at gain 0."""
NOISE = -64.0
LEAST_PIXELS = 12
"""A jet of fewer coloured pixels is not drawn and has no box."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A frame as it is written.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        boxes: valve -> (left, top, right, bottom) in pixels, tight around the coloured pixels of its jet.
    """

    image: NDArray[np.uint8]
    boxes: dict[str, tuple[int, int, int, int]]


class Renderer:
    """The frames of one recording."""

    def __init__(self, recording: Recording, height: int, width: int) -> None:
        self.recording, patient = recording, recording.patient
        self._rng = np.random.default_rng([recording.seed, 53])
        self.fan = Fan(
            height=height,
            width=width,
            depth=recording.depth,
            half_angle=patient.half_angle,
            apex=recording.apex,
            grain=(1.5, 1.6) if patient.style == 2 else (0.9, 1.1),
        )
        self._speckle = Speckle(self.fan, self._rng)
        self._texture = cloud(self.fan, self._rng, (9, 8))
        self._swirl = cloud(self.fan, self._rng, (8, 7))
        self._ragged = cloud(self.fan, self._rng, (34, 26))
        self._mosaic = cloud(self.fan, self._rng, (self.fan.samples // 3, self.fan.beams // 2))
        self._window = self._shadow()
        self._table = colour_table(patient.style)
        self._eddies = float(self._rng.uniform(0.05, 0.8))
        self._box = self._colour_box()

    def frame(self, index: int) -> Picture:
        """The ``index``-th frame; the same whatever was rendered before."""
        rng = np.random.default_rng([self.recording.seed, 59, index])
        phase = (self.recording.phase + index * self.recording.step) % 1
        u, v = self._heart_places(rng)
        anatomy = PLANES[self.recording.view, self.recording.valve].draw(self.recording.patient.build, phase)
        blood = np.minimum.reduce([shape.distance(u, v) for shape in anatomy.cavities])
        grey = self._grey(anatomy, blood, u, v, rng, phase)
        shade = self.fan.smooth(grey)
        image = np.zeros((self.fan.height * self.fan.width, 3), np.uint8)
        image[self.fan.pixels.place] = np.clip(shade, 0, 255).astype(np.uint8)[:, None]
        boxes = self._paint_flow(image, anatomy, blood, rng, phase)
        return Picture(image=self._surroundings(image), boxes=boxes)

    def _heart_places(self, rng: np.random.Generator) -> tuple[Field, Field]:
        """Places of the fan in the plane's own millimetres; the probe trembles a little from frame to frame."""
        x, z = self.fan.places
        one = self.recording
        dx, dz = x - np.float32(one.origin[0] + rng.normal(0, 0.4)), z - np.float32(one.origin[1] + rng.normal(0, 0.4))
        cos, sin = np.float32(np.cos(one.turn)), np.float32(np.sin(one.turn))
        scale = np.float32(one.patient.scale)
        return np.asarray((cos * dx + sin * dz) / scale, np.float32), np.asarray(
            (cos * dz - sin * dx) / scale, np.float32
        )

    def _grey(
        self, anatomy: Anatomy, blood: Field, u: Field, v: Field, rng: np.random.Generator, phase: float
    ) -> Field:
        """(samples, beams) grey values, 0 to 255 and beyond before they are cut."""
        patient, fan = self.recording.patient, self.fan
        muscle = np.minimum.reduce([shape.distance(u, v) for shape in anatomy.muscle])
        thin = np.minimum.reduce([np.abs(shape.distance(u, v)) for shape in anatomy.thin_walls] or [blood + 99])
        outer = np.minimum(muscle, blood - 3)
        step = np.float32((fan.depth - fan.radius[0, 0]) / (fan.samples - 1) / patient.scale)
        slope, outward = np.gradient(blood, axis=0) / step, np.gradient(outer, axis=0) / step
        level = np.where(outer < 0, np.float32(MUSCLE), np.float32(TISSUE) + 6 * self._texture)
        behind = np.clip(outward, 0, 1) * np.clip(1 - outer / 26, 0, 1) * (outer > 0)
        level = level + behind * (30 - 5 * self._texture)
        level = np.maximum(level, np.float32(THIN_WALL) - (thin / 1.3) ** 2 * 6)
        level = level + 14 * np.exp(-(((blood - 1.0) / 1.3) ** 2)) * slope**2
        level = level + 16 * np.exp(-((outer / 1.8) ** 2)) * outward**2
        inside = np.clip(0.5 - blood / 1.4, 0, 1)
        level = level * (1 - inside) + np.float32(BLOOD) * inside
        for one in anatomy.leaflets:
            level = np.maximum(level, np.float32(LEAFLET) - (np.maximum(one.distance(u, v), 0) / 0.8) ** 2 * 8)
        near = np.exp(-fan.radius / 9) * 34 - 44
        level = np.maximum(level, near) - np.float32(patient.attenuation) * fan.radius + self._window
        moved = int(SPARE / 2 + 4 * np.sin(2 * np.pi * phase))
        speckle = self._speckle.intensity(moved, (int(rng.integers(SPARE)), int(rng.integers(SPARE))))
        power = 10 ** (level / 10) * speckle + np.float32(10 ** (NOISE / 10))
        decibels = 10 * np.log10(power) + np.float32(patient.gain)
        return np.asarray(255 * (1 + decibels / np.float32(patient.dynamic_range)), np.float32)

    def _shadow(self) -> Field:
        """(1, beams) decibels: ribs and lung take away at the edges of the fan."""
        side = np.abs(self.fan.angle) / np.float32(self.fan.half_angle)
        drops = np.convolve(self._rng.normal(0, 3, self.fan.beams), np.hanning(15) / 7.5, mode="same")
        edge = np.float32(self.recording.patient.window * 16) * np.clip((side - 0.72) / 0.28, 0, 1) ** 1.5
        return np.asarray(drops.astype(np.float32)[None, :] - edge, np.float32)

    def _flows(self, anatomy: Anatomy, phase: float) -> list[tuple[str, Flow]]:
        """Streams ("") and jets (their valve) at this moment, placed before the probe."""
        flows = []
        for stream in anatomy.streams:
            strength = _strength(phase, diastolic=stream.diastolic)
            if strength > 0.05:
                speed, length = stream.speed * strength, stream.length * (0.6 + 0.4 * strength)
                flow = self._placed(
                    stream.start, stream.towards, length, stream.width, speed=speed, turbulence=self._eddies
                )
                flows.append(("", flow))
        for jet in self.recording.jets:
            strength = _strength(phase, diastolic=jet.valve in ("AR", "PR"))
            if strength > 0.05:
                flows.append((jet.valve, self._jet(anatomy, jet, 0.7 + 0.3 * strength)))
        return flows

    def _jet(self, anatomy: Anatomy, jet: JetPlan, strength: float) -> Flow:
        site = anatomy.sites[jet.valve]
        cos, sin = np.cos(jet.turn), np.sin(jet.turn)
        towards = (cos * site.towards[0] - sin * site.towards[1], sin * site.towards[0] + cos * site.towards[1])
        return self._placed(
            site.orifice,
            towards,
            site.length * jet.length * strength,
            site.width * jet.width * (0.6 + 0.4 * strength),
            speed=jet.speed,
            turbulence=jet.turbulence,
            bend=jet.bend,
            jet=True,
        )

    def _placed(
        self,
        start: tuple[float, float],
        towards: tuple[float, float],
        length: float,
        width: float,
        *,
        speed: float,
        turbulence: float,
        bend: float = 0.0,
        jet: bool = False,
    ) -> Flow:
        one = self.recording
        cos, sin, scale = np.cos(one.turn), np.sin(one.turn), one.patient.scale
        long = np.hypot(*towards)
        return Flow(
            start=(
                float(one.origin[0] + scale * (cos * start[0] - sin * start[1])),
                float(one.origin[1] + scale * (sin * start[0] + cos * start[1])),
            ),
            way=(
                float((cos * towards[0] - sin * towards[1]) / long),
                float((sin * towards[0] + cos * towards[1]) / long),
            ),
            length=float(length * scale),
            width=float(width * scale),
            bend=bend,
            speed=float(speed),
            turbulence=float(turbulence),
            jet=jet,
        )

    def _colour_box(self) -> tuple[float, float, float, float]:
        """(nearest, deepest) millimetres and (left, right) radians: around the jets, wider and shifted by plan."""
        one, fan = self.recording, self.fan
        anatomy = PLANES[one.view, one.valve].draw(one.patient.build, 0.0)
        jets = one.jets or (JetPlan(valve=one.valve, length=1, width=1, turn=0, bend=0, speed=1, turbulence=0),)
        corners = np.concatenate([self._jet(anatomy, jet, 1.0).corners() for jet in jets])
        radius, angle = np.hypot(*corners.T), np.arctan2(corners[:, 0], corners[:, 1])
        half_angle, half_depth, over, down = one.box
        middle_angle, middle_depth = (angle.min() + angle.max()) / 2 + over, (radius.min() + radius.max()) / 2 + down
        return (
            float(max(min(middle_depth - half_depth, radius.min() - 8), 8.0)),
            float(min(max(middle_depth + half_depth, radius.max() + 8), fan.depth - 3)),
            float(max(min(middle_angle - half_angle, angle.min() - 0.08), -fan.half_angle)),
            float(min(max(middle_angle + half_angle, angle.max() + 0.08), fan.half_angle)),
        )

    def _paint_flow(
        self, image: NDArray[np.uint8], anatomy: Anatomy, blood: Field, rng: np.random.Generator, phase: float
    ) -> dict[str, tuple[int, int, int, int]]:
        """Colours the blood that moves inside the colour box; returns the boxes of the jets."""
        fan, (near, deep, left, right) = self.fan, self._box
        x, z = fan.places
        open_box = (fan.radius >= near) & (fan.radius <= deep) & (fan.angle >= left) & (fan.angle <= right)
        flowing = open_box & (blood < 0.4)
        shift = (int(rng.integers(fan.samples)), int(rng.integers(fan.beams)))
        noise = np.roll(self._mosaic, shift, (0, 1))
        velocity = 0.13 * (self._swirl + 0.6 * np.float32(rng.normal()) * self._texture) + 0.03 * noise
        jets: dict[str, NDArray[np.bool_]] = {}
        for valve, flow in self._flows(anatomy, phase):
            weight = flow.weight(x, z, self._ragged)
            moving = flow.velocity(x, z) + flow.turbulence * 0.55 * noise * max(flow.speed, 0.6)
            if valve:
                jets[valve] = flowing & (weight > 0.5)
                velocity = np.where(jets[valve], moving, velocity)
            else:
                velocity = velocity + weight * moving
        shown = flowing & (np.abs(velocity) > WALL_FILTER)
        for mask in jets.values():
            shown |= mask
        colours = self._table[((aliased(velocity) + 1) * 127.5).astype(np.uint8)]
        at = fan.pixels.nearest
        painted = shown.ravel()[at]
        image[fan.pixels.place[painted]] = colours.reshape(-1, 3)[at[painted]]
        return {valve: box for valve, mask in jets.items() if (box := self._box_of(mask)) is not None}

    def _box_of(self, mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
        pixels = self.fan.pixels
        hit = mask.ravel()[pixels.nearest]
        if hit.sum() < LEAST_PIXELS:
            return None
        columns, rows = pixels.column[hit], pixels.row[hit]
        return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1

    def _surroundings(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What the machine draws: the outline of the colour box, a mark for the probe's side, ticks, a colour bar."""
        fan, style = self.fan, self.recording.patient.style
        picture = Image.fromarray(image.reshape(fan.height, fan.width, 3))
        pen = ImageDraw.Draw(picture)
        pen.line(self._outline(), fill=(150, 150, 150))
        top, column = TOP * fan.height, fan.apex * fan.width
        mark = column + fan.width * 0.03
        if style == 0:
            tip = (mark, top + fan.height * 0.045)
            pen.line([(mark - 3, top), tip, (mark + 3, top)], fill=(240, 220, 40), width=2)
        else:
            pen.ellipse((mark - 3, top, mark + 3, top + 6), fill=(90, 130, 200))
        side = 1 if style else -1
        for depth in range(50, int(fan.depth), 50):
            edge = fan.to_pixel(side * depth * np.sin(fan.half_angle), depth * np.cos(fan.half_angle))
            pen.line([edge, (edge[0] + side * 4, edge[1])], fill=(200, 200, 200))
        if style:
            bar = self._table[np.linspace(255, 0, fan.height // 5).astype(int)]
            rows = slice(fan.height // 30, fan.height // 30 + len(bar))
            whole = np.array(picture)
            whole[rows, fan.width - 10 : fan.width - 5] = bar[:, None]
            return whole
        return np.array(picture)

    def _outline(self) -> list[tuple[float, float]]:
        near, deep, left, right = self._box
        arc = np.linspace(left, right, 24)
        polar = [(near, angle) for angle in arc] + [(deep, angle) for angle in arc[::-1]] + [(near, left)]
        return [self.fan.to_pixel(radius * np.sin(angle), radius * np.cos(angle)) for radius, angle in polar]


def _strength(phase: float, *, diastolic: bool) -> float:
    """0 to 1: how strongly blood flows in its half of the cycle."""
    start, end = (SYSTOLE + 0.02, 1.0) if diastolic else (0.0, SYSTOLE)
    inside = (phase - start) / (end - start)
    return float(np.sin(np.pi * inside) ** 0.6) if 0 < inside < 1 else 0.0
