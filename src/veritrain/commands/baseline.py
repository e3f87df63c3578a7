"""``veritrain baseline memory-bank``: a method that was shown no label, on its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser, Namespace

from veritrain import config
from veritrain.errors import UsageError
from veritrain.record import write_json
from veritrain.report.reference import reference_text
from veritrain.tasks.options import AnomalyRecipe

Parser = Callable[[str, str, str], ArgumentParser]
Parse = Callable[[ArgumentParser, list[str]], Namespace]


@dataclass(frozen=True, kw_only=True)
class MemoryBankOptions:
    """A memory bank of frozen features from the normality scenarios of the training split.

    Attributes:
        data: the data set's folder; split as for a training.
        seed: of the random features and of the choice of entries.
        bank: entries of each of the two banks.
        image_weights: a local .safetensors file of torchvision's ResNet18; empty is random features.
        on_broken: skip (listed and counted) or error, for broken scenarios and frames.
        layout: auto, or 2024 or 2023 where the folder holds scenarios of both AnoVox layouts.
        cache: folder for decoded arrays; empty is beside the data set.
        threads: CPU threads; 0 leaves it to torch.
    """

    data: str
    seed: int = 0
    bank: int = AnomalyRecipe.reference_size
    image_weights: str = ""
    on_broken: Literal["skip", "error"] = "skip"
    layout: Literal["auto", "2024", "2023"] = "auto"
    cache: str = ""
    threads: int = 0


def memory_bank(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """baseline memory-bank: PatchCore on image and range view from normality scenarios, scored on the test split."""
    parser = new_parser(
        "baseline memory-bank",
        memory_bank.__doc__ or "",
        "veritrain baseline memory-bank --data data/streets --out runs/bank --bank 2000",
    )
    config.add_recipe(parser, MemoryBankOptions)
    parser.add_argument("--out", type=str, required=True, help="a new folder for results.json and data.json")
    parser.add_argument("--json", action="store_true", help="print what results.json holds")
    given = parse(parser, words)
    options, out = config.build(MemoryBankOptions, given), Path(given.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(
            "something is there already", expected="a new folder", found=str(out), fix="choose another --out"
        )
    from veritrain.experiments.memory_bank import alone

    results, card = alone(
        AnomalyRecipe(
            data=options.data,
            seed=options.seed,
            reference="memory_bank",
            reference_size=options.bank,
            reference_weights=options.image_weights,
            on_broken=options.on_broken,
            layout=options.layout,
            cache=options.cache,
            threads=options.threads,
        )
    )
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "data.json", card)
    write_json(out / "results.json", results)
    print(json.dumps(results, indent=1) if given.json else reference_text(results))
    return 0


METHODS = {"memory-bank": memory_bank}
