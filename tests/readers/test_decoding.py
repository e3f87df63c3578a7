from __future__ import annotations

import pytest

from veritrain.errors import ArtefactError
from veritrain.readers.decoding import READ_KINDS, encoding_of, head_of

CHINESE = "第1轮 训练损失: 0.5 验证准确率: 0.8\n" * 20


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_the_encodings_of_windows_and_linux(tmp_path, encoding):
    path = tmp_path / "log.txt"
    path.write_bytes(CHINESE.encode(encoding))
    assert head_of(path)[0] == CHINESE


def test_a_head_that_ends_inside_a_letter_is_utf8():
    assert encoding_of("训练".encode()[:-1]) == "utf-8"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n  \n",
        b"\x00" * 400,
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20,
        b"\x80\x04\x95" + bytes(range(256)) * 9,
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ArtefactError) as error:
        head_of(path)
    assert error.value.exit_code == 2 and error.value.expected == READ_KINDS and str(path) in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ArtefactError, match="cannot be opened"):
        head_of(tmp_path / "none.csv")
