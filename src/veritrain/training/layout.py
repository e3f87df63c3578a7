"""Channels-last: how images lie in memory, which changes the speed of convolutions and not what they compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from veritrain.tasks.task import Batch


def lay_out(model: nn.Module, memory_format: torch.memory_format) -> None:
    """Give every 4-D weight and buffer this layout, in place; the values stay.

    ``nn.Module.to(memory_format=...)`` is not used: it refuses networks with 5-D weights (3-D convolutions).
    """
    for tensor in _four_axes(model):
        tensor.data = tensor.data.contiguous(memory_format=memory_format)


def _four_axes(model: nn.Module) -> Iterator[Tensor]:
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.dim() == 4:
            yield tensor


def lay_out_state(optimiser: torch.optim.Optimizer) -> None:
    """Give the optimiser's tensors the layout of their parameters, which decides in what order they are computed."""
    for parameter, state in optimiser.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def channels_last(batch: Batch) -> Mapping[str, Any]:
    """The batch with its 4-D floating tensors (B, C, H, W) in channels-last layout; everything else as it is."""
    return {key: value.contiguous(memory_format=torch.channels_last)
            if isinstance(value, Tensor) and value.dim() == 4 and value.is_floating_point() else value
            for key, value in batch.items()}  # fmt: skip
