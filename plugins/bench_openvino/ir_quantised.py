"""Static quantisation: FakeQuantize as the precision of its neighbours, as OpenVINO's low-precision passes take it.

A FakeQuantize is a quantisation and its way back. A product is integer when its operands are quantised, whatever
happens to its result; any other operator only when its result is quantised again; one that merely moves data is
integer when its input is. What is left is a `quantize` where floats become integers and a `dequantize` where integers
become floats.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bench_openvino.ir_kinds import INTEGER, MOVERS, POINTWISE, PRODUCTS, SEVERAL
from bench_openvino.ir_links import Links, links_of
from bench_openvino.ir_network import FAKE_QUANTIZE, Network, Node, precision_of_levels
from harness import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

NARROW = frozenset({"int8", "uint8", "int4"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """What has been found so far.

    Attributes:
        quantised: Tensors of the file whose values are quantised, and the integer tensor that holds each.
        ranges: Limits of the FakeQuantize behind each integer tensor; None until one is met.
        floats: Quantised tensors that were dequantised, and the float tensor of each.
        gone: Outputs of nodes that have become part of another.
    """

    network: Network
    links: Links
    tensors: dict[str, Tensor]
    nodes: list[Node] = field(default_factory=list)
    quantised: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, tuple[object, ...] | None] = field(default_factory=dict)
    floats: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)


def fold_quantisers(network: Network) -> Network:
    """Replace FakeQuantize nodes by integer operators with conversions at their borders."""
    if not any(node.kind == FAKE_QUANTIZE for node in network.nodes):
        return network
    state = _Pass(network=network, links=links_of(network), tensors=dict(network.tensors))
    for node in network.nodes:
        if node.outputs[0] in state.gone:
            continue
        if node.kind == FAKE_QUANTIZE:
            _fake(node, state)
        elif not _integer(node, state):
            inputs = tuple(_in_float(name, state) for name in node.inputs)
            state.nodes.append(replace(node, inputs=inputs))
    outputs = tuple(_in_float(name, state) for name in network.outputs)
    return replace(network, nodes=tuple(state.nodes), tensors=state.tensors, outputs=outputs)


def _fake(node: Node, state: _Pass) -> None:
    source, result = node.inputs[0], node.outputs[0]
    limits = tuple(_content(name, state.network) for name in node.inputs[1:])
    held = state.quantised.get(source)
    if held is not None and state.ranges[held] in {None, limits}:
        state.ranges[held] = limits
        state.quantised[result] = held
        return
    precision = _precision(node, state.network)
    if precision == "int16":  # no kernels that are known here: a pass over the tensor
        state.nodes.append(replace(node, kind="elementwise", inputs=(_in_float(source, state),)))
        return
    state.tensors[result] = replace(state.tensors[result], precision=precision)
    state.nodes.append(replace(node, kind="quantize", inputs=(source if held is None else held,)))
    state.quantised[result] = result
    state.ranges[result] = limits


def _integer(node: Node, state: _Pass) -> bool:
    """Append a node as an integer operator; False when it is none."""
    data = node.inputs[:2] if node.kind in PRODUCTS else node.inputs if node.kind in SEVERAL else node.inputs[:1]
    if node.kind not in INTEGER | MOVERS or not _all_quantised(data, state):
        return False
    chain = [node]
    after = state.links.sole_reader(node.outputs[0])
    if after is not None and after.kind in POINTWISE and node.kind in INTEGER and len(after.inputs) == 1:
        chain.append(after)
    if not all(_quantised_again(name, state) for name in chain[-1].outputs):
        chain = [node]
    ends = chain[-1].outputs
    made = replace(
        node,
        inputs=tuple(state.quantised.get(name, name) for name in node.inputs),
        outputs=ends,
        precision="int8",
        scheme="static",
        activation=chain[1].kind if len(chain) > 1 else "",
    )
    if node.kind in MOVERS:
        moved = next(state.quantised[name] for name in node.inputs if name in state.quantised)
        _keep(ends, state.tensors[moved].precision, state.ranges[moved], state)
    elif all(_quantised_again(name, state) for name in ends):
        fake = next((each for each in state.links.readers[ends[0]] if each.kind == FAKE_QUANTIZE), None)
        _keep(ends, "int8" if fake is None else _precision(fake, state.network), None, state)
    elif node.kind in PRODUCTS:
        _with_sums(made, state)
        return True
    else:
        return False
    state.gone.update(part.outputs[0] for part in chain[1:])
    state.nodes.append(made)
    return True


def _keep(names: Sequence[str], precision: str, limits: tuple[object, ...] | None, state: _Pass) -> None:
    for name in names:
        state.tensors[name] = replace(state.tensors[name], precision=precision)
        state.quantised[name] = name
        state.ranges[name] = limits


def _with_sums(made: Node, state: _Pass) -> None:
    """A product whose result stays float: int32 sums, and the way back."""
    result = made.outputs[0]
    sums = f"{result}/sums"
    state.tensors[sums] = replace(state.tensors[result], name=sums, precision="int32")
    state.nodes.append(replace(made, outputs=(sums,)))
    state.nodes.append(_dequantize(sums, result, made.source))


def _in_float(name: str, state: _Pass) -> str:
    if name not in state.quantised:
        return name
    if name not in state.floats:
        made = f"{name}/float"
        state.tensors[made] = replace(state.network.tensors[name], name=made)
        state.nodes.append(_dequantize(state.quantised[name], made, "FakeQuantize"))
        state.floats[name] = made
    return state.floats[name]


def _dequantize(source: str, result: str, of: str) -> Node:
    return Node(name=f"{result}/dequantize", kind="dequantize", source=of, inputs=(source,), outputs=(result,))


def _all_quantised(data: Sequence[str], state: _Pass) -> bool:
    narrow = (state.network.constant(n) and state.network.tensors[n].precision in NARROW for n in data)
    each = [name in state.quantised or stored for name, stored in zip(data, narrow, strict=True)]
    return all(each) and any(name in state.quantised for name in data)


def _quantised_again(name: str, state: _Pass) -> bool:
    """Whether every reader of a tensor quantises it, if need be behind nodes that move it."""
    readers = state.links.readers.get(name, ())
    if not readers or name in state.links.outputs:
        return False
    return all(
        (_precision(reader, state.network) != "int16")
        if reader.kind == FAKE_QUANTIZE
        else (
            reader.kind in MOVERS
            and reader.kind != "concat"
            and reader.inputs[0] == name
            and all(_quantised_again(output, state) for output in reader.outputs)
        )
        for reader in readers
    )


def _precision(node: Node, network: Network) -> str:
    """uint8 for a FakeQuantize whose range begins at 0, else int8; int16 for more than 256 levels."""
    precision = precision_of_levels(node.given)
    low = network.small(node.inputs[1]) if len(node.inputs) > 1 else None
    return "uint8" if precision == "int8" and low is not None and low and min(low) >= 0 else precision


def _content(name: str, network: Network) -> object:
    """Content of a limit; one for each channel counts by its name."""
    values = network.small(name)
    return name if values is None else values
