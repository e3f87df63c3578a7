"""Views for the tests of screen and lines: ordinary, crowded, hostile and empty ones."""

from __future__ import annotations

from veritrain.monitor.findings import Arisen
from veritrain.monitor.state import State
from veritrain.monitor.view import BalanceRows, Pace, ScoreRow, TaskRow, TermRow, View

PACE = Pace(
    seconds_per_step=0.1234, samples_per_second=64.8, waiting=0.31, memory_mb=2048.0, left=3725.0, left_unknown="",
    limited_by="time", elapsed=90.0,
)  # fmt: skip
NO_PACE = Pace(
    seconds_per_step=None, samples_per_second=None, waiting=None, memory_mb=None, left=None,
    left_unknown="too few steps so far", limited_by="steps", elapsed=None,
)  # fmt: skip


def term(name="frame", *, value=0.5, finite=True, length=300):
    return TermRow(
        name=name, weight=2.0, value=value, course=tuple(1.0 / n for n in range(1, length + 1)), finite=finite
    )


def task(name="detection", *, loss=0.812, weight=1.25, ratio=1.1, norm=3.4567, length=30):
    course = tuple(1.0 / n for n in range(1, length + 1))
    return TaskRow(name=name, loss=loss, weight=weight, ratio=ratio, norm=norm, course=course)


def balance(*tasks, cosines=(("detection", "view", -0.125),), balancer="gradnorm"):
    rows = tasks or (task(), task("view", loss=0.4, weight=0.75, ratio=0.9, norm=0.25))
    return BalanceRows(balancer=balancer, step=120, tasks=rows, cosines=cosines)


def score(name="frame_auroc", *, chance=0.5, value=0.8, split="val"):
    return ScoreRow(
        name=name, split=split, value=value, epoch=3, chance=chance, best=value, best_epoch=2, headline=True
    )


def finding(check="loss_not_vanished", *, effect="unproves", sentence="the loss is at most 0.0000 " * 12):
    return Arisen(id="T2", check=check, status="fail", effect=effect, sentence=sentence, step=7)


def view(**other):
    content = {
        "name": "mine",
        "path": "runs/mine",
        "task": "anomaly",
        "segments": 1,
        "state": State(word="running", text="training, last line 1 s ago"),
        "step": 120,
        "total_steps": 432,
        "epoch": 3,
        "epochs": 8,
        "learning_rate": 1e-3,
        "gradient_norm": 1.5,
        "pace": PACE,
        "terms": (term("frame"), term("point"), term("pixel")),
        "balance": None,
        "scores": tuple(score(name, chance=None if "ap" in name else 0.5) for name in ("frame_auroc", "point_ap")),
        "findings": (),
        "warnings": (),
        "verdict": None,
    }
    return View(**(content | other))


EMPTY = view(task=None, step=None, total_steps=None, epoch=None, epochs=None, learning_rate=None, gradient_norm=None,
             pace=NO_PACE, terms=(), scores=(), state=State(word="waiting", text="not begun"))  # fmt: skip
CROWDED = view(
    name="a run with a very long name " * 8,
    terms=tuple(term(f"a term with a long name number {n}") for n in range(30)),
    balance=balance(
        *(task(f"a task with a long name number {n}", weight=1 / 3e4) for n in range(12)),
        cosines=tuple((f"a long task number {n}", "another", 0.5) for n in range(66)),
    ),
    scores=tuple(score(f"a score with a long name number {n}") for n in range(40)),
    findings=tuple(finding(f"check_{n}") for n in range(20)),
    warnings=("a long warning " * 30, "another", "a third"),
    state=State(word="stalled", text="no new line for 4 min while validating " * 10),
)
HOSTILE = view(
    name="\x1b[31mred\x07\r\n[bold]x[/bold]",
    task="\x9b2J",
    terms=(term("\x1b]0;title\x07"), term("损失", value=None, finite=False), term("none", length=0, value=None)),
    balance=balance(
        task("\x1b[2J[red]task[/red]", loss=None, weight=None, ratio=None, norm=None, length=0),
        cosines=(("\x1b[31m", "损失", None),),
        balancer="\x9b2J",
    ),
    scores=(score("[red]auroc[/red]\x1b[2J", value=None, chance=None),),
    findings=(finding(sentence="\x1b[2Jcleared [link=file:///]x[/link]\n second line"),),
    warnings=("\x1b[H",),
    verdict={"verdict": "refuted", "sentence": "REFUTED: \x1b[5m all of it"},
    state=State(word="finished", text="\x1b[1mdone"),
)
DONE = view(
    state=State(word="finished", text="trained, tested and judged"),
    verdict={"verdict": "shown", "sentence": "SHOWN (one run): frame_auroc on test = 0.9. All 20 checks passed."},
)
JOINT = view(
    task="joint",
    terms=tuple(term(name) for name in ("box", "obj", "cls", "view")),
    balance=balance(),
    scores=tuple(score(name, chance=None) for name in ("map_50", "view_macro_f1", "map", "view_accuracy")),
)
ALL = {"ordinary": view(), "joint": JOINT, "empty": EMPTY, "crowded": CROWDED, "hostile": HOSTILE, "done": DONE}
