"""``torch.compile`` for real, on a network of a few numbers; a compiler that fails is told."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import nn

from training.toy import ToyTask, fit_toy, weights_hash
from veritrain.errors import ConfigError
from veritrain.record import RunFolder
from veritrain.training import checkpoint as checkpoints
from veritrain.training.compiling import compiled, compiler_explained
from veritrain.training.options import LoopOptions

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None, reason="torch.compile needs a C++ compiler here"
)


class Few(nn.Module):
    """64 numbers in, one logit out; counts how often Python ran its forward pass."""

    inputs = ("image",)

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 1)
        self.python_calls = 0

    def forward(self, batch):
        if not torch.compiler.is_compiling():
            self.python_calls += 1
        return {"logit": self.head(batch["image"].flatten(1)).squeeze(1)}


class FewTask(ToyTask):
    def model(self):
        return Few()


@needs_compiler
def test_compiled_training_is_the_same_training(tmp_path):
    """22 samples in batches of 5 leave one of 2, which is compiled too; and each checkpoint serves both ways."""
    torch.compiler.reset()
    chosen = {"task": FewTask(), "samples": 22, "batch_size": 5, "drop_remainder": False, "epochs": 2}
    plain, fast = RunFolder(tmp_path / "plain"), RunFolder(tmp_path / "fast")
    eager = fit_toy(plain, **chosen)
    quick = fit_toy(fast, compile="default", **chosen)
    assert eager.summary.steps == quick.summary.steps == 10
    assert eager.model.python_calls == 10 + 2 and quick.model.python_calls == 2, "validation calls the plain network"
    assert quick.model.state_dict().keys() == eager.model.state_dict().keys() == {"head.weight", "head.bias"}
    for one, other in zip(eager.model.parameters(), quick.model.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    for folder, mode in ((plain, "default"), (fast, "none")):
        more = {**chosen, "epochs": 3, "compile": mode, "allow_changes": {"compile"}}
        assert fit_toy(folder, resume=True, **more).summary.epochs_done == 3
    half = RunFolder(tmp_path / "half")
    shutil.copytree(sorted(checkpoints.steps(fast))[0], half.checkpoints / sorted(checkpoints.steps(fast))[0].name)
    fit = {**chosen, "epochs": 2, "compile": "default", "resume": True}
    assert weights_hash(fit_toy(half, **fit).model) == weights_hash(quick.model), "resume is bitwise here as well"


def test_a_compiler_that_is_not_there_is_an_error_with_a_way_out(tmp_path, monkeypatch):
    import torch._inductor.config as inductor

    torch.compiler.reset()
    monkeypatch.setattr(inductor.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(inductor, "force_disable_caches", True)
    with pytest.raises(ConfigError, match="cannot be compiled") as caught:
        fit_toy(RunFolder(tmp_path / "run"), task=FewTask(), epochs=1, compile="default")
    assert "no-such-compiler" in caught.value.found and "compile none" in caught.value.fix
    torch.compiler.reset()


def test_none_is_the_network_itself_and_other_errors_pass_through():
    model = Few()
    assert compiled(model, LoopOptions()) is model
    assert compiled(model, LoopOptions(compile="reduce-overhead")).state_dict().keys() != model.state_dict().keys()
    with pytest.raises(ZeroDivisionError), compiler_explained():
        raise ZeroDivisionError
