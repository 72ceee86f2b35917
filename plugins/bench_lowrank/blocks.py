"""Plain torch layers made from factors, in float64 until the last step."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bench_lowrank.layer import CONVOLUTIONS


def pointwise(layer: Any, weight: torch.Tensor, bias: torch.Tensor | None = None) -> nn.Module:
    """A linear layer or 1×1 convolution in place of a part of `layer`.

    Args:
        layer: The layer whose dimensions of space, dtype, device and gradient are taken over.
        weight: `(out, in)`.
        bias: `(out,)`, or None for none.
    """
    outputs, inputs = weight.shape
    if isinstance(layer, nn.Linear):
        return _filled(nn.Linear(inputs, outputs, bias=bias is not None, device="meta"), layer, weight, bias)
    space = layer.weight.dim() - 2
    kind: Any = CONVOLUTIONS[space]
    made = kind(inputs, outputs, 1, bias=bias is not None, device="meta")
    return _filled(made, layer, weight.reshape(outputs, inputs, *[1] * space), bias)


def spatial(
    layer: Any,
    weight: torch.Tensor,
    axes: tuple[int, ...] | None = None,
    *,
    groups: int = 1,
    bias: torch.Tensor | None = None,
) -> nn.Module:
    """A convolution that strides, pads and dilates as `layer` does along some axes of space.

    Args:
        layer: The convolution that it stands for a part of.
        weight: `(out, in / groups, *kernel)`, a kernel of 1 along the other axes.
        axes: Which, from 0; None for all.
        groups: Groups of channels.
        bias: `(out,)`, or None for none.
    """
    space = weight.dim() - 2
    kind: Any = CONVOLUTIONS[space]
    mine = range(space) if axes is None else axes
    padding: Any = layer.padding  # "same" and "valid" pad nothing where the kernel is 1
    if not isinstance(padding, str):
        padding = tuple(padding[axis] if axis in mine else 0 for axis in range(space))
    made = kind(
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]),
        stride=tuple(layer.stride[axis] if axis in mine else 1 for axis in range(space)), padding=padding,
        dilation=tuple(layer.dilation[axis] if axis in mine else 1 for axis in range(space)), groups=groups,
        bias=bias is not None, padding_mode=layer.padding_mode, device="meta",
    )  # fmt: skip
    return _filled(made, layer, weight, bias)


def _filled(made: Any, layer: Any, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    """Weights in the dtype, on the device and with the gradient of the layer that they come from."""
    of = layer.weight

    def parameter(values: torch.Tensor) -> nn.Parameter:
        values = values.detach().to(dtype=of.dtype, device=of.device).contiguous().clone()
        return nn.Parameter(values, requires_grad=of.requires_grad)

    made.weight = parameter(weight)
    made.bias = None if bias is None else parameter(bias)
    filled: nn.Module = made.train(layer.training)
    return filled
