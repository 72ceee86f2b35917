"""What the cost of a graph on this machine depends on: for each class of operators a few physical quantities.

Nothing is fused beforehand. Instead an operator that follows a convolution is of another class than the same operator
elsewhere, and where a runtime fuses it the fit finds that it costs nothing. A term is `class quantity`; quantities:

    mac       multiply-accumulates in millions, output channels filled up to a vector
    tail      the same where input channels do not fit what a kernel takes at a time
    ragged    the same where channels do not fill the blocks of a blocked layout
    patch     elements of the input in millions, once for each position of the window over them
    in, out   bytes read and written in millions
    weight    bytes of constants in millions
    rows      groups times positions, in millions: rows of the small matrix products of a grouped convolution
    channels  channels in thousands, or groups
    one       one launch

Six more concern the whole graph: `call one`, one call of the runtime; `input bytes` and `output bytes`, which change
their layout there; `far activation`, bytes of tensors that exceed the second level of cache; `cold weight` and `far
weight`, bytes of constants that cannot stay in the second and in the last level between two calls, as all constants
together exceed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.graph import Operator, OpGraph

LANES = 16
"""Channels of a block in blocked layouts with 512-bit vectors, float32 (and of an int8 kernel's output tile)."""

SUMMED = 4
"""Input channels that a kernel takes at a time: blocks of ONNX Runtime's and products of one VNNI instruction."""

FREE = frozenset({"reshape", "identity"})
PAIRS = frozenset({"add", "sub", "mul", "div", "min", "max"})
CLAMPS = frozenset({"relu", "relu6", "clip"})
CURVES = frozenset({"hardswish", "sigmoid", "hardsigmoid", "tanh"})
"""Activations that some runtimes fuse into a convolution and others do not."""

GATES = frozenset({"sigmoid", "hardsigmoid"})
"""What makes a swish, hard or not, of its own input; runtimes fuse the two or do not."""

MOVES = frozenset({"concat", "split", "slice"})
ACCUMULATE = frozenset({"conv", "deconv", "fully_connected", "matmul"})

Term = tuple[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSizes:
    """Bytes that all threads together keep near: in their second level, and in the last one."""

    near_bytes: float
    last_bytes: float


def quantities(graph: OpGraph, caches: CacheSizes) -> Mapping[str, float]:
    """The amount of each term in a graph."""
    found: dict[str, float] = {}
    for name, amount in (*borders_of(graph), *(term for _, terms in by_operator(graph, caches) for term in terms)):
        found[name] = found.get(name, 0.0) + amount
    return found


def borders_of(graph: OpGraph) -> tuple[Term, ...]:
    """What a call costs besides its operators."""
    read = sum(graph.tensors[name].size_bytes for name in graph.inputs) / 1e6
    written = sum(graph.tensors[name].size_bytes for name in graph.outputs) / 1e6
    return ("call one", 1.0), ("input bytes", read), ("output bytes", written)


def by_operator(graph: OpGraph, caches: CacheSizes) -> Iterator[tuple[Operator, tuple[Term, ...]]]:
    """Each operator that costs anything with its terms, in execution order."""
    context = _context(graph)
    constants = sum(t.size_bytes for t in graph.tensors.values() if t.constant)
    beyond = max(0.0, 1 - caches.last_bytes / constants) if constants else 0.0
    cold = max(0.0, 1 - caches.near_bytes / constants) if constants else 0.0
    for op in graph.operators:
        if op.kind in FREE:
            continue
        tensors = graph.activations_of(op)
        terms = [*_terms(_Seen(op, graph, context))]
        moved = sum(t.size_bytes for t in tensors) / 1e6
        if moved * 1e6 > caches.near_bytes:
            terms.append(("far activation", moved))
        if cold and op.kind in ACCUMULATE:
            terms.append(("cold weight", cold * sum(t.size_bytes for t in graph.weights_of(op)) / 1e6))
        if beyond and op.kind in ACCUMULATE:
            terms.append(("far weight", beyond * sum(t.size_bytes for t in graph.weights_of(op)) / 1e6))
        yield op, tuple((name, amount) for name, amount in terms if amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """Who makes and who reads each tensor, views looked through."""

    maker: Mapping[str, Operator]
    readers: Mapping[str, tuple[Operator, ...]]


def _context(graph: OpGraph) -> _Context:
    maker = {name: op for op in graph.operators for name in op.outputs}
    readers: dict[str, tuple[Operator, ...]] = {}
    for op in graph.operators:
        for name in op.inputs:
            readers[name] = (*readers.get(name, ()), op)
    return _Context(maker=maker, readers=readers)


class _Seen:
    """An operator with its tensors and its neighbours."""

    def __init__(self, op: Operator, graph: OpGraph, context: _Context) -> None:
        self.op, self.graph, self.context = op, graph, context
        self.inputs = [graph.tensors[n] for n in op.inputs if not graph.tensors[n].constant]
        self.outputs = [graph.tensors[n] for n in op.outputs]
        self.weights = graph.weights_of(op)

    @property
    def read(self) -> float:
        return sum(t.size_bytes for t in self.inputs) / 1e6

    @property
    def written(self) -> float:
        return sum(t.size_bytes for t in self.outputs) / 1e6

    @property
    def constants(self) -> float:
        return sum(t.size_bytes for t in self.weights) / 1e6

    def after(self) -> Operator | None:
        """The multiplying operator whose result only this one reads."""
        for tensor in self.inputs:
            made = self.context.maker.get(tensor.name)
            if made is not None and made.kind in ACCUMULATE and len(self.context.readers[tensor.name]) == 1:
                return made
        return None

    def gates_its_input(self) -> bool:
        """A sigmoid, hard or not, whose result is multiplied with what it was taken of."""
        readers = self.context.readers.get(self.op.outputs[0], ())
        return any(r.kind == "mul" and self.op.inputs[0] in r.inputs for r in readers)

    def is_gated_by_itself(self) -> bool:
        """The product that such a sigmoid belongs to."""
        made = [self.context.maker[n] for n in self.op.inputs if n in self.context.maker]
        return any(m.kind in GATES and m.inputs[0] in self.op.inputs for m in made)


def _terms(seen: _Seen) -> Iterator[Term]:
    op = seen.op
    if op.kind in {"conv", "deconv"} and len(seen.outputs[0].shape) == 4 and seen.weights:
        yield from _convolution(seen)
    elif op.kind in ACCUMULATE:
        yield from _product(seen)
    else:
        name = _class(seen)
        yield f"{name} one", 1.0
        yield f"{name} bytes", seen.read + seen.written
        if op.kind.startswith("pool"):
            window = op.attributes.get("kernel", ())
            yield f"{name} patch", seen.outputs[0].elements * prod(window if isinstance(window, tuple) else ()) / 1e6


def _convolution(seen: _Seen) -> Iterator[Term]:
    op, source, result = seen.op, seen.inputs[0], seen.outputs[0]
    window = prod(_numbers(op.attributes.get("kernel", ())))
    groups = _numbers(op.attributes.get("groups", 1))[0]
    channels_in, channels = source.shape[1], result.shape[1]
    places = prod(result.shape[2:])
    name = _conv_class(window, groups, channels_in, channels, places)
    filled = _filled(channels, LANES)
    yield f"{name} one", 1.0
    if name == "row":
        yield "row weight", seen.constants
        return
    if name == "depthwise":
        macs = filled * places * window / 1e6
        yield "depthwise mac", macs
        yield "depthwise in", seen.read
        yield "depthwise out", seen.written
        yield "depthwise weight", channels * window / 1e6
        yield "depthwise channels", channels / 1e3
        if channels % LANES:
            yield "depthwise tail", macs
        if max(_numbers(op.attributes.get("stride", ()))) > 1:
            yield "depthwise stride", macs
        return
    if name == "grouped":
        each_in, each = channels_in // groups, channels // groups
        yield "grouped mac", op.macs / 1e6
        yield "grouped tail", groups * _filled(each, LANES) * each_in * window * places / 1e6
        yield "grouped bytes", seen.read + seen.written
        yield "grouped patch", channels_in * window * places / 1e6
        yield "grouped rows", groups * places / 1e6
        yield "grouped channels", groups / 1e3
        return
    macs = filled * channels_in * window * places / 1e6
    yield f"{name} mac", macs
    yield f"{name} in", seen.read
    yield f"{name} out", seen.written
    yield f"{name} weight", seen.constants
    if window > 1:
        yield f"{name} patch", channels_in * places * window / 1e6
    if name != "stem" and (channels_in % SUMMED):
        yield f"{name} tail", macs
    if name != "stem" and (channels_in % LANES or channels % LANES):
        yield f"{name} ragged", macs


def _conv_class(window: int, groups: int, channels_in: int, channels: int, places: int) -> str:
    if groups > 1:
        return "depthwise" if groups == channels_in and channels == channels_in else "grouped"
    if places == 1 and window == 1:
        return "row"
    if window == 1:
        return "1x1"
    return "stem" if channels_in <= 4 else "window"


def _product(seen: _Seen) -> Iterator[Term]:
    matrices = [t for t in seen.weights if len(t.shape) > 1]
    rows = seen.op.macs / matrices[0].elements if matrices else float("inf")
    if rows < 2:
        yield "row one", 1.0
        yield "row weight", seen.constants
        return
    yield "rows one", 1.0
    yield "rows mac", seen.op.macs / 1e6
    yield "rows bytes", seen.read + seen.written


def _class(seen: _Seen) -> str:
    kind = seen.op.kind
    if kind in PAIRS:
        return _pair_class(seen)
    if kind in CLAMPS:
        made = seen.context.maker.get(seen.op.inputs[0])
        before = made.kind if made is not None else ""
        return "clamp" + (" after product" if before in ACCUMULATE else " after pair" if before in PAIRS else "")
    if kind in GATES and seen.gates_its_input():
        return f"{kind} of itself"
    if kind == "transpose" and len(seen.outputs[0].shape) > 4:
        return "shuffle"
    if kind in CURVES and seen.after() is not None:
        return f"{kind} after product"
    return "move" if kind in MOVES else kind


def _pair_class(seen: _Seen) -> str:
    if seen.op.kind == "mul" and seen.is_gated_by_itself():
        return "product with itself"
    if len({t.shape for t in seen.inputs}) > 1:
        return "broadcast"
    return "pair after product" if seen.after() is not None else "pair"


def _filled(channels: int, lanes: int) -> int:
    return -(-channels // lanes) * lanes


def _numbers(value: object) -> tuple[int, ...]:
    return value if isinstance(value, tuple) and value else (value,) if isinstance(value, int) else (1,)
