"""One entry of a workload's layer table, checked key by key; a file made by hand has mistakes to be told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import ArtifactError

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

WINDOWED = frozenset({"conv", "deconv"})
WEIGHTED = frozenset({"conv", "deconv", "fully_connected"})
"""Operators that must state their weights and multiply-accumulates; others may."""

SAME = "same"
"""Pads that keep ceil(input / stride) outputs, the odd one at the end (TensorFlow's padding of that name)."""

VALID = "valid"
"""No pads."""

_REQUIRED: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer; shapes as the file has them, without the batch.

    Attributes:
        kind: What sort of pool, activation or elementwise operation, or "".
        pads: Top, left, bottom, right.
        axis: As in the file, or None.
    """

    name: str
    op: str
    kind: str
    activation: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    macs: int
    weights: int
    bias: bool
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[int, ...]
    groups: int
    axis: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A JSON object, and where it stands, for messages."""

    path: Path
    where: str
    values: Mapping[str, Any]

    def text(self, key: str, default: str = _REQUIRED) -> str:
        """A string."""
        value = self.value(key, default)
        return value if isinstance(value, str) else self.refuse(key, value, "a string")

    def flag(self, key: str) -> bool:
        """True or false; false when it is left out."""
        value = self.value(key, default=False)
        return value if isinstance(value, bool) else self.refuse(key, value, "true or false")

    def count(self, key: str, default: int = _REQUIRED) -> int:
        """A whole number of at least 0."""
        value: int = self.value(key, default)
        return value if _whole(value) and value >= 0 else self.refuse(key, value, "a whole number of at least 0")

    def sizes(self, key: str, default: Sequence[int] = _REQUIRED) -> tuple[int, ...]:
        """Whole numbers of at least 0, such as a shape or pads."""
        value = self.value(key, default)
        if not isinstance(value, (list, tuple)) or not all(_whole(n) and n >= 0 for n in value):
            self.refuse(key, value, "a list of whole numbers of at least 0")
        return tuple(value)

    def names(self, key: str) -> tuple[str, ...]:
        """Names of tensors."""
        value = self.value(key)
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            self.refuse(key, value, "a list of strings")
        return tuple(value)

    def shapes(self, key: str, wanted: int) -> tuple[tuple[int, ...], ...]:
        """One shape for each of `wanted` tensors, every dimension at least 1."""
        value = self.value(key)
        whole = isinstance(value, list) and all(
            isinstance(shape, list) and all(_whole(n) and n > 0 for n in shape) for shape in value
        )
        if not whole or len(value) != wanted:
            self.refuse(key, value, f"a list of {wanted} shapes of whole numbers of at least 1")
        return tuple(map(tuple, value))

    def value(self, key: str, default: Any = _REQUIRED) -> Any:
        """The value as it stands."""
        found = self.values.get(key, default)
        if found is _REQUIRED:
            raise ArtifactError(f"{self.path}: {self.where} has no {key!r}", hint=f"Add {key!r} there.")
        return found

    def refuse(self, key: str, value: object, wanted: str) -> Any:
        """Raise for a value that is not what is wanted."""
        shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."
        raise ArtifactError(
            f"{self.path}: {self.where}: {key!r} is {shown}, not {wanted}", hint=f"Correct {key!r} in the file."
        )


def layer_of(entry: Entry) -> Layer:
    """A layer, checked; keys that its operator does not need are not looked at.

    Raises:
        ArtifactError: A key is missing or has a value that it cannot have.
    """
    op = entry.text("op")
    inputs, outputs = entry.names("inputs"), entry.names("outputs")
    input_shapes = entry.shapes("input_shapes", len(inputs))
    output_shapes = entry.shapes("output_shapes", len(outputs))
    if not outputs:
        entry.refuse("outputs", [], "at least one tensor")
    if op in WEIGHTED and not inputs:
        entry.refuse("inputs", [], "at least one tensor")
    kernel = entry.sizes("kernel") if op in WINDOWED else entry.sizes("kernel", ())
    stride = entry.sizes("stride", (1,) * len(kernel))
    dilation = entry.sizes("dilation", (1,) * len(kernel))
    if not len(kernel) == len(stride) == len(dilation):
        entry.refuse("stride", list(stride), f"as long as the kernel {list(kernel)} and the dilation {list(dilation)}")
    groups = entry.count("groups", 1)
    if op in WINDOWED and not (input_shapes[0] and output_shapes[0]):
        entry.refuse("output_shapes", output_shapes, "shapes with channels")
    if groups < 1 or (op in WINDOWED and input_shapes[0][0] % groups):
        entry.refuse("groups", groups, "a divisor of the input channels")
    needed = _REQUIRED if op in WEIGHTED else 0
    return Layer(
        name=entry.text("name"),
        op=op,
        kind=entry.text("kind", ""),
        activation=entry.text("activation", ""),
        inputs=inputs,
        outputs=outputs,
        input_shapes=input_shapes,
        output_shapes=output_shapes,
        macs=entry.count("macs", needed),
        weights=entry.count("weights", needed),
        bias=entry.flag("bias"),
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        pads=_pads(entry, kernel, stride, dilation) if op in WINDOWED else (),
        groups=groups,
        axis=_axis(entry),
    )


def weight_shape(layer: Layer) -> tuple[int, ...]:
    """Shape of the weights of a layer, as in ONNX; one dimension where the numbers do not give it."""
    if layer.op in WINDOWED:
        source, result = layer.input_shapes[0][0], layer.output_shapes[0][0]
        first, second = (result, source) if layer.op == "conv" else (source, result)
        shape = (first, second // layer.groups, *layer.kernel)
    elif layer.op == "fully_connected" and layer.output_shapes[0]:
        rows = layer.output_shapes[0][-1]
        shape = (rows, layer.weights // rows)
    else:
        return (layer.weights,)
    return shape if prod(shape) == layer.weights else (layer.weights,)


def _axis(entry: Entry) -> int | None:
    value: int | None = entry.value("axis", None)
    if value is not None and not _whole(value):
        entry.refuse("axis", value, "a whole number")
    return value


def _pads(entry: Entry, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    stated = entry.value("pads", VALID)
    if stated == VALID:
        return (0,) * (2 * len(kernel))
    if stated != SAME:
        return entry.sizes("pads")
    source, result = (entry.values[key][0] for key in ("input_shapes", "output_shapes"))
    begins, ends = [], []
    for size, wanted, k, s, d in zip(source[1:], result[1:], kernel, stride, dilation, strict=False):
        total = max(0, (wanted - 1) * s + (k - 1) * d + 1 - size)
        begins.append(total // 2)
        ends.append(total - total // 2)
    return (*begins, *ends)


def _whole(value: object) -> bool:
    return type(value) is int  # a bool is none
