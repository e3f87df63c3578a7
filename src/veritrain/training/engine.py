"""Devices, precision and ranks: lightning-fabric, set up the way the loop needs it."""

from __future__ import annotations

import atexit
import logging
import os
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.strategies import DDPStrategy

from veritrain.training.options import LoopOptions

# Fabric says at every start which precision it was given, the short trainings of the controls included.
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

BF16_UNITS = ("avx512_bf16", "amx_bf16", "bf16")
"""Names that torch gives to a processor's bfloat16 arithmetic."""


def native_precision(asked: str) -> str:
    """What "auto" means on this machine: bf16-mixed where the device computes in bfloat16, else 32-true.

    A processor without such units would only imitate bfloat16, and be slower for it. Any other word stays as it is.
    """
    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    can = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16-mixed" if any(can.get(unit) for unit in BF16_UNITS) else "32-true"


def start_engine(options: LoopOptions) -> Fabric:
    """One device, or DDP over the processes that ``torchrun`` started."""
    world, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world == 1:
        fabric = Fabric(devices=1, **_arithmetic(options))
        if fabric.device.type == "cpu":
            # Importing Fabric sets this; it makes every optimiser step look for a GPU anew, 30 microseconds long.
            os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
        return fabric
    # A frozen parameter takes no part in the backward pass, which DDP has to be told.
    strategy = DDPStrategy(find_unused_parameters=bool(options.unfreeze))
    fabric = Fabric(
        devices=local,
        num_nodes=world // local,
        strategy=strategy,
        **_arithmetic(options),
    )
    fabric.launch()
    # A group that is still open when Python ends leaves gloo's threads running, and now and then the process aborts.
    atexit.register(_leave_group)
    return fabric


def _leave_group() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _arithmetic(options: LoopOptions) -> dict[str, Any]:
    """Device and precision for Fabric. Asked for 16-mixed on a CPU, it would quietly take bfloat16; and the scaling
    of the loss is the loop's own (``scaling.py``), so its scaler is one that does nothing."""
    if options.precision != "16-mixed":
        return {"accelerator": options.accelerator, "precision": options.precision}
    on_gpu = options.accelerator == "cuda" or (options.accelerator == "auto" and torch.cuda.is_available())
    device = "cuda" if on_gpu else "cpu"
    idle = torch.amp.GradScaler(device, enabled=False)
    return {"accelerator": device, "plugins": MixedPrecision("16-mixed", device, idle)}


def is_writer() -> bool:
    """Whether this process opens the run folder: rank 0, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0
