"""Content of a FlatBuffer by its schema, as dictionaries.

Source: flatbuffers.dev/internals. Offsets and lengths of a damaged file lead out of it and raise `struct.error`.
"""

from __future__ import annotations

from struct import calcsize, error, unpack_from
from typing import TYPE_CHECKING, Any

from bench_executorch.schema import SCALARS, Field, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

DAMAGED = (error, IndexError, KeyError, UnicodeDecodeError, RecursionError, ValueError, TypeError, AttributeError)
"""What reading a damaged file may raise."""


def decoded(data: memoryview, schema: Schema) -> dict[str, Any]:
    """The root table: strings as str, vectors of bytes as memoryview, enumerations by name, a union as its table with
    the name of the member under `is`."""
    return _table(data, unpack_from("<I", data)[0], schema.root, schema)


def _table(data: memoryview, at: int, name: str, schema: Schema) -> dict[str, Any]:
    vtable = at - unpack_from("<i", data, at)[0]
    if vtable < 0:
        raise ValueError("a table is described before the beginning of the file")
    size = unpack_from("<H", data, vtable)[0]
    offsets: Mapping[int, int] = {
        slot: offset for slot in range((size - 4) // 2) if (offset := unpack_from("<H", data, vtable + 4 + 2 * slot)[0])
    }
    return {field.name: _field(data, at, field, offsets, schema) for field in schema.tables[name]}


def _field(data: memoryview, at: int, field: Field, offsets: Mapping[int, int], schema: Schema) -> Any:
    offset = offsets.get(field.slot, 0)
    place = at + offset
    if field.type in schema.unions:
        member = data[at + offsets[field.slot - 1]] if field.slot - 1 in offsets else 0
        if not offset or member not in schema.unions[field.type]:
            return None
        name, table = schema.unions[field.type][member]
        return {"is": name, **_table(data, _target(data, place), table, schema)}
    if field.vector:
        return _vector(data, _target(data, place), field.type, schema) if offset else []
    if field.type == "string":
        return _string(data, _target(data, place)) if offset else ""
    if field.type in schema.tables:
        return _table(data, _target(data, place), field.type, schema) if offset else None
    return _scalar(data, place, field, schema) if offset else _default(field, schema)


def _target(data: memoryview, place: int) -> int:
    return int(place + unpack_from("<I", data, place)[0])


def _vector(data: memoryview, at: int, kind: str, schema: Schema) -> Any:
    count, first = unpack_from("<I", data, at)[0], at + 4
    if kind in {"ubyte", "uint8"}:
        if first + count > len(data):
            raise ValueError("a vector is longer than the file")
        return data[first : first + count]
    if kind in SCALARS:
        return list(unpack_from(f"<{count}{SCALARS[kind]}", data, first))
    if first + 4 * count > len(data):
        raise ValueError("a vector is longer than the file")
    targets = [_target(data, first + 4 * index) for index in range(count)]
    if kind == "string":
        return [_string(data, target) for target in targets]
    return [_table(data, target, kind, schema) for target in targets]


def _string(data: memoryview, at: int) -> str:
    size = unpack_from("<I", data, at)[0]
    if at + 4 + size > len(data):
        raise ValueError("a text is longer than the file")
    return bytes(data[at + 4 : at + 4 + size]).decode()


def _scalar(data: memoryview, place: int, field: Field, schema: Schema) -> Any:
    kind, names = schema.enums.get(field.type, (field.type, None))
    value = unpack_from("<" + SCALARS[kind], data, place)[0]
    return value if names is None else names.get(value, str(value))


def _default(field: Field, schema: Schema) -> Any:
    if field.type in schema.enums:
        return field.default or schema.enums[field.type][1].get(0, "0")
    zero = unpack_from("<" + SCALARS[field.type], bytes(calcsize("<" + SCALARS[field.type])))[0]
    return type(zero)(field.default) if field.default else zero
