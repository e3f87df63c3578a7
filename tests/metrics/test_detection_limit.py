"""What a limit of detections leaves out."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.errors import UsageError
from veritrain.metrics.detection_limit import out_of_reach


def test_objects_beyond_the_limit_are_counted_by_pair_and_class():
    counts = np.array([[5, 0], [3, 7], [0, 2]])
    found = out_of_reach(counts, 3)
    assert (found.pairs, found.unreachable, found.objects, found.most) == (2, 6, 17, 7)
    assert found.per_class == (2, 4) and found.share == pytest.approx(6 / 17)
    assert out_of_reach(counts, 7).unreachable == 0 and found.as_json()["limit"] == 3


def test_without_objects_the_share_is_undefined():
    found = out_of_reach(np.zeros((0, 2), int), 100)
    assert found.share is None and (found.unreachable, found.most) == (0, 0)


def test_no_limit_and_no_counts_are_refused():
    for counts, limit in ((np.zeros((1, 2), int), 0), (np.zeros(3, int), 5)):
        with pytest.raises(UsageError):
            out_of_reach(counts, limit)
