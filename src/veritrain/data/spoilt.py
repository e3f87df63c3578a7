"""Labels spoilt on purpose: the ways that sets of frames and of images both know, and where new ones are drawn from."""

from __future__ import annotations

import os
from typing import Literal

import numpy as np

Labels = Literal["given", "permuted", "redrawn"]
"""given: as they are; permuted: whole groups exchange theirs, a control; redrawn: new random ones at every read, the
fault of report 001, kept to be caught."""


class Redraw:
    """Random numbers that nobody can repeat, each process its own.

    A forked worker that kept its parent's generator would draw what its parent and its brothers draw.
    """

    def __init__(self) -> None:
        self._random, self._process = np.random.default_rng(), os.getpid()

    def generator(self) -> np.random.Generator:
        """The generator of this process, seeded by the operating system."""
        if self._process != os.getpid():
            self._random, self._process = np.random.default_rng(), os.getpid()
        return self._random
