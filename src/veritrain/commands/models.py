"""``veritrain list models``: the networks with their parameters, counted on built networks that hold no memory."""

from __future__ import annotations

import json
from typing import Any

from veritrain import catalog
from veritrain.tasks.options import AnomalyRecipe


def model_rows() -> list[dict[str, Any]]:
    """One row per network of the catalogue, in its order: name, task, parameters, trainable.

    The fusion detector has the shape of a recipe's defaults. Networks are built on torch's meta device.
    """
    import torch

    from veritrain.models.options import FusionOptions, named_clip, named_yolo
    from veritrain.tasks.anomaly import network_of

    shape = FusionOptions(fusion=AnomalyRecipe.fusion, width=AnomalyRecipe.width)
    task_of = {**dict.fromkeys(named_yolo(), "joint"), **dict.fromkeys(named_clip(), "openvocab")}
    task_of |= {name: "openvocab" for name in catalog.MODELS if name.startswith("openvocab-")}
    task_of["small-clip"] = "contrastive"
    rows = []
    for name in catalog.MODELS:
        with torch.device("meta"):
            network = catalog.resolve("models", name)() if name in task_of else network_of(name, shape)
        parameters = list(network.parameters())
        rows.append(
            {
                "name": name,
                "task": task_of.get(name, "anomaly"),
                "parameters": sum(p.numel() for p in parameters),
                "trainable": sum(p.numel() for p in parameters if p.requires_grad),
            }
        )
    return rows


def models_told(*, as_json: bool) -> str:
    """The rows as JSON, or as a table."""
    rows = model_rows()
    if as_json:
        return json.dumps(rows)
    lines = [f"{'name':<24}{'task':<10}{'parameters':>12}{'trainable':>12}"]
    lines += [f"{row['name']:<24}{row['task']:<10}{row['parameters']:>12,}{row['trainable']:>12,}" for row in rows]
    return "\n".join(lines)
