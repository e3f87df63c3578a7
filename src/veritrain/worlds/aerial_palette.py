"""Colours of the aerial world: one set that is trained and tested on, one that nobody tunes on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from veritrain.worlds.aerial_sketch import Colour

Colours = tuple[Colour, ...]


@dataclass(frozen=True, kw_only=True)
class Palette:
    """What things are painted with.

    Attributes:
        held_out: whether things have the looks, too, that nobody tunes on.
        grass, crops, wood, sand, sea, river: of the ground.
        asphalt, concrete, soil, wall, roof, hall: of what people build.
        cars, hulls, decks, planes, tails: of what moves.
        courts: (surround, court) of tennis courts. wooden: (court, key) of basketball courts.
        clay: of baseball infields. tracks: of running tracks. turf: of pitches and fairways.
        seats, domes: of stadiums. tanks: of storage tanks. bands: of chimneys.
        canopies: of roofs over toll lanes and pumps.
    """

    held_out: bool
    grass: Colours
    crops: Colours
    wood: Colours
    sand: Colours
    sea: Colours
    river: Colours
    asphalt: Colours
    concrete: Colours
    soil: Colours
    wall: Colours
    roof: Colours
    hall: Colours
    cars: Colours
    hulls: Colours
    decks: Colours
    planes: Colours
    tails: Colours
    courts: tuple[tuple[Colour, Colour], ...]
    wooden: tuple[tuple[Colour, Colour], ...]
    clay: Colours
    tracks: Colours
    turf: Colours
    seats: Colours
    domes: Colours
    tanks: Colours
    canopies: Colours
    bands: Colours


STANDARD = Palette(
    held_out=False,
    grass=((104, 124, 72), (120, 134, 82), (92, 116, 66), (132, 138, 92)),
    crops=(
        (126, 138, 78),
        (168, 158, 102),
        (94, 122, 64),
        (150, 128, 92),
        (112, 104, 72),
        (140, 150, 96),
        (86, 104, 58),
    ),
    wood=((54, 78, 46), (62, 86, 50), (48, 70, 48)),
    sand=((196, 178, 140), (184, 164, 126), (204, 190, 156)),
    sea=((38, 74, 96), (46, 92, 108), (32, 62, 84), (60, 98, 104)),
    river=((78, 96, 84), (66, 92, 98), (92, 104, 88), (58, 80, 92)),
    asphalt=((92, 92, 94), (104, 103, 101), (82, 82, 86)),
    concrete=((164, 162, 156), (176, 172, 164), (152, 150, 146)),
    soil=((150, 128, 98), (138, 116, 88), (164, 142, 112)),
    wall=((150, 146, 138), (128, 122, 116), (168, 160, 148)),
    roof=((148, 92, 74), (128, 116, 108), (104, 98, 96), (164, 112, 88), (142, 138, 134), (94, 104, 116)),
    hall=((176, 180, 184), (120, 140, 164), (156, 152, 146), (196, 192, 186), (118, 128, 132)),
    cars=(
        (232, 232, 234),
        (196, 198, 202),
        (48, 50, 54),
        (168, 44, 40),
        (52, 78, 132),
        (128, 130, 134),
        (226, 226, 222),
    ),
    hulls=((236, 236, 234), (104, 112, 118), (150, 52, 44), (40, 46, 58), (216, 218, 220), (70, 92, 112)),
    decks=((206, 196, 172), (176, 104, 74), (150, 156, 160), (224, 222, 214), (112, 134, 116)),
    planes=((236, 238, 240), (222, 226, 230), (206, 210, 216), (240, 236, 228)),
    tails=((40, 70, 140), (176, 44, 44), (56, 120, 84), (206, 138, 42), (90, 94, 104)),
    courts=(
        ((76, 122, 84), (52, 90, 142)),
        ((88, 132, 88), (62, 108, 72)),
        ((70, 108, 150), (46, 80, 128)),
        ((78, 122, 84), (176, 96, 66)),
    ),
    wooden=(
        ((182, 92, 68), (72, 112, 150)),
        ((196, 142, 88), (156, 64, 54)),
        ((150, 84, 76), (84, 128, 92)),
        ((198, 168, 116), (172, 92, 60)),
    ),
    clay=((176, 126, 86), (190, 144, 104), (166, 112, 78)),
    tracks=((172, 84, 66), (186, 102, 80), (158, 74, 64)),
    turf=((84, 136, 68), (96, 146, 76), (76, 124, 66)),
    seats=((70, 98, 156), (166, 66, 58), (196, 186, 150), (124, 128, 134)),
    domes=((226, 228, 230), (206, 210, 214), (190, 194, 198)),
    tanks=((236, 236, 232), (222, 222, 216), (204, 208, 208), (212, 206, 190)),
    canopies=((58, 104, 164), (176, 60, 52), (222, 224, 224), (64, 132, 104)),
    bands=((190, 64, 52), (206, 78, 60)),
)

HELD_OUT = Palette(
    held_out=True,
    grass=((150, 140, 88), (140, 122, 80), (162, 150, 104)),
    crops=((186, 150, 96), (164, 108, 78), (196, 178, 126), (134, 104, 76), (148, 138, 92)),
    wood=((104, 92, 48), (126, 88, 50), (84, 86, 56)),
    sand=((198, 148, 112), (184, 132, 98), (206, 160, 126)),
    sea=((42, 112, 112), (30, 96, 104), (70, 124, 118)),
    river=((126, 116, 84), (112, 104, 78), (98, 112, 96)),
    asphalt=((118, 112, 108), (74, 74, 80), (128, 122, 116)),
    concrete=((188, 180, 168), (144, 142, 140), (196, 190, 180)),
    soil=((170, 116, 86), (152, 104, 80), (180, 132, 104)),
    wall=((170, 150, 128), (140, 130, 126), (186, 170, 150)),
    roof=((92, 110, 96), (176, 146, 112), (80, 84, 98), (186, 176, 160), (132, 78, 68)),
    hall=((150, 164, 150), (188, 170, 148), (96, 112, 136), (206, 204, 198)),
    cars=((222, 196, 92), (236, 236, 236), (84, 124, 96), (70, 66, 64), (204, 110, 62), (150, 164, 184)),
    hulls=((58, 84, 124), (196, 132, 66), (232, 230, 220), (84, 74, 72), (120, 132, 112)),
    decks=((188, 180, 166), (104, 140, 150), (216, 206, 182), (158, 122, 100)),
    planes=((168, 176, 184), (196, 198, 196), (226, 226, 222), (150, 160, 152)),
    tails=((120, 60, 128), (44, 132, 148), (226, 190, 70), (70, 74, 82)),
    courts=(
        ((164, 92, 72), (132, 62, 60)),
        ((120, 96, 150), (84, 64, 120)),
        ((98, 126, 110), (150, 146, 136)),
    ),
    wooden=(
        ((74, 108, 156), (196, 186, 150)),
        ((98, 132, 106), (186, 108, 74)),
        ((132, 134, 138), (74, 86, 116)),
    ),
    clay=((188, 112, 84), (152, 120, 96)),
    tracks=((78, 104, 152), (112, 128, 106), (196, 138, 96)),
    turf=((112, 140, 74), (126, 148, 92), (96, 124, 84)),
    seats=((216, 176, 74), (96, 140, 110), (140, 74, 96)),
    domes=((176, 160, 142), (150, 164, 176), (214, 204, 188)),
    tanks=((176, 186, 178), (206, 186, 156), (190, 196, 204)),
    canopies=((212, 156, 62), (128, 74, 112), (86, 92, 100)),
    bands=((60, 84, 140), (196, 120, 60)),
)

PALETTES = {"standard": STANDARD, "held_out": HELD_OUT}


def pick(colours: Colours, rng: np.random.Generator, spread: float = 6.0) -> Colour:
    """One of the colours, a little lighter or darker and a little of another hue."""
    base = np.array(colours[int(rng.integers(len(colours)))], float)
    red, green, blue = np.clip(base + rng.normal(0, spread) + rng.normal(0, spread / 3, 3), 0, 255)
    return int(red), int(green), int(blue)


def lighter(colour: Colour, factor: float) -> Colour:
    """The colour with its light multiplied; below 1 it is darker."""
    red, green, blue = (min(int(part * factor), 255) for part in colour)
    return red, green, blue
