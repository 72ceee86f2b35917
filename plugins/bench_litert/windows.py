"""Kernels, strides, dilations and pads of convolutions and pools, automatic padding resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench_litert.network import Network, Node

Attribute = int | float | str | bool | tuple[int, ...]

SAME = 0
"""`Padding.SAME` of the schema; the other is VALID, without any."""


def window_attributes(node: Node, network: Network) -> dict[str, Attribute]:
    """Attributes of a convolution or pool over height and width; `pads` is (top, left, bottom, right)."""
    given = node.options
    before, after = network.values[node.inputs[0]].shape, network.values[node.outputs[0]].shape
    convolves = node.kind in {"conv", "deconv"}
    weight = network.values[node.inputs[1]].shape if convolves else ()
    kernel = weight[1:3] if convolves else (int(given["filterHeight"]), int(given["filterWidth"]))
    stride = (int(given["strideH"]), int(given["strideW"]))
    dilation = (int(given.get("dilationHFactor", 1)), int(given.get("dilationWFactor", 1)))
    ends = (after, before) if node.kind == "deconv" else (before, after)
    pads = _same(ends, kernel, stride, dilation) if given["padding"] == SAME else (0, 0, 0, 0)
    found: dict[str, Attribute] = {"kernel": kernel, "stride": stride, "dilation": dilation, "pads": pads}
    if convolves:
        found["groups"] = before[3] if node.source == "DEPTHWISE_CONV_2D" else max(1, before[3] // weight[3])
    if node.kind == "deconv":
        found["output_padding"] = (0, 0)
    return found


def _same(
    ends: tuple[tuple[int, ...], tuple[int, ...]],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[int, ...]:
    """Pads that make the small end as large as the large one over the stride; the odd one goes to the end.

    Source: `ComputePaddingWithOffset` in LiteRT's kernels/padding.h.
    """
    large, small = ends
    begins, lasts = [], []
    for axis in range(2):
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        total = max(0, (small[axis + 1] - 1) * stride[axis] + reach - large[axis + 1])
        begins.append(total // 2)
        lasts.append(total - total // 2)
    return (*begins, *lasts)
