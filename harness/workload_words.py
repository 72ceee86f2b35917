"""The words of a workload's layer table beside the kinds of an `OpGraph`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.graph import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.workload_layer import Layer

VERSION = 1

LAYOUTS = {"CHW, batch 1": True, "NCHW, batch 1": False}
"""Layouts, and whether shapes leave the batch out."""

OPS: Mapping[str, str] = {
    "attention": "matmul", "batch_normalization": "batch_norm", "channel_shuffle": "transpose", "crop": "slice",
    "detection_postprocess": "detection", "dropout": "identity", "embedding": "gather", "flatten": "reshape",
    "gemm": "matmul", "group_norm": "norm", "instance_norm": "norm", "lrn": "norm", "multi_head_attention": "matmul",
    "rms_norm": "norm", "scale": "batch_norm", "squeeze": "reshape", "unsqueeze": "reshape", "upsample": "resize",
}  # fmt: skip
"""Operators of tables by the kinds of graphs, where the words differ."""

SORTS: Mapping[str, str] = {"hard_sigmoid": "hardsigmoid", "hard_swish": "hardswish", "silu": "swish"}

ACTIVATIONS = frozenset({"relu", "relu6", "clip", "leaky_relu", "prelu", "sigmoid", "tanh", "hardsigmoid",
                          "hardswish", "swish", "gelu"})  # fmt: skip
ELEMENTWISE = frozenset({"add", "sub", "mul", "div", "min", "max", "pow", "sqrt", "exp", "compare", "erf"})
_POINTWISE = ACTIVATIONS | ELEMENTWISE


def kind_of(layer: Layer) -> str:
    """Kind of a layer; a name that is not known is `unknown`, and still has its shapes and weights."""
    if layer.op == "pool":
        return "pool_max" if layer.kind == "max" else "pool_avg"
    if layer.op == "activation":
        return sort_of(layer.kind)
    if layer.op == "elementwise":
        return sort_of(layer.kind or ("add" if len(layer.inputs) > 1 else ""))
    if layer.op == "slice" and len(layer.outputs) > 1:
        return "split"
    kind = OPS.get(layer.op, layer.op if layer.op in KINDS else "unknown")
    return "fully_connected" if layer.op in {"matmul", "gemm"} and layer.weights else kind


def sort_of(name: str) -> str:
    """Kind of an activation or elementwise operation; one without a kind of its own is `elementwise`."""
    known = SORTS.get(name, name)
    return known if known in _POINTWISE else "elementwise"


def words_of(kind: str) -> dict[str, str]:
    """`op` and, where there are several sorts, `kind` of a layer."""
    if kind in ACTIVATIONS:
        return {"op": "activation", "kind": kind}
    if kind in ELEMENTWISE or kind == "elementwise":
        return {"op": "elementwise", "kind": kind}
    return {"op": "pool", "kind": kind.removeprefix("pool_")} if kind.startswith("pool_") else {"op": kind}
