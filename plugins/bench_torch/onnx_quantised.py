"""Exported QDQ files in the form that integer kernels take: int32 biases, transposed weights, global pools.

What torch.onnx.export writes for a quantised program is right but not all of it fuses: a float bias, a weight that is
transposed after it is dequantised and a mean over height and width each keep their operator in float.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Note = Callable[[str], None]

LARGEST_BIAS = 2**30
"""Largest int32 bias: half of the type, so that the sum of the products has room."""

WITH_BIAS = 3
"""Inputs of a Conv or Gemm that has a bias."""


def is_quantised(model: onnx.ModelProto) -> bool:
    """Whether a file holds QuantizeLinear or DequantizeLinear."""
    return any(node.op_type in {"QuantizeLinear", "DequantizeLinear"} for node in model.graph.node)


def finish(model: onnx.ModelProto, note: Note) -> None:
    """Bring a QDQ file into the form that integer kernels take, in place.

    Args:
        model: Operator set 13 or later, float biases.
        note: Takes a line when a weight had to change.
    """
    _transpose_before_dequantising(model)
    _use_global_pools(model)
    _quantise_biases(model, note)
    _drop_unread(model)


class _Graph:
    """Initialisers by name, producers by output, and names that are not taken yet."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self.producer = {name: node for node in model.graph.node for name in node.output}

    def dequantised(self, name: str, *, stored: bool = False) -> onnx.NodeProto | None:
        """The DequantizeLinear with constant scale that makes a tensor, of a stored tensor if so asked."""
        node = self.producer.get(name)
        if node is None or node.op_type != "DequantizeLinear" or node.input[1] not in self.stored:
            return None
        return node if not stored or node.input[0] in self.stored else None

    def value(self, name: str) -> Array:
        """Content of an initialiser."""
        found: Array = numpy_helper.to_array(self.stored[name])
        return found

    def store(self, name: str, value: Array) -> str:
        """Add an initialiser; the name is kept when it is new."""
        while name in self.stored or name in self.producer:
            name += "_"
        tensor = numpy_helper.from_array(np.ascontiguousarray(value), name)
        self.graph.initializer.append(tensor)
        self.stored[name] = tensor
        return name


def _axis(node: onnx.NodeProto) -> int:
    return next((int(a.i) for a in node.attribute if a.name == "axis"), 1)


def _transpose_before_dequantising(model: onnx.ModelProto) -> None:
    """Transpose stored int8 weights instead of transposing what they are dequantised to."""
    found = _Graph(model)
    for node in model.graph.node:
        source = found.dequantised(node.input[0], stored=True) if node.op_type == "Transpose" else None
        if source is None:
            continue
        weight = found.value(source.input[0])
        order = next((list(a.ints) for a in node.attribute if a.name == "perm"), list(range(weight.ndim))[::-1])
        name = found.store(f"{source.input[0]}_transposed", weight.transpose(order))
        node.CopyFrom(
            helper.make_node(
                "DequantizeLinear",
                [name, *source.input[1:]],
                list(node.output),
                name=node.name,
                axis=order.index(_axis(source) % weight.ndim),
            )
        )


def _use_global_pools(model: onnx.ModelProto) -> None:
    """Turn a mean over height and width between quantised tensors into GlobalAveragePool, which has int8 kernels."""
    found = _Graph(model)
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in (*model.graph.value_info, *model.graph.input)}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        axes = found.value(node.input[1]).tolist() if node.op_type == "ReduceMean" and len(node.input) > 1 else []
        picture = ranks.get(node.input[0]) == 4 and sorted(axis % 4 for axis in axes) == [2, 3]
        if not picture or found.dequantised(node.input[0]) is None:
            nodes.append(node)
            continue
        keeps = all(a.i for a in node.attribute if a.name == "keepdims")
        readers = [n for n in model.graph.node if node.output[0] in n.input]
        if keeps:
            nodes.append(helper.make_node("GlobalAveragePool", [node.input[0]], [node.output[0]], name=node.name))
        elif len(readers) == 1 and readers[0].op_type == "QuantizeLinear":
            nodes += _pool_and_flatten(node, readers[0])
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _pool_and_flatten(node: onnx.NodeProto, quantize: onnx.NodeProto) -> list[onnx.NodeProto]:
    """A mean that drops its axes as a pool, quantised, then flattened: the pool's kernel needs its own Quantize."""
    pooled, name = f"{node.output[0]}_pooled", node.name or node.output[0]
    parameters = list(quantize.input[1:])
    return [
        helper.make_node("GlobalAveragePool", [node.input[0]], [pooled], name=name),
        helper.make_node("QuantizeLinear", [pooled, *parameters], [f"{pooled}_q"], name=f"{name}_quantize"),
        helper.make_node("DequantizeLinear", [f"{pooled}_q", *parameters], [f"{pooled}_dq"], name=f"{name}_dequantize"),
        helper.make_node("Flatten", [f"{pooled}_dq"], [node.output[0]], name=f"{name}_flatten", axis=1),
    ]


def _quantise_biases(model: onnx.ModelProto, note: Note) -> None:
    """Store each float bias as int32 in the scale of the sums, data scale times weight scale (Jacob et al., eq. 11)."""
    found = _Graph(model)
    made: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type not in {"Conv", "Gemm"} or len(node.input) != WITH_BIAS or node.input[2] not in found.stored:
            continue
        data, weight = found.dequantised(node.input[0]), found.dequantised(node.input[1], stored=True)
        if data is None or weight is None or found.value(data.input[1]).size != 1:
            continue
        bias = found.value(node.input[2]).astype(np.float64)
        step = found.value(data.input[1]).astype(np.float64).reshape(())
        coarser = _coarser(found, weight, np.abs(bias) / LARGEST_BIAS / step)
        if coarser is not None:
            note(f"{node.name}: weights in larger steps, as the bias would not fit int32 beside them")
            made.append(coarser)
            node.input[1] = coarser.output[0]
            weight = coarser
        scale = (step * found.value(weight.input[1]).astype(np.float64)).astype(np.float32)
        integers = np.rint(bias / scale.astype(np.float64)).astype(np.int32)
        stored = found.store(f"{node.input[2]}_int32", integers)
        scales = found.store(f"{stored}_scale", scale)
        axis = {"axis": 0} if scale.ndim else {}
        made.append(helper.make_node("DequantizeLinear", [stored, scales], [f"{stored}_dq"], name=stored, **axis))
        node.input[2] = f"{stored}_dq"
    nodes = [*made, *model.graph.node]  # what is made reads stored tensors only
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _coarser(found: _Graph, weight: onnx.NodeProto, least: Array) -> onnx.NodeProto | None:
    """The Dequantize of a weight in steps of at least so much, or None when they are as large already.

    Smaller ones belong to channels whose weights are all but zero beside their bias, as after pruning.

    Args:
        least: `(channels,)`.
    """
    scale = found.value(weight.input[1])
    needed = np.maximum(scale, (least if scale.ndim else least.max()).astype(np.float32))
    if np.array_equal(needed, scale):
        return None
    values = found.value(weight.input[0])
    shape = [1] * values.ndim
    if scale.ndim:
        shape[_axis(weight) % values.ndim] = -1
    rounded = np.rint(values * (scale / needed).reshape(shape)).astype(values.dtype)
    stored = found.store(f"{weight.input[0]}_coarser", rounded)
    inputs = [stored, found.store(f"{stored}_scale", needed), *weight.input[2:]]
    return helper.make_node("DequantizeLinear", inputs, [f"{stored}_dq"], name=stored, axis=_axis(weight))


def _drop_unread(model: onnx.ModelProto) -> None:
    """Drop nodes and initialisers that nobody reads any more, and types of tensors that are gone."""
    graph = model.graph
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    stored = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(stored)
    made = {name for node in graph.node for name in node.output}
    types = [value for value in graph.value_info if value.name in made]
    del graph.value_info[:]
    graph.value_info.extend(types)
