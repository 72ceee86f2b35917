"""From an exported program to the framework-free `OpGraph`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.export.graph_signature import InputKind

from bench_torch.aten import attributes_of, kind_of, macs_of
from bench_torch.checkpoint import load
from bench_torch.export import export_program
from bench_torch.program import load_program
from harness import Operator, OpGraph, Tensor, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch.export import ExportedProgram

PRECISION = {
    torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16", torch.float64: "fp64",
    torch.int8: "int8", torch.uint8: "uint8", torch.int16: "int16", torch.int32: "int32", torch.int64: "int64",
    torch.bool: "bool",
    # types without a word of their own, by the bits they are stored in
    torch.uint16: "int16", torch.uint32: "int32", torch.uint64: "int64", torch.complex64: "fp64",
    torch.float8_e4m3fn: "int8", torch.float8_e5m2: "int8",
}  # fmt: skip


def read_pt2(path: Path) -> OpGraph:
    """Read a `.pt2` file; raises ArtifactError when it is damaged."""
    return read_program(load_program(path), path.stem)


def read_checkpoint(path: Path) -> OpGraph:
    """Export a checkpoint on its own example and read that; raises ArtifactError when it cannot be exported."""
    module, example = load(path)
    fixed = tuple(
        TensorSpec(name=f"input_{index}", shape=tuple(t.shape), dtype=str(t.dtype).removeprefix("torch."))
        for index, t in enumerate(example)
    )
    program = export_program(module, example, fixed, lambda line: None)  # noqa: ARG005  nothing is written here
    return read_program(program, path.name.split(".")[0])


def read_program(program: ExportedProgram, name: str) -> OpGraph:
    """Walk the nodes of a program with a free batch bound to 1.

    A quantised program simulates: its layers compute in float on values that were quantised and dequantised, and are
    read as such. Operators on constants alone are folded, arithmetic on sizes is left out, and an operator that is not
    known (a control-flow operator among them) stays as `unknown`.
    """
    walk = _Walk(program)
    for node in program.graph.nodes:
        if node.op == "placeholder":
            walk.placeholder(node)
        elif node.op == "call_function":
            walk.call(node)
    outputs = tuple(walk.names[n] for n in program.graph.output_node().all_input_nodes if n in walk.names)
    return OpGraph(
        name=name,
        inputs=tuple(walk.inputs),
        outputs=outputs,
        tensors={key: walk.tensors[key] for key in walk.used | {*walk.inputs, *outputs}},
        operators=tuple(walk.operators),
        parameters=walk.parameters,
    )


class _Walk:
    """The graph as far as it has been walked: a tensor's name for each node, and the operators so far."""

    def __init__(self, program: ExportedProgram) -> None:
        signature = program.graph_signature
        self.specs = {spec.arg.name: spec for spec in signature.input_specs if hasattr(spec.arg, "name")}
        self.content = {**program.constants, **program.state_dict}
        self.batch = _batch_symbols(program)
        self.names: dict[torch.fx.Node, str] = {}
        self.tensors: dict[str, Tensor] = {}
        self.used: set[str] = set()
        self.inputs: list[str] = []
        self.operators: list[Operator] = []
        self.parameters = 0

    def placeholder(self, node: torch.fx.Node) -> None:
        """Take an input, a weight or a buffer."""
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor):
            return
        spec = self.specs[node.name]
        constant = spec.kind is not InputKind.USER_INPUT
        zeros = None
        if constant:
            content = self.content.get(spec.target)
            if isinstance(content, torch.Tensor) and content.numel():
                zeros = 1.0 - int(torch.count_nonzero(content)) / content.numel()
            if spec.kind is InputKind.PARAMETER or _quantised_weight(node):
                self.parameters += value.numel()
        else:
            self.inputs.append(node.name)
        self.names[node] = node.name
        self._tensor(node.name, value, constant=constant, zeros=zeros)

    def call(self, node: torch.fx.Node) -> None:
        """Take an operator."""
        value = node.meta.get("val")
        if getattr(node.target, "__name__", "") == "getitem" and isinstance(node.args[0], torch.fx.Node):
            self.names[node] = f"{node.args[0].name}.{node.args[1]}"
            return
        values = [value] if isinstance(value, torch.Tensor) else value if isinstance(value, list | tuple) else []
        values = [item for item in values if isinstance(item, torch.Tensor)]
        if not values:  # sizes and assertions
            return
        outputs = (
            (node.name,) if isinstance(value, torch.Tensor) else tuple(f"{node.name}.{i}" for i in range(len(values)))
        )
        self.names[node] = outputs[0]
        inputs = tuple(self.names[n] for n in _tensor_arguments(node) if n in self.names)
        constant = all(self.tensors[key].constant for key in inputs)
        zeros = self.tensors[inputs[0]].zeros if constant and _around_zero(node, self._stored) else None
        for key, item in zip(outputs, values, strict=True):
            self._tensor(key, item, constant=constant, zeros=zeros)
        if not constant:
            self.used.update(inputs, outputs)
            self.operators.append(self._operator(node, inputs, outputs))

    def _operator(self, node: torch.fx.Node, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Operator:
        name, arguments = _schema(node)
        shapes = {
            key: self.tensors[self.names[item]].shape
            for key, item in arguments.items()
            if isinstance(item, torch.fx.Node) and item in self.names
        }
        out = self.tensors[outputs[0]]
        data = self.tensors[inputs[0]] if inputs else out
        kind = kind_of(name, arguments, shapes, out.shape)
        if kind == "cast" and data.precision == out.precision:
            kind = "identity"
        if kind == "matmul" and any(self.tensors[key].constant and len(self.tensors[key].shape) > 1 for key in inputs):
            kind = "fully_connected"
        return Operator(
            name=node.name,
            kind=kind,
            inputs=inputs,
            outputs=outputs,
            precision=data.precision,
            macs=macs_of(kind, name, shapes, out.shape),
            attributes=attributes_of(kind, arguments, shapes),
            source=str(node.target),
        )

    def _stored(self, node: torch.fx.Node) -> Any:
        """Content of a weight or buffer, or None."""
        spec = self.specs.get(node.name)
        return self.content.get(spec.target) if spec is not None and spec.target is not None else None

    def _tensor(self, key: str, value: torch.Tensor, *, constant: bool, zeros: float | None = None) -> None:
        shape = tuple(self._size(size) for size in value.shape)
        precision = PRECISION.get(value.dtype, "fp32")
        self.tensors[key] = Tensor(name=key, shape=shape, precision=precision, constant=constant, zeros=zeros)

    def _size(self, size: int | torch.SymInt) -> int:
        if isinstance(size, int):
            return size
        bound = size.node.expr.subs(dict.fromkeys(self.batch, 1))
        return int(bound) if bound.is_Integer else -1


def _dequantises(node: torch.fx.Node) -> bool:
    return str(node.target).startswith("quantized_decomposed.dequantize")


def _quantised_weight(node: torch.fx.Node) -> bool:
    """Whether a placeholder is dequantised, so that it stands for a weight whatever it is registered as."""
    return any(_dequantises(user) and user.args[0] is node for user in node.users)


def _around_zero(node: torch.fx.Node, stored: Callable[[torch.fx.Node], Any]) -> bool:
    """Whether a node dequantises by a constant zero point of 0, so that zeros stay zeros."""
    if not _dequantises(node):
        return False
    point = node.args[2]
    value = stored(point) if isinstance(point, torch.fx.Node) else point
    return value is not None and not bool(torch.as_tensor(value).any())


def _batch_symbols(program: ExportedProgram) -> set[Any]:
    """Symbols of the free first dimension of the inputs."""
    names = set(program.graph_signature.user_inputs)
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    shapes: list[Sequence[Any]] = [getattr(node.meta.get("val"), "shape", ()) for node in nodes]
    return {
        s
        for shape in shapes
        if len(shape) and isinstance(shape[0], torch.SymInt)
        for s in shape[0].node.expr.free_symbols
    }


def _tensor_arguments(node: torch.fx.Node) -> Iterator[torch.fx.Node]:
    """Tensor arguments in the order they are written, each as often as it occurs."""
    for item in (*node.args, *node.kwargs.values()):
        for part in item if isinstance(item, list | tuple) else (item,):
            if isinstance(part, torch.fx.Node):
                yield part


def _schema(node: torch.fx.Node) -> tuple[str, dict[str, Any]]:
    """Name without namespace and overload, and arguments by the names of the operator's schema."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return str(node.target), {}
    arguments = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    arguments.update(zip((a.name for a in schema.arguments), node.args, strict=False))
    arguments.update(node.kwargs)
    return schema.name.split("::")[-1], arguments
