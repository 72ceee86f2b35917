"""A graph as it would be after everything in it were converted to another precision."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from harness.errors import ConfigurationError
from harness.graph import Operator, OpGraph, Tensor

PRECISIONS = ("fp32", "fp16", "int8")

FLOAT = frozenset({"fp32", "fp16", "bf16", "fp64"})

PRODUCTS = frozenset({"conv", "deconv", "fully_connected", "matmul"})

INTEGER_KERNELS = PRODUCTS | frozenset({
    "pool_avg", "global_pool", "reduce", "add", "sub", "mul", "min", "max", "relu", "relu6", "clip", "leaky_relu",
    "prelu", "sigmoid", "tanh", "hardsigmoid", "hardswish", "swish", "gelu", "softmax", "batch_norm", "resize",
})  # fmt: skip
"""Kinds with int8 kernels: LiteRT's 8-bit quantisation specification, ONNX Runtime's QLinear operators and OpenVINO's
low-precision transformations; a pointwise function of one int8 tensor is a table of 256 entries."""

MOVERS = frozenset({
    "pool_max", "concat", "split", "slice", "pad", "transpose", "gather", "expand", "copy", "reshape", "identity",
})  # fmt: skip
"""Kinds whose results are values of their inputs: int8 where their neighbours are."""


def at_precision(graph: OpGraph, precision: str) -> OpGraph:
    """The graph in `fp32`, `fp16` or `int8`.

    int8 is static quantisation of everything that int8 kernels exist for: weights and activations int8, biases
    int32; inputs, outputs and what lies between operators without such kernels stay float, with a `quantize` or
    `dequantize` at each border. A graph that is int8 already stays as it is.

    Raises:
        ConfigurationError: The precision is not known, or cannot be had from a graph that is quantised already.
    """
    if precision not in PRECISIONS:
        raise ConfigurationError(f"precision {precision!r} is not known", hint=f"Take one of {', '.join(PRECISIONS)}.")
    schemes = {op.scheme for op in graph.operators if op.scheme}
    if not schemes:
        return _quantised(_float(graph, "fp32")) if precision == "int8" else _float(graph, precision)
    if precision != "int8":
        raise ConfigurationError(
            f"{graph.name} is already quantised ({', '.join(sorted(schemes))} int8 in the file itself), "
            f"so there is no {precision} to be had from it",
            hint=f"Give the float file it was made of to see {precision}, or leave the precision out.",
        )
    if "weight-only" in schemes:
        raise ConfigurationError(
            f"{graph.name} already has quantised weights and computes in float, so it cannot become int8 throughout",
            hint="Give the float file it was made of to see int8, or leave the precision out.",
        )
    return graph


def _float(graph: OpGraph, precision: str) -> OpGraph:
    """Every float of one width; a cast between floats is then no work."""
    names = [t.precision for t in graph.tensors.values()]
    if not any(name in FLOAT and name != precision for name in (*names, *(op.precision for op in graph.operators))):
        return graph
    tensors = {
        name: replace(tensor, precision=precision) if tensor.precision in FLOAT else tensor
        for name, tensor in graph.tensors.items()
    }
    operators = []
    for op in graph.operators:
        ends = [tensors[name] for name in (*op.inputs, *op.outputs) if name in tensors]
        idle = op.kind == "cast" and {t.precision for t in ends} == {precision}
        operators.append(
            replace(
                op,
                kind="identity" if idle else op.kind,
                precision=precision if op.precision in FLOAT else op.precision,
            )
        )
    return replace(graph, tensors=tensors, operators=tuple(operators))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Converted:
    """Tensors and operators as they come; `int8` and `plain` give the name that a tensor has in each form."""

    graph: OpGraph
    tensors: dict[str, Tensor]
    operators: list[Operator] = field(default_factory=list)
    int8: dict[str, str] = field(default_factory=dict)
    plain: dict[str, str] = field(default_factory=dict)


def _quantised(graph: OpGraph) -> OpGraph:
    chosen = _chosen(graph)
    if not any(chosen):
        return graph
    pairs = list(zip(graph.operators, chosen, strict=True))
    stays = {name for op, integer in pairs if not integer for name in op.inputs}
    made = _Converted(
        graph=graph,
        tensors={n: t for n, t in graph.tensors.items() if not t.constant or n in stays},
        plain={n: n for n in graph.tensors if n not in _made_in_int8(graph, chosen)},
    )
    for op, integer in pairs:
        made.operators.append(_integer(op, made) if integer else _plain(op, made))
    for name in graph.outputs:
        _in_float(name, made)
    return replace(graph, tensors=made.tensors, operators=tuple(made.operators))


def _chosen(graph: OpGraph) -> tuple[bool, ...]:
    """For each operator in order, whether it becomes int8."""
    readers: dict[str, list[int]] = {}
    for index, op in enumerate(graph.operators):
        for name in op.inputs:
            readers.setdefault(name, []).append(index)
    chosen = [False] * len(graph.operators)
    for index, op in reversed(list(enumerate(graph.operators))):
        wanted = any(chosen[after] for name in op.outputs for after in readers.get(name, ()))
        chosen[index] = _floats(op, graph) and (op.kind in INTEGER_KERNELS or (op.kind in MOVERS and wanted))
    integer: set[str] = set()
    for index, op in enumerate(graph.operators):
        if op.kind in MOVERS and _floats(op, graph) and any(name in integer for name in op.inputs):
            chosen[index] = True
        if chosen[index]:
            integer.update(op.outputs)
    return tuple(chosen)


def _floats(op: Operator, graph: OpGraph) -> bool:
    """Whether the data of an operator are float; an index that is moved about is not."""
    names = [name for name in (*op.inputs, *op.outputs) if name in graph.tensors]
    running = [name for name in names if not graph.tensors[name].constant]
    data = names[:1] if op.kind == "gather" else running[:1]
    return any(graph.tensors[name].precision in FLOAT for name in data)


def _made_in_int8(graph: OpGraph, chosen: tuple[bool, ...]) -> set[str]:
    return {
        name
        for op, integer in zip(graph.operators, chosen, strict=True)
        if integer
        for name in op.outputs
        if name in graph.tensors and graph.tensors[name].precision in FLOAT
    }


def _integer(op: Operator, made: _Converted) -> Operator:
    inputs = []
    constants = 0
    for name in op.inputs:
        tensor = made.graph.tensors.get(name)
        if tensor is None or tensor.precision not in FLOAT:
            if tensor is not None:
                made.tensors[name] = tensor
            inputs.append(name)
        elif tensor.constant:
            constants += 1
            bias = op.kind in PRODUCTS and constants > 1  # an integer kernel adds it to int32 sums
            inputs.append(_constant(tensor, "int32" if bias or op.kind == "batch_norm" else "int8", made))
        else:
            inputs.append(_in_int8(name, made))
    outputs = tuple(_made(name, made) for name in op.outputs)
    return replace(op, inputs=tuple(inputs), outputs=outputs, precision="int8", scheme="static")


def _plain(op: Operator, made: _Converted) -> Operator:
    return replace(op, inputs=tuple(_in_float(name, made) for name in op.inputs))


def _constant(tensor: Tensor, precision: str, made: _Converted) -> str:
    """A constant in another precision; one that is read in several gets a name for each."""
    name = tensor.name
    while name in made.tensors and made.tensors[name].precision != precision:
        name = f"{name}/{precision}"
    made.tensors[name] = replace(tensor, name=name, precision=precision)
    return name


def _made(name: str, made: _Converted) -> str:
    """The name that an int8 operator's result gets; an output of the graph keeps its own for the float result."""
    tensor = made.graph.tensors.get(name)
    if tensor is None or tensor.precision not in FLOAT:
        return name
    own = f"{name}/int8" if name in made.graph.outputs else name
    made.tensors[own] = replace(tensor, name=own, precision="int8")
    made.int8[name] = own
    return own


def _in_int8(name: str, made: _Converted) -> str:
    if name not in made.int8:
        own = f"{name}/int8"
        made.tensors[own] = replace(made.graph.tensors[name], name=own, precision="int8")
        made.operators.append(
            Operator(name=own, kind="quantize", inputs=(name,), outputs=(own,), precision="fp32", source="quantize")
        )
        made.int8[name] = own
    return made.int8[name]


def _in_float(name: str, made: _Converted) -> str:
    if name not in made.int8 or name in made.plain:
        return made.plain.get(name, name)
    own = name if name in made.graph.outputs else f"{name}/fp32"
    source = made.int8[name]
    made.tensors[own] = replace(made.graph.tensors[name], name=own)
    made.operators.append(
        Operator(name=own, kind="dequantize", inputs=(source,), outputs=(own,), precision="int8", source="dequantize")
    )
    made.plain[name] = own
    return own
