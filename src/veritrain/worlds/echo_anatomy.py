"""Hearts in the planes that echocardiography looks at, each as a sonographer lays it out; millimetres, v downwards.

Planes and their names follow the guideline of the American Society of Echocardiography (Mitchell et al., JASE 2019,
"Guidelines for performing a comprehensive transthoracic echocardiographic examination in adults"): apical four chambers
with the left heart at the right; parasternal long axis with the apex at the left, and its RV inflow and RV outflow
planes; parasternal short axis at the aortic and at the mitral valve. Sizes are those of textbooks, rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from veritrain.worlds.echo_shapes import Ellipse, Point, Tube, leaflet

Shape = Ellipse | Tube
SYSTOLE = 0.38
"""Share of a cycle; it begins at phase 0, diastole fills the rest."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """A patient's heart beside the textbook's.

    Attributes:
        left_ventricle, right_ventricle, left_atrium, right_atrium, aorta: factors on their size.
        wall: factor on the thickness of muscle.
        ejection: by what share the ventricles' width shrinks in systole.
    """

    left_ventricle: float = 1.0
    right_ventricle: float = 1.0
    left_atrium: float = 1.0
    right_atrium: float = 1.0
    aorta: float = 1.0
    wall: float = 1.0
    ejection: float = 0.2


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Blood on its way.

    Attributes:
        start: where it begins.
        towards: its direction, any length.
        length: how far it goes.
        width: at its widest.
        speed: of its core in units of the Nyquist velocity.
        diastolic: whether it flows in diastole or in systole.
    """

    start: Point
    towards: Point
    length: float
    width: float
    speed: float
    diastolic: bool


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a leaking valve lets a jet through: the orifice, and the direction into the chamber that receives it."""

    orifice: Point
    towards: Point
    length: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """One plane at one moment.

    Attributes:
        cavities: what is filled with blood.
        muscle: outlines whose inside, less the cavities, is muscle.
        thin_walls: cavities with a thin bright wall (atria and vessels).
        leaflets: thin bright lines.
        sites: valve -> where its jet is.
        streams: blood that flows as it should.
    """

    cavities: tuple[Shape, ...]
    muscle: tuple[Shape, ...]
    thin_walls: tuple[Shape, ...]
    leaflets: tuple[Tube, ...]
    sites: Mapping[str, Site] = field(default_factory=dict)
    streams: tuple[Stream, ...] = ()


def squeeze(build: Build, phase: float) -> float:
    """Factor on a ventricle's width: 1 at the end of diastole, 1 - ejection at the end of systole."""
    through = phase / SYSTOLE if phase < SYSTOLE else (1 - phase) / (1 - SYSTOLE)
    return float(1 - build.ejection * np.sin(np.pi / 2 * through) ** 2)


def openness(phase: float, *, diastolic: bool) -> float:
    """0 for a closed valve, up to 1 for an open one: mitral and tricuspid open in diastole, the others in systole."""
    start, end = (SYSTOLE + 0.04, 0.97) if diastolic else (0.04, SYSTOLE - 0.02)
    inside = (phase - start) / (end - start)
    return float(np.sin(np.pi * inside) ** 0.5) if 0 < inside < 1 else 0.0


def _leaves(first: Point, second: Point, into: Point, opening: float, depth: float) -> tuple[Tube, Tube]:
    """Two leaflets between their hinges: closed they meet, open they point into the chamber ``into``."""
    a, b, way = np.array(first), np.array(second), np.array(into) / np.hypot(*into)
    middle, span = (a + b) / 2 + way * depth * 0.25, b - a
    tips = [middle + (0.02 + 0.30 * opening) * sign * span + way * depth * 0.9 * opening for sign in (-1.0, 1.0)]
    knees = [(hinge + tip) / 2 + way * depth * 0.18 for hinge, tip in zip((a, b), tips, strict=True)]
    return tuple(  # type: ignore[return-value]
        leaflet(_point(hinge), _point(knee), _point(tip)) for hinge, knee, tip in zip((a, b), knees, tips, strict=True)
    )


def _point(values: np.ndarray) -> Point:
    return float(values[0]), float(values[1])


def apical(build: Build, phase: float, *, aorta: bool) -> Anatomy:
    """Apical four chambers; with the aorta between the atria ("five chambers") where the aortic valve is looked at."""
    lv, rv = squeeze(build, phase) * build.left_ventricle, squeeze(build, phase) * build.right_ventricle
    la, ra, mitral = build.left_atrium, build.right_atrium, openness(phase, diastolic=True)
    shift = 6.0 if aorta else 0.0
    left = Ellipse((25, -42), (20 * lv, 44), 0.09)
    right = Ellipse((-23, -33), (16 * rv, 35), -0.13)
    atria = (
        Ellipse((24 + shift, 20), (20 * la, 20 * la)),
        Ellipse((-24 - 0.5 * shift, 18), (20 * ra, 19 * ra)),
    )
    muscle = Ellipse((2, -39), (45 + 8 * build.wall, 52 + 6 * build.wall), 0.02)
    leaflets = [
        *_leaves((6, 2), (43, -1), (0, -1), mitral, 19),
        *_leaves((-5, -4), (-41, -2), (0, -1), mitral, 18),
    ]
    cavities: list[Shape] = [left, right, *atria]
    thin: list[Shape] = list(atria)
    sites = {
        "MR": Site(orifice=(24, 0), towards=(0.05, 1), length=33 * la, width=20 * la),
        "TR": Site(orifice=(-23, -2), towards=(0.05, 1), length=31 * ra, width=18 * ra),
    }
    streams = [
        Stream(start=(24, 4), towards=(-0.05, -1), length=46, width=22, speed=0.8, diastolic=True),
        Stream(start=(-23, 2), towards=(0.05, -1), length=38, width=19, speed=0.6, diastolic=True),
        Stream(start=(16, -36), towards=(-0.3, 1), length=38, width=15, speed=0.9, diastolic=False),
        Stream(start=(22, 38), towards=(-0.05, -1), length=18, width=11, speed=0.4, diastolic=False),
        Stream(start=(-24, 38), towards=(0.1, -1), length=20, width=13, speed=0.35, diastolic=False),
    ]
    if aorta:
        root = Tube(((4, 2), (1, 30)), (8 * build.aorta, 9 * build.aorta))
        outflow = Tube(((5, -2), (16, -26)), (8, 9))
        cavities += [root, outflow]
        thin.append(root)
        leaflets += _leaves((-4, 4), (12, 2), (0, 1), openness(phase, diastolic=False), 7)
        sites["AR"] = Site(orifice=(5, 0), towards=(0.28, -1), length=34, width=16)
        streams.append(Stream(start=(5, -8), towards=(-0.1, 1), length=34, width=12, speed=0.9, diastolic=False))
    return Anatomy(
        cavities=tuple(cavities),
        muscle=(muscle,),
        thin_walls=tuple(thin),
        leaflets=tuple(leaflets),
        sites=sites,
        streams=tuple(streams),
    )


def long_axis(build: Build, phase: float) -> Anatomy:
    """Parasternal long axis: apex at the left, aorta and left atrium at the right, right ventricle in front."""
    lv, la, ao = squeeze(build, phase) * build.left_ventricle, build.left_atrium, build.aorta
    left = Ellipse((-37, 11), (40, 19 * lv), -0.16)
    right = Ellipse((-8, -33), (34, 9.5 * build.right_ventricle * (0.5 + 0.5 * squeeze(build, phase))), -0.22)
    outflow = Tube(((-14, -1), (4, -7)), (9, 10 * ao))
    root = Tube(((4, -7), (12, -11), (38, -19)), (10 * ao, 13 * ao, 12 * ao))
    atrium = Ellipse((25, 22), (20 * la, 15 * la), -0.10)
    descending = Ellipse((28, 51), (9, 9))
    muscle = (
        Ellipse((-36, 9), (46 + 4 * build.wall, 20 + 10 * build.wall), -0.16),
        Ellipse((-8, -33), (36, 13), -0.22),
    )
    leaflets = (
        *_leaves((3, 4), (1, 28), (-1, 0), openness(phase, diastolic=True), 17),
        *_leaves((2, -18 * ao), (7, 4), (1, -0.3), openness(phase, diastolic=False), 7),
    )
    return Anatomy(
        cavities=(left, right, outflow, root, atrium, descending),
        muscle=muscle,
        thin_walls=(root, atrium, descending),
        leaflets=leaflets,
        sites={
            "AR": Site(orifice=(4, -7), towards=(-1, 0.34), length=42, width=15),
            "MR": Site(orifice=(2, 16), towards=(1, 0.26), length=36 * la, width=19 * la),
        },
        streams=(
            Stream(start=(3, 16), towards=(-1, -0.12), length=40, width=19, speed=0.7, diastolic=True),
            Stream(start=(-24, 2), towards=(1, -0.32), length=56, width=16, speed=0.9, diastolic=False),
            Stream(start=(40, 26), towards=(-1, -0.2), length=22, width=12, speed=0.35, diastolic=False),
            Stream(start=(18, -38), towards=(-1, 0.2), length=40, width=10, speed=0.4, diastolic=True),
        ),
    )


def right_outflow(build: Build, phase: float) -> Anatomy:
    """Parasternal long axis, tilted to the RV outflow: pulmonary valve and artery in front, left ventricle behind."""
    squeezed, ao = squeeze(build, phase), build.aorta
    tract = Tube(((-46, -4), (-20, -15), (2, -18)), (14 * squeezed * build.right_ventricle, 13 * squeezed, 11))
    artery = Tube(((6, -18), (24, -14), (44, -2)), (11.5, 12, 11))
    left = Ellipse((-32, 30), (36, 17 * squeezed * build.left_ventricle), -0.14)
    root = Ellipse((14, 14), (14 * ao, 12 * ao), 0.2)
    atrium = Ellipse((32, 38), (18 * build.left_atrium, 12 * build.left_atrium))
    return Anatomy(
        cavities=(tract, artery, left, root, atrium),
        muscle=(Ellipse((-31, 28), (42 + 3 * build.wall, 18 + 9 * build.wall), -0.14), _around(tract, 4)),
        thin_walls=(artery, root, atrium),
        leaflets=_leaves((4, -30), (6, -6), (1, 0.1), openness(phase, diastolic=False), 8),
        sites={"PR": Site(orifice=(4, -18), towards=(-1, 0.12), length=36, width=15)},
        streams=(
            Stream(start=(-28, -12), towards=(1, -0.06), length=58, width=16, speed=0.8, diastolic=False),
            Stream(start=(-2, 26), towards=(-1, 0.15), length=36, width=16, speed=0.6, diastolic=True),
            Stream(start=(-40, -2), towards=(0.5, -0.4), length=22, width=14, speed=0.4, diastolic=True),
        ),
    )


def right_inflow(build: Build, phase: float) -> Anatomy:
    """Parasternal long axis, tilted down to the RV inflow: right ventricle in front, right atrium behind it."""
    squeezed, ra = squeeze(build, phase), build.right_atrium
    right = Ellipse((-24, -16), (32, 19 * squeezed * build.right_ventricle), 0.28)
    atrium = Ellipse((25, 18), (22 * ra, 17 * ra), 0.3)
    left = Ellipse((-44, 30), (24, 10 * squeezed * build.left_ventricle), 0.1)
    return Anatomy(
        cavities=(right, atrium, left),
        muscle=(
            Ellipse((-25, -16), (36, 19 + 5 * build.wall), 0.28),
            Ellipse((-44, 29), (29, 12 + 7 * build.wall), 0.1),
        ),
        thin_walls=(atrium,),
        leaflets=_leaves((14, -12), (-6, 16), (-1, -0.55), openness(phase, diastolic=True), 15),
        sites={"TR": Site(orifice=(5, 2), towards=(0.85, 0.52), length=36 * ra, width=19 * ra)},
        streams=(
            Stream(start=(10, 5), towards=(-0.85, -0.5), length=42, width=18, speed=0.65, diastolic=True),
            Stream(start=(40, 26), towards=(-0.9, -0.3), length=22, width=13, speed=0.35, diastolic=False),
            Stream(start=(-34, -18), towards=(-0.5, -0.5), length=20, width=13, speed=0.45, diastolic=False),
        ),
    )


def short_axis_aortic(build: Build, phase: float) -> Anatomy:
    """Parasternal short axis at the base: the aorta in the middle, the right heart wrapped around its front."""
    ao, la, ra = build.aorta, build.left_atrium, build.right_atrium
    wide = (0.5 + 0.5 * squeeze(build, phase)) * build.right_ventricle
    root = Ellipse((0, 0), (14 * ao, 13.5 * ao))
    right = Tube(((-31, 3), (-26, -16), (-10, -29), (10, -29), (24, -18)), (11 * wide, 11 * wide, 9.5, 9.5, 10))
    artery = Tube(((27, -14), (37, 6), (29, 22)), (9.5, 10.5, 8))
    branch = Tube(((36, 10), (44, 22)), (8, 6.5))
    atria = (Ellipse((9, 35), (19 * la, 14 * la), 0.05), Ellipse((-32, 30), (17 * ra, 16 * ra)))
    opening = openness(phase, diastolic=False)
    return Anatomy(
        cavities=(root, right, artery, branch, *atria),
        muscle=(_around(right, 4.5 * build.wall),),
        thin_walls=(root, artery, branch, *atria),
        leaflets=(
            *_cusps(13 * ao, opening),
            *_leaves((-43, 13), (-19, 15), (0, -1), openness(phase, diastolic=True), 12),
            *_leaves((17, -9), (33, -22), (0.6, 0.75), opening, 6),
        ),
        sites={
            "AR": Site(orifice=(-4, -6), towards=(0.45, 0.9), length=21 * ao, width=19 * ao),
            "PR": Site(orifice=(25, -16), towards=(-0.72, -0.6), length=32, width=15),
            "TR": Site(orifice=(-31, 13), towards=(0.06, 1), length=29 * ra, width=18 * ra),
        },
        streams=(
            Stream(start=(-12, -28), towards=(1, 0.12), length=32, width=13, speed=0.7, diastolic=False),
            Stream(start=(27, -15), towards=(0.4, 1), length=34, width=14, speed=0.95, diastolic=False),
            Stream(start=(-31, 18), towards=(0.05, -1), length=32, width=16, speed=0.65, diastolic=True),
            Stream(start=(-38, 42), towards=(0.25, -1), length=20, width=13, speed=0.4, diastolic=False),
            Stream(start=(20, 42), towards=(-1, -0.5), length=22, width=12, speed=0.35, diastolic=False),
        ),
    )


def short_axis_mitral(build: Build, phase: float) -> Anatomy:
    """Parasternal short axis at the mitral valve: the ring of the left ventricle, the valve as a fish mouth in it."""
    lv = squeeze(build, phase) * build.left_ventricle
    left = Ellipse((0, 0), (25 * lv, 24 * lv))
    right = Tube(((-40, 16), (-43, -10), (-26, -36), (0, -45)), (7, 10, 10, 6))
    opening = openness(phase, diastolic=True)
    half = 19 * lv
    lips = [
        leaflet(
            (-half, 0), (-half / 2, 2 + side * (2 + 8 * opening)), (half / 2, 2 + side * (2 + 8 * opening)), (half, 0)
        )
        for side in (-1, 1)
    ]
    return Anatomy(
        cavities=(left, right),
        muscle=(Ellipse((0, 1), (25 + 10 * build.wall, 24 + 10 * build.wall)), _around(right, 4)),
        thin_walls=(),
        leaflets=tuple(lips),
        sites={"MR": Site(orifice=(2, -5), towards=(0.15, 1), length=25, width=20)},
        streams=(
            Stream(start=(0, 12), towards=(0, -1), length=26, width=20, speed=0.7, diastolic=True),
            Stream(start=(-4, -20), towards=(0.2, 1), length=14, width=18, speed=0.6, diastolic=False),
            Stream(start=(-40, 4), towards=(0.4, -1), length=32, width=11, speed=0.4, diastolic=False),
        ),
    )


def _around(tube: Tube, thickness: float) -> Tube:
    return Tube(tube.points, tuple(radius + thickness for radius in tube.radii))


def _cusps(radius: float, opening: float) -> tuple[Tube, ...]:
    """Three aortic cusps from the front: a three-pointed star when closed, a triangle when open."""
    rim = [np.array([np.sin(angle), -np.cos(angle)]) * radius for angle in np.deg2rad([60.0, 180.0, 300.0])]
    if opening < 0.3:
        return tuple(leaflet((0.0, 0.0), _point(edge)) for edge in rim)
    ends = [edge * 0.85 for edge in rim]
    return tuple(
        leaflet(_point(one), _point((one + two) * (0.25 + 0.25 * opening)), _point(two))
        for one, two in zip(ends, [*ends[1:], ends[0]], strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class Plane:
    """A plane of a view.

    Attributes:
        draw: the anatomy of a build at a phase.
        origin: where its point (0, 0) lies before the probe, millimetres to the right and deep.
        depth: least and most depth of the picture in millimetres.
        valves: whose jets can be in it.
    """

    draw: Callable[[Build, float], Anatomy]
    origin: Point
    depth: Point
    valves: tuple[str, ...]


PLANES: dict[tuple[str, str], Plane] = {
    ("A4C", "MR"): Plane(
        draw=lambda build, phase: apical(build, phase, aorta=False),
        origin=(0, 95),
        depth=(136, 164),
        valves=("MR", "TR"),
    ),
    ("A4C", "AR"): Plane(
        draw=lambda build, phase: apical(build, phase, aorta=True),
        origin=(0, 95),
        depth=(136, 164),
        valves=("AR", "MR", "TR"),
    ),
    ("PLAX", "AR"): Plane(draw=long_axis, origin=(10, 60), depth=(108, 138), valves=("AR", "MR")),
    ("PLAX", "PR"): Plane(draw=right_outflow, origin=(6, 50), depth=(98, 124), valves=("PR",)),
    ("PLAX", "TR"): Plane(draw=right_inflow, origin=(2, 48), depth=(92, 118), valves=("TR",)),
    ("PSAX", "AR"): Plane(draw=short_axis_aortic, origin=(0, 56), depth=(98, 124), valves=("AR", "PR", "TR")),
    ("PSAX", "MR"): Plane(draw=short_axis_mitral, origin=(8, 66), depth=(108, 134), valves=("MR",)),
}
"""(view, valve looked at) -> plane."""
PLANES[("A4C", "TR")] = PLANES[("A4C", "MR")]
PLANES[("PLAX", "MR")] = PLANES[("PLAX", "AR")]
PLANES[("PSAX", "PR")] = PLANES[("PSAX", "TR")] = PLANES[("PSAX", "AR")]
