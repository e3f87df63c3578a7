from __future__ import annotations

import base64
import io

from PIL import Image

from veritrain.report.pictures import MOST_PIXELS_WIDE, embedded


def test_a_picture_is_embedded_and_made_small(tmp_path):
    Image.new("RGB", (2000, 1000), "red").save(tmp_path / "a.png")
    address = embedded(tmp_path, "a.png")
    assert address is not None and address.startswith("data:image/webp;base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert picture.size == (MOST_PIXELS_WIDE, MOST_PIXELS_WIDE // 2)


def test_what_is_no_picture_of_this_folder_is_left_out(tmp_path):
    inside = tmp_path / "run"
    inside.mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "outside.png")
    (inside / "text.png").write_text("<script>")
    Image.new("RGB", (64, 64)).save(inside / "torn.png")
    (inside / "torn.png").write_bytes((inside / "torn.png").read_bytes()[:60])
    (inside / "drawing.svg").write_text("<svg/>")
    (inside / "link.png").symlink_to(tmp_path / "outside.png")
    for name in (
        "../outside.png",
        "/etc/hostname",
        "text.png",
        "torn.png",
        "drawing.svg",
        "link.png",
        "no.png",
        None,
        "",
    ):
        assert embedded(inside, name) is None, name
