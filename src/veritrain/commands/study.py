"""``veritrain study FILE``: many runs, one question."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from veritrain import config
from veritrain.errors import DataError, UsageError, did_you_mean
from veritrain.report.study_curves import draw_study_curves
from veritrain.study.forecast import forecast, told_forecast
from veritrain.study.ledger import Ledger, take_in
from veritrain.study.plan import Study, load_study
from veritrain.study.run import Runner, Workers, held, wanted_cells
from veritrain.study.summary import summarise
from veritrain.study.tables import arms_table, claims_table, markdown, sentence_of, write_tables

Parser = Callable[[str, str, str], ArgumentParser]
Parse = Callable[[ArgumentParser, list[str]], Namespace]

EXIT_CODES = """
exit codes: 0 every cell that was asked for is there; 1 some failed or diverged (they are listed); 5 another process
works in the folder; 64 the study file is wrong; 65 the runs are not of the same data; 130/143 after a signal, and the
same command goes on."""
SOME_FAILED = 1


def study(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """study FILE: make the runs of a study file that are not there yet, then its tables. Needed seeds and power are
    told first. What is finished is not made again; what was interrupted goes on."""
    parser = new_parser("study", (study.__doc__ or "") + EXIT_CODES, "veritrain study examples/study.yaml --plan")
    parser.add_argument("file", type=str, help="a study file (docs/studies.md)")
    parser.add_argument("--data", type=str, default="", help="a data set's folder, instead of the file's data")
    parser.add_argument("--out", type=str, default="", help="the study's folder; without it, runs/studies/NAME")
    parser.add_argument("--only", nargs="+", type=str, default=[], metavar="ARM", help="make cells of these arms alone")
    parser.add_argument("--seeds", type=int, default=None, help="instead of the file's: how many; of a list the first")
    parser.add_argument("--processes", type=int, default=None, help="cells at a time; 0: one per --threads processors")
    parser.add_argument("--threads", type=int, default=None, help="of each process")
    parser.add_argument("--plan", action="store_true", help="say what would run, the seeds needed, power and time; end")
    parser.add_argument("--json", action="store_true", help="print the plan, or all that was found, as JSON")
    given = parse(parser, words)
    asked = load_study(Path(given.file), seeds=given.seeds, data=given.data)
    for arm in given.only:
        if arm not in asked.file.arms:
            raise UsageError(f"no arm '{arm}'", found=arm, fix=did_you_mean(arm, asked.file.arms))
    out = Path(given.out) if given.out else Path("runs") / "studies" / asked.file.name
    workers = Workers.of(asked, given.threads, given.processes)
    if given.plan:
        ledger = Ledger(out)
        take_in(asked, ledger)
        plan = forecast(asked, ledger, workers.processes)
        print(json.dumps(plan, indent=1) if given.json else told_forecast(plan))
        return 0
    with held(out):
        return _made(asked, out, workers, given)


def _made(asked: Study, out: Path, workers: Workers, given: Namespace) -> int:
    def say(line: str) -> None:
        print(line, file=sys.stderr if given.json else sys.stdout, flush=True)

    ledger = Ledger(out)
    take_in(asked, ledger)
    ledger.demand_one_data(wanted_cells(asked, ledger))
    ledger.register(asked)
    say(told_forecast(forecast(asked, ledger, workers.processes)))
    config.dump(asked.file, out / "study.yaml")
    try:
        Runner(asked, out, ledger, workers, only=given.only, say=say).run()
    except DataError:
        raise  # no table of runs that cannot be compared
    except BaseException:
        _written(asked, ledger, out, workers)
        raise
    found = _written(asked, ledger, out, workers)
    if given.json:
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        say("\n\n".join(["", markdown(claims_table(found)), markdown(arms_table(found)), *found["notes"]]))
        say("\n" + sentence_of(found["claims"][0]))
        say(f"tables: {out / 'tables.md'}")
    return SOME_FAILED if found["failed"] else 0


def _written(asked: Study, ledger: Ledger, out: Path, workers: Workers) -> dict[str, Any]:
    """Tables of what is there, and the curves where every finished final cell still has its record."""
    found = summarise(asked, ledger, workers.processes)
    write_tables(asked, ledger, found, out)
    runs: dict[str, list[Path]] = {}
    for cell in asked.final_cells(ledger.choose(asked)):
        if ledger.finished(cell) is not None:
            runs.setdefault(cell.configuration.arm, []).append(ledger.folder_of(cell).path)
    if runs and all((path / "record.jsonl").is_file() for paths in runs.values() for path in paths):
        draw_study_curves(runs, out / "figures", note="Made data." if found["made_data"] else "")
    return found
