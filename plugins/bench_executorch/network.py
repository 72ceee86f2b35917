"""A method of a .pte file as one list of nodes: kernels of ExecuTorch's own, and the nodes inside its delegates."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from bench_executorch.kinds import DATATYPE, DYNAMIC, SCALAR_TYPE, kind_of_bounds, kind_of_kernel, kind_of_node
from bench_executorch.program_file import XNNPACK_ID, ProgramFile, xnnpack_graph

if TYPE_CHECKING:
    from collections.abc import Mapping

READS = ("input_id", "input1_id", "input2_id", "query_id", "key_id", "value_id", "scale_id", "mask_id", "input3_id",
         "input4_id", "input5_id", "filter_id", "bias_id")  # fmt: skip
"""Fields of XNNPACK's nodes that name what is read, in the order that graphs have: data, weight, bias."""

WRITES = ("output_id", "output_value_id", "output_index_id")

INVALID = 2**32 - 1
"""A value that is left out."""

LARGEST_CONCAT = {"XNNConcatenate2": 2, "XNNConcatenate3": 3, "XNNConcatenate4": 4, "XNNConcatenate5": 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A tensor.

    Attributes:
        shape: Of an inner value of XNNPACK as it is stored, pictures channels last.
        inner: Whether it lies inside a delegate and never leaves it.
        content: Bytes of a constant, or None; `constant` says whether it is one.
        quantisation: Scales and zero points, or () for none.
        dynamic: Whether its scales follow from the values at every inference.
    """

    name: str
    shape: tuple[int, ...]
    precision: str
    inner: bool = False
    constant: bool = False
    content: memoryview | None = None
    quantisation: tuple[Any, ...] = ()
    dynamic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An operator: positions of values.

    Attributes:
        delegate: Number of the delegate that holds it, -1 for a kernel of ExecuTorch's own.
        bounds: Limits that its result is clamped to, or None.
        options: Its other fields; of a kernel its arguments that are no tensors, by position.
    """

    name: str
    source: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    delegate: int
    bounds: tuple[float, float] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Network:
    """Nodes in execution order over numbered values."""

    nodes: list[Node] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()

    def constant(self, index: int) -> bool:
        """Whether a value is known before the method runs."""
        return self.values[index].constant

    def add(self, value: Value) -> int:
        """Append a value; returns its position."""
        self.values.append(value)
        return len(self.values) - 1


def network_of(program: ProgramFile) -> Network:
    """The method's network. What a delegate of another kind holds is one node of kind `unknown`."""
    plan, network = program.plan, Network()
    place = {at: network.add(_outer(at, program)) for at, each in enumerate(plan["values"]) if _tensor(each)}
    network.inputs = tuple(place[at] for at in plan["inputs"] if at in place)
    network.outputs = tuple(place[at] for at in plan["outputs"] if at in place)
    known = {at for at, index in place.items() if network.constant(index)} | set(plan["inputs"])
    for instruction in (each["instr_args"] for chain in plan["chains"] for each in chain["instructions"]):
        if instruction is None or instruction["is"] not in {"KernelCall", "DelegateCall"}:
            continue
        arguments = _flat(instruction["args"], plan["values"])
        tensors = list(dict.fromkeys(at for at in arguments if at in place))
        made = [at for at in tensors if at not in known] or tensors[-1:]
        read = [at for at in tensors if at not in made]
        known.update(made)
        if instruction["is"] == "KernelCall":
            operator = plan["operators"][instruction["op_index"]]
            options = {str(n): _plain(at, plan["values"]) for n, at in enumerate(arguments) if at not in place}
            _add_kernel(network, operator, options, [place[at] for at in read], [place[at] for at in made])
            continue
        number = instruction["delegate_index"]
        if plan["delegates"][number]["id"] == XNNPACK_ID:
            external = [place.get(at, -1) for at in instruction["args"]]
            _add_delegate(network, number, program, external)
        else:
            _add_sealed(network, number, program, [place[at] for at in read], [place[at] for at in made])
    return network


def _tensor(value: Mapping[str, Any]) -> bool:
    return value["val"] is not None and value["val"]["is"] == "Tensor"


def _flat(arguments: list[int], values: list[Any]) -> list[int]:
    """Positions of arguments, those of lists of tensors in the place of the list."""
    found: list[int] = []
    for at in arguments:
        held = values[at]["val"]
        found += held["items"] if held is not None and held["is"] in {"TensorList", "OptionalTensorList"} else [at]
    return [at for at in found if at >= 0]


def _plain(at: int, values: list[Any]) -> Any:
    """An argument that is no tensor; the numbers of a list of integers are values of their own."""
    held = values[at]["val"]
    if held is None or held["is"] == "Null":
        return None
    if held["is"] == "IntList":
        return tuple(_plain(each, values) for each in held["items"])
    return next(part for key, part in held.items() if key != "is")


def _outer(at: int, program: ProgramFile) -> Value:
    tensor, plan = program.plan["values"][at]["val"], program.plan
    role = next((role for role in ("inputs", "outputs") if at in plan[role]), "")
    name = f"{role.removesuffix('s')}_{plan[role].index(at)}" if role else f"value_{at}"
    shape = tuple(max(1, size) for size in tensor["sizes"])
    precision = SCALAR_TYPE.get(tensor["scalar_type"], "uint8")
    number = tensor["data_buffer_idx"]  # 0 is nothing
    content = program.constants[number] if 0 < number < len(program.constants) else None
    held = number > 0 and tensor["allocation_info"] is None
    return Value(name=name, shape=shape, precision=precision, constant=held, content=content if held else None)


def _add_kernel(
    network: Network, operator: Mapping[str, str], options: Mapping[str, Any], read: list[int], made: list[int]
) -> None:
    source = f"{operator['name']}.{operator['overload']}" if operator["overload"] else operator["name"]
    kind = kind_of_kernel(source)
    if kind == "conv" and options.get("6") is True:
        kind = "deconv"
    name = f"{operator['name'].partition('::')[2] or operator['name']}_{len(network.nodes)}"
    network.nodes.append(
        Node(
            name=name,
            source=source,
            kind=kind,
            inputs=tuple(read),
            outputs=tuple(made),
            delegate=-1,
            options=options,
        )
    )


def _add_sealed(network: Network, number: int, program: ProgramFile, read: list[int], made: list[int]) -> None:
    name = program.plan["delegates"][number]["id"]
    network.nodes.append(
        Node(
            name=f"{name}_{number}",
            source=name,
            kind="unknown",
            inputs=tuple(read),
            outputs=tuple(made),
            delegate=number,
            options={"data": program.delegates[number]},
        )
    )


def _add_delegate(network: Network, number: int, program: ProgramFile, external: list[int]) -> None:
    graph, constants = xnnpack_graph(program.delegates[number], program.named)
    place = {}
    for each in graph["xvalues"]:
        value = each["xvalue_union"]
        tensor = value if value["is"] == "XNNTensorValue" else value["tensor_value"]
        found = _inner(f"delegate_{number}.{tensor['id_out']}", value, tensor, constants)
        outside = tensor["external_id"]
        if outside != INVALID and external[outside] >= 0:
            place[tensor["id_out"]] = _same(network, external[outside], found)
        else:
            place[tensor["id_out"]] = network.add(found)
    for each in graph["xnodes"]:
        network.nodes.append(_node(each, number, len(network.nodes), place))


def _same(network: Network, index: int, found: Value) -> int:
    """A value that leaves the delegate, with the scales that only the delegate knows."""
    outer = network.values[index]
    if found.quantisation:
        network.values[index] = Value(
            name=outer.name,
            shape=outer.shape,
            precision=outer.precision,
            quantisation=found.quantisation,
            dynamic=found.dynamic,
        )
    return index


def _inner(name: str, value: Mapping[str, Any], tensor: Mapping[str, Any], constants: list[Any]) -> Value:
    kind = tensor["datatype"].removeprefix("xnn_datatype_")
    number = tensor["constant_buffer_idx"]
    scales = value.get("quant_params")
    return Value(
        name=name,
        shape=tuple(tensor["dims"]),
        precision=DATATYPE[kind],
        inner=True,
        constant=number > 0,
        content=constants[number] if number > 0 else None,
        quantisation=() if scales is None else _scales(scales, constants),
        dynamic=kind in DYNAMIC,
    )


def _scales(given: Mapping[str, Any], constants: list[Any]) -> tuple[Any, ...]:
    """Scales as (axis or zero point, …): numbers, or the bytes of those that lie among the constants."""
    if given["is"] == "PerTensorQuant":
        return ("tensor", given["zero_point"], given["scale"])
    if given["is"] == "PerTokenDynamicQuant":
        return ("token", given["num_nonbatch_dims"])
    held = constants[given["scale_buffer_idx"]] if given["scale_buffer_idx"] else None
    group = given.get("group_size", 0)
    count = given["num_scales"] or len(given["scale"])
    return ("channel", given["channel_dim"], group, count, held if held is not None else tuple(given["scale"]))


def _node(each: Mapping[str, Any], number: int, at: int, place: Mapping[int, int]) -> Node:
    given = each["xnode_union"]
    source, limits = given["is"], each["output_min_max"]
    reads = [key for key in READS if key in given and given[key] != INVALID]
    if source in LARGEST_CONCAT:  # fields of unused inputs hold a zero, which is the number of a value
        reads = reads[: LARGEST_CONCAT[source]]
    bounds = None if limits is None else (limits["output_min"], limits["output_max"])
    kind = kind_of_node(source)
    if source == "XNNClamp":
        kind = kind_of_bounds(*(bounds or (-inf, inf))) or "identity"
    return Node(
        name=f"{source.removeprefix('XNN').lower()}_{at}",
        source=source,
        kind=kind,
        inputs=tuple(place[given[key]] for key in reads),
        outputs=tuple(place[given[key]] for key in WRITES if key in given and given[key] != INVALID),
        delegate=number,
        bounds=bounds if bounds is not None and kind_of_bounds(*bounds) else None,
        options={key: part for key, part in given.items() if key not in {"is", *READS, *WRITES}},
    )
