"""TorchJD as it is installed: 0.18, whose parts have extras of their own; what is missing is named."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from veritrain.errors import MissingExtraError

M = TypeVar("M")


def made_by_torchjd(name: str, make: Callable[[], M], *, extra: str = "", packages: Sequence[str] = ()) -> M:
    """What ``make`` builds; it imports TorchJD itself, so that nobody else waits for that.

    Args:
        name: of the balancer, for the error.
        extra: of TorchJD, which holds the solver that this method needs.
        packages: of that extra. They are imported here: TorchJD itself only looks whether they are there, and breaks at
            the first step when one of them does not import.

    Raises:
        MissingExtraError: TorchJD is not installed, or its extra is not.
    """
    try:
        for package in packages:
            importlib.import_module(package)
        return make()
    except ImportError as error:
        wanted = f"torchjd[{extra}]" if extra else "veritrain[train]"
        raise MissingExtraError(
            f"balance {name} cannot run",
            expected=f"the packages of {wanted}",
            found=" ".join(str(error).split()),
            fix=f'pip install "{wanted}"',
        ) from error


def aggregation() -> Any:
    """``torchjd.aggregation``."""
    import torchjd.aggregation

    return torchjd.aggregation
