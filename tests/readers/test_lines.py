from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from veritrain.readers.lines import FREQUENT, lines_of, segments, shown, thinned


def read(text):
    return list(shown(segments(io.StringIO(text, newline=""))))


def test_carriage_returns_leave_the_last_state_of_a_bar():
    bar = "Epoch 1:  {0}%|███| {0}/100 [00:01<00:02, 5.0it/s, loss=0.{0}]"
    lines = read("start\n" + "\r".join(bar.format(i) for i in (10, 50, 99)) + "\nEpoch done\n")
    assert [line.number for line in lines] == [1, 2, 3]
    assert "loss=0.99" in lines[1].text and lines[1].bar


def test_bars_on_lines_of_their_own_collapse_too():
    lines = read("".join(f"Epoch 2: {i}%|██| {i}/100 [00:01<00:02]\n" for i in (1, 2, 3)) + "after\n")
    assert [line.number for line in lines] == [3, 4]


def test_crlf_is_one_break():
    assert [(line.number, line.text) for line in read("a\r\nb\r\nc")] == [(1, "a"), (2, "b"), (3, "c")]


def test_colours_stamps_and_wide_signs_are_undone():
    (line,) = read("2024-01-02 10:00:00,123 - INFO - \x1b[34m损失：**0.5**，准确率：90％\x1b[0m\n")
    assert line.text == "损失:0.5,准确率:90%"
    assert line.said.startswith("2024-01-02")


def test_a_torn_last_line_is_kept():
    assert read("a\nloss: 0.")[-1].text == "loss: 0."


@given(
    st.lists(
        st.text(alphabet=st.characters(exclude_characters="\r\n\x08\x00\x1b", max_codepoint=0x2FF), max_size=30),
        max_size=20,
    )
)
def test_every_line_keeps_its_number(lines):
    found = list(segments(io.StringIO("\n".join(lines) + "\n", newline="")))
    assert [text for _, text in found] == lines or not lines
    assert [number for number, _ in found] == list(range(1, len(found) + 1))


def test_a_long_log_is_thinned_but_never_its_news():
    count = 4 * FREQUENT
    pieces = [(i, f"step {i} loss 0.{i}") for i in range(1, count)]
    pieces[count // 2] = (count // 2 + 1, "step loss nan")
    kept = list(thinned(pieces))
    assert len(kept) < count * 0.8
    assert (count // 2 + 1, "step loss nan") in kept
    assert kept[-1] == pieces[-1], "the last of a stretch stays"
    assert kept[: FREQUENT - 10] == pieces[: FREQUENT - 10]


def test_a_garbled_file_keeps_its_line_numbers(tmp_path):
    path = tmp_path / "report.md"
    text = "# 训练报告\n\n准确率: 0.9\n" * 9
    path.write_text(
        "".join(bytes([b]).decode("cp1252", "ignore") or chr(b) for b in text.encode()), encoding="utf-8", newline=""
    )
    lines, garbled = lines_of(path)
    assert garbled and [line.number for line in lines][-1] == 27
