from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from veritrain.report.label_places import RING, Box, LabelPlaces

ROOM = Box(66, 6, 460, 256)
INSIDE = st.tuples(st.floats(75, 440), st.floats(20, 250))


def test_a_free_label_stands_at_the_upper_side_with_more_room():
    left, right = LabelPlaces(ROOM, [], []).place((100, 100), 60, 1), LabelPlaces(ROOM, [], []).place((400, 100), 60, 1)
    assert (left.x, left.y, left.anchor) == (109, 93, "start") and (right.x, right.anchor) == (391, "end")


def test_two_labels_of_one_height_stand_apart():
    marks = [(168.0, 250.0), (342.0, 250.0)]
    places = LabelPlaces(ROOM, [], marks)
    first, second = places.place(marks[0], 128, 1).box(128, 1), places.place(marks[1], 32, 1).box(32, 1)
    assert not first.meets(second)


@given(INSIDE, INSIDE, st.floats(20, 140), st.integers(1, 2))
def test_labels_never_overlap_and_stay_inside(one, other, width, lines):
    places = LabelPlaces(ROOM, [], [one, other])
    first, second = (places.place(mark, width, lines).box(width, lines) for mark in (one, other))
    assert not first.meets(second)
    for box in (first, second):
        assert box.left >= ROOM.left and box.right <= ROOM.right and box.top >= ROOM.top and box.bottom <= ROOM.bottom


def test_a_label_keeps_off_the_line_that_its_mark_is_on():
    rising = [(66.0, 250.0), (460.0, 10.0)]
    for at in (0.2, 0.5, 0.8):
        mark = (66 + 394 * at, 250 - 240 * at)
        box = LabelPlaces(ROOM, [rising], [mark]).place(mark, 100, 1).box(100, 1)
        spots = ((66 + 394 * i / 1000, 250 - 240 * i / 1000) for i in range(1001))
        assert not any(box.holds(x, y) for x, y in spots)
        assert max(box.left - mark[0], mark[0] - box.right, box.top - mark[1], mark[1] - box.bottom) < 4 * RING
