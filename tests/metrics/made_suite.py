"""A made set of detections of four classes, two of them novel, in scenes of two images."""

from __future__ import annotations

import numpy as np

from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection_suite import DetectionProtocol, DetectionSuite
from veritrain.metrics.vocabulary import Vocabulary

NAMES = Vocabulary(("ship", "dam", "airport", "vehicle"), ("dam", "vehicle"))


def suite(seed: int = 0, scenes: int = 24, know: float = 0.6) -> DetectionSuite:
    """Two images a scene; a share ``know`` of the objects is found, beside false alarms."""
    rng = np.random.default_rng(seed)
    n = 2 * scenes
    images = np.repeat(np.arange(n), rng.integers(1, 5, n))
    corner = rng.uniform(0, 600, (len(images), 2))
    truths = Truths(images, np.c_[corner, corner + rng.uniform(10, 150, corner.shape)], rng.integers(0, 4, len(images)))
    found = np.flatnonzero(rng.random(len(images)) < know)
    false = rng.integers(0, n, n)
    detections = Detections(
        np.r_[images[found], false],
        np.r_[truths.boxes[found] + rng.normal(0, 3, (len(found), 4)), np.tile([700.0, 700, 790, 790], (n, 1))],
        np.r_[rng.uniform(0.3, 1, len(found)), rng.uniform(0, 0.7, n)],
        np.r_[truths.classes[found], rng.integers(0, 4, n)],
    )
    return DetectionSuite(detections, truths, n, NAMES, groups=np.arange(n) // 2, protocol=DetectionProtocol())
