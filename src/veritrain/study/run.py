"""Make the cells of a study, each by ``veritrain train`` in a process of its own; what is finished stays as it is."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veritrain.errors import (
    ConfigError,
    DataError,
    Interrupted,
    RecordError,
    RunInUseError,
    StorageError,
    UsageError,
    VeritrainError,
)
from veritrain.record import write_text
from veritrain.study.ledger import (
    FAILED,
    INTERRUPTED,
    Ledger,
    demand_metrics,
    entry_of_folder,
    value_of,
)
from veritrain.study.plan import Cell, Study, metric_of, told, words_of
from veritrain.training.signals import Signals

VERITRAIN = (sys.executable, "-m", "veritrain")
PAUSE_SECONDS = 0.1
"""Between looks at the processes."""
BUSY_SECONDS = 2.0
"""Until a cell that another process holds is tried again."""
PATIENCE_SECONDS = 60.0
"""A process that was asked to end is killed after this long."""
ERROR_LINES = 8
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class Workers:
    """How cells are made, not what they are.

    Attributes:
        threads: of each process. processes: at a time.
        command: what stands before ``train`` and ``data make``.
    """

    threads: int = 1
    processes: int = 1
    command: tuple[str, ...] = VERITRAIN

    @staticmethod
    def of(study: Study, threads: int | None = None, processes: int | None = None) -> Workers:
        """As the study file says, unless told otherwise; 0 processes is one for every ``threads`` processors."""
        threads = study.file.threads if threads is None else threads
        processes = study.file.processes if processes is None else processes
        if threads < 1 or processes < 0:
            raise UsageError("no workers", expected="threads >= 1, processes >= 0", found=f"{threads}, {processes}")
        return Workers(threads=threads, processes=processes or max(1, (os.cpu_count() or 1) // threads))


@dataclass(kw_only=True)
class _Running:
    """A process that makes a cell, or the world."""

    process: subprocess.Popen[bytes]
    log: Path
    offset: int
    cell: Cell | None = None
    started: float = field(default_factory=time.monotonic)

    def end(self, number: int) -> None:
        """Send it a signal. A training saves and ends its own workers; the makers of a world, and whatever is killed,
        go as a group."""
        if self.process.poll() is not None:
            return
        if self.cell is None or number == signal.SIGKILL:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def last_words(self) -> str:
        """The last lines that this process wrote."""
        with self.log.open("rb") as file:
            file.seek(self.offset)
            text = file.read().decode("utf-8", errors="replace")
        for place, sign in ((str(Path.cwd()), "."), (str(Path.home()), "~")):
            text = text.replace(place, sign) if len(place) > 1 else text
        return "\n".join(line for line in text.splitlines() if line.strip())[-2000:]


@contextlib.contextmanager
def held(out: Path) -> Iterator[None]:
    """The study's folder for one study at a time; the lock goes with the process, however it ends.

    Raises:
        RunInUseError: another process works in it.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunInUseError(
                "the study is in use",
                expected="no other process in this folder",
                found=f"a lock on {out / '.lock'}",
                fix="wait for it to end, stop it, or choose another --out",
                file=out,
            ) from error
        ignored = out / ".gitignore"
        if not ignored.exists():
            write_text(ignored, "cells/\ndata-*/\n.lock\n")
        yield


class Runner:
    """Makes what is open, stage by stage as choices become possible.

    Args:
        out: the study's folder, held by this process (:func:`held`).
        only: arms whose cells are made; all without any.
        say: told a line for every cell that ends.
    """

    def __init__(
        self,
        study: Study,
        out: Path,
        ledger: Ledger,
        workers: Workers,
        *,
        only: Sequence[str] = (),
        say: Callable[[str], None] = print,
    ) -> None:
        self.study, self.out, self.ledger, self.workers = study, out, ledger, workers
        self.only, self.say = tuple(only), say
        self._given_up: set[str] = set()
        self._busy: dict[str, float] = {}
        self._running: list[_Running] = []

    def run(self) -> None:
        """Make every open cell.

        Raises:
            Interrupted: after SIGINT or SIGTERM; the processes have saved and ended, and the same command goes on.
            DataError: runs of different data. ConfigError: no metric of that name. StorageError: a full disk.
        """
        with Signals() as signals:
            try:
                if self._open():
                    self._make_world(signals)
                    if signals.received is None:
                        self._make_cells(signals)
            finally:
                self._end_all(at_once=isinstance(sys.exception(), KeyboardInterrupt))
                self.ledger.save(self.study)
        if signals.received is not None:
            raise Interrupted(
                "the study was interrupted",
                signal_number=signals.received,
                fix="the same command goes on where it stopped",
            )

    # --- what there is to do --------------------------------------------------------------------------------------

    def _open(self) -> list[Cell]:
        """Cells that are neither settled, nor being made, nor given up, in the order in which they are made."""
        made = {one.cell.name for one in self._running if one.cell is not None}
        cells = [*self.study.selection_cells(), *self.study.final_cells(self.ledger.choose(self.study))]
        return [
            cell
            for cell in cells
            if (not self.only or cell.configuration.arm in self.only)
            and cell.name not in made | self._given_up
            and not self.ledger.is_settled(cell)
        ]

    def _make_cells(self, signals: Signals) -> None:
        todo = self._open()
        while self._running or todo:
            ended = [one for one in self._running if one.process.poll() is not None]
            for one in ended:
                self._running.remove(one)
                self._settle(one, asked=signals.received is not None)
            if signals.received is not None:
                return
            if ended:
                todo = self._open()
            now = time.monotonic()
            for cell in [one for one in todo if self._busy.get(one.name, 0.0) <= now]:
                if len(self._running) < self.workers.processes:
                    todo.remove(cell)
                    self._start(cell)
            time.sleep(PAUSE_SECONDS)

    # --- one process ----------------------------------------------------------------------------------------------

    def _start(self, cell: Cell) -> None:
        folder = self.ledger.folder_of(cell)
        words = words_of(cell, self.study.file.task, self.study.data_in(self.out), self.workers.threads)
        saved = folder.checkpoints.is_dir() and any(folder.checkpoints.iterdir())
        words += [f"--run={folder.path}", *(["--resume"] if saved else [])]
        one = self._process(words, folder.path.with_name(f"{cell.name}.out"))
        one.cell = cell
        self._running.append(one)

    def _process(self, words: Sequence[str], log: Path) -> _Running:
        """Start ``veritrain`` with these words, in a session of its own: Ctrl-C reaches this process alone."""
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(self.workers.threads))
        with log.open("ab") as file:
            offset = file.tell()
            process = subprocess.Popen(
                [*self.workers.command, *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        return _Running(process=process, log=log, offset=offset)

    def _settle(self, one: _Running, *, asked: bool) -> None:
        """Note how a process of a cell ended; ``asked``: this process had asked it to end."""
        cell, code = one.cell, one.process.returncode
        assert cell is not None
        seconds = time.monotonic() - one.started
        if code == 0:
            self._finish(cell, one, seconds)
        elif asked:
            self.ledger.put(cell, {"status": INTERRUPTED, "seconds": seconds})
        elif code == RunInUseError.exit_code:
            if cell.name not in self._busy:
                self.say(f"{cell.label}: another process makes it; waiting")
            self._busy[cell.name] = time.monotonic() + BUSY_SECONDS
        else:
            self._fail(cell, seconds, code, one.last_words())
        self.ledger.save(self.study)

    def _finish(self, cell: Cell, one: _Running, seconds: float) -> None:
        try:
            entry = entry_of_folder(self.ledger.folder_of(cell), cell)
        except (ConfigError, RecordError) as error:
            self._fail(cell, seconds, 0, str(error))
            return
        if entry is None:
            self._fail(cell, seconds, 0, f"it ended without results\n{one.last_words()}")
            return
        self.ledger.put(cell, {**entry, "seconds": seconds})
        self._demand_comparable(cell, entry)
        done, total = self._progress()
        primary = self.study.primary
        value = value_of(entry, metric_of(primary.metric), primary.split)
        score = "" if value is None else f"{told(primary.metric)} {value:.3f}, "
        self.say(f"[{done}/{total}] {cell.label}: {score}{seconds:.0f} s")

    def _demand_comparable(self, cell: Cell, entry: dict[str, Any]) -> None:
        """What is compared must be named in the results, and made on one data set: said at the first cell."""
        if cell.stage == "selection":
            demand_metrics(entry, self.study.arm(cell.configuration.arm).select_by, "val")
        for claim in self.study.claims:
            if cell.configuration.arm in (claim.a, claim.b):
                demand_metrics(entry, metric_of(claim.metric), claim.split)
        self.ledger.demand_one_data(wanted_cells(self.study, self.ledger))

    def _fail(self, cell: Cell, seconds: float, code: int, words: str) -> None:
        error = "\n".join(words.splitlines()[-ERROR_LINES:])
        self.ledger.put(cell, {"status": FAILED, "seconds": seconds, "exit_code": code, "error": error})
        self._given_up.add(cell.name)
        self.say(
            f"{cell.label}: failed with exit code {code}\n" + "\n".join(f"  {line}" for line in error.splitlines())
        )

    def _progress(self) -> tuple[int, int]:
        done = sum(self.ledger.is_settled(cell) for cell in wanted_cells(self.study, self.ledger))
        return done, len([*self.study.selection_cells()]) + len(self.study.arms) * len(self.study.seeds)

    # --- the world, and the end -----------------------------------------------------------------------------------

    def _make_world(self, signals: Signals) -> None:
        """Write the world beside its place and move it there when it is whole."""
        if self.study.world is None or self.study.data_in(self.out).exists():
            return
        world, options = self.study.world
        data = self.study.data_in(self.out)
        unfinished = data.with_name(data.name + ".part")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        words = ["data", "make", world, str(unfinished), *(f"--{key}={value}" for key, value in options.items())]
        one = self._process(words, self.out / "cells" / "data.out")
        self._running.append(one)
        while one.process.poll() is None and signals.received is None:
            time.sleep(PAUSE_SECONDS)
        if signals.received is not None:
            return
        self._running.remove(one)
        if one.process.returncode:
            kinds = {kind.exit_code: kind for kind in (UsageError, DataError, StorageError)}
            raise kinds.get(one.process.returncode, VeritrainError)(
                f"the world '{world}' could not be made", found=one.last_words(), fix="correct data: in the study file"
            )
        unfinished.rename(data)
        self.say(f"made data: {data.name}")

    def _end_all(self, *, at_once: bool) -> None:
        """Ask what still runs to save and end, and wait for it; a second Ctrl-C kills it."""
        ended, self._running = self._running, []
        for one in ended:
            one.end(signal.SIGKILL if at_once else signal.SIGTERM)
        try:
            _wait(ended)
        finally:
            for one in ended:
                one.end(signal.SIGKILL)
                one.process.wait()
                if one.cell is not None:
                    self._settle(one, asked=True)


def _wait(processes: Sequence[_Running]) -> None:
    """Until all have ended, or patience has."""
    end = time.monotonic() + PATIENCE_SECONDS
    for one in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.process.wait(timeout=max(0.0, end - time.monotonic()))


def wanted_cells(study: Study, ledger: Ledger) -> list[Cell]:
    """Every cell of the study as far as configurations are chosen, made or not."""
    return [*study.selection_cells(), *study.final_cells(ledger.choose(study))]


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """In a fresh child: SIGTERM when the study is killed, so that no training goes on without it (prctl(2))."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
