"""An `OpGraph` as the JSON text of a workload."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from harness.errors import UnsupportedError
from harness.workload_layer import WEIGHTED
from harness.workload_words import LAYOUTS, VERSION, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.graph import Operator, OpGraph


def write_workload(graph: OpGraph, *, source: str) -> str:
    """The table of a float graph, as JSON text with one layer a line; reading it gives the same graph but for names.

    Raises:
        UnsupportedError: The graph is quantised or in half precision, or has dimensions that are not known.
    """
    for op in graph.operators:
        if op.scheme or op.precision in {"int8", "uint8", "int4", "fp16", "bf16"}:
            raise UnsupportedError(
                f"{graph.name}: {op.name!r} is {op.scheme or op.precision}, and a workload has no precision",
                hint="Write the float network, and choose the precision where it is estimated.",
            )
    used = {name for op in graph.operators for name in (*op.inputs, *op.outputs)} | {*graph.inputs, *graph.outputs}
    for name in used:
        if any(dim < 1 for dim in graph.tensors[name].shape):
            raise UnsupportedError(
                f"{graph.name}: {name!r} has the shape {list(graph.tensors[name].shape)}",
                hint="Export the network with fixed sizes; only the batch may be left open.",
            )
    running = [graph.tensors[name].shape for name in used if not graph.tensors[name].constant]
    bare = all(shape and shape[0] == 1 for shape in running)
    layers = list(_entries(graph, 1 if bare else 0))
    head = {
        "workload": VERSION,
        "model": graph.name,
        "layout": next(name for name, batched in LAYOUTS.items() if batched == bare),
        "input_shape": list(graph.tensors[graph.inputs[0]].shape[1 if bare else 0 :]) if graph.inputs else [],
        "source": source,
        "total_macs": sum(layer.get("macs", 0) for layer in layers),
        "total_weights": sum(layer.get("weights", 0) for layer in layers),
    }
    lines = ",\n".join(json.dumps(layer, separators=(",", ":")) for layer in layers)
    return f'{json.dumps(head)[:-1]}, "layers": [\n{lines}\n]}}\n'


def _entries(graph: OpGraph, lead: int) -> Iterator[dict[str, Any]]:
    """Layers in order, each constant that no weight stands for as a layer before the first that reads it."""
    written: set[str] = set()
    for op in graph.operators:
        own = {t.name for t in graph.weights_of(op)} if op.kind in WEIGHTED else set()
        inputs = [name for name in op.inputs if name in graph.tensors and name not in own]
        for name in inputs:
            if graph.tensors[name].constant and name not in written:
                written.add(name)
                yield {"name": name, "op": "constant", "inputs": [], "outputs": [name], "input_shapes": [],
                       "output_shapes": [list(graph.tensors[name].shape)]}  # fmt: skip
        yield {
            "name": op.name,
            **words_of(op.kind),
            "inputs": inputs,
            "outputs": list(op.outputs),
            "input_shapes": _shapes(graph, inputs, lead),
            "output_shapes": _shapes(graph, op.outputs, lead),
            **_numbers(op, graph, lead),
        }


def _shapes(graph: OpGraph, names: Iterable[str], lead: int) -> list[list[int]]:
    tensors = [graph.tensors[name] for name in names]
    return [list(t.shape if t.constant else t.shape[lead:]) for t in tensors]


def _numbers(op: Operator, graph: OpGraph, lead: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in ("kernel", "stride", "dilation", "pads"):
        value = op.attributes.get(key)
        if isinstance(value, tuple):
            found[key] = list(value)
    groups, axis = op.attributes.get("groups"), op.attributes.get("axis")
    if isinstance(groups, int):
        found["groups"] = groups
    if isinstance(axis, int) and (axis < 0 or axis >= lead):
        found["axis"] = axis - lead if axis >= lead else axis
    if op.kind in WEIGHTED:
        constants = graph.weights_of(op)
        found["weights"] = constants[0].elements if constants else 0
        found["bias"] = len(constants) > 1
    if op.macs or op.kind in WEIGHTED:
        found["macs"] = op.macs
    if op.activation:
        found["activation"] = op.activation
    return found
