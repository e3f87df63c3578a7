"""The public names are ``__all__``, and ``__all__`` is the namespace."""

from __future__ import annotations

import types

import veritrain


def test_all_is_the_public_namespace():
    public = {
        name
        for name, value in vars(veritrain).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name != "annotations"
    }
    assert public | {"__version__"} == set(veritrain.__all__) | {"__version__"}


def test_every_exported_name_exists():
    missing = [name for name in veritrain.__all__ if not hasattr(veritrain, name)]
    assert not missing, f"__all__ names what is not there: {missing}"
    assert len(set(veritrain.__all__)) == len(veritrain.__all__)
