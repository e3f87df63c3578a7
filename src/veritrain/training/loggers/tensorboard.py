"""TensorBoard: event files in ``RUN/loggers/tensorboard``."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch.utils.tensorboard import SummaryWriter

from veritrain.record import RunFolder
from veritrain.training.loggers.logger import Number

EVENT_FILES = "events.out.tfevents.*"


class TensorBoardStore:
    """Scalars for ``tensorboard --logdir RUN/loggers/tensorboard``.

    Its files hold nothing that the record does not: on resume they are written anew from it, so that no step is there
    twice and a step that was trained again has its newer value.
    """

    def __init__(self, folder: RunFolder, *, resume: bool) -> None:
        place = folder.loggers / "tensorboard"
        place.mkdir(parents=True, exist_ok=True)
        for old in place.glob(EVENT_FILES):
            old.unlink()
        self._writer = SummaryWriter(log_dir=str(place), flush_secs=5)

    def already(self, names: Collection[str]) -> set[tuple[str, int]]:
        return set()

    def write(self, numbers: Sequence[Number]) -> None:
        for number in numbers:
            self._writer.add_scalar(number.name, number.value, global_step=number.step, walltime=number.at)

    def close(self, *, finished: bool) -> None:
        self._writer.close()
