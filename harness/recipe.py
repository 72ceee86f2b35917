"""Recipes: `prune-channels(macs=0.5)+distill-soft(temperature=4)+int8-static`.

recipe  = "baseline" | step { "+" step }
step    = name [ "@" format ] [ "(" option { "," option } ")" ]
option  = key "=" value          values as in TOML: 0.5, true, "entropy", [1, 2]
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import RecipeError

BASELINE = "baseline"
"""The empty recipe: the model as it is."""

_STEP = re.compile(r"(?P<name>[a-z][a-z0-9-]*)(@(?P<format>[a-z][a-z0-9-]*))?(\((?P<options>.*)\))?\Z", re.DOTALL)
_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeStep:
    """One technique of a recipe as it was written: options not yet checked against the technique."""

    technique: str
    format: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        options = ", ".join(f"{k}={as_toml(v)}" for k, v in sorted(self.options.items()))
        return self.technique + (f"@{self.format}" if self.format else "") + (f"({options})" if options else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """An ordered chain of techniques."""

    steps: tuple[RecipeStep, ...] = ()

    def __str__(self) -> str:
        return "+".join(str(s) for s in self.steps) or BASELINE


def parse_recipe(text: str) -> Recipe:
    """Read a recipe.

    Raises:
        RecipeError: The text does not follow the grammar.
    """
    text = text.strip()
    if text in {"", BASELINE}:
        return Recipe()
    return Recipe(steps=tuple(_step(part.strip(), text) for part in _split(text, "+")))


def _step(part: str, whole: str) -> RecipeStep:
    match = _STEP.match(part)
    if not match:
        hint = "Write it as name(option=value)+name, for example: prune-magnitude(amount=0.5)+int8-static"
        raise RecipeError(f"{part!r} in the recipe {whole!r} is not a technique.", hint=hint)
    options: dict[str, Any] = {}
    for item in _split(match["options"] or "", ","):
        if not item.strip():
            continue
        key, equals, value = item.partition("=")
        if not equals:
            raise RecipeError(f"the option {item.strip()!r} in {part!r} has no value.", hint="Write option=value.")
        options[key.strip()] = _value(value.strip(), part)
    return RecipeStep(technique=match["name"], format=match["format"] or "", options=options)


def _value(text: str, part: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        hint = f'Values are written as in TOML; a text needs quotes: "{text}"'
        raise RecipeError(f"the value {text!r} in {part!r} cannot be read.", hint=hint) from None


def _split(text: str, separator: str) -> Iterator[str]:
    """Split at separators outside brackets and quotes."""
    depth, quote, start, escaped = 0, "", 0, False
    for i, char in enumerate(text):
        if escaped:
            escaped = False
        elif quote:
            escaped = char == "\\" and quote == '"'
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
        elif char == separator and depth == 0 and not _exponent_sign(text, i):
            yield text[start:i]
            start = i + 1
    yield text[start:]


def _exponent_sign(text: str, i: int) -> bool:
    return i >= 2 and text[i - 1] in "eE" and text[i - 2].isdigit()


def as_toml(value: Any) -> str:
    """A value as the grammar takes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(as_toml(v) for v in value) + "]"
    return repr(value)
