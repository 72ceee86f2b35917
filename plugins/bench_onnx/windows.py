"""Kernels, strides, dilations and pads of convolutions and pools, automatic padding resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_onnx.network import text

if TYPE_CHECKING:
    from bench_onnx.network import Network, Node

Attribute = int | float | str | bool | tuple[int, ...]


def window_attributes(node: Node, network: Network) -> dict[str, Attribute]:
    """Attributes of a Conv, ConvTranspose or pool, each with one entry for each spatial axis.

    `pads` has the beginnings of all axes, then the ends: (top, left, bottom, right) for pictures.
    """
    attributes = node.attributes
    source = network.types.get(node.inputs[0])
    convolves = node.op in {"Conv", "ConvTranspose"}
    weight = network.types.get(node.inputs[1]) if convolves else None
    kernel = tuple(attributes.get("kernel_shape", ()))
    if not kernel and weight is not None and weight.shape is not None:
        kernel = weight.shape[2:]
    stride = tuple(attributes.get("strides", ())) or (1,) * len(kernel)
    dilation = tuple(attributes.get("dilations", ())) or (1,) * len(kernel)
    spatial = source.shape[2:] if source is not None and source.shape is not None else ()
    found: dict[str, Attribute] = {
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "pads": _pads(node, kernel, stride, dilation, spatial),
    }
    if convolves:
        found["groups"] = int(attributes.get("group", 1))
    if node.op == "ConvTranspose":
        found["output_padding"] = tuple(attributes.get("output_padding", ())) or (0,) * len(kernel)
    for flag in ("ceil_mode", "count_include_pad"):
        if flag in attributes and not convolves:
            found[flag] = bool(attributes[flag])
    return found


def _pads(
    node: Node,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    spatial: tuple[int, ...],
) -> tuple[int, ...]:
    """Pads as given or as `auto_pad` asks for.

    Source: ONNX operator Conv, attribute auto_pad: with SAME the output has ceil(input / stride) elements, the pads
    are shared out, and the odd one goes to the end (SAME_UPPER) or to the beginning (SAME_LOWER).
    """
    mode = text(node.attributes.get("auto_pad", "NOTSET"))
    if mode not in {"SAME_UPPER", "SAME_LOWER"} or len(spatial) != len(kernel):
        return tuple(node.attributes.get("pads", ())) or (0,) * (2 * len(kernel))
    begins, ends = [], []
    for size, k, s, d in zip(spatial, kernel, stride, dilation, strict=True):
        reach = (k - 1) * d + 1
        total = max(0, reach - s if node.op == "ConvTranspose" else (-(-size // s) - 1) * s + reach - size)
        begin = total // 2 if mode == "SAME_UPPER" else total - total // 2
        begins.append(begin)
        ends.append(total - begin)
    return (*begins, *ends)
