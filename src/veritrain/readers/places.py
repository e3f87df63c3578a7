"""Where in training a line of text stands: its epoch, its step and the split it speaks of."""

from __future__ import annotations

import re
from dataclasses import dataclass

from veritrain.readers.lines import Line
from veritrain.readers.names import split_word

_EPOCH = re.compile(
    r"(?i)(?<![A-Za-z_])(?P<word>epoch|ep|轮次|輪次|第)\s*(?:\((?:train|val|test)\))?\s*(?:no\.?|number|num|"
    r"#)?[\s:=\[(#|]*(?P<now>\d+(?:\.\d+)?)\s*\]?"
    r"(?:\s*(?:/|of|/\s*\[)\s*(?P<all>\d+))?\s*[\])]?(?P<wheel>\s*[轮輪])?"
)
_COUNTER = re.compile(
    r"(?i)[\[(]?\b(?:batch|iter|iteration|step)\b\s*[:=]?\s*\[?\s*(?P<now>\d+)(?:\s*/\s*\d+)?\s*\]?\)?,?"
)
_BOOSTING = re.compile(r"^\s*\[(\d+)\]\s+(?=\S*[:'])")
_BRACKET_COUNT = re.compile(r"^\s*\[\s*\d+\s*/\s*\d+\s*(?:\(\s*\d+%\))?\s*\]|(?<=\])\[\s*\d+\s*/\s*\d+\s*\]")
_KERAS_HEAD = re.compile(
    r"^\s*\d+/\d+\s*(?:\[[=>.\s]*\]|[━╸╺]+)?\s*(?:-\s*)?(?:\d+s\s*)?(?:\d+(?:\.\d+)?(?:us|ms|s)/(?:step|"
    r"epoch|sample))?\s*(?:-\s*)?"
)
_TQDM_HEAD = re.compile(
    r"^(?P<who>.{0,80}?)\s*\d{1,3}%\|[^|]*\|\s*(?P<done>\d+)/(?P<total>\d+)\s*\[[^\]\[]*?(?:it/s|s/it|"
    r"s/batch|\?it/s|s)\s*,?"
)
_RANGE_AFTER = re.compile(r"^\s*(?:[-~–—到至]|to\b)\s*\d|^\+")
_NOT_HEAD = re.compile(
    r"(?i)\b(?:best|at|in|from|since|after|before|by|until|per|every|of|total|checkpoint|saved?|for)\s*$|"
    r"最佳|最高|最低|最好|前|达到|保存|耐心|总|共|剩余|early"
)
_STAR = re.compile(r"^\s*\*\s+(?:Acc|Prec|Top|mAP|loss)", re.IGNORECASE)


@dataclass
class Place:
    """The running context: ``section`` is the split of the last heading, ``header`` of the last header line."""

    epoch: float | None = None
    planned: float | None = None
    header: str | None = None
    section: str | None = None
    block_split: str | None = None
    block_indent: int = 0

    def leave(self) -> None:
        """Training is over: what follows is no evaluation of an epoch."""
        self.epoch, self.header, self.block_split = None, None, None

    def split_for(self, line: Line) -> str | None:
        """The split of an unlabelled number on this line."""
        if _STAR.match(line.text):
            return "val"
        if self.block_split is not None and line.indent > self.block_indent:
            return self.block_split
        return self.header or self.section


@dataclass(frozen=True, kw_only=True)
class Head:
    """What the counters of a line say, and the line without them."""

    rest: str
    epoch: float | None = None
    planned: float | None = None
    step: int | None = None


def head_of_line(text: str) -> Head:
    """Cut epoch and step counters off a line; an epoch named in the middle of prose is left alone."""
    epoch = planned = step = None
    rest = text
    found = _epoch_at_head(text)
    if found is not None:
        epoch = float(found["now"])
        planned = float(found["all"]) if found["all"] else None
        rest = text[: found.start()] + " | " + text[found.end() :]
    counter = _COUNTER.search(rest)
    if counter:
        step = int(counter["now"])
        rest = rest[: counter.start()] + " | " + rest[counter.end() :]
    boosting = _BOOSTING.match(rest)
    if boosting and step is None:
        step, rest = int(boosting[1]), rest[boosting.end() :]
    rest = _BRACKET_COUNT.sub(" | ", rest)
    rest = _KERAS_HEAD.sub(" | ", rest) if re.match(r"^\s*\d+/\d+", rest) else rest
    return Head(rest=rest, epoch=epoch, planned=planned, step=step)


def _epoch_at_head(text: str) -> re.Match[str] | None:
    for found in _EPOCH.finditer(text):
        before = text[: found.start()]
        if found["word"] == "第" and not found["wheel"]:
            continue
        if (
            len(before) > 45
            or re.search(r"\d\.\d", before)
            or _NOT_HEAD.search(before)
            or _RANGE_AFTER.match(text[found.end() :])
        ):
            continue
        if before.rstrip().endswith("(") and len(before.strip()) > 12 and not before.lstrip().startswith("#"):
            continue
        return found
    return None


def bar_head(text: str) -> tuple[str, int, str] | None:
    """What a progress bar belongs to, how far it got and the numbers behind it."""
    found = _TQDM_HEAD.match(text)
    if found is None:
        return None
    return found["who"], int(found["done"]), text[found.end() :].rstrip(" ]")


_LEADING = re.compile(
    r"(?i)^\W*(?P<word>train(?:ing)?|val(?:id(?:ation)?)?|test(?:ing)?|eval(?:uation)?|训练集?|验证集?|"
    r"测试集?|訓練集?|驗證集?|測試集?)"
    r"(?:\s*(?:set|results?|phase|metrics))?\s*(?:[\]:|>)]|-+\s|\s+epoch\b)|epoch\s*\(\s*(?P<inner>train|"
    r"val|test)\s*\)"
)


def leading_split(text: str) -> str | None:
    """The split that a line opens with: ``Test set: ...``, ``[VAL] ...``, ``Train Epoch: 1``, ``Epoch(val) [1]``."""
    found = _LEADING.search(text[:60])
    return split_word(found["word"] or found["inner"]) if found else None


def header_split(line: Line) -> str | None:
    """The split that a short line without numbers announces: ``Validating...``, ``验证损失:``, ``=== Test ===``."""
    text = line.text.strip(" =-#*|>")
    if not text or len(text) > 48 or re.search(r"\d\.\d|\d%|[:=]\s*\d", text):
        return None
    if not (text.endswith((":", "...", "…", "。")) or len(text.split()) <= 4):
        return None
    return split_word(text)
