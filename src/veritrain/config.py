"""Recipes: defaults < --quick < recipe file < command line; dumped in full; unknown or unread keys are errors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from jsonargparse import ArgumentParser, Namespace

from veritrain.errors import ConfigError, did_you_mean

R = TypeVar("R")


def add_recipe(parser: ArgumentParser, recipe: type[Any], *, skip: set[str] | None = None) -> None:
    """Every field of a frozen dataclass as ``--field value``, with its docstring as help."""
    parser.add_class_arguments(recipe, as_group=False, skip=set(skip or ()))


def build(recipe: type[R], values: Namespace | Mapping[str, Any]) -> R:
    """A recipe from parsed values; keys that are no field of it are left to their owners."""
    given = vars(values) if isinstance(values, Namespace) else dict(values)
    names = {field.name for field in dataclasses.fields(recipe)}  # type: ignore[arg-type]
    return recipe(**{key: value for key, value in given.items() if key in names})


def dump(recipe: Any, path: Path) -> None:
    """The full recipe as YAML, one key a line: enough to run it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(plain(recipe), sort_keys=False, allow_unicode=True), encoding="utf-8")


def plain(recipe: Any) -> dict[str, Any]:
    """A recipe as plain dictionaries and lists."""
    content: dict[str, Any] = dataclasses.asdict(recipe)
    return content


def fingerprint(recipe: Any, *, without: tuple[str, ...] = ()) -> str:
    """SHA-256 of the recipe's values, leaving out keys that may change on resume."""
    content = {key: value for key, value in plain(recipe).items() if key not in without}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML in which the same key twice is an error, not the last one's silent victory."""


def _mapping_without_repeats(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
        if key in seen:
            raise ConfigError(
                f"the key '{key}' stands twice",
                expected="each key once",
                found=f"'{key}' again",
                fix="delete one of them",
                line=key_node.start_mark.line + 1,
            )
        seen[key] = loader.construct_object(value_node, deep=True)  # type: ignore[no-untyped-call]
    return seen


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repeats)


def load(recipe: type[R], path: Path) -> R:
    """Read a recipe file back.

    Raises:
        ConfigError: not a mapping, not safe YAML, a repeated key, or a key that is no field of ``recipe``.
    """
    values = read_mapping(path)
    names = {field.name for field in dataclasses.fields(recipe)}  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            raise ConfigError(
                f"unknown key '{key}'",
                expected=f"a field of {recipe.__name__}",
                found=str(key),
                fix=did_you_mean(str(key), names),
                file=path,
            )
    return recipe(**values)


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML mapping, safely."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506 - derived from SafeLoader
    except FileNotFoundError as error:
        raise ConfigError("no such recipe", expected="a YAML file", found="nothing", file=path) from error
    except ConfigError as error:
        error.file = str(path)
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(
            "not a safe YAML file",
            expected="plain keys and values",
            found=str(getattr(error, "problem", error)),
            fix="remove tags such as !!python/...",
            file=path,
            line=None if mark is None else mark.line + 1,
        ) from error
    if not isinstance(content, dict):
        raise ConfigError("not a recipe", expected="a mapping", found=type(content).__name__, file=path)
    return content


class Tracked(Generic[R]):
    """A recipe that remembers which of its keys were read, so that a dead switch is an error."""

    def __init__(self, recipe: R) -> None:
        object.__setattr__(self, "_recipe", recipe)
        object.__setattr__(self, "_read", set())

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._recipe, name)
        self._read.add(name)
        return value

    def refuse_unread(self, *, excused: frozenset[str] = frozenset()) -> None:
        """Raises ConfigError when a key was set but nothing ever read it."""
        names = {field.name for field in dataclasses.fields(self._recipe)}
        unread = sorted(names - self._read - excused)
        if unread:
            raise ConfigError(
                "keys that nothing read",
                expected="every key of a recipe changes something",
                found=", ".join(unread),
                fix="remove them from the recipe, or report this: it is a defect",
            )
