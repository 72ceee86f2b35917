"""Workloads: tables of the layers of networks whose files are not here, as JSON, to and from an `OpGraph`.

    {"workload": 1, "model": …, "layout": "CHW, batch 1", "input_shape": […], "source": …,
     "total_macs": …, "total_weights": …,
     "layers": [{"name", "op", "inputs", "outputs", "input_shapes", "output_shapes", …}, …]}

Convolutions and fully connected layers also have `weights`, `macs` and, for windows, `kernel`, `stride`, `dilation`,
`pads` and `groups`; `activation` is what the layer ends with, `kind` the sort of a pool, activation or elementwise
layer. A table has shapes and no precision: it is read as float.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from harness.errors import ArtifactError
from harness.graph import Attribute, Operator, OpGraph, Tensor
from harness.workload_layer import Entry, Layer, layer_of, weight_shape
from harness.workload_text import write_workload
from harness.workload_words import LAYOUTS, VERSION, kind_of, sort_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["read_workload", "write_workload"]

HINT = "A workload is a JSON object with the keys workload, model, layout, input_shape, source, total_macs and layers."


def read_workload(path: Path) -> OpGraph:
    """Read a table as a graph at batch 1; the weights of a layer become the constant `<layer>/weight`.

    Raises:
        ArtifactError: The file is missing or no JSON, lacks a key, or has a value that it cannot have.
    """
    whole = Entry(path=path, where="the workload", values=_load(path))
    version = whole.value("workload")
    if version != VERSION:
        whole.refuse("workload", version, f"version {VERSION}")
    batched = LAYOUTS.get(whole.text("layout"))
    if batched is None:
        whole.refuse("layout", whole.text("layout"), f"one of {', '.join(map(repr, LAYOUTS))}")
    whole.sizes("input_shape")
    layers = _layers(whole)
    _check_totals(whole, layers)
    return _graph(whole.text("model"), layers, batch=(1,) if batched else ())


def _load(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}", hint="Give the path of a JSON file.") from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not JSON: {error}", hint="Correct the file at that place.") from error
    if not isinstance(found, dict):
        raise ArtifactError(f"{path}: is a JSON {type(found).__name__}, not an object", hint=HINT)
    return found


def _layers(whole: Entry) -> list[Layer]:
    entries = whole.value("layers")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        whole.refuse("layers", entries, "a list of objects, one a layer")
    layers = []
    made: dict[str, str] = {}
    for index, values in enumerate(entries):
        where = f"layer {index} ({values['name']!r})" if "name" in values else f"layer {index}"
        entry = Entry(path=whole.path, where=where, values=values)
        layer = layer_of(entry)
        for name in layer.outputs:
            if name in made:
                entry.refuse("outputs", name, f"new: {made[name]!r} makes it already")
            made[name] = layer.name
        layers.append(layer)
    return layers


def _check_totals(whole: Entry, layers: list[Layer]) -> None:
    stated, found = whole.count("total_macs"), sum(layer.macs for layer in layers)
    if stated != found:
        raise ArtifactError(
            f"{whole.path}: 'total_macs' is {stated:,}, but the layers add up to {found:,}",
            hint="One of the two is wrong: count again.",
        )


def _graph(name: str, layers: list[Layer], batch: tuple[int, ...]) -> OpGraph:
    tensors: dict[str, Tensor] = {}
    operators: list[Operator] = []
    for layer in layers:
        for tensor, shape in zip(layer.outputs, layer.output_shapes, strict=True):
            fixed = layer.op == "constant"
            tensors[tensor] = Tensor(
                name=tensor, shape=shape if fixed else batch + shape, precision="fp32", constant=fixed
            )
    inputs: list[str] = []
    for layer in layers:
        for tensor, shape in zip(layer.inputs, layer.input_shapes, strict=True):
            if tensor not in tensors:
                tensors[tensor] = Tensor(name=tensor, shape=batch + shape, precision="fp32")
                inputs.append(tensor)
        if layer.op != "constant":
            weights = {each.name: each for each in _weights(layer)}
            tensors |= weights
            operators.append(_operator(layer, tuple(weights), len(batch)))
    read = {tensor for op in operators for tensor in op.inputs}
    constants = (tensors[tensor] for tensor in read if tensors[tensor].constant)
    return OpGraph(
        name=name,
        inputs=tuple(inputs),
        outputs=tuple(tensor for op in operators for tensor in op.outputs if tensor not in read),
        tensors=tensors,
        operators=tuple(operators),
        parameters=sum(tensor.elements for tensor in constants if tensor.elements > 1),
    )


def _weights(layer: Layer) -> Iterator[Tensor]:
    if layer.weights:
        shape = weight_shape(layer)
        yield Tensor(name=f"{layer.name}/weight", shape=shape, precision="fp32", constant=True)
    if layer.bias and layer.output_shapes[0]:
        channels = layer.output_shapes[0][-1 if layer.op == "fully_connected" else 0]
        yield Tensor(name=f"{layer.name}/bias", shape=(channels,), precision="fp32", constant=True)


def _operator(layer: Layer, weights: tuple[str, ...], lead: int) -> Operator:
    return Operator(
        name=layer.name,
        kind=kind_of(layer),
        inputs=(*layer.inputs, *weights),
        outputs=layer.outputs,
        precision="fp32",
        macs=layer.macs,
        activation=sort_of(layer.activation) if layer.activation else "",
        attributes=_attributes(layer, lead),
        source=layer.op,
    )


def _attributes(layer: Layer, lead: int) -> dict[str, Attribute]:
    found: dict[str, Attribute] = {}
    if layer.kernel:
        found |= {"kernel": layer.kernel, "stride": layer.stride, "dilation": layer.dilation}
    if layer.op in {"conv", "deconv"}:
        found |= {"pads": layer.pads, "groups": layer.groups}
    elif layer.groups > 1:
        found["groups"] = layer.groups
    if layer.op == "fully_connected" and layer.output_shapes[0]:
        features = layer.output_shapes[0][-1]
        found |= {"in_features": layer.weights // features, "out_features": features}
    if layer.axis is not None:
        found["axis"] = layer.axis + lead if layer.axis >= 0 else layer.axis
    return found
