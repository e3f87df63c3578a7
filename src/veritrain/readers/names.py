"""One name for what twenty tools spell in a hundred ways, and the split that hides in the spelling."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

TRAIN = frozenset(["train", "training", "tr", "trn", "训练", "訓練", "训练集", "訓練集", "entrenamiento", "treino"])
VAL = frozenset(
    [
        "val",
        "valid",
        "validation",
        "validating",
        "dev",
        "eval",
        "evaluation",
        "evaluating",
        "验证",
        "驗證",
        "验证集",
        "驗證集",
        "评估",
        "評估",
        "vali",
    ]
)
_ACTS = frozenset(["eval", "evaluation", "evaluating", "评估", "評估"])
TEST = frozenset(["test", "testing", "tst", "holdout", "测试", "測試", "测试集", "測試集"])
_DROPPED = frozenset(
    [
        "epoch",
        "step",
        "avg",
        "average",
        "mean",
        "macro",
        "overall",
        "running",
        "curr",
        "current",
        "metrics",
        "metric",
        "score",
        "scores",
        "is",
        "was",
        "on",
        "of",
        "the",
        "and",
        "a",
        "an",
        "with",
        "set",
        "data",
        "dataset",
        "per",
        "平均",
        "总体",
        "整体",
        "最终",
        "final",
        "last",
        "model",
        "模型",
        "当前",
        "當前",
        "本轮",
        "eval/",
        "rate%",
        "value",
        "值",
        "最后",
        "宏平均",
        "总",
        "總",
        "at",
        "with",
        "only",
        "pred",
        "分数",
        "分數",
        "得分",
        "指标",
    ]
)
SPLITS = ("train", "val", "test")
_BEST = frozenset(["best", "最佳", "最高", "最好", "最优", "highest", "max", "最大", "最低", "lowest", "min", "peak"])
_FIRST = frozenset(["initial", "初始", "start", "starting", "起始"])

_ALIASES = {
    "loss/giou": "giou",
    "loss": "loss losses 损失 損失 损失值 totalloss lossis",
    "accuracy": "accuracy acc top1 acc1 acc@1 prec@1 prec1 top1acc top1accuracy accuracytop1 accuracy1 "
    "categoricalaccuracy "
    "binaryaccuracy sparsecategoricalaccuracy pixelacc pixelaccuracy oa 准确率 準確率 准确度 準確度 "
    "正确率 正確率 精度 acurácia "
    "exactitud accuracyscore 分类准确率 分類準確率",
    "accuracy_top5": "top5 acc5 acc@5 prec@5 prec5 top5acc top5accuracy accuracytop5 accuracy5",
    "balanced_accuracy": "balancedaccuracy balancedacc bacc uar",
    "auroc": "auroc auc rocauc aucroc imageauroc aurocscore aucscore",
    "ap": "ap auprc aupr prauc averageprecision aucpr",
    "map": "map map50-95 map5095 map50:95 map505095 bboxmap cocobboxmap map5095b 平均精度均值",
    "map_50": "map50 ap50 map05 map@50 bboxmap50 cocobboxmap50",
    "map_75": "map75 ap75 bboxmap75 cocobboxmap75",
    "miou": "miou meaniou meaniu miu iou meanintersectionoverunion jaccard",
    "dice": "dice dsc dicescore dicecoefficient dicecoef",
    "f1": "f1 f1score fscore f1measure f1macro microf1 f1分数 f1分數 f1值 f1得分",
    "precision": "precision prec p 精确率 精確率 查准率 precisión 精确度 精確度",
    "recall": "recall rec r sensitivity tpr 召回率 查全率 灵敏度",
    "specificity": "specificity tnr 特异性 特异度",
    "mcc": "mcc matthews matthewscorrelation matthewscorrcoef",
    "kappa": "kappa cohenkappa qwk",
    "wer": "wer worderrorrate",
    "cer": "cer charactererrorrate",
    "error_rate": "errorrate top1err top1error 错误率",
    "mae": "mae l1error meanabsoluteerror",
    "mse": "mse meansquarederror",
    "rmse": "rmse rootmeansquarederror",
    "r2": "r2 r2score r²",
    "psnr": "psnr",
    "ssim": "ssim",
    "perplexity": "perplexity ppl",
    "bleu": "bleu bleu4",
    "learning_rate": "lr learningrate lr0 lr1 lr2 xlr0 xlr1 xlr2 pg0 pg1 pg2 lrpg0 lrpg1 lrpg2 学习率 學習率 lrate",
    "grad_norm": "gradnorm gradientnorm",
}
_CANONICAL = {alias: name for name, aliases in _ALIASES.items() for alias in aliases.split()}

SCORES = frozenset(
    [
        "accuracy",
        "accuracy_top5",
        "balanced_accuracy",
        "auroc",
        "ap",
        "map",
        "map_50",
        "map_75",
        "miou",
        "dice",
        "f1",
        "precision",
        "recall",
        "specificity",
    ]
)
"""Names that live between 0 and 1 and are sometimes printed as percent."""
PERCENTABLE = SCORES | {"error_rate", "mcc", "kappa"}
"""Names whose number above 1 must be percent."""
UNBOUNDED_RATES = frozenset(["wer", "cer"])
"""Names that are sometimes percent, and can be above 1 without it."""

EPOCH = frozenset(
    [
        "epoch",
        "epochs",
        "ep",
        "epochno",
        "epochnum",
        "轮次",
        "輪次",
        "輪數",
        "輪",
        "轮数",
        "epoch轮次",
        "轮",
        "迭代轮次",
        "epoka",
        "época",
        "世代",
    ]
)
RUN = frozenset(["fold", "kfold", "run", "runid", "seed", "trial", "model", "experiment", "member"])
STEP = frozenset(["step", "iter", "iteration", "globalstep", "batch", "iterations", "steps", "步数", "步數", "step数"])

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_UNIT = re.compile(r"\((?:[A-Z]|%|[a-z]+)\)|\[%\]|%")
_RANGE_MAP = re.compile(r"(?i)mAP\s*[@_ ]?\(?\s*(?:\[|IoU\s*=\s*)?\s*0?\.50?\s*[:\-–~]\s*0?\.95\]?\)?")
_HALF_MAP = re.compile(
    r"(?i)\b(m?AP)\s*[@_ ]\(?\s*(?:IoU\s*=\s*)?0?\.5(?:0)?\)?(?![\d:])|\b(m?AP)\.5(?![\d:])|\b(m?AP)@50\b"
)
_RANGE_MAP_INT = re.compile(r"(?i)mAP@?\s*50\s*[:\-–~]\s*95")


@dataclass(frozen=True, kw_only=True)
class Name:
    """A canonical name, the split its spelling told, and whether it is a best-so-far or an initial value."""

    name: str
    split: str | None = None
    place: str | None = None


def plain_map(text: str) -> str:
    """``mAP@0.5:0.95`` becomes ``mAP50-95`` and ``mAP@.5`` becomes ``mAP50``: digits stop looking like values."""
    if "AP" not in text and "ap" not in text:
        return text
    text = _RANGE_MAP_INT.sub("mAP50-95", _RANGE_MAP.sub("mAP50-95", text))
    return _HALF_MAP.sub(lambda found: (found.group(1) or found.group(2) or found.group(3)) + "50", text)


@lru_cache(maxsize=4096)
def canonical(raw: str) -> Name | None:
    """The canonical name of a column or a label; None when it is no loss, score or learning rate."""
    text = plain_map(raw).strip().strip("*`'\" :")
    tokens = _tokens(text)
    split, tokens = _take_split(tokens, text)
    place = "best" if any(token in _BEST for token in tokens) else None
    place = place or ("first" if any(token in _FIRST for token in tokens) else None)
    kept = [token for token in tokens if token not in _BEST | _FIRST]
    weight = _loss_weight(tokens)
    if weight is not None:
        return Name(name=weight, split=split, place=place)
    name = _lookup(kept) or _lookup([token for token in kept if token not in _DROPPED])
    if name is None:
        name = _with_subject([token for token in kept if token not in _DROPPED])
    return None if name is None else Name(name=name, split=split, place=place)


def counter(raw: str) -> str | None:
    """ "epoch", "step" or "run" when the column places a row, else None."""
    flat = re.sub(r"[\s_./#:]", "", raw.strip().strip("*`'\"").lower())
    if flat in EPOCH - {"epochs"}:
        return "epoch"
    if flat in STEP:
        return "step"
    return "run" if flat in RUN else None


def is_rouge(raw: str) -> bool:
    """``R1`` or ``RL``: beside them ``R2`` is ROUGE-2, not the coefficient of determination."""
    return bool({"r1", "rl"} & set(_tokens(raw)))


def split_word(text: str) -> str | None:
    """The split that a header such as ``验证损失:`` or ``### Validation Metrics`` speaks of."""
    tokens = set(_tokens(text))
    # "evaluation of the test set" speaks of the test set: the act names a split only when nothing else does.
    named = tokens - _ACTS or tokens
    told = [split for words, split in ((TRAIN, "train"), (VAL, "val"), (TEST, "test")) if named & words]
    if not told:
        told = ["val"] if tokens & _ACTS else []
    return told[0] if len(told) == 1 else None


def _tokens(text: str) -> list[str]:
    spaced = _CAMEL.sub(" ", _UNIT.sub(" ", text))
    spaced = re.sub(r"([\u4e00-\u9fff]+)", r" \1 ", spaced)
    words = [
        word for word in re.split(r"[\s_/\\.,:;()\[\]|#\-]+", spaced.lower().replace("f1-score", "f1score")) if word
    ]
    return [part for word in words for part in _cut_chinese(word)]


_CHINESE_PREFIXES = tuple(
    sorted(
        [
            "训练集",
            "訓練集",
            "训练",
            "訓練",
            "验证集",
            "驗證集",
            "验证",
            "驗證",
            "测试集",
            "測試集",
            "测试",
            "測試",
            "平均",
            "总体",
            "整体",
            "最终",
            "最佳",
            "最高",
            "最好",
            "最优",
            "最低",
            "初始",
            "当前",
            "總",
            "总",
            "模型",
            "评估",
            "評估",
            "最后",
            "宏平均",
        ],
        key=len,
        reverse=True,
    )
)


def _cut_chinese(word: str) -> list[str]:
    """Chinese writes no blanks: cut known leading words off one by one."""
    parts = []
    rest = word
    while rest:
        head = next((prefix for prefix in _CHINESE_PREFIXES if rest.startswith(prefix)), None)
        if head is None or rest == head:
            break
        parts.append(head)
        rest = rest[len(head) :].lstrip("的")
    return [*parts, rest] if rest else parts


def _take_split(tokens: list[str], text: str) -> tuple[str | None, list[str]]:
    for words, split in ((TRAIN, "train"), (VAL, "val"), (TEST, "test")):
        if any(token in words for token in tokens):
            return split, [token for token in tokens if token not in words]
    if "metrics/" in text:
        return "val", [token for token in tokens if token != "metrics"]
    return None, tokens


def _lookup(tokens: list[str]) -> str | None:
    flat = "".join(tokens)
    if flat in _CANONICAL:
        return _CANONICAL[flat]
    if len(tokens) == 2 and tokens[0] in _CANONICAL and _CANONICAL.get(tokens[1]) == _CANONICAL[tokens[0]]:
        # 准确率 (Accuracy): the same word twice, in two languages.
        return _CANONICAL[tokens[0]]
    return None


def _loss_weight(tokens: list[str]) -> str | None:
    """``w_det``, ``det_weight``, ``weight/cls``: the weight of a loss term (weight decay is not one)."""
    if len(tokens) < 2 or "decay" in tokens:
        return None
    if tokens[0] in ("w", "weight", "lambda"):
        return "weight/" + "_".join(tokens[1:])
    if tokens[-1] == "weight":
        return "weight/" + "_".join(token for token in tokens[:-1] if token != "loss")
    return None


def _with_subject(tokens: list[str]) -> str | None:
    """``box loss`` -> ``loss/box``; ``fused accuracy`` -> ``accuracy/fused``; ``分类损失`` -> ``loss/分类``."""
    if not tokens or len(tokens) > 4:
        return None
    for width in (3, 2, 1):
        if len(tokens) <= width:
            continue
        name = _lookup(tokens[-width:])
        if name is not None and len("".join(tokens[-width:])) > 1:
            return f"{name}/{'_'.join(tokens[:-width])}"
    for head in ("loss", "accuracy"):
        if tokens[0] == head and len(tokens) > 1:
            return f"{head}/{'_'.join(tokens[1:])}"
    for ending in ("损失", "損失", "loss", "准确率", "準確率"):
        if tokens[-1].endswith(ending) and len(tokens[-1]) > len(ending):
            subject = "_".join([*tokens[:-1], tokens[-1][: -len(ending)]])
            return f"{_CANONICAL[ending]}/{subject}"
    return None
