"""Options: text from recipes and plans, checked against a plugin's own dataclass."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from math import isfinite
from typing import Any

from harness.errors import RecipeError
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


def as_mapping(options: Any) -> dict[str, Any]:
    """All options with their values, defaults included, by name."""
    return {f.name: getattr(options, f.name) for f in sorted(fields(options), key=lambda f: f.name)}


def changed(options: Any) -> frozenset[str]:
    """Names of the options that differ from their default."""
    default = type(options)()
    return frozenset(f.name for f in fields(options) if getattr(options, f.name) != getattr(default, f.name))
