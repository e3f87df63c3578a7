"""Weight files: names and tensors, and what else they hold is never run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from veritrain.errors import CheckpointError, ConfigError
from veritrain.models.weight_file import read_tensors

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2])}


@pytest.mark.parametrize(("name", "write"), [("w.pt", torch.save), ("w.PTH", torch.save), ("w.safetensors", save_file)])
def test_names_and_tensors_come_back(tmp_path, name, write):
    write(TENSORS, tmp_path / name)
    found = read_tensors(tmp_path / name, convert="")
    assert set(found) == set(TENSORS) and all(torch.equal(found[key], TENSORS[key]) for key in TENSORS)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_what_would_run_is_refused_unrun(tmp_path):
    torch.save({**TENSORS, "bomb": Bomb(tmp_path / "trace")}, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="convert it so"):
        read_tensors(tmp_path / "w.pt", convert="convert it so")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("content", [{"epoch": 3, "state_dict": TENSORS}, [torch.zeros(2)], {}])
def test_what_is_no_plain_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="convert it so"):
        read_tensors(tmp_path / "w.pt", convert="convert it so")


def test_no_file_another_ending_and_torn_files(tmp_path):
    with pytest.raises(ConfigError, match="nothing is downloaded"):
        read_tensors(tmp_path / "none.pt", convert="")
    (tmp_path / "w.bin").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"w\.bin"):
        read_tensors(tmp_path / "w.bin", convert="")
    for name in ("torn.pt", "torn.safetensors"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 torn")
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_tensors(tmp_path / name, convert="")
