"""A graph being drawn: operators are appended one by one, their shapes and multiply-accumulates worked out.

The same drawing gives a float graph and a quantised one. The quantised one has float inputs and outputs, as what a
static quantiser makes has, and its operators in between work on 8-bit tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING

from harness.graph import Operator, OpGraph, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.graph import Attribute

FOLDED = frozenset({"relu", "relu6"})
"""Activations that a static quantiser makes part of the range of the result."""

ENDING = frozenset({"conv", "fully_connected", "add", "sub", "mul"})
"""Kinds whose integer kernels end with such an activation."""


@dataclass(slots=True)
class Sketch:
    """The graph so far; `quantised` draws it in 8 bits."""

    name: str
    quantised: bool = False
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor that was drawn."""
        return self.tensors[name].shape

    def source(self, *shape: int) -> str:
        """A float input; what it returns is quantised where the graph is."""
        name = self._tensor(f"input{len(self.inputs)}", (1, *shape), "fp32")
        self.inputs.append(name)
        return self._border("quantize", name, "uint8") if self.quantised else name

    def finish(self, *names: str) -> OpGraph:
        """The graph with these outputs, made float again where they are not."""
        for name in names:
            self.outputs.append(self._border("dequantize", name, "fp32") if self.quantised else name)
        parameters = sum(t.elements for t in self.tensors.values() if t.constant)
        return OpGraph(
            name=self.name,
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
            tensors=dict(self.tensors),
            operators=tuple(self.operators),
            parameters=parameters,
        )

    def conv(self, x: str, channels: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, then: str = "") -> str:
        """A convolution with a bias, padded so that stride 1 keeps the size, and the activation `then`."""
        _, width_in, *sides = self.shape(x)
        pad = kernel // 2
        size = [(side + 2 * pad - kernel) // stride + 1 for side in sides]
        weight = self._constant((channels, width_in // groups, kernel, kernel))
        shape = (1, channels, *size)
        attributes: dict[str, Attribute] = {
            "kernel": (kernel, kernel), "stride": (stride, stride), "dilation": (1, 1), "pads": (pad,) * 4,
            "groups": groups,
        }  # fmt: skip
        macs = prod(shape) * prod(self.shape(weight)[1:])
        return self._accumulate("conv", (x, weight, self._bias(channels)), shape, macs, attributes, then=then)

    def linear(self, x: str, features: int, *, then: str = "") -> str:
        """A fully connected layer over the last axis."""
        *rows, width = self.shape(x)
        weight = self._constant((features, width) if len(rows) == 1 else (width, features))
        inputs = (x, weight, self._bias(features)) if len(rows) == 1 else (x, weight)
        shape = (*rows, features)
        attributes: dict[str, Attribute] = {"in_features": width, "out_features": features}
        return self._accumulate("fully_connected", inputs, shape, prod(shape) * width, attributes, then=then)

    def matmul(self, a: str, b: str) -> str:
        """The product of two tensors that are both made at run time."""
        *rows, width = self.shape(a)
        shape = (*rows, self.shape(b)[-1])
        return self._accumulate("matmul", (a, b), shape, prod(shape) * width, {})

    def pointwise(self, kind: str, *inputs: str) -> str:
        """An operator whose result is as large as its largest input."""
        shape = max((self.shape(x) for x in inputs), key=prod)
        return self._operator(kind, inputs, shape)

    def act(self, x: str, kind: str) -> str:
        """An activation, or nothing for the empty name; `swish` is a sigmoid and a product."""
        if not kind:
            return x
        last = self.operators[-1] if self.operators else None
        if self.quantised and kind in FOLDED and last is not None and last.outputs == (x,) and last.kind in ENDING:
            self.operators[-1] = replace(last, activation=kind)
            return x
        if kind == "swish":
            return self.pointwise("mul", x, self.pointwise("sigmoid", x))
        if kind == "hardswish" and self.quantised:  # as ONNX Runtime's quantiser takes it apart
            return self.pointwise("mul", x, self.pointwise("hardsigmoid", x))
        return self._operator(kind, (x,), self.shape(x), {"min": 0.0, "max": 6.0} if kind == "relu6" else {})

    def pool(self, x: str, kind: str, kernel: int, stride: int) -> str:
        """A pool by windows, padded as a convolution is."""
        _, channels, *sides = self.shape(x)
        pad = kernel // 2 if kernel % 2 else 0
        size = [(side + 2 * pad - kernel) // stride + 1 for side in sides]
        attributes: dict[str, Attribute] = {
            "kernel": (kernel, kernel), "stride": (stride, stride), "dilation": (1, 1), "pads": (pad,) * 4,
        }  # fmt: skip
        return self._operator(kind, (x,), (1, channels, *size), attributes)

    def global_pool(self, x: str) -> str:
        """The average of each channel, still with two axes of size one."""
        return self._operator("global_pool", (x,), (*self.shape(x)[:2], 1, 1))

    def concat(self, *inputs: str) -> str:
        """Channels one behind the other."""
        _, _, *sides = self.shape(inputs[0])
        return self._operator("concat", inputs, (1, sum(self.shape(x)[1] for x in inputs), *sides), {"axis": 1})

    def split(self, x: str, parts: int) -> tuple[str, ...]:
        """Channels in equal parts."""
        _, channels, *sides = self.shape(x)
        names = tuple(
            self._tensor(f"t{len(self.tensors)}", (1, channels // parts, *sides), self._stored) for _ in range(parts)
        )
        self._append("split", (x,), names, 0, {"axis": 1})
        return names

    def reshape(self, x: str, *shape: int) -> str:
        """Another view."""
        return self._operator("reshape", (x,), (1, *shape))

    def transpose(self, x: str, *order: int) -> str:
        """Axes in another order."""
        shape = tuple(self.shape(x)[axis] for axis in order)
        return self._operator("transpose", (x,), shape, {"perm": order})

    def resize(self, x: str, scale: int) -> str:
        """A picture enlarged by its nearest neighbours."""
        _, channels, *sides = self.shape(x)
        return self._operator("resize", (x,), (1, channels, *(s * scale for s in sides)), {"mode": "nearest"})

    def shuffle(self, x: str, groups: int) -> str:
        """Channels of groups interleaved."""
        _, channels, height, width = self.shape(x)
        apart = self.reshape(x, groups, channels // groups, height, width)
        return self.reshape(self.transpose(apart, 0, 2, 1, 3, 4), channels, height, width)

    @property
    def _stored(self) -> str:
        return "uint8" if self.quantised else "fp32"

    def _accumulate(
        self, kind: str, inputs: Sequence[str], shape: tuple[int, ...], macs: int, attributes: Mapping[str, Attribute],
        *, then: str = "",
    ) -> str:  # fmt: skip
        result = self._tensor(f"t{len(self.tensors)}", shape, self._stored)
        self._append(kind, inputs, (result,), macs, attributes)
        return self.act(result, then)

    def _operator(
        self,
        kind: str,
        inputs: Sequence[str],
        shape: tuple[int, ...],
        attributes: Mapping[str, Attribute] | None = None,
    ) -> str:
        result = self._tensor(f"t{len(self.tensors)}", shape, self._stored)
        self._append(kind, inputs, (result,), 0, attributes or {})
        return result

    def _append(
        self, kind: str, inputs: Sequence[str], outputs: tuple[str, ...], macs: int, attributes: Mapping[str, Attribute]
    ) -> None:
        self.operators.append(
            Operator(
                name=f"{kind}_{len(self.operators)}",
                kind=kind,
                inputs=tuple(inputs),
                outputs=outputs,
                precision="int8" if self.quantised else "fp32",
                macs=macs,
                attributes=dict(attributes),
                scheme="static" if self.quantised else "",
            )
        )

    def _border(self, kind: str, name: str, precision: str) -> str:
        result = self._tensor(f"t{len(self.tensors)}", self.shape(name), precision)
        op = Operator(name=f"{kind}_{len(self.operators)}", kind=kind, inputs=(name,), outputs=(result,),
                      precision=self.tensors[name].precision)  # fmt: skip
        self.operators.append(op)
        return result

    def _constant(self, shape: tuple[int, ...]) -> str:
        name = f"w{len(self.tensors)}"
        return self._tensor(name, shape, "int8" if self.quantised else "fp32", constant=True)

    def _bias(self, channels: int) -> str:
        name = f"w{len(self.tensors)}"
        return self._tensor(name, (channels,), "int32" if self.quantised else "fp32", constant=True)

    def _tensor(self, name: str, shape: tuple[int, ...], precision: str, *, constant: bool = False) -> str:
        self.tensors[name] = Tensor(name=name, shape=shape, precision=precision, constant=constant)
        return name
