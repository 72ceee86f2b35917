"""Kernels, strides, dilations and pads of convolutions and pools, and what operators that move data are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench_executorch.layout import axis_shown, shown

if TYPE_CHECKING:
    from bench_executorch.network import Network, Node

Attribute = int | float | str | bool | tuple[int, ...]

WINDOWS = frozenset({"conv", "deconv", "pool_max", "pool_avg"})

STRIDE, PADS, DILATION, OUTPUT_PADDING, GROUPS = "3", "4", "5", "7", "8"
"""Places of the arguments of `aten::convolution`."""


def window_attributes(node: Node, kind: str, network: Network) -> dict[str, Attribute]:
    """Attributes of a convolution or pool over height and width; `pads` is (top, left, bottom, right)."""
    if node.delegate >= 0:
        return _delegated(node.options, kind)
    return _kernel(node, network) if kind in {"conv", "deconv"} else {}


def _delegated(given: Any, kind: str) -> dict[str, Attribute]:
    pools = "pooling_height" in given
    kernel, step = ("pooling", "stride") if pools else ("kernel", "subsampling")
    found: dict[str, Attribute] = {
        "kernel": (given[f"{kernel}_height"], given[f"{kernel}_width"]),
        "stride": (given.get(f"{step}_height", 1), given.get(f"{step}_width", 1)),
        "dilation": (max(1, given.get("dilation_height", 1)), max(1, given.get("dilation_width", 1))),
        "pads": tuple(given[f"padding_{side}"] for side in ("top", "left", "bottom", "right")),
    }
    if not pools:
        found["groups"] = given["groups"]
    if kind == "deconv":
        found["output_padding"] = (given["adjustment_height"], given["adjustment_width"])
    return found


def _kernel(node: Node, network: Network) -> dict[str, Attribute]:
    kernel = network.values[node.inputs[1]].shape[2:]

    def each(place: str, default: int) -> tuple[int, ...]:
        held = tuple(node.options.get(place) or (default,))
        return held * len(kernel) if len(held) == 1 else held

    found: dict[str, Attribute] = {
        "kernel": kernel,
        "stride": each(STRIDE, 1),
        "dilation": each(DILATION, 1),
        "pads": each(PADS, 0) * 2,
        "groups": int(node.options.get(GROUPS) or 1),
    }
    if node.kind == "deconv":
        found["output_padding"] = each(OUTPUT_PADDING, 0)
    return found


def moving_attributes(node: Node, kind: str, *, first: bool) -> dict[str, Attribute]:
    """Attributes of other operators inside a delegate; `first` says that the first input is a picture."""
    given = node.options
    if kind == "concat" and "axis" in given:
        return {"axis": axis_shown(given["axis"]) if first else given["axis"]}
    if kind == "pad" and "pre_paddings" in given:
        begins, ends = (tuple(given[key]) for key in ("pre_paddings", "post_paddings"))
        return {"mode": "constant", "pads": (*shown(begins), *shown(ends)) if first else (*begins, *ends)}
    if kind == "resize" and node.delegate >= 0:
        return {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if kind == "transpose" and "perm" in given:
        return {"perm": tuple(given["perm"])}
    if kind == "leaky_relu" and "negative_slope" in given:
        return {"alpha": float(given["negative_slope"])}
    return {}
