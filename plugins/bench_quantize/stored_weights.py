"""Which constants of an ONNX graph are weights, how much they hold, and storing them in eight bits.

A weight in eight bits is written as `Cast`, `Sub` of the zero point where there is one, and `Mul` by the scale. ONNX
Runtime computes these once, when it opens the file, and then runs its float kernels; the same weight behind a
DequantizeLinear would be expanded at every inference, and a MatMul behind one would be fused to a kernel that rounds
the activations too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import onnx

FEWEST_PER_SCALE = 4
"""Elements that a scale of four bytes must serve at least, so that the file gets smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A float constant that a product or an embedding reads; `axis` is that of its output channels, or of its rows."""

    name: str
    operator: str
    axis: int
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Number of elements."""
        from math import prod

        return prod(self.shape)

    @property
    def worthwhile(self) -> bool:
        """Whether eight bits and the scales are smaller than the floats."""
        return self.elements >= FEWEST_PER_SCALE * self.shape[self.axis]


def weights_of(model: onnx.ModelProto) -> tuple[Weight, ...]:
    """Weights of two or more dimensions, in the order in which they are first read."""
    from onnx import TensorProto

    constants = {t.name: tuple(t.dims) for t in model.graph.initializer if t.data_type == TensorProto.FLOAT}
    found: dict[str, Weight] = {}
    for node in model.graph.node:
        for position, name in enumerate(node.input[:2]):
            shape = constants.get(name, ())
            axis = _axis(node, position, len(shape)) if len(shape) > 1 else None
            if axis is not None and name not in found:
                found[name] = Weight(name=name, operator=node.op_type, axis=axis, shape=shape)
    return tuple(found.values())


def _axis(node: onnx.NodeProto, position: int, rank: int) -> int | None:
    """Axis of the output channels of an operand; None for one that is no weight."""
    given = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type == "Gather":
        return 0 if position == 0 and given.get("axis", 0) == 0 else None
    if node.op_type == "MatMul":
        return rank - 2 if position == 0 else rank - 1
    if node.op_type == "Gemm":
        transposed = given.get("transA" if position == 0 else "transB", 0)
        return int(bool(transposed)) if position == 0 else int(not transposed)
    if position == 1 and node.op_type in {"Conv", "ConvTranspose"}:
        return int(node.op_type == "ConvTranspose")
    return None


def store_in_eight_bits(model: onnx.ModelProto, weights: Iterable[Weight], *, symmetric: bool) -> None:
    """Replace weights by integers with a scale for each channel, in place."""
    from onnx.helper import make_node
    from onnx.numpy_helper import from_array, to_array

    held = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for weight in weights:
        levels, scale, zero = quantised(to_array(held[weight.name]), weight.axis, symmetric=symmetric)
        name = weight.name
        model.graph.initializer.remove(held[name])
        model.graph.initializer.extend([from_array(levels, f"{name}/levels"), from_array(scale, f"{name}/scale")])
        nodes.append(make_node("Cast", [f"{name}/levels"], [f"{name}/cast"], name=f"{name}/cast", to=1))
        if zero is not None:
            model.graph.initializer.append(from_array(zero, f"{name}/zero"))
            nodes.append(make_node("Sub", [f"{name}/cast", f"{name}/zero"], [f"{name}/shifted"], name=f"{name}/sub"))
        nodes.append(make_node("Mul", [nodes[-1].output[0], f"{name}/scale"], [name], name=f"{name}/mul"))
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])


def quantised(values: Any, axis: int, *, symmetric: bool) -> tuple[Any, Any, Any]:
    """Levels in int8 with float32 scales, or levels in uint8 with float32 scales and zero points.

    Scales and zero points keep the rank of `values`, with 1 along every axis but `axis`. Round to nearest, ranges by
    their ends and always with zero in them: Jacob et al., arXiv:1712.05877, section 2.1.
    """
    import numpy as np

    others = tuple(i for i in range(values.ndim) if i != axis)
    if symmetric:
        scale = np.abs(values).max(axis=others, keepdims=True) / 127
        scale = np.where(scale > 0, scale, 1).astype(np.float32)
        return np.clip(np.rint(values / scale), -127, 127).astype(np.int8), scale, None
    low = np.minimum(values.min(axis=others, keepdims=True), 0)
    high = np.maximum(values.max(axis=others, keepdims=True), 0)
    step = (high - low) / 255  # zero where the range itself is a denormal number
    scale = np.where(step > 0, step, 1).astype(np.float32)
    zero = np.rint(-low / scale).astype(np.float32)
    return np.clip(np.rint(values / scale) + zero, 0, 255).astype(np.uint8), scale, zero


def share(part: Sequence[Weight], whole: Sequence[Weight]) -> float:
    """Share of the elements of weights, 0 to 1."""
    total = sum(weight.elements for weight in whole)
    return sum(weight.elements for weight in part) / total if total else 0.0
