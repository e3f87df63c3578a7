from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from veritrain.readers.mojibake import looks_garbled, repair

TEXT = "# 训练报告\n\n- **最终损失**: 0.3331\n- **准确率**: 89.93%\n- 模型收敛，训练成功完成\n"


def garble(text, drop=""):
    """UTF-8 read as cp1252, as editors do it: undefined bytes pass through as control characters, or are lost."""
    chars = []
    for byte in text.encode("utf-8"):
        try:
            char = bytes([byte]).decode("cp1252")
        except UnicodeDecodeError:
            char = chr(byte)
        chars.append("" if char in drop else char)
    return "".join(chars)


def test_a_garbled_text_comes_back_whole():
    assert repair(garble(TEXT)) == (TEXT, True)


def test_lost_bytes_cost_their_letter_only():
    fixed, repaired = repair(garble(TEXT, drop="\x81\x8d\x8f\x90\x9d\xad"))
    assert repaired and "0.3331" in fixed and "准确率" in fixed and "\ufffd" in fixed
    assert fixed.count("\n") == TEXT.count("\n")


def test_healthy_texts_are_left_alone():
    for text in (TEXT, "plain ascii", "café, naïve, Größe\n" * 5, "época: 3, acurácia: 0,91\n" * 20, ""):
        assert repair(text) == (text, False)


@given(st.text(alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), min_size=10, max_size=60))
def test_any_chinese_text_comes_back(text):
    garbled = garble(text)
    if looks_garbled(garbled):
        assert repair(garbled)[0] == text
