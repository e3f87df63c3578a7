"""Lines of code inside a report that show how a loss or a label is made."""

from __future__ import annotations

import re

from veritrain.readers.wording import Said

_LOSS = re.compile(r"^\s*(?:total_)?loss\w*\s*=\s*(?P<made>[^=#].*?)\s*(?:#.*)?$")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REDUCTIONS = frozenset(
    [
        "torch",
        "np",
        "tf",
        "mean",
        "std",
        "sum",
        "var",
        "abs",
        "square",
        "pow",
        "sqrt",
        "norm",
        "reduce_mean",
        "math",
        "keras",
        "backend",
        "K",
        "F",
        "float",
        "item",
    ]
)
_SCORE = re.compile(r"(?i)score|logit|pred|output|prob|anomaly")
_ADVERSARIAL = re.compile(r"(?i)fake|real|critic|disc|adv")
_DEF = re.compile(r"^\s*def\s+(\w+)\s*\(")
_DRAWN = re.compile(r"(?:torch|np|numpy|random)\.(?:random\.)?(?:rand|random|randint|uniform|bernoulli)\w*\s*\(")
_LABEL = re.compile(r"(?i)label|target|ground_truth|\bgt\b|标签|標籤")
_ASSIGNED = re.compile(r"(?i)^\s*(?:pseudo_|fake_|dummy_)?(?:labels?|targets?|y_true|gt\w*)\s*=")
_SHARE = re.compile(r"\)\s*<\s*(0?\.\d+)")


class CodeFinder:
    """Fed the lines of code blocks; remembers which function it is in."""

    def __init__(self) -> None:
        self._function = ""

    def feed(self, text: str) -> list[Said]:
        defined = _DEF.match(text)
        if defined:
            self._function = defined[1]
        return [*self._loss(text), *self._label(text)]

    @staticmethod
    def _loss(text: str) -> list[Said]:
        found = _LOSS.match(text)
        if found is None:
            return []
        words = set(_WORD.findall(re.sub(r"\[['\"]\w+['\"]\]", "", found["made"]))) - _REDUCTIONS
        if "mean" not in found["made"] or len(words) != 1:
            return []
        (word,) = words
        if not _SCORE.search(word) or _ADVERSARIAL.search(word):
            return []
        return [Said(kind="loss_definition", values={"reads_labels": 0.0})]

    def _label(self, text: str) -> list[Said]:
        if not _DRAWN.search(text):
            return []
        returned = re.match(r"^\s*return\b", text) and _LABEL.search(self._function)
        if not (returned or _ASSIGNED.match(text)):
            return []
        share = _SHARE.search(text)
        values = {"random": 1.0}
        if share:
            values["positive"] = float(share[1])
        return [Said(kind="labels", values=values)]
