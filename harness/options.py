"""Options: text from recipes and plans, checked against a plugin's own dataclass."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

from harness.errors import RecipeError
from harness.recipe import as_toml
from harness.registry import near_miss


def parse_options(options: type, given: Mapping[str, Any], where: str) -> Any:
    """Make an instance of a plugin's options dataclass.

    Args:
        options: The dataclass.
        given: Option name to value.
        where: Whose options they are, for messages.

    Raises:
        RecipeError: An option is unknown or its value is not allowed.
    """
    from pydantic import TypeAdapter, ValidationError

    known = {f.name for f in fields(options)}
    for name, value in given.items():
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            hint = f"{near_miss(name, known)}It has: {allowed}."
            raise RecipeError(f"{where} has no option {name!r}.", hint=hint)
        if isinstance(value, float) and not isfinite(value):
            raise RecipeError(f"{where}: {name} = {value} is not allowed.", hint="Give a finite number.")
    try:
        # by way of JSON, where strictness still takes a list for a tuple, but not `true` for 1 or "3" for 3
        return TypeAdapter(options).validate_json(json.dumps(dict(given), default=str), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(p) for p in first["loc"]) or "options"
        message = f"{where}: {name} = {first['input']!r} is not allowed."
        raise RecipeError(message, hint=f"{first['msg']}.") from None


def restore_options(options: type, checked: Mapping[str, Any]) -> Any:
    """Make an instance from values that `parse_options` has checked and that went through JSON."""
    return options(**{k: tuple(v) if isinstance(v, list) else v for k, v in checked.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionHelp:
    """One option as its docstring describes it; the value is written as a recipe takes it."""

    name: str
    default: str
    text: str


def describe_options(options: type) -> tuple[OptionHelp, ...]:
    """Every option with its default and what the `Attributes:` section of the dataclass says of it, in that order."""
    about = inspect.cleandoc(options.__doc__ or "").partition("Attributes:\n")[2]
    texts: dict[str, str] = {}
    names: list[str] = []
    for line in about.splitlines():
        entry = re.match(r"    (?P<names>\w+(?:, \w+)*): (?P<text>.*)", line)
        if entry:
            names = entry["names"].split(", ")
            texts |= dict.fromkeys(names, entry["text"])
        elif line.startswith("        "):
            texts |= {name: f"{texts[name]} {line.strip()}" for name in names}
    default = options()
    return tuple(
        OptionHelp(name=f.name, default=as_toml(getattr(default, f.name)), text=texts.get(f.name, ""))
        for f in fields(options)
    )


def as_mapping(options: Any) -> dict[str, Any]:
    """All options with their values, defaults included, by name."""
    return {f.name: getattr(options, f.name) for f in sorted(fields(options), key=lambda f: f.name)}


def changed(options: Any) -> frozenset[str]:
    """Names of the options that differ from their default."""
    default = type(options)()
    return frozenset(f.name for f in fields(options) if getattr(options, f.name) != getattr(default, f.name))
