"""``torch.compile`` for training: the same network, made faster; it never falls back silently."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import cast

import torch
from torch import nn

from veritrain.errors import ConfigError
from veritrain.training.options import LoopOptions


def compiled(model: nn.Module, options: LoopOptions) -> nn.Module:
    """The network as ``options.compile`` wants it called; the weights, and their names in ``model``, are the same.

    Nothing is compiled yet: that happens at the first call, and again for another shape of input.
    """
    if options.compile == "none":
        return model
    return cast(nn.Module, torch.compile(model, mode=options.compile))


@contextlib.contextmanager
def compiler_explained() -> Iterator[None]:
    """A compiler that fails is an error with a way out, not a slow run that says it is a fast one.

    Raises:
        ConfigError: no compiler, or it cannot compile this network.
    """
    # Imported here, because it takes a second that other runs need not wait.
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.exc import CppCompileError, InvalidCxxCompiler

    try:
        yield
    except (TorchDynamoException, CppCompileError, InvalidCxxCompiler) as error:
        raise ConfigError(
            "compile: the network cannot be compiled",
            expected="a C++ compiler (g++ or clang++) on a CPU, Triton on a GPU, and a network that they can compile",
            found=" ".join(str(error).split())[:300],
            fix="install the compiler (on Debian: apt-get install g++), or train with compile none",
        ) from error
