"""Schemas of FlatBuffers, parsed from the .fbs files that ExecuTorch ships.

Neither torch nor ExecuTorch is imported for it: what reads a file also plans a run. The grammar is that of
flatbuffers.dev/grammar, without structs, services and nested namespaces, which ExecuTorch's schemas do not use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from harness import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = "exir/_serialize/program.fbs"
XNNPACK = "backends/xnnpack/serialization/schema.fbs"

SCALARS = {"bool": "?", "byte": "b", "ubyte": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I", "long": "q",
           "ulong": "Q", "float": "f", "double": "d", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H",
           "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f", "float64": "d"}  # fmt: skip
"""Scalar types as the `struct` module writes them."""

_ENUM = re.compile(r"\benum\s+(\w+)\s*:\s*(\w+)\s*\{([^}]*)\}")
_UNION = re.compile(r"\bunion\s+(\w+)\s*\{([^}]*)\}")
_TABLE = re.compile(r"\btable\s+(\w+)\s*\{([^}]*)\}")
_FIELD = re.compile(r"(\w+)\s*:\s*(\[?)\s*(\w+)\s*\]?\s*(?:=\s*([\w.+-]+))?\s*(?:\(([^)]*)\))?\s*\Z")
_INCLUDE = re.compile(r'\binclude\s+"([^"]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a table: its place in the vtable, its type, whether it is a vector of that type."""

    name: str
    slot: int
    type: str
    vector: bool
    default: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Tables by name, enumerations as (type, names by number), unions as tables by number with their own names."""

    root: str
    tables: Mapping[str, tuple[Field, ...]]
    enums: Mapping[str, tuple[str, Mapping[int, str]]]
    unions: Mapping[str, Mapping[int, tuple[str, str]]]


@cache
def schema_of(file: str) -> Schema:
    """The schema at a place in ExecuTorch's package.

    Raises:
        ArtifactError: ExecuTorch is not installed, or keeps its schemas elsewhere.
    """
    spec = find_spec("executorch")
    for place in [] if spec is None else list(spec.submodule_search_locations or []):
        path = Path(place) / file
        if path.is_file():
            return _parsed(_text(path))
    raise ArtifactError(
        f"reading .pte files needs {file} of ExecuTorch, which is not there",
        hint="pip install 'edge-bench[executorch]'",
    )


def _text(path: Path) -> str:
    text = re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8"))
    return "\n".join([*(_text(path.parent / name) for name in _INCLUDE.findall(text)), text])


def _parsed(text: str) -> Schema:
    enums = {name: (kind, _numbered(body)) for name, kind, body in _ENUM.findall(text)}
    unions = {name: _members(body) for name, body in _UNION.findall(text)}
    tables = {name: _fields(body, frozenset(unions)) for name, body in _TABLE.findall(text)}
    root = re.search(r"\broot_type\s+(\w+)", text)
    assert root is not None
    return Schema(root=root[1], tables=tables, enums=enums, unions=unions)


def _numbered(body: str) -> dict[int, str]:
    found: dict[int, str] = {}
    following = 0
    for part in filter(None, map(str.strip, body.split(","))):
        name, _, number = (each.strip() for each in part.partition("="))
        following = int(number, 0) if number else following
        found[following] = name
        following += 1
    return found


def _members(body: str) -> dict[int, tuple[str, str]]:
    names = [part.strip().partition(":") for part in body.split(",") if part.strip()]
    return {at: (name.strip(), table.strip() or name.strip()) for at, (name, _, table) in enumerate(names, start=1)}


def _fields(body: str, unions: frozenset[str]) -> tuple[Field, ...]:
    """Fields in their order; a union takes two places, its type before it, and what is deprecated keeps its own."""
    found, slot = [], 0
    for part in filter(None, map(str.strip, body.split(";"))):
        match = _FIELD.match(part)
        assert match is not None, part
        name, vector, kind, default, attributes = match.groups()
        slot += kind in unions
        if "deprecated" not in (attributes or ""):
            found.append(Field(name=name, slot=slot, type=kind, vector=bool(vector), default=default or ""))
        slot += 1
    return tuple(found)
