"""The words of retrieval are among the report's, and take none of its own away."""

from __future__ import annotations

from veritrain.report.language import WORDS, say
from veritrain.report.retrieval_words import RETRIEVAL_WORDS


def test_they_are_part_of_the_report_s_words_and_replace_none():
    assert all(WORDS[key] == words for key, words in RETRIEVAL_WORDS.items())
    assert say("captions") == "Captions" and say("random frames") == "Random frames"


def test_no_class_is_called_unseen():
    assert not any("unseen" in english.lower() for english, _ in RETRIEVAL_WORDS.values())
