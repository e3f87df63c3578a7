"""Published files: what is not known is null, and the module loads no torch."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

from veritrain.models.clip_files import PUBLISHED
from veritrain.models.options import ClipName


def test_each_network_has_its_file_and_nothing_unknown_is_filled_in():
    assert sorted(one.network for one in PUBLISHED.values()) == sorted(get_args(ClipName))
    for name, one in PUBLISHED.items():
        assert name == one.name == f"remoteclip-{one.network.lower()}" and one.file == f"RemoteCLIP-{one.network}.pt"
        assert one.url.startswith("https://") and one.url.endswith(one.file)
        assert one.as_json()["licence"] is None and one.as_json()["sha256"] is None


def test_telling_of_files_loads_no_torch():
    code = "import veritrain.models.clip_files, veritrain.commands.fetch, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
