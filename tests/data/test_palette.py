"""Colours against the palettes of CARLA and AnoVox, and against the world's own table."""

from __future__ import annotations

import numpy as np

from veritrain.data.anovox_labels import NAMES, labels_from_ids
from veritrain.data.palette import (
    COLOURS,
    REPRESENTATIVE,
    SHARED_COLOUR,
    SHARED_IDS,
    UNKNOWN_COLOUR,
    ids_from_colours,
    ids_from_packed,
    packed,
    without_distinction,
)
from veritrain.worlds.anovox_2023 import PALETTE


def test_every_official_id_has_a_colour_that_leads_back_to_it():
    assert set(PALETTE) == set(NAMES)
    for number, colour in PALETTE.items():
        found = int(ids_from_colours(np.array(colour, np.uint8)))
        assert found == (REPRESENTATIVE if number in SHARED_IDS else number), (number, colour)


def test_a_shared_colour_is_anomalous_whichever_id_it_meant():
    assert (labels_from_ids(np.array(SHARED_IDS)) == 1).all()
    assert {number for number, colour in PALETTE.items() if colour == SHARED_COLOUR} == set(SHARED_IDS)
    assert labels_from_ids(ids_from_colours(np.array([SHARED_COLOUR], np.uint8))).tolist() == [1]


def test_well_known_colours():
    colours = np.array([[128, 64, 128], [0, 0, 142], [245, 30, 0], [250, 128, 114], [70, 130, 180]], np.uint8)
    assert ids_from_colours(colours).tolist() == [1, 14, 30, 29, 11]


def test_a_colour_of_no_palette_is_unknown_never_normal():
    every = np.array([[red, 3, 9] for red in range(256)], np.uint8)
    assert set(ids_from_colours(every)) == {UNKNOWN_COLOUR}
    assert set(labels_from_ids(ids_from_colours(every))) == {-1}


def test_no_two_ids_claim_one_colour_and_packing_keeps_the_order():
    assert len(COLOURS) == 29 + 6 + 1 + 4 + 7 + 1
    colour = np.array([[1, 2, 3]], np.uint8)
    assert packed(colour).tolist() == [0x010203]
    assert ids_from_packed(np.array([0xFF804080, 0x00804080], np.uint32)).tolist() == [1, 1]


def test_ids_as_colours_leave_them():
    ids = np.array([1, 29, 33, 34, 100, 30, -1])
    assert without_distinction(ids).tolist() == [1, 29, 29, 29, 29, 30, -1]
