"""Recipes: defaults < --quick < recipe file < command line; dumped in full; unknown or unread keys are errors."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import inspect
import json
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import FunctionType
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin

import yaml
from jsonargparse import ArgumentParser, Namespace

from veritrain.errors import ConfigError, did_you_mean

R = TypeVar("R")


def add_recipe(parser: ArgumentParser, recipe: type[Any], *, skip: set[str] | None = None) -> None:
    """Every field of a frozen dataclass as ``--field value``, with its docstring as help."""
    parser.add_class_arguments(recipe, as_group=False, skip=set(skip or ()))


def build(recipe: type[R], values: Namespace | Mapping[str, Any]) -> R:
    """A recipe from parsed values; keys that are no field of it are left to their owners."""
    given = values.as_dict() if isinstance(values, Namespace) else dict(values)
    names = names_of(recipe)
    return _typed(recipe, {key: value for key, value in given.items() if key in names})


def names_of(recipe: type[Any]) -> set[str]:
    """The keys that a recipe has."""
    return {field.name for field in dataclasses.fields(recipe)}


_PARSERS: dict[type[Any], ArgumentParser] = {}


def _parser_of(recipe: type[Any]) -> ArgumentParser:
    """Made once: a parser of many keys takes a while, and a study builds a recipe for every configuration."""
    if recipe not in _PARSERS:
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(recipe, "recipe")
        _PARSERS[recipe] = parser
    return _PARSERS[recipe]


def _typed(recipe: type[R], values: Mapping[str, Any], file: Path | None = None) -> R:
    """The recipe, every value of the type its field says, options inside lists as their own class."""
    parser = _parser_of(recipe)
    # jsonargparse 4.49 renamed it.
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes
    try:
        made: R = instantiate(parser.parse_object({"recipe": dict(values)})).recipe
    except argparse.ArgumentError as error:
        meant = nearest_choice(parser, {f"recipe.{key}": value for key, value in values.items()})
        raise ConfigError(
            "a value of the recipe is impossible",
            expected=f"what {recipe.__name__} says of each key",
            found=in_plain_words(parser, str(error)),
            fix=meant or "correct the value",
            file=file,
        ) from error
    return made


def nearest_choice(parser: ArgumentParser, values: Mapping[str, Any]) -> str | None:
    """For the first value that is none of its option's choices: which was meant. None when there is no such value.

    Args:
        parser: whose options say what may be chosen.
        values: destination of an option (``fusion``) to the value it was given.
    """
    for action in parser._actions:
        choices, value = _choices_of(action), values.get(action.dest)
        if choices and isinstance(value, str) and value not in choices:
            return did_you_mean(value, choices)
    return None


def _choices_of(action: argparse.Action) -> list[str]:
    """The words that an option takes; none where it takes any."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    hint = getattr(action, "_typehint", None)
    options = [hint] if get_origin(hint) is Literal else get_args(hint)
    return [str(word) for option in options if get_origin(option) is Literal for word in get_args(option)]


_OF_A_KEY = re.compile(r'Parser key "(?P<key>[^"]+)":(?:.*?Got value: (?P<value>[^\n]*))?', re.DOTALL)
"""How jsonargparse begins what it says of a value of the wrong type."""
_NUMBERS_AND_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    type(None): "null",
}


def in_plain_words(parser: ArgumentParser, text: str) -> str:
    """What a parser says of a value, for people who do not write Python: ``seed: expected a whole number, found abc``.

    Args:
        parser: whose options say what may be given.
        text: of the error that it raised.
    """
    about = _OF_A_KEY.search(text)
    hints = {action.dest: getattr(action, "_typehint", None) for action in parser._actions}
    hint = None if about is None else hints.get(about["key"])
    if about is None or hint is None or about["value"] is None:
        return " ".join(text.split())
    return f"{about['key'].removeprefix('recipe.')}: expected {_kind_in_words(hint)}, found {about['value'].strip()}"


def _kind_in_words(hint: Any) -> str:
    """A type as people say it: a whole number, one of some words, a list of either."""
    inner = get_args(hint)
    if get_origin(hint) is Literal:
        return _either([str(word) for word in inner])
    if get_origin(hint) in (list, tuple, Sequence):
        return f"a list, each item {_kind_in_words(inner[0])}" if inner else "a list"
    if get_origin(hint) in (dict, Mapping):
        return "keys and their values"
    if dataclasses.is_dataclass(hint):
        return "keys and values: " + ", ".join(field.name for field in dataclasses.fields(hint))
    if inner:
        return _either([_kind_in_words(one) for one in inner])
    return _NUMBERS_AND_WORDS.get(hint, str(getattr(hint, "__name__", hint)))


def _either(words: Sequence[str]) -> str:
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def default_in_words(value: Any) -> str:
    """A default as it would be typed; "none" where there is nothing to type."""
    if value == "":
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(str(one) for one in value) or "none"
    return "none" if value is None else str(value)


def values_in(parser: ArgumentParser, words: Sequence[str]) -> dict[str, str]:
    """Destination to value, as the words of a command line give them: ``--fusion concat`` or ``--fusion=concat``."""
    found: dict[str, str] = {}
    for word, after in zip(words, [*words, ""][1:], strict=True):
        option, sign, value = word.partition("=")
        action = parser._option_string_actions.get(option)
        if action is not None:
            found[action.dest] = value if sign else after
    return found


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
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            raise ConfigError("a key that is no word", found=str(key), line=key_node.start_mark.line + 1)
        if key in seen:
            raise ConfigError(
                f"the key '{key}' stands twice",
                expected="each key once",
                found=f"'{key}' again",
                fix="delete one of them",
                line=key_node.start_mark.line + 1,
            )
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_repeats)


def load(recipe: type[R], path: Path) -> R:
    """Read a recipe file back.

    Raises:
        ConfigError: not a mapping, not safe YAML, a repeated key, or a key that is no field of ``recipe``.
    """
    demand_keys(path, names_of(recipe))
    return _typed(recipe, in_todays_words(recipe, _days_as_text(read_mapping(path))), path)


def in_todays_words(recipe: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier version wrote into a run folder, as the recipe says it now, with the keys that it lacked."""
    older: Mapping[str, Mapping[str, Any]] = getattr(recipe, "OLDER_WORDS", {})
    said = {key: older.get(key, {}).get(str(value), value) for key, value in values.items()}
    before: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = getattr(recipe, "before_keys", None)
    return {**said, **(before(said) if before else {})}


def demand_keys(path: Path, names: set[str], *, under: Sequence[str] = ()) -> None:
    """Refuse a recipe file with a key that is not among ``names``, naming its line and the nearest known key.

    Args:
        under: the keys that lead to the mapping that is looked at; without any, the whole file.

    Raises:
        ConfigError: that, or the file is no safe mapping without repeats, or there is no mapping under these keys.
    """
    content: Any = read_mapping(path)
    for step in under:
        content = content.get(step) if isinstance(content, dict) else None
    if not isinstance(content, dict):
        found, line = type(content).__name__, _line_of(path, *under)
        raise ConfigError(f"no mapping under '{under[-1]}'", expected="keys", found=found, file=path, line=line)
    for key in content:
        if key not in names:
            raise ConfigError(
                f"unknown key '{key}'" + (f" under '{under[-1]}'" if under else ""),
                expected="a key of the recipe" if not under else ", ".join(sorted(names)[:12]),
                found=str(key),
                fix=did_you_mean(str(key), names),
                file=path,
                line=_line_of(path, *under, str(key)),
            )


def _line_of(path: Path, *keys: str) -> int | None:
    """The 1-based line of the last of these nested keys; None where there is no such place."""
    node: yaml.Node | None = yaml.compose(path.read_text(encoding="utf-8"), _StrictLoader)
    line = None
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        place, node = next(((one.start_mark.line + 1, value) for one, value in pairs if one.value == key), (None, None))
        if place is None:
            return None
        line = place
    return line


def _days_as_text(content: Any) -> Any:
    """YAML reads 2027-01-31 as a day; recipes keep days as they are written."""
    if isinstance(content, date):
        return content.isoformat()
    if isinstance(content, dict):
        return {key: _days_as_text(item) for key, item in content.items()}
    if isinstance(content, list):
        return [_days_as_text(item) for item in content]
    return content


def config_first(words: Sequence[str]) -> tuple[list[str], list[Path]]:
    """``--config FILE`` before every other word, so that the command line has the last say; and the files named."""
    files: list[str] = []
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word.startswith("--config="):
            files.append(word.partition("=")[2])
        elif word == "--config" and (file := next(waiting, None)) is not None:
            files.append(file)
        else:
            rest.append(word)
    return [*(part for file in files for part in ("--config", file)), *rest], [Path(file) for file in files]


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML mapping, safely."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _StrictLoader)
    except FileNotFoundError as error:
        raise ConfigError("no such recipe", expected="a YAML file", found="nothing", file=path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("cannot be read", expected="a YAML file in UTF-8", found=str(error), file=path) from error
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
        # What the recipe works out itself reads its keys through us.
        own = inspect.getattr_static(type(self._recipe), name, None)
        if isinstance(own, property | FunctionType):
            return own.__get__(self)
        value = getattr(self._recipe, name)
        self._read.add(name)
        return value

    def refuse_unread(self, *, excused: frozenset[str] = frozenset()) -> None:
        """Raises ConfigError when a key was set (to something other than its default) but nothing ever read it."""
        fields = dataclasses.fields(self._recipe)
        unread = sorted(
            field.name
            for field in fields
            if field.name not in self._read | excused and getattr(self._recipe, field.name) != _default_of(field)
        )
        if unread:
            raise ConfigError(
                "keys that nothing read",
                expected="every key of a recipe changes something",
                found=", ".join(unread),
                fix="remove them from the recipe, or report this: it is a defect",
            )


def _default_of(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
