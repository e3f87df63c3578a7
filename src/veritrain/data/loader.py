"""Batches whose order is a pure function of (seed, epoch), started anywhere in an epoch without replay."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader

from veritrain.errors import DataError, SplitError, VeritrainError

Batch = Mapping[str, Any]


class Samples(Protocol):
    """What the loader reads: see ``tasks.task.Dataset``."""

    def __len__(self) -> int: ...

    def sample(self, index: int, *, epoch: int, seed: int) -> Batch: ...

    def collate(self, samples: Sequence[Batch]) -> Batch: ...


def epoch_batches(
    samples: int, *, batch_size: int, seed: int, epoch: int, world: int = 1, rank: int = 0, drop_remainder: bool = True
) -> list[list[int]]:
    """The sample indices of each batch of one epoch on one rank.

    Ranks share one permutation: global batch k is cut into ``world`` equal, disjoint parts. The remainder is
    dropped, or trimmed to a multiple of ``world``; an epoch smaller than one batch is one batch.
    """
    order = np.random.default_rng((seed, epoch)).permutation(samples)
    whole = batch_size * world
    cuts = [order[start : start + whole] for start in range(0, samples, whole)]
    if cuts and len(cuts[-1]) < whole:
        last = cuts.pop()
        if not (drop_remainder and cuts) and len(last) >= world:
            cuts.append(last[: len(last) // world * world])
    return [cut[rank::world].tolist() for cut in cuts]


class EpochLoader:
    """Reads a data set in epochs.

    Args:
        samples: the data set; its randomness is a function of (seed, epoch, index).
        batch_size: samples per batch and rank.
        seed: of the order, and handed to ``samples.sample``.
        workers: reading processes, kept over epochs; 0 reads in this process.
        timeout: seconds to wait for workers; 0 waits for ever.
        world, rank: of the processes that share an epoch.
        pin: page-locked memory, for copies to a GPU that do not hold up this process.
        prefetch: batches that each worker reads ahead.
        packed: give batches as the data set's ``pack`` makes them, for a caller that applies ``unpack`` itself
            (after the copy to a device). Without it, or without a ``pack``, batches are whole.

    Attributes:
        unpack: makes a packed batch whole.

    Raises:
        SplitError: fewer samples than ranks.
    """

    def __init__(
        self,
        samples: Samples,
        *,
        batch_size: int,
        seed: int,
        workers: int = 0,
        timeout: float = 0.0,
        drop_remainder: bool = True,
        world: int = 1,
        rank: int = 0,
        pin: bool = False,
        prefetch: int = 2,
        packed: bool = False,
    ) -> None:
        if len(samples) < world:
            raise SplitError(
                "the training split has too few samples",
                expected=f"at least {world}",
                found=str(len(samples)),
                fix="check the split, or train with fewer processes",
            )
        self._plan = _Plan(len(samples), batch_size, seed, world, rank, drop_remainder)
        self._workers, self._packed = workers, packed
        self.unpack: Callable[[Batch], Batch] = getattr(samples, "unpack", _as_is)
        # A generator of its own: without it each iterator would draw its base seed from the global one.
        self._loader: DataLoader[Any] = DataLoader(
            _Fetch(samples, seed),  # type: ignore[arg-type]
            batch_sampler=self._plan,
            collate_fn=_as_is,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=_leave_signals_to_the_parent if workers else None,
            generator=torch.Generator(),
            timeout=timeout if workers else 0,
            pin_memory=pin,
            prefetch_factor=prefetch if workers else None,
        )
        self._running: Any = None

    def batches(self) -> int:
        """Batches of one epoch on each rank; the same in every epoch."""
        return len(self._plan)

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from number ``start`` on; earlier ones are not read.

        Raises:
            VeritrainError: a sample could not be read. Wrap the use in :func:`workers_explained`, which also
                explains a worker that died.
        """
        self._plan.epoch, self._plan.start = epoch, start
        self._running = iter(self._loader)
        for batch in self._running:
            if isinstance(batch, _Failed):
                raise batch.error
            yield batch if self._packed else self.unpack(batch)

    def close(self) -> None:
        """End the workers now, so that they outlive neither an error nor a signal."""
        running, self._running = self._running, None
        if self._workers and running is not None:
            processes = list(running._workers)
            running._shutdown_workers()
            for process in processes:
                process.kill()


class _Plan:
    """The batch sampler: (epoch, indices) of the batches to come."""

    def __init__(self, samples: int, batch_size: int, seed: int, world: int, rank: int, drop_remainder: bool) -> None:
        self.epoch, self.start = 1, 0
        self._samples = samples
        self._options: dict[str, Any] = {
            "batch_size": batch_size,
            "seed": seed,
            "world": world,
            "rank": rank,
            "drop_remainder": drop_remainder,
        }
        self._count = len(epoch_batches(samples, epoch=0, **self._options))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch = self.epoch
        for batch in epoch_batches(self._samples, epoch=epoch, **self._options)[self.start :]:
            yield [(epoch, index) for index in batch]


class _Failed:
    """An error of ours on its way from a worker, with the fields that torch's own carrier would lose."""

    def __init__(self, error: VeritrainError) -> None:
        self.error = error


class _Fetch:
    """The data set as torch's loader wants it: asked for (epoch, index) pairs, a batch at a time."""

    def __init__(self, samples: Samples, seed: int) -> None:
        self._samples, self._seed = samples, seed

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, place: tuple[int, int]) -> Batch:
        epoch, index = place
        try:
            return self._samples.sample(index, epoch=epoch, seed=self._seed)
        except Exception as error:
            error.add_note(f"while reading sample {index} in epoch {epoch}")
            raise

    def __getitems__(self, places: list[tuple[int, int]]) -> Batch | _Failed:
        try:
            pack = getattr(self._samples, "pack", self._samples.collate)
            batch = dict(pack([self[place] for place in places]))
        except VeritrainError as error:
            return _Failed(error)
        if "index" not in batch:
            batch["index"] = torch.tensor([index for _, index in places], dtype=torch.int64)
        return batch


def _as_is(batch: Any) -> Any:
    return batch


def _leave_signals_to_the_parent(_: int) -> None:
    """Ctrl-C and schedulers signal the whole process group; the parent finishes its step, then ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextmanager
def workers_explained() -> Iterator[None]:
    """Turn torch's words for a worker that died or hung into a DataError that says what to do.

    Around everything that uses the batches: torch tells of a dead worker from a signal handler, wherever the
    training process happens to be.
    """
    try:
        yield
    except RuntimeError as error:
        explained = _explained(str(error))
        if explained is None:
            raise
        raise explained from error


def _explained(text: str) -> DataError | None:
    if "DataLoader timed out" in text:
        fix = "look at the storage and at what a sample waits for, or raise worker_timeout"
        return DataError("a worker gave no batch in time", found=text, fix=fix)
    if "DataLoader worker" in text and ("exited unexpectedly" in text or "is killed by signal" in text):
        fix = f"look for an out-of-memory kill (of a child of {os.getpid()}), or lower workers or batch_size"
        return DataError("a worker died", found=text.splitlines()[0].strip(), fix=fix)
    return None
