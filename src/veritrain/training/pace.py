"""How fast an epoch went, and how much of it was waiting for data."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Pace:
    """Times the loop body and the waits between its turns; two clock readings and two additions a step."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        """Seconds waited for each step's batches."""

        self.works: list[float] = []
        """Seconds of each step after its batches were there."""

    def watch(self, source: Iterable[T]) -> Iterator[T]:
        """What ``source`` gives, timed: inside ``source`` is waiting, between two items is work."""
        asked = time.perf_counter()
        for item in source:
            came = time.perf_counter()
            self.waits.append(came - asked)
            try:
                yield item
            finally:
                asked = time.perf_counter()
                self.works.append(asked - came)

    def numbers(self, samples: int) -> dict[str, Any] | None:
        """The fields of a ``throughput`` event; None where no step was made.

        Args:
            samples: of all steps, over all ranks.

        The first wait holds the start of the workers; it counts in the share like any other and stands beside it.
        """
        seconds = sum(self.waits) + sum(self.works)
        if not self.works or seconds <= 0:
            return None
        steps = [wait + work for wait, work in zip(self.waits, self.works, strict=False)]
        return {
            "samples": samples,
            "seconds": round(seconds, 6),
            "samples_per_s": round(samples / seconds, 6),
            "data_wait_s": round(sum(self.waits), 6),
            "data_wait_share": round(sum(self.waits) / seconds, 6),
            "first_wait_s": round(self.waits[0], 6),
            "step_s_median": round(statistics.median(steps), 6),
        }
