from __future__ import annotations

import re
from pathlib import Path

import pytest

from veritrain.errors import UsageError
from veritrain.report import language
from veritrain.report.language import WORDS, both, check_language, say

REPORT = Path(language.__file__).parent


def test_every_word_has_both_languages():
    for key, (english, chinese) in WORDS.items():
        assert english.strip() and chinese.strip(), key
        assert english.isascii(), key
        if english != chinese:
            assert re.search(r"[一-鿿]", chinese), key


def test_every_word_that_is_used_exists():
    sources = [*REPORT.glob("*.py"), *(REPORT / "templates").glob("*.html")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources if path.name != "language.py")
    used = set(re.findall(r'\b(?:t|say|pair|both)\("(\w+)"', text))
    assert len(used) > 60
    assert not used - set(WORDS)


def test_every_verdict_and_status_has_words():
    for word in ("shown", "plausible", "not_shown", "refuted", "unjudged"):
        assert word in WORDS and f"{word}_means" in WORDS
    assert {"pass", "fail", "crashed", "waived", "refutes", "unproves", "notes"} <= set(WORDS)


def test_an_unknown_key_is_its_own_word():
    assert say("beats_trivial", "zh") == "beats_trivial"
    assert say("shown", "zh") == "已证实"


def test_both_marks_each_language():
    assert str(both("none")) == '<span lang="en">none</span><span lang="zh">无</span>'


def test_an_unknown_language_names_those_there_are():
    with pytest.raises(UsageError, match="en or zh"):
        check_language("de")
