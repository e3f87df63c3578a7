"""How fast samples are read: from memory and from the cache on disk, without and with workers, small and full size.

Run ``python bench/loading.py``; prints a Markdown table. Made data in a temporary folder: 96 x 144 pixels with about
11,500 returns a frame, and AnoVox's own 512 x 768 with about 93,000. One round is one epoch of ``EpochLoader`` in
batches of 4, as training reads it (whole batches, images float32); rounds of all ways take turns, the first of each is
not counted (it fills memory, starts the workers, and brings the files into the page cache). One thread per process.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from veritrain.data.frame_cache import CachedFrames, open_anovox
from veritrain.data.frames import FrameSet, arrays_of
from veritrain.data.held import StoredFrames, bytes_of, bytes_of_arrays
from veritrain.data.loader import EpochLoader
from veritrain.data.options import Augment, Hold
from veritrain.data.paired_view import ViewOptions
from veritrain.worlds.driving import DrivingWorld
from veritrain.worlds.options import DrivingOptions

BATCH = 4
REPEATED = 4
"""Each frame stands so often in an epoch: few frames are made quickly, and an epoch is long enough to time."""

SIZES = {
    "96x144": DrivingOptions(scenarios=2, frames=12, height=96, width=144, seed=7, broken=0),
    "512x768": DrivingOptions(scenarios=2, frames=4, height=512, width=768, seed=7, broken=0, density="official"),
}
WAYS: dict[str, tuple[Hold, Augment, int]] = {
    "memory, 0 workers": ("memory", "flip", 0),
    "disk, 0 workers": ("disk", "flip", 0),
    "disk, 2 workers": ("disk", "flip", 2),
    "disk, 0 workers, augment full": ("disk", "full", 0),
    "disk, 2 workers, augment full": ("disk", "full", 2),
}


class Reader:
    """One way of reading, kept over rounds."""

    def __init__(self, source: CachedFrames, hold: Hold, augment: Augment, workers: int) -> None:
        data = FrameSet(StoredFrames(source, source.keys() * REPEATED), ViewOptions(), hold=hold, augment=augment)
        if hold == "memory":
            for index in range(len(data)):
                for epoch in range(8):  # both sides of (nearly) every frame
                    data.sample(index, epoch=epoch, seed=0)
        self.loader, self.epoch = EpochLoader(data, batch_size=BATCH, seed=0, workers=workers), 0

    def round(self) -> float:
        """Samples per second of one epoch."""
        self.epoch += 1
        began, samples = time.perf_counter(), 0
        for batch in self.loader.epoch(self.epoch):
            samples += len(batch["index"])
        return samples / (time.perf_counter() - began)


def best_ms(call: Callable[[], object], repeats: int = 7) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times) * 1000


def measure(size: str, rounds: int, folder: Path) -> None:
    DrivingWorld(SIZES[size]).write(folder / size)
    source = open_anovox(folder / size, cache=folder / f"cache-{size}")
    key = source.keys()[0]
    frame = source.read(key)
    arrays = arrays_of(frame, ViewOptions())
    readers = {name: Reader(source, *way) for name, way in WAYS.items()}
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(rounds + 1):
        for name, reader in readers.items():
            rate = reader.round()
            if turn:
                rates[name].append(rate)
    for reader in readers.values():
        reader.loader.close()
    base = statistics.median(rates["disk, 0 workers"])
    print(
        f"\n{size}: {len(frame.points):,} returns a frame, {bytes_of(frame) / 1e6:.2f} MB decoded, "
        f"{bytes_of_arrays(arrays) / 1e6:.2f} MB of arrays; "
        f"reading an entry {best_ms(lambda: source.read(key)):.2f} ms, "
        f"its arrays {best_ms(lambda: arrays_of(frame, ViewOptions())):.2f} ms\n"
    )
    print("| frames held | samples/s, median (min-max) | against disk, 0 workers |")
    print("|---|---|---|")
    for name, found in rates.items():
        median = statistics.median(found)
        print(f"| {name} | {median:.0f} ({min(found):.0f}-{max(found):.0f}) | {median / base:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"batch {BATCH}, {given.rounds} rounds in turns, 1 thread a process, made data")
    with tempfile.TemporaryDirectory() as folder:
        for size in given.sizes:
            measure(size, given.rounds, Path(folder))


if __name__ == "__main__":
    main()
