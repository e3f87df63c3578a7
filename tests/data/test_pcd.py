"""The ``.pcd`` container against bytes written by hand, and every lie that a header can tell."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veritrain.data.pcd import lzf_unpack, read_pcd, write_pcd
from veritrain.errors import BrokenFileError

HEAD = (
    "# .PCD v0.7 - Point Cloud Data file format\n"
    "VERSION 0.7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\n"
    "WIDTH 2\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 2\nDATA {}\n"
)
ROWS = [(1.5, -2.25, 0.125, 0x00F50000), (0.0, 3.0, -1.0, 0x00000001)]


def body_of(rows):
    return b"".join(struct.pack("<fffI", *row) for row in rows)


def assert_rows(columns):
    assert list(columns) == ["x", "y", "z", "rgb"]
    np.testing.assert_array_equal(columns["x"], np.array([1.5, 0.0], np.float32))
    np.testing.assert_array_equal(columns["y"], np.array([-2.25, 3.0], np.float32))
    np.testing.assert_array_equal(columns["z"], np.array([0.125, -1.0], np.float32))
    assert columns["rgb"].view(np.uint32).tolist() == [0x00F50000, 1]


def lzf_pack(data: bytes) -> bytes:
    """LZF by brute force: the longest earlier match of three bytes or more, else one literal. Slow and its own."""
    out, place, literals = bytearray(), 0, bytearray()

    def flush():
        for start in range(0, len(literals), 32):
            piece = literals[start : start + 32]
            out.append(len(piece) - 1)
            out.extend(piece)
        literals.clear()

    while place < len(data):
        best, far = 0, 0
        for distance in range(1, min(place, 8191) + 1):
            length = 0
            while (
                length < 264 and place + length < len(data) and data[place + length - distance] == data[place + length]
            ):
                length += 1
            if length > best:
                best, far = length, distance
        if best < 3:
            literals.append(data[place])
            place += 1
            continue
        flush()
        code, back = best - 2, far - 1
        if code < 7:
            out.append(code << 5 | back >> 8)
        else:
            out.extend((7 << 5 | back >> 8, code - 7))
        out.append(back & 255)
        place += best
    flush()
    return bytes(out)


def columns_first(rows):
    return b"".join(
        struct.pack(f"<{len(rows)}{'I' if place == 3 else 'f'}", *(row[place] for row in rows)) for place in range(4)
    )


class TestReading:
    def test_binary_as_open3d_writes_it(self, tmp_path):
        (tmp_path / "a.pcd").write_bytes(HEAD.format("binary").encode() + body_of(ROWS))
        assert_rows(read_pcd(tmp_path / "a.pcd"))

    def test_ascii_with_the_colour_as_a_denormal_number(self, tmp_path):
        """Open3D prints the packed colour as "%.10g" of the float that its bytes make."""
        text = "".join(
            f"{x:.10g} {y:.10g} {z:.10g} {struct.unpack('<f', struct.pack('<I', rgb))[0]:.10g}\n"
            for x, y, z, rgb in ROWS
        )
        (tmp_path / "a.pcd").write_text(HEAD.format("ascii") + text)
        assert_rows(read_pcd(tmp_path / "a.pcd"))

    def test_compressed_field_by_field(self, tmp_path):
        plain = columns_first(ROWS)
        packed = lzf_pack(plain)
        head = HEAD.format("binary_compressed").encode()
        (tmp_path / "a.pcd").write_bytes(head + struct.pack("<II", len(packed), len(plain)) + packed)
        assert_rows(read_pcd(tmp_path / "a.pcd"))

    def test_whole_numbers_of_any_width(self, tmp_path):
        head = HEAD.format("ascii").replace("SIZE 4 4 4 4", "SIZE 4 8 2 8").replace("TYPE F F F F", "TYPE F F I U")
        (tmp_path / "a.pcd").write_text(head + "1 2 -300 18446744073709551615\n3 4 5 6\n")
        columns = read_pcd(tmp_path / "a.pcd")
        assert [column.dtype.str for column in columns.values()] == ["<f4", "<f8", "<i2", "<u8"]
        assert columns["z"].tolist() == [-300, 5] and columns["rgb"].tolist() == [2**64 - 1, 6]

    def test_no_points_are_no_points(self, tmp_path):
        text = HEAD.format("binary").replace("WIDTH 2", "WIDTH 0").replace("POINTS 2", "POINTS 0")
        (tmp_path / "a.pcd").write_text(text)
        assert {len(column) for column in read_pcd(tmp_path / "a.pcd").values()} == {0}

    def test_count_and_viewpoint_may_be_missing(self, tmp_path):
        text = "".join(line for line in HEAD.format("binary").splitlines(True) if line[:5] not in ("COUNT", "VIEWP"))
        (tmp_path / "a.pcd").write_bytes(text.encode() + body_of(ROWS))
        assert_rows(read_pcd(tmp_path / "a.pcd"))


class TestWriting:
    @pytest.mark.parametrize("encoding", ["ascii", "binary"])
    @settings(max_examples=25, deadline=None)
    @given(values=st.lists(st.tuples(st.floats(width=32, allow_nan=False), st.integers(0, 2**32 - 1)), max_size=20))
    def test_what_is_written_comes_back(self, tmp_path_factory, encoding, values):
        path = tmp_path_factory.mktemp("pcd") / "a.pcd"
        x, n = np.array([v for v, _ in values], np.float32), np.array([v for _, v in values], np.uint32)
        write_pcd(path, {"x": x, "d": x.astype(np.float64) / 3, "n": n}, encoding=encoding)
        columns = read_pcd(path)
        np.testing.assert_array_equal(columns["x"], x)
        np.testing.assert_array_equal(columns["d"], x.astype(np.float64) / 3)
        np.testing.assert_array_equal(columns["n"], n)

    def test_its_bytes_are_those_of_the_format(self, tmp_path):
        rows = np.array([row[:3] for row in ROWS], np.float32)
        rgb = np.array([row[3] for row in ROWS], np.uint32).view(np.float32)
        write_pcd(tmp_path / "a.pcd", {"x": rows[:, 0], "y": rows[:, 1], "z": rows[:, 2], "rgb": rgb})
        assert (tmp_path / "a.pcd").read_bytes() == HEAD.format("binary").encode() + body_of(ROWS)

    @pytest.mark.parametrize(
        ("columns", "encoding"),
        [
            ({"x": np.zeros(2, np.float32), "y": np.zeros(3, np.float32)}, "binary"),
            ({"x": np.zeros(2, object)}, "binary"),
            ({"x": np.zeros(2, np.float32)}, "binary_compressed"),
        ],
    )
    def test_what_it_cannot_write_it_refuses(self, tmp_path, columns, encoding):
        with pytest.raises(ValueError, match="cannot write"):
            write_pcd(tmp_path / "a.pcd", columns, encoding=encoding)
        assert not (tmp_path / "a.pcd").exists()


class TestCompression:
    @settings(max_examples=60, deadline=None)
    @given(st.one_of(st.binary(max_size=300), st.binary(min_size=1, max_size=5).map(lambda piece: piece * 80)))
    def test_unpacking_undoes_packing(self, data):
        assert lzf_unpack(lzf_pack(data), len(data)) == data

    def test_by_hand(self):
        """Two literals, then nine bytes from two bytes before, which overlap what they write."""
        assert lzf_unpack(bytes([1, 65, 66, 0b111_00000, 0, 1]), 11) == b"ABABABABABA"

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=60), st.integers(0, 500))
    def test_any_bytes_give_that_size_or_an_error(self, data, size):
        try:
            assert len(lzf_unpack(data, size)) == size
        except ValueError as error:
            assert "compressed block" in str(error)


LIES = {
    "no header": b"this is no cloud",
    "empty": b"",
    "a bomb": HEAD.replace("WIDTH 2", "WIDTH 999999999").replace("POINTS 2", "POINTS 999999999"),
    "many points": HEAD.replace("WIDTH 2", "WIDTH 19999999").replace("POINTS 2", "POINTS 19999999"),
    "another product": HEAD.replace("HEIGHT 1", "HEIGHT 2"),
    "negative": HEAD.replace("POINTS 2", "POINTS -2"),
    "no number": HEAD.replace("WIDTH 2", "WIDTH two"),
    "superscript": HEAD.replace("WIDTH 2", "WIDTH ²"),
    "version": HEAD.replace("VERSION 0.7", "VERSION 0.9"),
    "a key twice": HEAD.replace("HEIGHT 1\n", "HEIGHT 1\nHEIGHT 1\n"),
    "an unknown key": HEAD.replace("HEIGHT 1\n", "HEIGHT 1\nEXEC rm\n"),
    "a missing key": HEAD.replace("POINTS 2\n", ""),
    "a field twice": HEAD.replace("x y z rgb", "x x z rgb"),
    "sizes": HEAD.replace("SIZE 4 4 4 4", "SIZE 4 4 4"),
    "a type": HEAD.replace("TYPE F F F F", "TYPE F F F O"),
    "a width": HEAD.replace("SIZE 4 4 4 4", "SIZE 4 4 4 3"),
    "counts": HEAD.replace("COUNT 1 1 1 1", "COUNT 1 1 1 9"),
    "encoding": HEAD.replace("DATA {}", "DATA pickle"),
    "no data line": HEAD.replace("DATA {}\n", "") + "#" * 9000,
}


class TestLies:
    @pytest.mark.parametrize("lie", LIES)
    @pytest.mark.parametrize("encoding", ["ascii", "binary", "binary_compressed"])
    def test_each_is_refused_by_file_and_takes_no_memory(self, tmp_path, lie, encoding):
        content = LIES[lie]
        head = content if isinstance(content, bytes) else content.replace("{}", encoding).encode()
        (tmp_path / "a.pcd").write_bytes(head + body_of(ROWS))
        tracemalloc.start()
        with pytest.raises(BrokenFileError) as caught:
            read_pcd(tmp_path / "a.pcd")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 5e6
        assert caught.value.file == str(tmp_path / "a.pcd") and caught.value.found and caught.value.fix

    @pytest.mark.parametrize("cut", [1, 16, 17])
    def test_a_truncated_body(self, tmp_path, cut):
        (tmp_path / "a.pcd").write_bytes((HEAD.format("binary").encode() + body_of(ROWS))[:-cut])
        with pytest.raises(BrokenFileError, match="cannot be read as a point cloud") as caught:
            read_pcd(tmp_path / "a.pcd")
        assert "promises 32 bytes" in caught.value.found

    def test_bytes_after_the_last_point(self, tmp_path):
        (tmp_path / "a.pcd").write_bytes(HEAD.format("binary").encode() + body_of([*ROWS, ROWS[0]]))
        with pytest.raises(BrokenFileError) as caught:
            read_pcd(tmp_path / "a.pcd")
        assert "promises 32 bytes" in caught.value.found and "holds 48" in caught.value.found

    @pytest.mark.parametrize(
        "rows",
        [
            "1 2 3 4\n",
            "1 2 3 4\n1 2 3\n",
            "1 2 3 4\n1 2 3 x\n",
            "1 2 3 4\n" * 3,
            "1 2 3 4\n1 2 3 4 5\n",
            "é 2 3 4\n" * 2,
        ],
    )
    def test_text_that_is_not_what_the_header_says(self, tmp_path, rows):
        (tmp_path / "a.pcd").write_text(HEAD.format("ascii") + rows, encoding="utf-8")
        with pytest.raises(BrokenFileError):
            read_pcd(tmp_path / "a.pcd")

    @pytest.mark.parametrize("value", ["-1", "256", "1.5"])
    def test_a_number_beyond_its_field(self, tmp_path, value):
        head = HEAD.format("ascii").replace("SIZE 4 4 4 4", "SIZE 4 4 4 1").replace("TYPE F F F F", "TYPE F F F U")
        (tmp_path / "a.pcd").write_text(head + f"1 2 3 4\n1 2 3 {value}\n")
        with pytest.raises(BrokenFileError):
            read_pcd(tmp_path / "a.pcd")

    @pytest.mark.parametrize(("packed", "plain"), [(10**9, 32), (4, 10**9), (3, 32), (4, 32)])
    def test_compressed_sizes_that_do_not_fit(self, tmp_path, packed, plain):
        body = struct.pack("<II", packed, plain) + b"\x02abc"
        (tmp_path / "a.pcd").write_bytes(HEAD.format("binary_compressed").encode() + body)
        with pytest.raises(BrokenFileError):
            read_pcd(tmp_path / "a.pcd")

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(BrokenFileError):
            read_pcd(tmp_path / "none.pcd")
