"""Which weight file a path means."""

from __future__ import annotations

import json

import pytest

from veritrain.errors import CheckpointError
from veritrain.models.run_weights import weight_file_of


@pytest.fixture
def run(tmp_path):
    for step in ("step-00000004", "step-00000008"):
        (tmp_path / "checkpoints" / step).mkdir(parents=True)
        (tmp_path / "checkpoints" / step / "model.safetensors").write_bytes(b"")
    (tmp_path / "checkpoints" / "best.json").write_text(json.dumps({"checkpoint": "step-00000004"}))
    return tmp_path


def test_of_a_run_the_best_checkpoint_of_a_checkpoint_its_weights_of_a_file_itself(run):
    best = run / "checkpoints" / "step-00000004" / "model.safetensors"
    assert (
        weight_file_of(run) == weight_file_of(str(run)) == weight_file_of(best.parent) == weight_file_of(best) == best
    )
    assert weight_file_of(run / "no_such.pt") == run / "no_such.pt", "what is missing is told by whoever reads it"


@pytest.mark.parametrize(
    ("text", "told"),
    [(None, "no checkpoints/best.json"), ("{", "cannot be read"), ("[]", "cannot be read"),
     ('{"checkpoint": "step-00000099"}', "step-00000099, and it has no model.safetensors")],
)  # fmt: skip
def test_a_folder_without_weights_is_refused(run, text, told):
    pointer = run / "checkpoints" / "best.json"
    pointer.unlink()
    if text is not None:
        pointer.write_text(text)
    with pytest.raises(CheckpointError, match="no weights in this folder") as caught:
        weight_file_of(run)
    assert told in str(caught.value)
