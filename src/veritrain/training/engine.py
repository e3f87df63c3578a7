"""Devices, precision and ranks: lightning-fabric, set up the way the loop needs it."""

from __future__ import annotations

import os

from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

from veritrain.training.options import LoopOptions


def start_engine(options: LoopOptions) -> Fabric:
    """One device, or DDP over the processes that ``torchrun`` started."""
    world, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world == 1:
        fabric = Fabric(accelerator=options.accelerator, devices=1, precision=options.precision)
        if fabric.device.type == "cpu":
            # Importing Fabric sets this; it makes every optimiser step look for a GPU anew, 30 microseconds long.
            os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
        return fabric
    # A frozen parameter takes no part in the backward pass, which DDP has to be told.
    strategy = DDPStrategy(find_unused_parameters=bool(options.unfreeze))
    fabric = Fabric(
        accelerator=options.accelerator,
        devices=local,
        num_nodes=world // local,
        strategy=strategy,
        precision=options.precision,
    )
    fabric.launch()
    return fabric


def is_writer() -> bool:
    """Whether this process opens the run folder: rank 0, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0
