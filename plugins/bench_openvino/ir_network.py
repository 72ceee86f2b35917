"""An IR while it is being normalised: run-time nodes, and tensors with the batch bound to 1.

What hangs on constants alone is a constant. One that is only converted, scaled, shifted or reshaped keeps the
precision that it is stored in: that is how IR writes compressed weights, `Const → Convert → Subtract → Multiply`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench_openvino.ir_kinds import kind_of
from bench_openvino.ir_shapes import bound
from bench_openvino.ir_values import SMALL, Values, evaluate
from harness import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench_openvino.ir_file import IrFile, Layer, Store

FAKE_QUANTIZE = "fake_quantize"
"""Kind of a node that becomes part of its neighbours, or a `quantize`."""

GROUP_SIZE = "DYNAMIC_QUANTIZATION_GROUP_SIZE"
"""How many neighbours of an activation share a scale when the runtime rounds it, 0 when it does not. Source:
`ov::hint::dynamic_quantization_group_size` in OpenVINO's documentation."""

THROUGH = frozenset({"Convert", "Multiply", "Subtract", "Reshape", "Squeeze", "Unsqueeze", "Transpose",
                     "FakeQuantize"})  # fmt: skip
"""Types behind which a constant is still the stored one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operator that runs; `precision` and `scheme` are set where quantisation decides them."""

    name: str
    kind: str
    source: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    given: Mapping[str, str] = field(default_factory=dict)
    precision: str = ""
    scheme: str = ""
    activation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Where a constant comes from: its Const layer, and that of the zero point that is taken from it."""

    layer: Layer
    zero_point: Layer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Nodes in execution order with every tensor.

    Attributes:
        stored: Constants whose content can be read.
        values: Content of small constants, such as axes, as they are read.
        rounds_activations: Whether the file asks the runtime to round activations to int8 before a product whose
            weights are stored in integers.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    stored: Mapping[str, Stored]
    values: Mapping[str, Values]
    store: Store
    rounds_activations: bool = False

    def constant(self, name: str) -> bool:
        """Whether a tensor is known before the graph runs."""
        return name in self.tensors and self.tensors[name].constant

    def small(self, name: str) -> Values | None:
        """Elements of a small constant in order; None for any other tensor."""
        return self.values.get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """What the pass has found so far; `of` names the tensor at each output port, `read` are the ports that count."""

    file: IrFile
    read: frozenset[tuple[str, int]]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)
    values: dict[str, Values] = field(default_factory=dict)
    of: dict[tuple[str, int], str] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


def network_of(file: IrFile) -> Network:
    """Take a parsed file apart."""
    state = _Pass(file=file, read=frozenset(source for layer in file.layers for source in layer.sources))
    for layer in file.layers:
        _visit(layer, state)
    return Network(
        name=file.name,
        inputs=tuple(state.inputs),
        outputs=tuple(dict.fromkeys(state.outputs)),
        nodes=_read_nodes(state),
        tensors=state.tensors,
        stored=state.stored,
        values=state.values,
        store=file.store,
        rounds_activations=file.runtime_options.get(GROUP_SIZE, "0") not in {"", "0"},
    )


def _read_nodes(state: _Pass) -> tuple[Node, ...]:
    """Nodes whose results somebody reads: a shape of a shape leaves nodes behind that nobody does."""
    wanted = set(state.outputs)
    kept = []
    for node in reversed(state.nodes):
        if wanted.intersection(node.outputs) or node.source == "Assign":
            wanted.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))


def _visit(layer: Layer, state: _Pass) -> None:
    if layer.type == "Result":
        state.outputs.append(state.of[layer.sources[0]])
        return
    inputs = tuple(state.of[source] for source in layer.sources)
    if layer.type in {"Multiply", "Add", "Divide"}:
        same = _unchanged(layer, inputs, state)
        if same:
            state.of[layer.id, 0] = same
            return
    outputs = _declare(layer, inputs, state)
    if layer.type == "Parameter":
        state.inputs.extend(outputs)
    elif layer.type == "Const":
        state.stored[outputs[0]] = Stored(layer=layer)
        _work_out(layer, inputs, outputs[0], state)
    elif _constant(layer, inputs, state):
        for name in outputs:
            state.tensors[name] = replace(state.tensors[name], constant=True)
        _look_through(layer, inputs, outputs[0], state)
        _work_out(layer, inputs, outputs[0], state)
    else:
        kind = FAKE_QUANTIZE if layer.type == "FakeQuantize" else kind_of(layer.type)
        state.nodes.append(
            Node(
                name=outputs[0],
                kind=kind,
                source=layer.type,
                inputs=inputs,
                outputs=outputs,
                given=layer.attributes,
            )
        )


def _declare(layer: Layer, inputs: tuple[str, ...], state: _Pass) -> tuple[str, ...]:
    """Make the tensors of a layer's output ports, each under a name of its own."""
    names = []
    known = [state.tensors[name] for name in inputs]
    order = state.values.get(inputs[1]) if layer.type == "Transpose" and len(inputs) > 1 else None
    perm = None if order is None else tuple(map(int, order))
    for port, (precision, declared) in enumerate(layer.outputs):
        if port and (layer.id, port) not in state.read:
            continue  # such as the indices of a MaxPool
        name = layer.name if port == 0 else f"{layer.name}:{port}"
        while name in state.tensors:
            name = f"{name}#{layer.id}"
        shape = bound(layer.type, known, declared, perm)
        state.tensors[name] = Tensor(name=name, shape=shape, precision=precision, constant=layer.type == "Const")
        state.of[layer.id, port] = name
        names.append(name)
    return tuple(names) or (layer.name,)


def _constant(layer: Layer, inputs: tuple[str, ...], state: _Pass) -> bool:
    if layer.type == "ShapeOf":
        return -1 not in state.tensors[inputs[0]].shape
    subgraph = layer.type in {"If", "Loop", "TensorIterator", "ReadValue", "RandomUniform"}
    return bool(inputs) and not subgraph and all(state.tensors[name].constant for name in inputs)


def _look_through(layer: Layer, inputs: tuple[str, ...], output: str, state: _Pass) -> None:
    """Give a folded constant the precision of the stored constant that it is made of."""
    made = state.tensors[output]
    source = next((name for name in inputs if state.tensors[name].elements == made.elements), None)
    if layer.type not in THROUGH or source is None:
        return
    precision = state.tensors[source].precision
    if layer.type == "FakeQuantize":
        precision = precision_of_levels(layer.attributes)
    state.tensors[output] = replace(made, precision=precision)
    stored = state.stored.get(source)
    if stored is None or layer.type == "FakeQuantize":
        return
    if layer.type == "Subtract" and len(inputs) > 1 and inputs[0] == source:
        shift = state.stored.get(inputs[1])
        if shift is None:
            return
        stored = replace(stored, zero_point=shift.layer)
    if layer.type != "Transpose":  # zeros are counted where they are stored, and axes would not fit
        state.stored[output] = stored


def _work_out(layer: Layer, inputs: tuple[str, ...], output: str, state: _Pass) -> None:
    """Note the content of a small constant."""
    found: Values | None
    if layer.type == "Const":
        small = state.tensors[output].elements <= SMALL
        content = state.file.store.values_of(layer) if small else None
        found = None if content is None else tuple(content.tolist())
    elif layer.type == "ShapeOf":
        found = tuple(map(float, state.tensors[inputs[0]].shape))
    else:
        found = evaluate(layer.type, [state.values.get(name) for name in inputs])
    if found is not None:
        state.values[output] = found


def _unchanged(layer: Layer, inputs: tuple[str, ...], state: _Pass) -> str:
    """The run-time input of a multiplication or division by 1 or an addition of 0, or ""; converters of Gemm write
    such products."""
    neutral = 0.0 if layer.type == "Add" else 1.0
    for index, name in enumerate(inputs):
        other = inputs[1 - index]
        if layer.type == "Divide" and index == 0:
            continue
        alone = state.tensors[name].elements == 1 and len(state.tensors[name].shape) <= len(state.tensors[other].shape)
        if alone and state.tensors[name].precision.startswith("fp") and state.values.get(name) == (neutral,):
            return other
    return ""


def precision_of_levels(given: Mapping[str, str]) -> str:
    """Precision of a FakeQuantize, by its number of levels."""
    levels = int(given.get("levels", 256))
    return "int4" if levels <= 16 else "int8" if levels <= 256 else "int16"
