"""The bare-log rule: when numbers that somebody else left behind are clearly above the trivial level.

Version 3, frozen in ``docs/bare_log_rule.md``; change it only together with that page and its version.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from veritrain.audit.series import Series, held_out, series_of, summarised
from veritrain.readers.names import SPLITS
from veritrain.readers.readings import DETECTION
from veritrain.record import RunRecord, Statement

RULE_VERSION = 3
MIN_EVALUATIONS = 3
FLAT_EVALUATIONS = 5
LONG_RUN = 10
MIN_SAMPLES = 100
Z = 1.96
PERFECT = 1.0
MOST_CLASSES, COARSEST = 20, 0.005
"""1/C is told from another number only for few classes and at least two printed places."""

Word = Literal["above", "open", "trivial"]


@dataclass(frozen=True, kw_only=True)
class Family:
    """How a kind of metric is judged.

    Attributes:
        trivial: the level that needs no input; None when the file must tell it or the first evaluation stands in.
        effect: the least gain over ``trivial`` that counts.
        never_left: below this for a whole long run, the metric has shown no learning.
        higher: larger is better.
        two_sided: a score far on the wrong side of ``trivial`` depends on the input, or is another score by that name.
        bounded: the scale is known; without it, and without a trivial level, no gain can be called large.
    """

    trivial: float | None
    effect: float
    never_left: float | None = None
    higher: bool = True
    bounded: bool = True
    two_sided: bool = False


FAMILIES = {
    "auroc": Family(trivial=0.5, effect=0.10, never_left=0.55, two_sided=True),
    "map": Family(trivial=0.0, effect=0.02, never_left=0.01),
    "map_50": Family(trivial=0.0, effect=0.05, never_left=0.02),
    "map_75": Family(trivial=0.0, effect=0.02, never_left=0.01),
    "mcc": Family(trivial=0.0, effect=0.10, never_left=0.05, two_sided=True),
    "kappa": Family(trivial=0.0, effect=0.10, never_left=0.05, two_sided=True),
    "r2": Family(trivial=0.0, effect=0.10, never_left=0.02),
    "wer": Family(trivial=1.0, effect=0.10, never_left=0.95, higher=False, two_sided=True),
    "cer": Family(trivial=1.0, effect=0.10, never_left=0.95, higher=False, two_sided=True),
    "accuracy": Family(trivial=None, effect=0.10),
    "balanced_accuracy": Family(trivial=None, effect=0.10),
    "miou": Family(trivial=None, effect=0.10),
    "dice": Family(trivial=None, effect=0.10),
    "f1": Family(trivial=None, effect=0.10),
    "ap": Family(trivial=None, effect=0.10),
    "error_rate": Family(trivial=None, effect=0.10, higher=False),
    "mae": Family(trivial=None, effect=math.inf, higher=False, bounded=False),
    "mse": Family(trivial=None, effect=math.inf, higher=False, bounded=False),
    "rmse": Family(trivial=None, effect=math.inf, higher=False, bounded=False),
    "perplexity": Family(trivial=None, effect=math.inf, higher=False, bounded=False),
    "psnr": Family(trivial=None, effect=math.inf, bounded=False),
    "ssim": Family(trivial=None, effect=math.inf, bounded=False),
    "bleu": Family(trivial=None, effect=math.inf, bounded=False),
}
ERROR_SHARE = 1.0 / 3.0
"""A gain below ``effect`` counts too when it removes a third of the error and is at least LEAST_GAIN."""
LEAST_GAIN = 0.02
SWAPPED_WITHIN = 1e-6


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the rule says of one series: clearly above trivial, open, or positive evidence of no learning."""

    word: Word
    series: Series
    value: float
    bound: float
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """One confusion matrix of the file: how many, how many right, how large the largest class."""

    n: float
    correct: float
    largest: float
    classes: int
    file: str
    line: int
    split: str | None = None

    @property
    def accuracy(self) -> float:
        return self.correct / self.n

    @property
    def majority(self) -> float:
        return self.largest / self.n


def read_log(record: RunRecord) -> list[Reading]:
    """Every held-out score series with enough evaluations, judged; those without a subject when there are any."""
    series = [one for one in [*held_out(series_of(record)), *summarised(record)] if one.base in FAMILIES]
    enough = [one for one in series if len(one.points) >= MIN_EVALUATIONS]
    main = [one for one in enough if "/" not in one.name] or enough
    told = {"accuracy": majority_of(record), "miou": constant_miou(record)}
    completed = epochs_done(record) >= LONG_RUN
    return _without_side_columns([judge_series(one, told.get(one.base), completed=completed) for one in main])


def _without_side_columns(readings: list[Reading]) -> list[Reading]:
    """Average precisions of one detector rise together: a column of zeros beside one that is above was not filled."""
    above = any(one.word == "above" and one.series.base in DETECTION for one in readings)
    return [one for one in readings if not (above and one.series.base in DETECTION and set(one.series.values) == {0.0})]


def judge_series(series: Series, told: float | None = None, *, completed: bool = False) -> Reading:
    """The rule for one series.

    Args:
        told: the score of the best constant answer, when the file tells it and the family has no level of its own.
        completed: the file says that a long training was completed, however few evaluations it prints.
    """
    family = FAMILIES[series.base]
    constant = _constant_at_chance(series)
    if constant is not None:
        return constant
    if set(series.values) == {PERFECT} and family.higher and family.bounded:
        return _saturated(series)
    trivial = told if family.trivial is None else family.trivial
    if trivial is None and series.base == "accuracy":
        trivial = answer_pair(series)
    if trivial is None:
        return _against_first(series, family)
    return _against_known(series, family, trivial, completed=completed)


def _saturated(series: Series) -> Reading:
    sentence = f"{series.place_name()} is perfect in all {len(series.points)} evaluations, from the first one on"
    return Reading(word="open", series=series, value=PERFECT, bound=PERFECT, sentence=sentence)


def _against_known(series: Series, family: Family, trivial: float, *, completed: bool) -> Reading:
    sign = 1.0 if family.higher else -1.0
    settled = series.settled()
    bound = trivial + sign * family.effect
    if sign * (settled - bound) > 0:
        sentence = (
            f"{series.place_name()} goes from {series.first:.3g} to {settled:.3g} "
            f"(median of the last 3 of {len(series.points)}), clearly "
            f"{'above' if family.higher else 'below'} the trivial level {trivial:.3g} by at least "
            f"{family.effect:g}"
        )
        return Reading(word="above", series=series, value=settled, bound=bound, sentence=sentence)
    if _never_left(series, family, sign, completed=completed):
        sentence = (
            f"{series.place_name()} stays at the trivial level {trivial:g}: the best of "
            f"{len(series.points)} evaluations "
            f"is {_best(series, sign):.3g}, it settles at {settled:.3g}, and {bound:.3g} is the least that counts"
        )
        return Reading(word="trivial", series=series, value=settled, bound=bound, sentence=sentence)
    sentence = f"{series.place_name()} settles at {settled:.3g}, not clearly beyond {bound:.3g} (trivial {trivial:.3g})"
    return Reading(word="open", series=series, value=settled, bound=bound, sentence=sentence)


def _best(series: Series, sign: float) -> float:
    return sign * max(sign * value for value in series.values)


def _never_left(series: Series, family: Family, sign: float, *, completed: bool) -> bool:
    """A long run that stays at the trivial level, or ends pinned there and never left it far."""
    if family.never_left is None or (len(series.points) < LONG_RUN and not completed):
        return False
    trivial = family.trivial or 0.0
    best = _best(series, sign)
    if family.two_sided and sign * (series.settled() - trivial) < -abs(family.never_left - trivial):
        return False
    if sign * (best - family.never_left) < 0:
        return completed or not _rising(series, sign)
    pinned = sum(value == trivial for value in series.values[-LONG_RUN:])
    return pinned == LONG_RUN and sign * (best - trivial) < family.effect


def _rising(series: Series, sign: float) -> bool:
    """Still on its way up when the log stops: the last third beats the first two thirds."""
    cut = 2 * len(series.values) // 3
    early, late = series.values[:cut], series.values[cut:]
    return sign * (statistics.median(late) - max(early, key=lambda value: sign * value)) > 0


def _against_first(series: Series, family: Family) -> Reading:
    """No trivial level is known, so the first evaluation stands in and the gain must be large."""
    sign = 1.0 if family.higher else -1.0
    settled, first = series.settled(), series.first
    gain = sign * (settled - first)
    error = 1.0 - first if family.higher else first
    large = gain >= family.effect or (
        family.bounded and gain >= LEAST_GAIN and error > 0 and gain >= ERROR_SHARE * error
    )
    bound = first + sign * family.effect
    if large and not _one_jump_to_flat(series):
        sentence = (
            f"{series.place_name()} rises from {first:.3g} to {settled:.3g} "
            f"(median of the last 3 of {len(series.points)}) on held-out data; the file does not tell the trivial "
            "level, so its first evaluation stands in"
        )
        return Reading(
            word="above", series=series, value=settled, bound=bound, sentence=sentence.replace("rises", _verb(sign))
        )
    sentence = (
        f"{series.place_name()} goes from {first:.3g} to {settled:.3g}: the file does not tell the "
        f"trivial level, and a gain of "
        f"{gain:+.3f} within the run cannot show one"
    )
    return Reading(word="open", series=series, value=settled, bound=bound, sentence=sentence)


def _verb(sign: float) -> str:
    return "rises" if sign > 0 else "falls"


def _one_jump_to_flat(series: Series) -> bool:
    """A majority predictor jumps once and then prints the same number for ever."""
    tail = series.values[len(series.values) // 2 :]
    flat = len(series.points) >= FLAT_EVALUATIONS and len(set(tail)) == 1 and tail[0] < 0.9
    after = set(series.values[1:])
    swapped = len(after) == 1 and abs(series.first + max(after) - 1.0) < SWAPPED_WITHIN
    return (flat or swapped) and series.base == "accuracy"


def _constant_at_chance(series: Series) -> Reading | None:
    """One number for the whole run that equals 1/C: the outputs cannot depend on the input."""
    values = set(series.values)
    if (
        series.base not in ("accuracy", "balanced_accuracy")
        or len(values) != 1
        or len(series.points) < FLAT_EVALUATIONS
    ):
        return None
    value = series.first
    close = max(series.points[0].half_ulp, 1e-4)
    if not 0.5 / MOST_CLASSES < value <= 0.5 + close or close > COARSEST:
        return None
    classes = round(1.0 / value)
    if classes > MOST_CLASSES or abs(1.0 / classes - value) > close:
        return None
    sentence = (
        f"{series.place_name()} is {value:.4g} in all {len(series.points)} evaluations, 1/{classes} as printed: "
        "what one constant answer to that many equal classes scores"
    )
    return Reading(word="trivial", series=series, value=value, bound=value, sentence=sentence)


def answer_pair(series: Series) -> float | None:
    """Two values that come again and again and sum to 1 are the two constant answers of a binary task."""
    counts = Counter(round(value, 4) for value in series.values)
    often = max(3, round(0.1 * len(series.points)))
    pairs = [
        value for value, count in counts.items() if value > 0.5 and count >= often and counts[round(1 - value, 4)] >= 2
    ]
    return max(pairs, default=None)


def confusions_of(record: RunRecord) -> list[Confusion]:
    """The matrices of the model; one that the file announces as a baseline's is not."""
    found = [one for one in record.statements if one.kind == "confusion" and not one.values.get("baseline")]
    return [_confusion(statement) for statement in found]


def _confusion(statement: Statement) -> Confusion:
    values = statement.values
    return Confusion(
        n=values["n"],
        correct=values["correct"],
        largest=values["largest"],
        classes=int(values["classes"]),
        file=statement.file,
        line=statement.line,
        split=SPLITS[int(values["split"])] if "split" in values else None,
    )


def majority_of(record: RunRecord) -> float | None:
    """The share of the largest class, when the file tells it and two classes are there."""
    found = [one.majority for one in confusions_of(record) if one.largest < one.n]
    if found:
        return max(found)
    told = [s.values for s in record.statements if s.kind == "prevalence" and "majority" in s.values]
    if most_classes(record) > 2:
        told = [values for values in told if "positive" not in values and "chance" not in values]
    return max((values["majority"] for values in told), default=None)


def most_classes(record: RunRecord) -> float:
    """The largest number of classes that the file states, 0 when it states none."""
    kinds = ("classes", "classes_in_words")
    return max((s.values["classes"] for s in record.statements if s.kind in kinds), default=0.0)


def constant_miou(record: RunRecord) -> float | None:
    """One answer everywhere scores at most 1/C in mean IoU, when the file tells the number of classes C."""
    told = [s.values["classes"] for s in record.statements if s.kind == "classes" and s.values["classes"] >= 2]
    return 1.0 / min(told) if told else None


def epochs_done(record: RunRecord) -> float:
    """Epochs that the file says were completed, 0 when it says nothing."""
    return max((s.values["epochs"] for s in record.statements if s.kind == "epochs_done"), default=0.0)


def upper_share(correct: float, n: float) -> float:
    """Upper 95 % bound (Wilson) of a share seen ``correct`` times in ``n``."""
    share = correct / n
    centre = share + Z * Z / (2 * n)
    spread = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return (centre + spread) / (1 + Z * Z / n)


def beaten(readings: Sequence[Reading], word: Word) -> list[Reading]:
    return [reading for reading in readings if reading.word == word]
