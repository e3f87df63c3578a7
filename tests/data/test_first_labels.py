"""What one class an image leaves out of images with boxes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from veritrain.data.dior import DiorFormat
from veritrain.data.first_labels import first_labels

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "dior"


def test_by_hand():
    images = [[0, 1, 1], [2], [], [2, 2, 0], [0, 0]]
    found = first_labels([np.array(one, np.int64) for one in images], 4)
    assert (found.images, found.empty, found.several, found.not_most_frequent) == (4, 1, 2, 1)
    assert found.majority == 0.5 and found.entropy == pytest.approx(math.log(2))
    assert found.never_first == (1, 3)


def test_a_constant_answer_costs_the_entropy():
    """The least cross-entropy of one distribution for all images is the entropy of the first labels."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 5, 3) for _ in range(200)]
    counts = np.bincount([one[0] for one in images], minlength=5)
    best = -(counts / 200 * np.log(counts / 200)).sum()
    assert first_labels(images, 5).entropy == pytest.approx(best)


def test_nothing_at_all():
    found = first_labels([], 2)
    assert found.entropy is None and found.majority is None and found.never_first == (0, 1)
    assert first_labels([np.array([1])], 2).entropy == 0.0


@pytest.mark.skipif(not REAL.is_dir(), reason="the real DIOR annotations (../shared/data) are not here")
def test_of_real_annotations():
    source = DiorFormat(REAL, workers=1)
    keys = source.keys()
    found = first_labels([source.labels(key).classes for key in keys], 20)
    sets = [set(source.labels(key).classes.tolist()) for key in keys]
    assert found.several == sum(len(one) > 1 for one in sets) > 0.3 * len(keys)
    assert 0 < found.not_most_frequent <= found.several and 0 < found.entropy < math.log(20)
