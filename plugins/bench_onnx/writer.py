"""Writes an `OpGraph` as an ONNX file with random weights: the same kinds of operators, shapes and precisions.

A quantised operator is written as a static quantiser writes it: float arithmetic between DequantizeLinear and
QuantizeLinear, activations in uint8 with one scale, weights in int8 with one scale a channel and zero point 0, biases
in int32. Runtimes turn that form into their integer kernels. A Relu or Relu6 that an integer kernel ends with is the
range of its result and no node of its own, so that it is not read back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod, sqrt
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bench_onnx.written_node import ONNX_TYPES, nodes_of, unwritable
from harness import Operator, OpGraph, Tensor

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

OPSET = 20
"""First operator set with Gelu."""

IR_VERSION = 10
"""Version of the container that belongs to operator set 20 or later; runtimes lag behind the newest one."""

EIGHT_BITS = frozenset({"int8", "uint8"})

MOVES = frozenset({"reshape", "identity", "transpose", "slice", "split", "pool_max", "resize", "gather", "pad"})
"""Kinds whose result holds values of their input only, so that one scale serves both."""

CLAMPS = frozenset({"relu", "relu6"})

CHANNEL_AXIS = {"conv": 0, "deconv": 1}
"""Axis of the output channels of a weight; the last one of a matrix, unless it is written transposed."""


def write(graph: OpGraph, path: Path, seed: int) -> None:
    """Write a graph.

    Raises:
        UnsupportedError: It has an operator that shapes and kinds alone do not describe.
    """
    draft = _Draft(graph=graph, random=np.random.default_rng(seed))
    draft.sums = _sums(graph)
    for op in graph.operators:
        if op.outputs[0] not in draft.sums.values():
            draft.operator(op)
    body = helper.make_graph(
        draft.nodes,
        graph.name,
        [_value(graph.tensors[name]) for name in graph.inputs],
        [_value(graph.tensors[name]) for name in graph.outputs],
        initializer=draft.constants,
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.save(model, path)


def _value(tensor: Tensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, ONNX_TYPES[tensor.precision], tensor.shape)


def _sums(graph: OpGraph) -> dict[str, str]:
    """Integer sums of a quantised operator, each with the float tensor that they become."""
    return {
        op.inputs[0]: op.outputs[0]
        for op in graph.operators
        if op.kind == "dequantize" and graph.tensors[op.inputs[0]].precision == "int32"
    }


@dataclass(slots=True)
class _Draft:
    graph: OpGraph
    random: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    scales: dict[str, tuple[str, str]] = field(default_factory=dict)
    values: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)

    def operator(self, op: Operator) -> None:
        """Append the nodes of one operator."""
        if op.kind in {"quantize", "dequantize"}:
            self._border(op)
            return
        quantised = op.precision in EIGHT_BITS and op.scheme == "static"
        inputs = [self._read(name, op, place, quantised=quantised) for place, name in enumerate(op.inputs)]
        outputs = [self.sums.get(name, name) for name in op.outputs]
        stored = [quantised and self._eight_bits(name) for name in outputs]
        results = [f"{name}/result" if q else name for name, q in zip(outputs, stored, strict=True)]
        clamped = op.activation in CLAMPS or op.kind in CLAMPS
        if all(stored) and op.activation in CLAMPS:
            op = replace(op, activation="")  # the range of the result clamps it
        nodes, constants = nodes_of(op, self.graph, inputs, results)
        self.nodes += nodes
        self.constants += constants
        for name, result, q in zip(outputs, results, stored, strict=True):
            if q:
                like = op.inputs[0] if op.kind in MOVES else name
                self.scales[name] = self._scale(like, clamped=clamped)
                self._node("QuantizeLinear", [result, *self.scales[name]], name)

    def _border(self, op: Operator) -> None:
        (source, *_), (result, *_) = op.inputs, op.outputs
        if op.kind == "quantize":
            self.scales[result] = self._scale(result)
            self._node("QuantizeLinear", [source, *self.scales[result]], result)
        else:
            self._node("DequantizeLinear", [source, *self._scale(source)], result)

    def _read(self, name: str, op: Operator, place: int, *, quantised: bool) -> str:
        """The name under which an operator reads a tensor: float arithmetic reads a dequantised copy."""
        tensor = self.graph.tensors[name]
        if tensor.constant:
            return self._quantised_constant(tensor, op, place) if quantised else self._float_constant(tensor, op)
        if not quantised:
            return name
        if not self._eight_bits(name):
            early = f"{name}/quantised/{op.name}"
            scale = self._scale(early)
            self._node("QuantizeLinear", [name, *scale], early)
            name, self.scales[early] = early, scale
        late = f"{name}/float/{op.name}/{place}"
        self._node("DequantizeLinear", [name, *self._scale(name)], late)
        return late

    def _eight_bits(self, name: str) -> bool:
        return self.graph.tensors[name].precision in EIGHT_BITS

    def _scale(self, name: str, *, clamped: bool = False) -> tuple[str, str]:
        """Names of scale and zero point; a tensor that nothing has quantised yet gets new ones.

        The range of what a Relu or Relu6 clamps begins at zero and ends at six.
        """
        if name in self.scales:
            return self.scales[name]
        signed = name in self.graph.tensors and self.graph.tensors[name].precision == "int8"
        zero = np.array(0, np.int8) if signed else np.array(0 if clamped else 128, np.uint8)
        # each tensor has a scale of its own, as after calibration on data
        scale = np.array(0.02 + 1e-5 * (len(self.scales) % 100), np.float32)
        names = (f"{name}/scale", f"{name}/zero")
        self._add(scale, names[0])
        self._add(zero, names[1])
        self.scales[name] = names
        return names

    def _float_constant(self, tensor: Tensor, op: Operator) -> str:
        if tensor.name not in self.written:
            dtype = helper.tensor_dtype_to_np_dtype(ONNX_TYPES[tensor.precision])
            if np.dtype(dtype).kind in "iub":
                array: NDArray[np.generic] = np.zeros(tensor.shape, dtype)
            else:  # He's scale keeps values of a deep network away from zero, where denormals are slow
                spread = sqrt(2 / max(1, _fan_in(tensor, op)))
                array = (self.random.standard_normal(tensor.shape, np.float32) * spread).astype(dtype)
            if op.kind == "batch_norm":
                array = np.abs(array) + np.asarray(0.5, dtype)
            self._add(array, tensor.name)
            self.written.add(tensor.name)
        return tensor.name

    def _quantised_constant(self, tensor: Tensor, op: Operator, place: int) -> str:
        """An int8 weight with a scale a channel, an int32 bias, or another constant with one scale."""
        result = f"{tensor.name}/float"
        if tensor.name in self.written:
            return result
        array: NDArray[np.generic]
        scale: NDArray[np.generic]
        zero: NDArray[np.generic]
        if op.macs and place == 1:
            axis = CHANNEL_AXIS.get(op.kind, 0 if len(op.inputs) > 2 else len(tensor.shape) - 1)
            channels = tensor.shape[axis]
            array = self.random.integers(-127, 128, tensor.shape, np.int8)
            scale, zero = np.full(channels, 0.02 / sqrt(_fan_in(tensor, op)), np.float32), np.zeros(channels, np.int8)
        elif op.macs:
            # ONNX Runtime computes in integers only when the bias has the scale of the sums
            axis, array, zero = 0, np.zeros(tensor.shape, np.int32), np.zeros(tensor.elements, np.int32)
            scale = self.values[self._scale(op.inputs[0])[0]] * self.values[f"{op.inputs[1]}/scale"]
        else:
            axis = 0
            array = self.random.integers(0, 256, tensor.shape, np.uint8)
            scale, zero = np.array(0.02, np.float32), np.array(128, np.uint8)
        for value, name in ((array, tensor.name), (scale, f"{tensor.name}/scale"), (zero, f"{tensor.name}/zero")):
            self._add(value, name)
        self._node("DequantizeLinear", [tensor.name, f"{tensor.name}/scale", f"{tensor.name}/zero"], result, axis=axis)
        self.written.add(tensor.name)
        return result

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: int) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{output}/{kind}", **attributes))

    def _add(self, array: NDArray[np.generic], name: str) -> None:
        self.constants.append(numpy_helper.from_array(array, name))
        if name.endswith("/scale"):
            self.values[name] = array


def _fan_in(tensor: Tensor, op: Operator) -> int:
    """How many products each output element sums up."""
    if len(tensor.shape) < 2:
        return max(1, tensor.elements)
    if op.kind == "fully_connected":
        return tensor.shape[1] if len(op.inputs) > 2 else tensor.shape[0]
    return prod(tensor.shape[1:])


__all__ = ["unwritable", "write"]
