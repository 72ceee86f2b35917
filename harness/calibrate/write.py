"""Writes a device profile as TOML, in the order of its keys, so that `load_profile` reads back an equal one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from harness.profile import Quantity

if TYPE_CHECKING:
    from pathlib import Path

    from harness.profile import DeviceProfile

HEADING = "# Written by `bench calibrate`. Use it with: bench run --profile {path}\n\n"


def write_profile(profile: DeviceProfile, path: Path) -> None:
    """Write a profile."""
    path.write_text(HEADING.format(path=path) + "\n".join(_table(profile, "")) + "\n", encoding="utf-8")


def _table(node: Any, where: str) -> Iterator[str]:
    """Lines of a table: its own values first, then the tables below it."""
    below: list[tuple[str, Any]] = []
    for key, value in _items(node):
        if value is None or value in ((), {}):
            continue
        if _is_table(value) or (isinstance(value, tuple) and _is_table(value[0])):
            below.append((key, value))
        else:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in below:
        name = f"{where}.{_key(key)}" if where else _key(key)
        for each in value if isinstance(value, tuple) else (value,):
            yield ""
            yield f"[[{name}]]" if isinstance(value, tuple) else f"[{name}]"
            yield from _table(each, name)


def _items(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        yield from node.items()
    else:
        yield from ((each.name, getattr(node, each.name)) for each in fields(node))


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (is_dataclass(value) and not isinstance(value, Quantity))


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, Quantity):
        parts = (f"{each.name} = {_value(getattr(value, each.name))}" for each in fields(value))
        return f"{{ {', '.join(parts)} }}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return f"[{', '.join(_value(each) for each in value)}]"
    return repr(value)
