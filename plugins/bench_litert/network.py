"""The main graph of a .tflite file with stored weights found behind what unpacks them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench_litert.kinds import PRECISION, kind_of
from bench_litert.schema_file import activation_name, as_text, operator_name, type_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

UNPACKING = frozenset({"DEQUANTIZE", "DENSIFY", "CAST"})
"""Operators that, on a constant, expand what the file stores smaller: weights in integers, halves or sparse form."""

ORDER = {"TRANSPOSE_CONV": (2, 1, 3), "EMBEDDING_LOOKUP": (1, 0), "SPLIT": (1, 0)}
"""Operators whose data does not come first, with the order of inputs that others have: data, weight, bias."""

DTYPES = {"fp32": "<f4", "fp16": "<f2", "fp64": "<f8", "int8": "i1", "uint8": "u1", "int16": "<i2", "int32": "<i4",
          "int64": "<i8", "bool": "?"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A tensor of the file; its shape is as in the file, channels last.

    Attributes:
        constant: Whether the file holds its content.
        scales: How many scales it is quantised with, 0 for none.
        content: Bytes of a constant, or None.
        tensor: The schema's own object.
    """

    name: str
    shape: tuple[int, ...]
    precision: str
    constant: bool
    scales: int
    content: NDArray[np.uint8] | None
    tensor: Any

    @property
    def free(self) -> tuple[int, ...]:
        """Axes behind the first whose size the file leaves open; `shape` has 1 there."""
        signature = self.tensor.shapeSignature
        known = signature is not None and len(signature) == len(self.shape)
        return tuple(axis for axis in range(1, len(self.shape)) if signature[axis] < 0) if known else ()

    @property
    def quantised(self) -> bool:
        """Whether its integers stand for real numbers."""
        return self.scales > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An operator: positions of tensors, -1 where an optional input is left out.

    Attributes:
        unpacked: Inputs that were stored smaller and are expanded before this operator reads them.
        options: Fields of the schema's options.
    """

    name: str
    source: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str
    unpacked: frozenset[int]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Nodes in execution order over numbered values."""

    name: str
    nodes: tuple[Node, ...]
    values: tuple[Value, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def open_shapes(self) -> bool:
        """Whether an input has a free size behind the batch; a free batch is bound to 1, and all that follows of it."""
        return any(self.values[index].free for index in self.inputs)

    def constant(self, index: int) -> bool:
        """Whether a tensor is known before the graph runs."""
        return index >= 0 and self.values[index].constant

    def numbers(self, index: int) -> tuple[int, ...] | None:
        """Content of a constant of integers, such as axes; None for others."""
        if not self.constant(index) or self.values[index].precision not in {"int32", "int64"}:
            return None
        return tuple(int(each) for each in array_of(self.values[index]).reshape(-1))


def array_of(value: Value) -> NDArray[Any]:
    """Content of a constant; of types with fewer than eight bits the bytes."""
    import numpy as np

    assert value.content is not None
    found = np.ascontiguousarray(value.content).view(DTYPES.get(value.precision, "u1"))
    return found.reshape(value.shape) if found.size == _elements(value.shape) else found


def network_of(model: Any) -> Network:
    """The main graph; operators that expand stored constants are gone and their readers read the constants."""
    graph = model.subgraphs[0]
    values = _values(model, graph)
    stands_for: dict[int, int] = {}
    nodes: list[Node] = []
    for position, operator in enumerate(graph.operators):
        source = operator_name(model, operator)
        given, made = _numbers(operator.inputs), _numbers(operator.outputs)
        first = stands_for.get(given[0], given[0]) if given else -1
        if source in UNPACKING and first >= 0 and values[first].constant:
            stands_for[made[0]] = first
            continue
        order = ORDER.get(source, tuple(range(len(given))))
        inputs = tuple(given[at] for at in order if at < len(given))
        options = {} if operator.builtinOptions is None else vars(operator.builtinOptions)
        nodes.append(
            Node(
                name=f"{source.lower()}_{position}",
                source=source,
                kind=kind_of(source),
                inputs=tuple(stands_for.get(index, index) for index in inputs),
                outputs=made,
                activation=activation_name(options.get("fusedActivationFunction", 0)),
                unpacked=frozenset(stands_for[index] for index in inputs if index in stands_for),
                options=options,
            )
        )
    return Network(
        name=as_text(graph.name),
        nodes=tuple(nodes),
        values=values,
        inputs=_numbers(graph.inputs),
        outputs=tuple(stands_for.get(index, index) for index in _numbers(graph.outputs)),
    )


def _values(model: Any, graph: Any) -> tuple[Value, ...]:
    taken: set[str] = set()
    values = []
    for index, tensor in enumerate(graph.tensors):
        name = as_text(tensor.name)
        name = f"{name}:{index}" if name in taken or not name else name
        taken.add(name)
        content = model.buffers[tensor.buffer].data
        found = tensor.quantization
        scales = 0 if found is None or found.scale is None else len(found.scale)
        values.append(
            Value(
                name=name,
                shape=tuple(max(1, int(size)) for size in ([] if tensor.shape is None else tensor.shape)),
                precision=PRECISION[type_name(tensor.type)],
                constant=content is not None and len(content) > 0,
                scales=scales,
                content=content,
                tensor=tensor,
            )
        )
    return tuple(values)


def _numbers(values: Any) -> tuple[int, ...]:
    return () if values is None else tuple(int(each) for each in values)


def _elements(shape: tuple[int, ...]) -> int:
    from math import prod

    return prod(shape)
