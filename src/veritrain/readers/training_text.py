"""What a text says about a training: numbers with their place, statements, remarks. Shared by logs and reports."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from veritrain.readers.crashes import CrashFinder
from veritrain.readers.lines import Line, lines_of
from veritrain.readers.matrices import MatrixFinder, confusion_values
from veritrain.readers.names import SPLITS, Name, canonical, counter, is_rouge, split_word
from veritrain.readers.numbers import parse_number
from veritrain.readers.own_log import spelled_out
from veritrain.readers.pairs import Pair, pairs_in
from veritrain.readers.places import Place, bar_head, head_of_line, header_split, leading_split
from veritrain.readers.readings import Collector, Reading, rows_of
from veritrain.readers.source_code import CodeFinder
from veritrain.readers.tables import Cell, ColumnTable, MarkdownTable, report_accuracy, yolo_all, yolo_classes
from veritrain.readers.wording import Said, remarks_in, statements_in
from veritrain.record import Remark, RunRecord, Statement

MOST_OF_A_KIND = 60
MOST_HEADINGS = 1000
_UNSPLIT = frozenset({"learning_rate", "grad_norm"})
_FENCE = re.compile(r"^\s*```\s*(\w*)")
_HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.*)")
_CODE = frozenset({"python", "py", "cpp", "c", "diff", "javascript", "json"})
_GUESS = re.compile(
    r"(?i)预估|預估|预期|預期|estimated?\b|expected|projected|目标|目標|\btarget|建议|建議|future|"
    r"next steps?|下一步|后续|後續|hypothetical|placeholder|illustrat|\bmock\b|"
    r"(?:example|sample) (?:output|results?|log)|"
    r"simulated (?:train\w*|log|results?|output|numbers|metrics|run)|示例|假设(?:结果|性能|数据)|"
    r"模拟(?:结果|输出|日志|训练)|模擬(?:結果|輸出|日誌|訓練)"
)
_BASELINE = re.compile(r"(?i)baseline|majority|dummy|constant (?:answer|prediction)|多数类|多數類|基线|基線")
_ESTIMATE = re.compile(r"(?i)预估|預估|预期|預期|estimated?\b|expected|projected")
_TERM_STOP = re.compile(
    r"(?i)time|用时|\beta\b|speed|\blr\b|rate|mem|score|epoch|step|\bfps\b|grad|剩余|best|最佳|学习|"
    r"threshold|\biou\b|acc|size|param|\bn\b|"
    r"初始|最终|稳定|平均|均值|\bmean\b|\bmin\b|\bmax\b|\bstd\b|weight|权重|value|second|runtime|samples"
)
_CODE_LINE = re.compile(
    r"^\s*(?:[\w.]+\s*=\s*[\w.]+\(|def |class |import |from \w+ import|return\b|with |for .*:\s*$|"
    r"if .*:\s*$|print\(|@)"
)
_ABOUT_TRAIN = re.compile(
    r"(?i)train\w*\s+(?:metrics?|set|performance|accuracy|scores?)|训练集|訓練集|训练指标|訓練指標"
)
_LOADED = re.compile(
    r"(?i)(?:加载|載入|load(?:ed|ing)?)[^\n]{0,40}?(?<![A-Za-z])(train|val|test)(?![A-Za-z])[^\d\n]{0,10}(.*\d.*)"
)
_VAL_LOADER = re.compile(
    r"(?i)(?:验证|驗證|val(?:idation)?)[^\n]{0,4}(?:集)?[^\n]{0,3}(?:加载器|加載器|data ?loader|loader)"
)


class TrainingText:
    """Fed the shown lines of one file; ``record`` is what was understood."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._collector = Collector()
        self._statements: list[Statement] = []
        self._remarks: list[Remark] = []
        self._told: Counter[str] = Counter()
        self._place = Place()
        self._crashes, self._matrices, self._code = CrashFinder(), MatrixFinder(), CodeFinder()
        self._table, self._columns = MarkdownTable(), ColumnTable()
        self._fence: str | None = None
        self._guessing: str | None = None
        self._guess_level = 0
        self._epoch_level = 0
        self._section_level = 0
        self._evaluations = 0
        self._loss_at: tuple[int, int, str | None] | None = None
        self._loaded: tuple[str, str] | None = None
        self._title = self._matrix_title = ""
        self._rouge = False

    def feed(self, line: Line) -> None:
        """Understand one line."""
        crash = self._crashes.feed(line.number, line.text)
        if crash is not None:
            self._remark("stopped_early" if "KeyboardInterrupt" in crash else "crash", line.number, crash)
        for kind in remarks_in(line.text):
            self._remark(kind, line.number, line.said.strip()[:300])
        if crash is not None or self._crashes.inside:
            self._table.end()
            return
        fence = _FENCE.match(line.said)
        if fence:
            self._fence = None if self._fence is not None else fence[1].lower()
            self._columns.end()
            return
        if not line.text.strip():
            self._table.end()
            return
        if self._fence in _CODE:
            self._state(line, self._code.feed(line.text))
            return
        self._state(line, [*self._code.feed(line.text), *statements_in(line.text)])
        self._read(line)
        self._leave_after(line)

    def _read(self, line: Line) -> None:
        heading = _HEADING.match(line.text) if self._fence is None else None
        if heading:
            self._title = heading[2]
            self._mark_heading(line, heading[2])
            self._open_section(heading[2], len(heading[1]))
        if self._fence is None or MarkdownTable.is_row(line.text):
            if MarkdownTable.is_row(line.text):
                self._take_cells(line, self._table.feed(line.text, self._place.header or self._place.section))
                return
            self._table.end()
        self._find_matrix(line)
        self._same_split(line)
        if self._take_table_line(line):
            return
        if not _CODE_LINE.match(line.text):
            self._take_pairs(line, is_heading=heading is not None)

    def _mark_heading(self, line: Line, title: str) -> None:
        self._told["heading"] += 1
        if self._told["heading"] <= MOST_HEADINGS:
            self._statements.append(Statement(file=self._file, line=line.number, kind="heading", text=title[:100]))

    def _open_section(self, title: str, level: int) -> None:
        """A heading sets the split, the epoch and whether numbers below are guesses; deeper headings inherit."""
        head = head_of_line(title)
        if head.epoch is not None or level <= self._epoch_level or self._epoch_level == 0:
            self._place.leave()
            self._place.epoch, self._epoch_level = head.epoch, level if head.epoch is not None else 0
        split = split_word(title)
        if split == "train" and not _ABOUT_TRAIN.search(title):
            split = None
        if split is not None or level <= self._section_level:
            self._place.section, self._section_level = split, level
        self._place.planned = head.planned or self._place.planned
        if _GUESS.search(title):
            self._guessing, self._guess_level = ("estimate" if _ESTIMATE.search(title) else "target"), level
        elif level <= self._guess_level:
            self._guessing = None

    def _take_table_line(self, line: Line) -> bool:
        all_row = yolo_all(line.text)
        if all_row is not None:
            self._evaluations += 1
            for cell in all_row[1]:
                self._add(
                    line, cell.raw, cell.name, cell, step=None if self._place.epoch is not None else self._evaluations
                )
            self._state(line, [Said(kind="samples", values={"n": all_row[0]})])
            return True
        for cell in yolo_classes(line.text):
            self._add(line, cell.raw, cell.name, cell)
        accuracy = report_accuracy(line.text)
        if accuracy is not None:
            self._take_cells(line, [accuracy])
            return True
        row = self._columns.row(line.text)
        if row is not None:
            self._enter(row[0], row[1])
            for cell in row[2]:
                self._add(line, cell.raw, cell.name, cell)
            return True
        return self._columns.take_header(line.text)

    def _take_cells(self, line: Line, cells: list[Cell]) -> None:
        for cell in cells:
            if self._guessing or any(_GUESS.search(head) for head in (cell.raw, cell.subject or "")):
                self._state(line, [Said(kind=self._guessing or "target", values=_value_of(cell))])
                continue
            name = cell.name
            if cell.subject is not None:
                name = Name(name=f"{name.name}/{cell.subject[:30]}", split=name.split, place=name.place)
            self._add(line, cell.raw, name, cell, counted=cell.epoch is not None)

    def _take_pairs(self, line: Line, *, is_heading: bool) -> None:
        text, bar = spelled_out(line.text), None
        if line.bar:
            bar = bar_head(line.text)
            if bar is not None:
                text = bar[0] + " | " + bar[2]
        head = head_of_line(text)
        if head.epoch is not None:
            self._enter(head.epoch, head.planned)
        announced = None if is_heading else header_split(line)
        pairs = [pair for pair in pairs_in(head.rest) if pair.name is not None or "." in _printed(pair)]
        if announced is not None and not any(pair.name for pair in pairs):
            self._place.header, self._place.block_split = announced, None
            return
        step = head.step if bar is None else bar[1]
        self._take_line(line, head.rest, pairs, step, split_word(bar[0]) or "train" if bar else None)

    def _take_line(self, line: Line, text: str, pairs: list[Pair], step: int | None, bar_split: str | None) -> None:
        if self._guessing and pairs:
            self._state(line, [Said(kind=self._guessing, values=_value_of(pair)) for pair in pairs if pair.name])
            return
        if text.lstrip().startswith("{") and (epoch := _dict_epoch(text)) is not None:
            self._enter(epoch, None)
        carried = bar_split or leading_split(line.text)
        for pair in pairs:
            name = pair.name
            self._rouge = self._rouge or is_rouge(pair.raw)
            if name is None:
                self._take_term(line, pair, carried, step)
                continue
            if counter(name.name) is not None:
                continue
            carried = name.split or carried
            if name.name == "loss":
                self._loss_at = (line.number, line.indent, carried)
            split = None if name.name in _UNSPLIT else carried or self._place.split_for(line)
            self._add(line, pair.raw, Name(name=name.name, split=split, place=name.place), pair, step=step)
        if carried is not None and bar_split is None:
            self._place.block_split, self._place.block_indent = carried, line.indent

    def _take_term(self, line: Line, pair: Pair, carried: str | None, step: int | None) -> None:
        """An unknown word with a decimal number beside or below a loss is a term of that loss."""
        if self._loss_at is None or _TERM_STOP.search(pair.raw) or pair.number.percent:
            return
        number, indent, split = self._loss_at
        beside = number == line.number
        below = line.number <= number + 6 and line.indent > indent
        if beside or below:
            word = re.sub(r"\W+", "_", pair.raw.lower()).strip("_")
            name = Name(name=f"loss/{word}", split=carried or split or self._place.split_for(line))
            self._add(line, pair.raw, name, pair, step=step)

    def _add(
        self, line: Line, raw: str, name: Name, found: Cell | Pair, *, step: int | None = None, counted: bool = True
    ) -> None:
        own = found.epoch is not None
        self._collector.add(
            Reading(
                line=line.number,
                raw=raw,
                name=name.name,
                number=found.number,
                split=name.split,
                place=name.place,
                epoch=found.epoch if own else self._place.epoch,
                step=step,
                counted=counted and (not own or isinstance(found, Cell)),
            )
        )

    def _enter(self, epoch: float, planned: float | None) -> None:
        if epoch != self._place.epoch:
            self._place.header, self._place.block_split = None, None
        self._place.epoch = epoch
        self._place.planned = planned or self._place.planned
        self._loss_at = None

    def _leave_after(self, line: Line) -> None:
        if "epoch" in line.text.lower() and "epochs completed" not in line.text:
            return
        if any(remark.kind == "success_banner" and remark.line == line.number for remark in self._remarks[-2:]):
            self._place.leave()

    def _find_matrix(self, line: Line) -> None:
        if re.search(r"[^\W\d_]{3}", line.text):
            self._matrix_title = line.text
        for number, rows in self._matrices.feed(line.number, line.text):
            values = confusion_values(rows)
            split = split_word(self._matrix_title) or self._place.split_for(line)
            if split is not None:
                values["split"] = float(SPLITS.index(split))
            values["baseline"] = float(bool(_BASELINE.search(f"{self._title}\n{self._matrix_title}")))
            self._statements.append(
                Statement(file=self._file, line=number, kind="confusion", text=str(rows), values=values)
            )

    def _same_split(self, line: Line) -> None:
        """The loader that is announced as validation has just loaded the training split."""
        loaded = _LOADED.search(line.text)
        if loaded:
            self._loaded = (loaded[1].lower(), loaded[2])
        elif _VAL_LOADER.search(line.text) and self._loaded is not None and self._loaded[0] == "train":
            self._remark(
                "same_split", line.number, f"{line.said.strip()} (what was loaded: {self._loaded[0]} {self._loaded[1]})"
            )
            self._loaded = None

    def _state(self, line: Line, said: list[Said]) -> None:
        for one in said:
            self._told[one.kind] += 1
            if self._told[one.kind] <= MOST_OF_A_KIND:
                text = line.said.strip()[:400]
                self._statements.append(
                    Statement(file=self._file, line=line.number, kind=one.kind, text=text, values=one.values)
                )

    def _remark(self, kind: str, number: int, text: str) -> None:
        self._told[f"remark {kind}"] += 1
        if self._told[f"remark {kind}"] <= MOST_OF_A_KIND:
            self._remarks.append(Remark(file=self._file, line=number, kind=kind, text=text))

    def record(self, path: Path, kind: str) -> RunRecord:
        """Everything that was understood."""
        readings = [one for one in self._collector.readings() if not (self._rouge and one.name == "r2")]
        rows, restarts = rows_of(readings, self._file)
        remarks = sorted([*self._remarks, *restarts], key=lambda remark: remark.line)
        planned, last = self._place.planned, max((row.epoch for row in rows if row.epoch is not None), default=None)
        if planned is not None and (last is None or last + 1 < planned):
            text = (
                f"{planned:g} epochs were planned, the last one seen is {last:g}"
                if last is not None
                else f"no epoch of {planned:g} ended"
            )
            line = rows[-1].line if rows else 1
            remarks.append(Remark(file=self._file, line=line, kind="truncated", text=text))
        elif planned is not None and rows:
            text = f"all {planned:g} planned epochs are there"
            remarks.append(Remark(file=self._file, line=rows[-1].line, kind="all_epochs", text=text))
        return RunRecord(path=path, kind=kind, rows=rows, statements=tuple(self._statements), remarks=tuple(remarks))


def _printed(pair: Pair) -> str:
    return "." if pair.number.half_ulp > 0 else ""


def _value_of(found: Cell | Pair) -> dict[str, float]:
    return {} if found.number.value is None else {"value": found.number.value}


def _dict_epoch(text: str) -> float | None:
    found = re.search(r"'epoch'\s*:\s*'?([\d.]+)", text)
    number = parse_number(found[1]) if found else None
    return None if number is None else number.value


def read_text(path: Path, kind: str) -> RunRecord:
    """Read a text as a record of ``kind``; a remark says when it had to be repaired from a wrong decoding."""
    lines, garbled = lines_of(path)
    text = TrainingText(str(path))
    for line in lines:
        text.feed(line)
    record = text.record(path, kind)
    if garbled:
        said = "the text was UTF-8 read as cp1252 and saved again; it was repaired for reading, lost bytes stay lost"
        remark = Remark(file=str(path), line=1, kind="repaired", text=said)
        return RunRecord(
            path=path, kind=kind, rows=record.rows, statements=record.statements, remarks=(remark, *record.remarks)
        )
    return record


def speaks_of_training(head: str) -> bool:
    """At least two words that only a training log or report uses."""
    words = (
        r"(?i)\bepochs?\b|\btrain(?:ing)?\b|训练|訓練|loss(?![a-z])|\biter\b|损失|損失|accuracy|"
        r"准确率|準確率|\bmAP|AUROC|模型|\bmodel\b|checkpoint|val_|测试集|評估|评估|混淆|confusion|"
        r"\bprecision\b|\brecall\b|召回率|精确率|(?<![A-Za-z])F1(?![A-Za-z])|\bAUC"
    )
    return len(list(_first(re.finditer(words, head), 2))) >= 2


def _first(found: Iterator[re.Match[str]], count: int) -> Iterator[re.Match[str]]:
    for _, one in zip(range(count), found, strict=False):
        yield one


__all__ = ["TrainingText", "canonical", "read_text", "speaks_of_training"]
