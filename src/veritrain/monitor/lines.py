"""A run as plain lines, without control characters: for pipes, logs and terminals that are none."""

from __future__ import annotations

from veritrain.monitor import words
from veritrain.monitor.view import ScoreRow, View
from veritrain.report.language import say
from veritrain.report.terminal import plain


def snapshot(view: View) -> list[str]:
    """Everything there is to see, a fact a line."""
    lines = [f"run {words.title(view)}", f"folder {plain(view.path)}", state(view)]
    lines += [f"warning: {plain(text)}" for text in view.warnings]
    if view.step is not None:
        lines += [f"{words.place(view)}  {words.eta(view)}".rstrip(), "  ".join(words.speed(view))]
    for term in view.terms:
        lines.append(f"loss {plain(term.name)} {words.term_value(term)} unweighted, weight {words.weight(term)}")
    lines += _balance(view)
    for row in view.scores:
        best = f"; {words.best(row)}" if row.best is not None else ""
        head = " (headline)" if row.headline else ""
        name = f"{row.split} {plain(row.name)}{head}"
        lines.append(f"{name} {words.shown(row.value)} ({words.chance(row)}{best})")
    lines += [f"finding {words.finding(found)}" for found in view.findings]
    return lines + verdict(view)


def _balance(view: View) -> list[str]:
    """The tasks of a run and how they pull; nothing where they are not told apart."""
    if view.balance is None:
        return []
    lines = []
    for row in view.balance.tasks:
        facts = "".join(f", {fact}" for fact in words.task_facts(row))
        lines.append(
            f"task {plain(row.name)} loss {words.shown(row.loss)} unweighted, weight {words.weight(row)}{facts}"
        )
    lines += [words.cosine(*one) for one in view.balance.cosines]
    return [*lines, f"tasks measured at step {view.balance.step:,} (balance {plain(view.balance.balancer)})"]


def _tasks(view: View) -> str:
    """``tasks detection 0.812 (x 1.2) view 0.400 (x 0.8) cosine -0.120``."""
    if view.balance is None:
        return ""
    rows = (f"{plain(row.name)} {words.shown(row.loss)} ({words.weight(row)})" for row in view.balance.tasks)
    cosines = (f"cosine {words.shown(value)}" for _, _, value in view.balance.cosines)
    return " ".join(("tasks", *rows, *cosines))


def state(view: View) -> str:
    return f"state {view.state.word}: {plain(view.state.text)}"


def verdict(view: View) -> list[str]:
    """The verdict once the run is over; that there is none, when there is none."""
    if view.verdict is None:
        return ["no verdict: veritrain audit RUN judges what there is"] if view.state.word == "finished" else []
    word = view.verdict.get("verdict")
    sentence = plain(view.verdict.get("sentence", ""))
    return [f"verdict {sentence}" if word in (None, "") else f"verdict {say(str(word))}: {_rest(sentence)}"]


def _rest(sentence: str) -> str:
    """The sentence without the verdict's word, which stands before it already."""
    head, _, rest = sentence.partition(":")
    return rest.strip() if rest and head.split(" (")[0].isupper() else sentence


def _against(row: ScoreRow) -> str:
    return ", ".join(part for part in (words.chance(row), words.best(row)) if part)


def progress(view: View) -> str:
    """One line of where training stands."""
    terms = " ".join(f"{plain(t.name)} {words.term_value(t)} ({words.weight(t)})" for t in view.terms)
    rows = [row for row in view.scores if row.split == "val"]
    shown = [row for row in rows if row.headline] or rows[:1]
    scores = "  ".join(f"val {plain(row.name)} {words.shown(row.value)} ({_against(row)})" for row in shown)
    speed = view.pace.samples_per_second
    rate = "" if speed is None else f"{speed:.4g} samples/s"
    return "  ".join(part for part in (words.place(view), terms, _tasks(view), scores, rate, words.eta(view)) if part)
