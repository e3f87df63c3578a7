"""Numbers bound to names inside one line: ``Train Loss: 0.5 | Val Acc: 81.2%``, ``Loss 6.9 (7.0)``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from veritrain.readers.names import SCORES, Name, canonical
from veritrain.readers.numbers import NONFINITE, NUMBER, Number, parse_number

_NAME = r"[A-Za-z\u4e00-\u9fff][A-Za-z0-9_\u4e00-\u9fff@./²' \-]{0,40}?(?:\([A-Za-z0-9_\u4e00-\u9fff@%\- ]{1,30}\))?"
_SEPARATOR = r"\s*(?:[:=]+|\bis\s*[:=]?|\bwas\b|\bof\b|达到了?|達到了?|为|為)\s*"
_VALUE = rf"(?P<about>[~≈<>+]?)\[?(?P<number>{NUMBER}|{NONFINITE})\]?(?P<percent>\s*%)?"
_NAMED = re.compile(rf"(?P<name>{_NAME}){_SEPARATOR}{_VALUE}", re.IGNORECASE)
_SPACED = re.compile(
    rf"(?<![A-Za-z])(?P<name>(?:(?:train(?:ing)?|val(?:id(?:ation)?)?|test)[ ])?"
    rf"(?:metrics/|best/|train/|val/)?(?:\w+_)?(?:Loss|Acc@?[15]?|Prec@[15]|"
    rf"Top-?[15]|AUC|mAP50(?:-95)?|F1|mIoU|"
    rf"precision|recall|accuracy|acc))\s+(?P<about>)(?P<number>\d*\.\d+(?:[eE][-+]?\d+)?|"
    rf"{NONFINITE})(?P<percent>\s*%)?",
    re.IGNORECASE,
)
_METER = re.compile(r"\s*\(\s*(\d*\.\d+(?:[eE][-+]?\d+)?)\s*\)")
_SHARE = re.compile(rf"\s*/\s*\d+\s*\(\s*({NUMBER})\s*%\s*\)")
_ARROW = re.compile(r"\s*(?:→|->|=>|~|降至|升至|[\-–—]\s*\d)")
_COUNT = re.compile(
    r"\s*/\s*\d|\s*(?:seconds?|secs?|s|ms|min|minutes?|hours?|h|MB|GB|KB|M|K|it/s|epochs?|张|張|个|轮|輪|"
    r"秒|分|倍|x)(?![A-Za-z])|\s*[*+](?!\*)"
)
_INLINE_EPOCH = re.compile(
    r"^[^()\n]{0,3}\(\s*(?:at |in |第)?\s*(?:epoch|轮|輪)?\s*[:#]?\s*(\d+)\s*(?:轮|輪|epoch)?\s*[,)]", re.IGNORECASE
)
_DICT = re.compile(r"^\s*\{\s*'")
_NOT_VALUES = re.compile(
    r"(?i)变化|變化|改善|提升|下降|threshold|阈值|閾值|target|目标|目標|baseline|基线|基線|随机|隨機|"
    r"random|patience|gap|diff|delta|change|"
    r"improve|权重|權重|耐心|预期|預期|\bvs\b|time|时间|用时|std|deviation|标准差|previous|之前|"
    r"cross.?val|ceiling|rate.?limit"
)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A number with its name. ``name`` is None for a word that is no known metric (perhaps a term of a loss)."""

    raw: str
    name: Name | None
    number: Number
    epoch: float | None = None


def pairs_in(text: str) -> Iterator[Pair]:
    """Every named number of a line, in order; changes (+3 %, A -> B), counts and durations are no values."""
    if _DICT.match(text):
        text = text.replace("'", "").replace('"', "")
    found = {match.start("number"): match for match in _SPACED.finditer(text)}
    found.update({match.start("number"): match for match in _NAMED.finditer(text)})
    for start in sorted(found):
        pair = _pair(found[start], text)
        if pair is not None:
            yield pair


def _pair(match: re.Match[str], text: str) -> Pair | None:
    after = text[match.end() :]
    share = _SHARE.match(after)
    if share:
        match_share = parse_number(share[1])
        name = canonical(match["name"].strip(" -.'"))
        if name is None or match_share is None or name.name.partition("/")[0] not in SCORES:
            return None
        exact = Number(value=match_share.value, half_ulp=match_share.half_ulp, percent=True)
        return Pair(raw=match["name"].strip(" -.'"), name=name, number=exact)
    raw = match["name"].strip(" -.'")
    if match["about"] in ("+", "~", "≈", "<", ">") or _NOT_VALUES.search(raw):
        return None
    if _ARROW.match(after) or (not match["percent"] and _COUNT.match(after)):
        return None
    if after[:1].isalnum() and not match["percent"]:
        return None
    printed = match["number"] + ("%" if match["percent"] else "")
    number = parse_number(printed)
    if number is None or (number.percent and number.value is not None and number.value < 0):
        return None
    meter = _METER.match(after)
    if meter and not number.percent and "." in match["number"]:
        number = parse_number(meter[1]) or number
        after = after[meter.end() :]
    inline = _INLINE_EPOCH.match(after)
    return Pair(raw=raw, name=canonical(raw), number=number, epoch=float(inline[1]) if inline else None)
