"""Sentences that claim, admit or announce something: English, simplified and traditional Chinese."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from veritrain.readers.numbers import NUMBER, parse_number


@dataclass(frozen=True, kw_only=True)
class Said:
    """A kind of statement or remark with the numbers read from it."""

    kind: str
    values: dict[str, float] = field(default_factory=dict)


_NEGATED = re.compile(
    r"(?i)未|没有|沒有|无法|無法|不收敛|不收斂|难以|可能|需要|如果|应该|為何|失败|failed|\bnot\b|n't|"
    r"never|unable|should|could|would|to be|❌"
)
_STATEMENTS = (
    (
        "success",
        re.compile(
            r"(?i)成功完成|训练成功|訓練成功|成功训练|成功訓練|圆满|圓滿|完美|卓越|验证成功|驗證成功|"
            r"trained? success|successfully trained|great success|thành công"
        ),
    ),
    ("converged", re.compile(r"(?i)收敛|收斂|converge[ds]?\b|convergence")),
    (
        "improvement",
        re.compile(
            r"(?i)改善|提升|提高|优于|優於|有显著|improve[ds]?\b|improvement|outperform|better than|"
            r"下降\s*\d|降低了\s*\d"
        ),
    ),
    (
        "target",
        re.compile(
            r"目标指标|目標指標|(?i:\btarget (?:metric|value)s?\b)|用户目标|用戶目標|"
            r"理论预期|理論預期"
        ),
    ),
    (
        "estimate",
        re.compile(
            r"(?i)预估|預估|预期结论|预期性能|预期效果|预期指标|預期|\bestimated (?:auroc|map|acc|perf|"
            r"result)|expected (?:auroc|map|acc|perf|result)"
        ),
    ),
    (
        "pending",
        re.compile(
            r"(?i)\[ \]|待[^。|]{0,14}(?:完成|评估|評估|测试|測試|验证|驗證)|to be evaluated|"
            r"evaluation pending|\bTBD\b|尚未评估"
        ),
    ),
)
_NO_OVERFIT = re.compile(
    r"(?i)无过拟合|無過擬合|没有过拟合|沒有過擬合|no (?:sign of |signs of )?over-?fitting|without over-?fitting"
)
_BANNER = re.compile(
    r"(?i)\b(?:training|train|fine-?tuning|fit)\b[^.:\n]{0,30}\b(?:complete|completed|finished|done)\b|"
    r"训练[^,。:]{0,6}完成|訓練[^,。:]{0,6}完成|训练结束|訓練結束|圆满完成|圓滿完成|\bepochs completed in\b"
)
_DONE = re.compile(r"(?i)\b(\d+) epochs completed\b")
_BEST_EPOCH = re.compile(
    r"(?i)\bbest epoch\b\s*[:=]?\s*(\d+)|最佳\s*epoch\s*[:=]?\s*(?:epoch\s*)?(\d+)|"
    r"第\s*(\d+)\s*[轮輪](?:[^\d]{0,4}(?:最佳|达到))"
)
_TOTAL_EPOCHS = re.compile(
    r"(?i)\btotal epochs\b\s*[:=]?\s*(\d+)|总训练轮[数次]\s*[:=|]\s*(\d+)|实际训练轮数\s*[:=]\s*(\d+)|"
    r"训练轮[数次]\s*[:=|]\s*(\d+)|"
    r"\bepochs\s*[:=]\s*(\d+)|\b(\d+) epochs completed\b"
)
_CHANCE = re.compile(
    rf"(?i)(?:随机预测|隨機預測|随机猜测|随机基准|random (?:guess(?:ing)?|baseline|chance)|chance level|"
    rf"(?P<majority>majority (?:class )?baseline))\s*[:=(]?\s*~?\s*(?P<share>{NUMBER})\s*(?P<percent>%)?"
)
_OF_RANKING = re.compile(r"(?i)AUC|ROC")
_POSITIVE = re.compile(
    rf"(?i)\(?\s*({NUMBER})\s*%\s*(?:的)?(?:为)?\s*(?:异常|異常|正样本|正樣本|阳性|anomal(?:y|ies|ous)|positives\b|"
    rf"positive(?=\s*(?:$|[^\w\s]|and\b|samples?|examples?|class\b|labels?|cases?|instances?|images?|pixels?|"
    rf"patients?|rows?|frames?|windows?)))|"
    rf"(?:异常率|異常率|正样本比例|positive (?:rate|share)|prevalence)\s*[:=]\s*({NUMBER})\s*(%)?"
)
_PART_OF = re.compile(
    rf"(?i)\b(?:anomalous|abnormal|positive)(?: \w+)?\s*[:=]\s*({NUMBER})\s*% of (?:the |all )*"
    r"(?:data(?: ?set)?|samples|images|frames|examples|rows|cases|windows)(?=\s*(?:$|[.,;)]))"
)
_LARGEST = re.compile(
    rf"(?i)({NUMBER})\s*% of (?:the |all )*(?:samples|images|examples|rows|cases|data) (?:belong to|are of|are in) "
    r"(?:the |one |a )?(?:\w+ )?class\b"
)
_CLASS_COUNTS = re.compile(
    r"(?i)(?:类别分布|類別分佈|class (?:distribution|counts?)|label (?:distribution|counts?))\s*[:=]\s*(.+)"
)
_COUNTED = re.compile(r"[\w\u4e00-\u9fff'\"\- ]+?\s*[:=]\s*(\d+)(?![\d.]*%)")
_ARROW = re.compile(rf"({NUMBER})\s*(%)?\s*(?:→|->|=>|降至|降到|下降到|升至|升到|提升到|上升到)\s*({NUMBER})\s*(%)?")
_PERCENT = re.compile(rf"([-+]?)({NUMBER})\s*%")
_CLASSES = re.compile(
    r"(?i)\b(?:num_?classes|number of classes)\b\s*[:=|]\s*(\d+)|(?:类别数量?|類別數量?)\s*[:=|]\s*(\d+)"
)
_CLASSES_IN_WORDS = re.compile(
    r"(?i)(?<![\d.,])(\d+)(?:[- ]way\b|[- ]class(?:es)?\b|\s*(?:个|個)?(?:类别|類別|分类|分類))"
)
_WEIGHTED_LOSS = re.compile(
    r"(?i)pos_?weight|class[ _-]?weight|weighted[ _-]?(?:\w+[ _-])?(?:loss|bce|ce\b|cross)|label[ _-]?smooth|"
    r"类别权重|類別權重|加权(?:损失|交叉)|加權(?:損失|交叉)|标签平滑|標籤平滑"
)
_WEIGHTS = re.compile(r"(?:权重|權重|weight)[^\n%]{0,12}[-+]\s*[\d,]+(?:\.\d+)?\s*%", re.IGNORECASE)
_MADE_UP = re.compile(
    r"(?i)(?<!target )\b(?:numbers|values|results|metrics|scores|figures)\b"
    r"(?: (?:above|below|here|shown|reported)| in (?:this|the) (?:table|report|section|document))* (?:are|were) "
    r"(?:all |only |purely |just |merely |currently |still )*(?:simulated\b|illustrative\b|placeholders?\b|"
    r"made[- ]up\b|hypothetical\b|fabricated\b|invented\b|mocked\b|dummy (?:data|values|numbers)\b|"
    r"not (?:actually |really |yet )?(?:measured|from a real)\b)|"
    r"(?:以上|上述|上表|表中|本报告|本報告)[^。\n]{0,10}"
    r"(?:数据|數據|数字|數字|数值|數值|结果|結果|指标|指標)[^。\n]{0,6}"
    r"(?:为|為|是|均为|均為|均是|仅为|僅為|属于|屬於)[^。\n]{0,4}"
    r"(?:模拟|模擬|示例|虚构|虛構|占位|佔位|假设|假設|编造|編造|示意)"
)

_REMARKS = (
    (
        "key_mismatch",
        re.compile(
            r"Missing key\(s\) in state_dict|Unexpected key\(s\) in state_dict|"
            r"Error\(s\) in loading state_dict|size mismatch for \S+: copying"
        ),
    ),
    (
        "swallowed_exception",
        re.compile(
            r"(?i)batch\s*\d+\s*(?:出错|出錯|错误|failed|error)|(?:skipping|"
            r"skipped) (?:this )?batch.{0,20}(?:error|exception)|error (?:in|processing) batch|"
            r"跳过.{0,6}批次.{0,6}(?:错误|异常)"
        ),
    ),
    (
        "empty_split",
        re.compile(
            r"(?i)(?:(?<![A-Za-z])val|(?<![A-Za-z])test|验证|驗證|测试|"
            r"測試)[^\d\n]{0,20}(?<![\d.,/=])0\s*(?:个|個|张|張|samples|images|examples|有效|batches)|"
            r"(?:val\w*|test\w*|验证\w*)\s*:\s*0it \["
        ),
    ),
    (
        "same_split",
        re.compile(
            r"(?i)\bval(?:idation)?(?: set| data| split)? (?:is |are )?(?:the )?same as (?:the )?train|"
            r"\bus(?:e|es|ing) (?:the )?train(?:ing)?(?: set| data| split)? (?:for|as) (?:the )?val|"
            r"\bvalidat\w+ (?:metrics? |scores? )?(?:is |was |are |were )?(?:done |run |computed )?on (?:the )?"
            r"train(?:ing)? (?:set|data|split|images|samples)|"
            r"^\s*val\s*:\s*\S*\btrain\d*\b\S*\s*$|验证集与训练集相同|驗證集與訓練集相同|"
            r"(?:使用|用)训练集作为验证集|(?:使用|用)訓練集作為驗證集"
        ),
    ),
    ("numbers_made_up", _MADE_UP),
    ("stopped_early", re.compile(r"(?i)early stopp|早停(?:机制)?触发|触发早停|KeyboardInterrupt|EarlyStopping")),
)


def statements_in(text: str) -> Iterator[Said]:
    """Every statement of one line."""
    for kind, pattern in _STATEMENTS:
        found = pattern.search(text)
        if found is None:
            continue
        if kind in ("success", "converged") and _NEGATED.search(text):
            continue
        yield Said(kind=kind, values=_change(text) if kind == "improvement" else {})
    if _NO_OVERFIT.search(text):
        yield Said(kind="no_overfitting")
    if _WEIGHTS.search(text):
        yield Said(kind="weights_changed")
    if _WEIGHTED_LOSS.search(text):
        yield Said(kind="weighted_loss")
    yield from _numbers_in(text)


def _numbers_in(text: str) -> Iterator[Said]:
    best = _BEST_EPOCH.search(text)
    if best:
        yield Said(kind="best_epoch", values={"epoch": float(next(group for group in best.groups() if group))})
    total = _TOTAL_EPOCHS.search(text)
    if total:
        kind = "epochs_done" if _DONE.search(text) else "epochs_stated"
        yield Said(kind=kind, values={"epochs": float(next(group for group in total.groups() if group))})
    classes = _CLASSES.search(text)
    if classes:
        yield Said(kind="classes", values={"classes": float(classes[1] or classes[2])})
    words = _CLASSES_IN_WORDS.search(text)
    if words:
        yield Said(kind="classes_in_words", values={"classes": float(words[1])})
    chance = _CHANCE.search(text)
    if chance and not _OF_RANKING.search(text):
        yield from _chance(chance)
    yield from _prevalence(text)


def _chance(found: re.Match[str]) -> Iterator[Said]:
    """A majority baseline is a majority; a chance level is one of two classes only when it is a half."""
    share = _share(found["share"], found["percent"])
    if share is None:
        return
    if found["majority"]:
        yield Said(kind="prevalence", values={"majority": share})
    elif share == 0.5:
        yield Said(kind="prevalence", values={"majority": share, "chance": share})


def _prevalence(text: str) -> Iterator[Said]:
    positive = _POSITIVE.search(text)
    if positive:
        share = _share(positive[1], "%") if positive[1] else _share(positive[2], positive[3])
        if share is not None and 0 < share < 1:
            yield Said(kind="prevalence", values={"majority": max(share, 1 - share), "positive": share})
    part = _PART_OF.search(text)
    share = _share(part[1], "%") if part else None
    if share is not None and not positive:
        yield Said(kind="prevalence", values={"majority": max(share, 1 - share), "positive": share})
    largest = _LARGEST.search(text)
    share = _share(largest[1], "%") if largest else None
    if share is not None and share >= 0.5:
        yield Said(kind="prevalence", values={"majority": share})
    counts = _CLASS_COUNTS.search(text)
    if counts:
        numbers = [float(count) for count in _COUNTED.findall(counts[1])]
        if len(numbers) >= 2 and sum(numbers) > 0:
            values = {"majority": max(numbers) / sum(numbers), "n": sum(numbers), "classes": float(len(numbers))}
            yield Said(kind="prevalence", values=values)


def _share(text: str, percent: str | None) -> float | None:
    number = parse_number(text)
    if number is None or number.value is None:
        return None
    share = number.value / 100.0 if percent or number.value > 1 else number.value
    return share if 0 < share < 1 else None


def _change(text: str) -> dict[str, float]:
    """From, to and percent of a claimed change."""
    values: dict[str, float] = {}
    arrow = _ARROW.search(text)
    if arrow:
        first, last = parse_number(arrow[1]), parse_number(arrow[3])
        if first and last and first.value is not None and last.value is not None:
            values |= {"from": first.value, "to": last.value, "half_ulp": max(first.half_ulp, last.half_ulp)}
            values["in_percent"] = float(bool(arrow[2] or arrow[4]))
            text = text[: arrow.start()] + " " + text[arrow.end() :]
    percent = _PERCENT.search(text)
    if percent:
        number = parse_number(percent[2])
        if number and number.value is not None:
            values |= {"percent": abs(number.value), "percent_half_ulp": number.half_ulp}
    return values


def remarks_in(text: str) -> Iterator[str]:
    """Every remark about the process in one line."""
    for kind, pattern in _REMARKS:
        if pattern.search(text):
            yield kind
    if _BANNER.search(text) and not _NEGATED.search(text):
        yield "success_banner"
