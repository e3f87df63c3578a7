"""A run on a terminal: lines that fit its width and height, whatever they are."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from veritrain.monitor import words
from veritrain.monitor.view import ScoreRow, TermRow, View, buckets
from veritrain.report.language import say
from veritrain.report.numbers import shown
from veritrain.report.terminal import COLOURS, plain

STATE_STYLES = {"waiting": "bold", "running": "bold green", "stalled": "bold yellow", "died": "bold red",
                "finished": "bold green", "interrupted": "bold yellow", "failed": "bold red"}  # fmt: skip
EFFECT_STYLES = {"refutes": "red", "unproves": "yellow", "notes": "dim"}
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-=+*%#"
SIDE_BY_SIDE = 150
"""Columns from which losses stand beside scores."""
NAME_CELLS = 22
LEAST_ROWS = 3
SHORTEST_BAR = 5
FOOT = "Ctrl-C ends this view; the run goes on"


def screen_lines(view: View, *, width: int, height: int, blocks: str = BLOCKS) -> list[Text]:
    """The whole screen: at most ``height`` lines of at most ``width`` cells each. What does not fit is counted."""
    head = _head(view, width)
    room = max(0, height - len(head) - 1)
    tail = _findings(view, width, most=max(LEAST_ROWS, room // 3))
    room -= len(tail)
    terms = [_term_line(row, width=width, blocks=blocks) for row in view.terms]
    tasks = _task_lines(view, width=width, blocks=blocks)
    scores = [_score_line(row, width=width) for row in view.scores]
    if width >= SIDE_BY_SIDE and terms and scores:
        left = width // 2 - 1
        terms = [_term_line(row, width=left, blocks=blocks) for row in view.terms]
        tasks = _task_lines(view, width=left, blocks=blocks)
        scores = [_score_line(row, width=width - left - 2) for row in view.scores]
        body = _beside(_losses(terms, tasks, room), _block(SCORES, scores, room), left)
    else:
        body = _stacked(terms, tasks, scores, room)
    spare = room - len(body)
    gap = [Text()] if spare > 0 and body and tail else []
    lines = [*head, *body, *gap, *tail]
    lines += [Text()] * max(0, height - 1 - len(lines))
    lines = [*lines[: height - 1], Text(FOOT, "dim")] if height > 1 else lines[:height]
    return [_fitted(line, width) for line in lines]


LOSSES = "losses, unweighted (mean of the newest steps), beside their weights"
SCORES = "held-out scores against chance"


def _head(view: View, width: int) -> list[Text]:
    state = Text.assemble((view.state.word.upper(), STATE_STYLES[view.state.word]), "  ", plain(view.state.text))
    lines = [Text(words.title(view), "bold"), *_wrapped(state, width, most=2)]
    lines += [Text(f"warning: {plain(text)}", "yellow") for text in view.warnings[:2]]
    if view.step is not None:
        text = f"{words.place(view)}  {words.eta(view)}".rstrip()
        lines.append(Text.assemble(_bar(view, min(width // 4, width - cell_len(text) - 2)), text))
        lines.append(Text(words.joined(words.speed(view), width), "dim"))
    return lines


def _bar(view: View, width: int) -> Text:
    """A bar of ``width`` cells where there is room for one and the total is known."""
    if width < SHORTEST_BAR or view.step is None or not view.total_steps:
        return Text()
    done = min(width, round(width * view.step / view.total_steps))
    return Text.assemble(("=" * done, "green"), ("-" * (width - done), "dim"), "  ")


def _stacked(terms: list[Text], tasks: list[Text], scores: list[Text], room: int) -> list[Text]:
    """Losses above scores; when there is too little room, scores give way first, down to a few."""
    for_losses, for_scores = len(terms) + bool(terms) + len(tasks), len(scores) + bool(scores)
    if for_losses + for_scores > room:
        for_scores = max(min(for_scores, LEAST_ROWS + 1), room - for_losses)
    upper = _losses(terms, tasks, max(0, room - for_scores))
    return [*upper, *_block(SCORES, scores, max(0, room - len(upper)))]


def _losses(terms: list[Text], tasks: list[Text], room: int) -> list[Text]:
    """Terms above tasks; when there is too little room, terms give way first: tasks sum them up."""
    upper = _block(LOSSES, terms, max(min(room, 2), room - len(tasks)))
    return [*upper, *_cut(tasks, room - len(upper))]


def _block(title: str, rows: list[Text], room: int) -> list[Text]:
    """A heading and its rows in at most ``room`` lines."""
    return _cut([Text(title, "bold"), *rows], room) if rows else []


def _cut(lines: list[Text], room: int) -> list[Text]:
    """A heading and what is below it in at most ``room`` lines; the last one counts what is left out."""
    if room < 2:
        return []
    if len(lines) <= room:
        return lines
    return [*lines[: room - 1], Text(f"  + {len(lines) - room + 1} more", "dim")]


def _beside(left: list[Text], right: list[Text], width: int) -> list[Text]:
    lines = []
    for index in range(max(len(left), len(right))):
        start = left[index].copy() if index < len(left) else Text()
        start = _fitted(start, width)
        start.append(" " * (width - cell_len(start.plain) + 2))
        lines.append(start.append_text(right[index]) if index < len(right) else start)
    return lines


def _term_line(row: TermRow, *, width: int, blocks: str) -> Text:
    style = "bold red" if not row.finite else ""
    line = Text.assemble("  ", _column(row.name, NAME_CELLS), "  ")
    line.append(f"{words.term_value(row):>10}", style).append(f"  {words.weight(row):<9}  ", "dim")
    room = width - cell_len(line.plain)
    return line.append(sparkline(row.course, max(0, min(room, 60)), blocks), "cyan")


def _task_lines(view: View, *, width: int, blocks: str) -> list[Text]:
    """Who measured and when, a line a task, then how their gradients stand to each other."""
    if view.balance is None:
        return []
    by = f"{plain(view.balance.balancer)}, step {view.balance.step:,}"
    lines = [Text(f"tasks ({by}): unweighted loss, weight, gradient norm, loss ratio", "bold")]
    for row in view.balance.tasks:
        line = Text.assemble("  ", _column(row.name, NAME_CELLS), "  ")
        line.append(f"{shown(row.loss):>10}").append(f"  {words.weight(row):<9}  ", "dim")
        line.append(words.joined(words.task_facts(row, brief=True), max(0, width - cell_len(line.plain))), "dim")
        room = width - cell_len(line.plain) - 2
        lines.append(line.append("  ").append(sparkline(row.course, max(0, min(room, 60)), blocks), "cyan"))
    return [*lines, *(Text(f"  {words.cosine(*one)}") for one in view.balance.cosines)]


def _score_line(row: ScoreRow, *, width: int) -> Text:
    name = f"{row.split} {row.name}"
    line = Text.assemble("  ", _column(name, NAME_CELLS, "bold" if row.headline else ""), "  ")
    line.append(f"{shown(row.value):>10}").append(f"  {words.chance(row):<15}", "dim")
    return line.append(f"  {words.best(row)}", "dim")


def _column(text: str, width: int, style: str = "") -> Text:
    """A name in exactly ``width`` cells; what is too long ends in an ellipsis."""
    column = Text(plain(text), style)
    column.truncate(width, overflow="ellipsis", pad=True)
    return column


def _findings(view: View, width: int, *, most: int) -> list[Text]:
    """What was found so far, the gravest first, and the verdict once there is one."""
    lines = _verdict(view, width)
    order = ("refutes", "unproves", "notes")
    found = sorted(view.findings, key=lambda one: order.index(one.effect) if one.effect in order else len(order))
    if not found:
        lines.append(Text("findings so far: none", "dim" if view.terms else ""))
        return lines
    lines.append(Text(f"findings so far: {len(found)}", "bold"))
    for number, one in enumerate(found):
        text = Text(words.finding(one), EFFECT_STYLES.get(one.effect, ""))
        wrapped = _wrapped(text, width, most=2)
        if len(lines) + len(wrapped) > most and number:
            lines.append(Text(f"  + {len(found) - number} more", "dim"))
            break
        lines += wrapped
    return lines


def _verdict(view: View, width: int) -> list[Text]:
    if view.verdict is None:
        return []
    word = str(view.verdict.get("verdict"))
    text = Text.assemble((f"verdict {say(word)}", COLOURS.get(word, "bold")), "  ", _sentence(view))
    return _wrapped(text, width, most=3)


def _sentence(view: View) -> str:
    text = plain((view.verdict or {}).get("sentence", ""))
    return text.partition(":")[2].strip() or text


def _wrapped(text: Text, width: int, *, most: int) -> list[Text]:
    """Broken at words into at most ``most`` lines; the last one ends in an ellipsis when there is more."""
    words_of, lines, line = text.split(" ", allow_blank=True), [], Text()
    for word in words_of:
        if line and cell_len(line.plain) + 1 + cell_len(word.plain) > width:
            lines.append(line)
            line = Text("    ").append_text(word)
        else:
            line = line.append(" ").append_text(word) if line else word.copy()
    lines.append(line)
    if len(lines) > most:
        kept = lines[most - 1]
        kept.append(" ...")
        if cell_len(kept.plain) > width:
            kept.truncate(max(0, width - 4))
            kept.append(" ...")
        lines = lines[:most]
    return lines


def _fitted(line: Text, width: int) -> Text:
    line = line.copy()
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line


def sparkline(course: Sequence[float | None], width: int, blocks: str = BLOCKS) -> str:
    """The course as blocks from its lowest to its highest; ``!`` where nothing was finite. Flat is a flat low line."""
    parts = buckets(course, width)
    known = [value for value in parts if value is not None]
    if not known:
        return "!" * len(parts)
    low, high = min(known), max(known)
    top = len(blocks) - 1
    return "".join(
        "!" if value is None else blocks[round(top * (value - low) / (high - low)) if high > low else 0]
        for value in parts
    )
