"""Weights that torch keeps packed for its 8-bit kernels, unpacked again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

CLASS = "torch.classes.quantized."
"""Where the classes of packed weights of one layer are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A layer's weight and bias, and the arguments that were packed with them, by the names of ATen's convolutions."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    arguments: dict[str, Any]


def unpacked(value: Any, kind: str) -> Packed | None:
    """What a packed value holds; None for anything else.

    Args:
        value: An argument of an operator.
        kind: The operator that takes it, such as `quantized::conv1d_relu`: one class serves one and two dimensions.
    """
    if not isinstance(value, torch.ScriptObject):
        return None
    name = _class_of(value)
    space = torch.ops.quantized
    if name == "LinearPackedParamsBase":
        weight, bias = space.linear_unpack(value)
        return Packed(weight=weight, bias=bias, arguments={})
    if not name.startswith("Conv"):
        return None
    rank = 1 if "conv1d" in kind or "conv_transpose1d" in kind else int(name[4])
    of = space.conv3d_unpack if name[4] == "3" else space.conv2d_unpack
    prefix = "conv3d" if name[4] == "3" else "conv2d"
    weight, bias = of(value)
    if rank == 1:
        weight = weight.squeeze(2)
    arguments = {
        key: [int(size) for size in getattr(space, f"{prefix}_{key}")(value)][-rank:]
        for key in ("stride", "padding", "dilation", "output_padding")
        if hasattr(space, f"{prefix}_{key}")
    }
    arguments["groups"] = int(getattr(space, f"{prefix}_groups")(value))
    return Packed(weight=weight, bias=bias, arguments=arguments)


def state_of(value: Any) -> Any:
    """Content of an object of torch's own classes: tensors, numbers and text, nested; the name of its class last."""
    return value.__getstate__()


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor in a value, however nested or packed."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, torch.ScriptObject):
        yield from tensors_in(state_of(value))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)


def _class_of(value: Any) -> str:
    name: str = value._type().qualified_name()  # noqa: SLF001 - an object has no other word for its class
    _, _, short = name.partition(CLASS)
    return short
