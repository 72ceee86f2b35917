"""A .pte file: its method, the data that its delegates and constants have in segments."""

from __future__ import annotations

import mmap
from contextlib import contextmanager
from dataclasses import dataclass
from struct import unpack_from
from typing import TYPE_CHECKING, Any

from bench_executorch.flatbuffer import DAMAGED, decoded
from bench_executorch.identity import HINT, check
from bench_executorch.schema import PROGRAM, XNNPACK, schema_of
from harness import ArtifactError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FORWARD = "forward"
"""The method that is taken of several."""

XNNPACK_ID = "XnnpackBackend"

NOWHERE = 2**64 - 1
"""Offset of data that has a name instead."""

EXTENDED = b"eh00"
"""Mark of the header that says where segments begin (`_ExtendedHeader` of exir/_serialize/_program.py)."""

XNN_HEADER, XNN_PLAIN = b"XH00", (b"XN00", b"XN01")
"""Marks of XNNPACK's data with and without a header (`XNNHeader` of xnnpack_graph_serialize.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFile:
    """A method of a file.

    Attributes:
        plan: `ExecutionPlan` of the schema.
        delegates: Data of each delegate, in the plan's order.
        named: Data by name.
        constants: Data by `data_buffer_idx`.
    """

    method: str
    plan: Mapping[str, Any]
    delegates: tuple[memoryview, ...]
    named: Mapping[str, memoryview]
    constants: tuple[memoryview, ...]


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Turn what reading a damaged file raises into an ArtifactError."""
    try:
        yield
    except DAMAGED as exc:
        raise ArtifactError(f"{path}: a damaged ExecuTorch program ({type(exc).__name__}: {exc})", hint=HINT) from exc


def load(path: Path) -> ProgramFile:
    """Read a file.

    Raises:
        ArtifactError: It is missing, empty, damaged or something else.
        UnsupportedError: It has several methods and none of them is `forward`.
    """
    check(path)
    schema = schema_of(PROGRAM)
    with blaming(path):
        data = _mapped(path)
        program = decoded(data, schema)
        plans = {plan["name"]: plan for plan in program["execution_plan"]}
        name = FORWARD if FORWARD in plans or len(plans) != 1 else next(iter(plans))
        if name not in plans:
            raise UnsupportedError(
                f"{path.name} has the methods {', '.join(sorted(plans)) or 'none'}, and no {FORWARD!r}",
                hint="Export the network with its forward method.",
            )
        segments = _segments(data, program["segments"])
        return ProgramFile(
            method=name,
            plan=plans[name],
            delegates=tuple(_delegate(each, program, segments) for each in plans[name]["delegates"]),
            named={each["key"]: segments[each["segment_index"]] for each in program["named_data"]},
            constants=_constants(program, segments),
        )


def _mapped(path: Path) -> memoryview:
    """Content of a file; what nobody looks at, weights above all, takes no memory."""
    with path.open("rb") as stream:
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


def xnnpack_graph(data: memoryview, named: Mapping[str, memoryview]) -> tuple[Mapping[str, Any], list[Any]]:
    """The `XNNGraph` of a delegate's data, and its constants by number; None for one that the file does not hold."""
    graph, base = data, 0
    if bytes(data[4:8]) == XNN_HEADER:
        start, size, base = unpack_from("<III", data, 10)
        graph = data[start : start + size]
    if bytes(graph[4:8]) not in XNN_PLAIN:
        raise ValueError("the data of a delegate is not XNNPACK's")
    found = decoded(graph, schema_of(XNNPACK))
    return found, [_constant(each, data, base, named) for each in found["constant_data"]]


def _constant(entry: Mapping[str, Any], data: memoryview, base: int, named: Mapping[str, memoryview]) -> Any:
    size = entry["size"]
    if entry["named_key"]:
        content = named.get(entry["named_key"])  # the data of a program may lie in a file of its own
        return None if content is None else content[:size]
    if not base or entry["offset"] == NOWHERE:
        return None
    return data[base + entry["offset"] : base + entry["offset"] + size]


def _segments(data: memoryview, described: list[Mapping[str, Any]]) -> list[memoryview]:
    if bytes(data[8:12]) != EXTENDED:
        return []
    (base,) = unpack_from("<Q", data, 24)
    found = []
    for each in described:
        first = base + each["offset"]
        if first + each["size"] > len(data):
            raise ValueError("a segment ends after the end of the file")
        found.append(data[first : first + each["size"]])
    return found


def _delegate(delegate: Mapping[str, Any], program: Mapping[str, Any], segments: list[memoryview]) -> memoryview:
    where = delegate["processed"]
    if where["location"] == "SEGMENT":
        return segments[where["index"]]
    inline: memoryview = program["backend_delegate_data"][where["index"]]["data"]
    return memoryview(inline)


def _constants(program: Mapping[str, Any], segments: list[memoryview]) -> tuple[memoryview, ...]:
    """Constants in a segment of their own, or in the program itself as older files have them."""
    place = program["constant_segment"]
    if place is None or not place["offsets"] or place["segment_index"] >= len(segments):
        return tuple(memoryview(each["storage"]) for each in program["constant_buffer"])
    segment, starts = segments[place["segment_index"]], place["offsets"]
    return tuple(segment[start:] for start in starts)
