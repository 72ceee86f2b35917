"""Nodes of a normalised IR as operators of an `OpGraph`, with their attributes and multiply-accumulates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING

from bench_openvino.ir_kinds import CONVOLUTIONS, PRODUCTS, WINDOWS
from bench_openvino.ir_links import bounds, reduced_axes
from harness import Operator, Tensor

if TYPE_CHECKING:
    from bench_openvino.ir_network import Network, Node

Attribute = int | float | str | bool | tuple[int, ...]

FLOAT = frozenset({"fp32", "fp16", "bf16", "fp64"})
QUANTISED = frozenset({"int8", "uint8", "int4"})

FIRST_ONLY = frozenset({"clip", "relu", "relu6", "leaky_relu", "pad", "resize", "reshape", "slice", "expand",
                        "quantize", "dequantize"})  # fmt: skip
"""Kinds whose other inputs are bounds, sizes and fill values when they are constants."""

STATISTICS = {"batch_norm": (3, 4)}
"""Inputs that hold running statistics, which were not trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """Operators and tensors as they come; `parameters` are the names of constants that were trained."""

    network: Network
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    parameters: set[str] = field(default_factory=set)


def emit(node: Node, emission: Emission) -> None:
    """Append the operator of a node, and the tensors that it reads and writes."""
    network = emission.network
    macs = macs_of(node, network)
    if node.kind == "fully_connected" and network.constant(node.inputs[0]):
        node = replace(node, inputs=(node.inputs[1], node.inputs[0], *node.inputs[2:]))
    inputs = tuple(
        _input(name, position, node, emission)
        for position, name in enumerate(node.inputs)
        if _is_data(name, position, node, network)
    )
    for name in node.outputs:
        emission.tensors[name] = network.tensors[name]
    running = [name for name in inputs if not network.constant(name)] or [*inputs, *node.outputs]
    precision = node.precision or network.tensors[running[0]].precision
    narrow = any(network.constant(n) and network.tensors[n].precision in QUANTISED for n in inputs)
    stored = narrow and not node.precision and precision in FLOAT
    dynamic = stored and node.kind == "fully_connected" and network.rounds_activations
    emission.operators.append(
        Operator(
            name=node.name,
            kind=node.kind,
            inputs=inputs,
            outputs=node.outputs,
            precision="int8" if dynamic else precision,
            macs=macs,
            activation=node.activation,
            attributes=attributes_of(node, network),
            source=node.source,
            scheme="dynamic" if dynamic else "weight-only" if stored else node.scheme,
        )
    )


def macs_of(node: Node, network: Network) -> int:
    """Multiply-accumulates at batch 1; an open dimension counts as 1.

    conv: output elements × input channels of a group × kernel. deconv: input elements × output channels of a group ×
    kernel. Products: output elements × the length of the summed axis.
    """
    if node.kind not in PRODUCTS:
        return 0
    left, right, result = (_shape(name, network) for name in (*node.inputs[:2], node.outputs[0]))
    if node.kind in CONVOLUTIONS:
        return prod(result if node.kind == "conv" else left) * prod(right[2 if _grouped(node) else 1 :])
    transposed = node.given.get("transpose_a") == "true" and len(left) > 1
    return prod(result) * (left[-2 if transposed else -1] if left else 1)


def attributes_of(node: Node, network: Network) -> dict[str, Attribute]:
    """Windows complete, bounds and axes as numbers."""
    if node.kind in WINDOWS and not node.source.startswith("Adaptive"):
        return _window(node, network)
    result = network.tensors[node.outputs[0]].shape
    if node.kind == "fully_connected":
        weight = network.tensors[node.inputs[1]]
        wide = result[-1] if result else 1
        return {"in_features": weight.elements // wide, "out_features": wide} if len(weight.shape) == 2 else {}
    if node.kind in {"clip", "relu6"} and "max" in node.given:
        low, high = bounds(node)
        return {"min": low, "max": high}
    if node.kind == "leaky_relu":
        slope = network.small(node.inputs[1])
        return {} if slope is None else {"alpha": float(slope[0])}
    axes = reduced_axes(node, network) if node.kind in {"reduce", "global_pool"} else None
    if axes is not None:
        return {"axes": axes}
    return {"axis": int(node.given["axis"])} if node.given.get("axis", "").lstrip("-").isdigit() else {}


def _window(node: Node, network: Network) -> dict[str, Attribute]:
    given, convolves = node.given, node.kind in CONVOLUTIONS
    shape = network.tensors[node.inputs[1]].shape if convolves else ()
    kernel = shape[3 if _grouped(node) else 2 :] if convolves else _numbers(given.get("kernel", ""))
    ones, zeros = (1,) * len(kernel), (0,) * len(kernel)
    stride, dilation = _numbers(given.get("strides", "")) or ones, _numbers(given.get("dilations", "")) or ones
    pads = (*(_numbers(given.get("pads_begin", "")) or zeros), *(_numbers(given.get("pads_end", "")) or zeros))
    mode = given.get("auto_pad", "explicit")
    ends = [network.tensors[name].shape[2:] for name in (node.inputs[0], node.outputs[0])]
    if mode.startswith("same"):
        pads = _same(list(zip(*ends, kernel, stride, dilation, strict=False)), upper=mode == "same_upper")
    found: dict[str, Attribute] = {
        "kernel": kernel, "stride": stride, "dilation": dilation, "pads": (*zeros, *zeros) if mode == "valid" else pads
    }  # fmt: skip
    if convolves:
        found["groups"] = shape[0] if _grouped(node) else 1
    if node.kind == "deconv":
        found["output_padding"] = _numbers(given.get("output_padding", "")) or zeros
    return found


def _same(axes: list[tuple[int, ...]], *, upper: bool) -> tuple[int, ...]:
    """Pads shared out between both ends; a transposed convolution writes the larger side."""
    begins, ends = [], []
    for first, second, k, s, d in axes:
        large, small = max(first, second), min(first, second)
        total = max(0, (small - 1) * s + (k - 1) * d + 1 - large)
        begins.append(total // 2 if upper else total - total // 2)
        ends.append(total - begins[-1])
    return (*begins, *ends)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.replace(",", " ").split())


def _grouped(node: Node) -> bool:
    return node.source.startswith("Group")


def _shape(name: str, network: Network) -> tuple[int, ...]:
    return tuple(max(1, dim) for dim in network.tensors[name].shape)


def _is_data(name: str, position: int, node: Node, network: Network) -> bool:
    """Whether an input is data or a parameter, and not a constant shape, axis, bound or fill value."""
    if not network.constant(name) or node.kind in PRODUCTS:
        return True
    if node.kind in FIRST_ONLY:
        return position == 0
    return network.tensors[name].precision in FLOAT | QUANTISED


def _input(name: str, position: int, node: Node, emission: Emission) -> str:
    network = emission.network
    found = emission.tensors.get(name) or network.tensors[name]
    if found.constant:
        product = node.kind in PRODUCTS
        if position not in STATISTICS.get(node.kind, ()) and (product or found.elements > 1):
            emission.parameters.add(name)
        if product and position and found.zeros is None:
            found = replace(found, zeros=_zeros(name, network))
        if product and position == 1 and _grouped(node) and found.shape == network.tensors[name].shape:
            groups, channels, *rest = found.shape
            found = replace(found, shape=(groups * channels, *rest))
        if product and position == 2:
            static = node.scheme == "static" and found.precision in FLOAT
            # One element a channel, however it is broadcast; an integer kernel adds it to int32 sums.
            found = replace(found, shape=(found.elements,), precision="int32" if static else found.precision)
    emission.tensors[name] = found
    return name


def _zeros(name: str, network: Network) -> float | None:
    """Share of exact zeros in a stored constant; None where its content is not known here."""
    import numpy as np

    stored = network.stored.get(name)
    values = None if stored is None else network.store.values_of(stored.layer)
    if stored is None or values is None or values.size == 0:
        return None
    if stored.zero_point is None:
        return 1.0 - np.count_nonzero(values) / values.size
    shift = network.store.values_of(stored.zero_point)
    shape, of = stored.layer.outputs[0][1], stored.zero_point.outputs[0][1]
    while of and of[-1] == 1:
        of = of[:-1]
    if shift is None or of != shape[: len(of)]:
        return None
    return float(np.mean(values.reshape(shift.size, -1) == shift.reshape(-1, 1)))
