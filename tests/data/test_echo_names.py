"""Patient, video and frame from a file name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.data.echo_names import NOBODY, origin_of

word = st.text(alphabet="abcXYZ019_=+", min_size=1, max_size=12)


@given(patient=word, series=st.text(alphabet="abc_0-+.", min_size=1, max_size=9), frame=st.integers(0, 9999))
def test_the_patient_ends_at_the_first_dash(patient, series, frame):
    found = origin_of(f"{patient}-{series}.mp4-{frame}")
    assert (found.patient, found.video, found.frame) == (patient, f"{patient}/{series}", frame)


def test_a_copys_number_is_no_frame():
    found = origin_of("p7-unnamed_1_1.mp4-12(1)")
    assert (found.patient, found.video, found.frame) == ("p7", "p7/unnamed_1_1", 12)


@pytest.mark.parametrize("stem", ["000000000110", "p7-unnamed", "p7-unnamed_1_1.mp4", "-x.mp4-3", "p7-x.mp4-three", ""])
def test_other_names_say_nobody(stem):
    assert origin_of(stem) == NOBODY


def test_a_pattern_of_ones_own():
    pattern = re.compile(r"(?P<patient>\w+?)_(?P<video>\d+)_(?P<frame>\d+)")
    assert (origin_of("ann_2_7", pattern).video, origin_of("ann_2_7", pattern).frame) == ("ann/2", 7)
    alone = origin_of("ann", re.compile(r"(?P<patient>\w+)"))
    assert (alone.patient, alone.video, alone.frame) == ("ann", None, -1)
