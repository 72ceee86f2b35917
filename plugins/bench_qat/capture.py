"""A live module as a graph of ATen operators in evaluation mode, without operators that write to their inputs."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.export import Dim

from bench_qat.chatter import quiet
from harness import ArtifactError, TensorSpec, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch.export import ExportedProgram
    from torch.fx import GraphModule, Node

Tensors = tuple[torch.Tensor, ...]

_CONV = {
    torch.ops.aten.conv1d.padding: torch.ops.aten.conv1d.default,
    torch.ops.aten.conv2d.padding: torch.ops.aten.conv2d.default,
    torch.ops.aten.conv3d.padding: torch.ops.aten.conv3d.default,
}


def capture(module: nn.Module, example: Tensors) -> GraphModule:
    """Export a copy of a module with a free batch, in evaluation mode; parameters of the result are its own.

    Args:
        module: Left untouched.
        example: Its inputs, batch 1.

    Raises:
        UnsupportedError: torch.export cannot take it, or only with a fixed batch, which cannot be trained.
    """
    private = copy.deepcopy(module).eval()
    try:
        program = export(private, example, tuple(None for _ in example))
    except Exception as exc:
        raise UnsupportedError(
            f"torch.export cannot export {type(module).__name__} with a free batch: {one_line(exc)}",
            hint="Its forward must not branch on values of tensors nor on the batch; int8-static needs no export "
            "with a free batch.",
        ) from exc
    graph_module: GraphModule = program.module(check_guards=False)
    _without_writes(graph_module)
    _with_explicit_padding(graph_module)
    graph_module.recompile()
    return graph_module


def export(module: nn.Module, example: Tensors, batches: Sequence[int | None]) -> ExportedProgram:
    """Export with a free batch for the inputs whose batch is None; traced at 2, as torch specialises on 0 and 1."""
    batch = Dim("batch")
    doubled = tuple(torch.cat([t, t]) if b is None else t for t, b in zip(example, batches, strict=True))
    free = tuple({0: batch} if b is None else None for b in batches)
    # By parameter name, so that a forward of `*args` gets its shapes as one tuple.
    shapes = dict(inspect.signature(module.forward).bind(*free).arguments) if any(free) else None
    with quiet():
        return torch.export.export(module, doubled, dynamic_shapes=shapes)


def save(graph_module: GraphModule, example: Tensors, inputs: tuple[TensorSpec, ...], path: Path) -> None:
    """Write a graph as an exported program whose batch is free where the model's is; raises ArtifactError."""
    try:
        program = export(graph_module, example, tuple(spec.shape[0] for spec in inputs))
        torch.export.save(program, path)
    except Exception as exc:
        raise ArtifactError(f"the quantised network cannot be exported: {one_line(exc)}") from exc


def size(dimension: int | torch.SymInt) -> int:
    """A dimension with every symbol, such as the batch, bound to 1."""
    if isinstance(dimension, int):
        return dimension
    expression = dimension.node.expr
    return int(expression.subs(dict.fromkeys(expression.free_symbols, 1)))


def one_line(exc: BaseException, limit: int = 200) -> str:
    """An exception as one line: its type and the beginning of its message."""
    text = " ".join(str(exc).split())
    return f"{type(exc).__name__}: {text[:limit]}" if text else type(exc).__name__


def _without_writes(graph_module: GraphModule) -> None:
    """Replace `relu_(x)` and the like by `relu(x)`, and every later use of x by the result."""
    order = {node: position for position, node in enumerate(graph_module.graph.nodes)}
    for node in graph_module.graph.nodes:
        plain = _plain(node)
        if plain is None:
            continue
        node.target = plain
        written = node.args[0]
        for user in list(written.users):
            if order[user] > order[node]:
                user.replace_input_with(written, node)


def _plain(node: Node) -> Any:
    """The operator that returns what this one writes, or None for one that writes nothing."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.is_mutable or not schema.name.endswith("_"):
        return None
    space, name = schema.name.split("::")
    packet = getattr(getattr(torch.ops, space), name.rstrip("_"), None)
    return getattr(packet, schema.overload_name or "default", None)


def _with_explicit_padding(graph_module: GraphModule) -> None:
    """Write `padding="same"` and `"valid"` as numbers where both sides get the same, which is all but even kernels."""
    for node in graph_module.graph.nodes:
        if node.target not in _CONV:
            continue
        data, weight, bias, stride, padding, dilation, groups = filled(node)
        kernel = weight.meta["val"].shape[2:]
        dilations = list(dilation) * (len(kernel) if len(dilation) == 1 else 1)
        total = [d * (k - 1) if padding == "same" else 0 for k, d in zip(kernel, dilations, strict=True)]
        if all(t % 2 == 0 for t in total):
            node.target = _CONV[node.target]
            node.args = (data, weight, bias, stride, [t // 2 for t in total], dilation, groups)
            node.kwargs = {}


def filled(node: Node) -> tuple[Any, ...]:
    """Arguments of an operator in the order of its schema, defaults filled in."""
    arguments = getattr(node.target, "_schema").arguments  # noqa: B009  torch has no public name for it
    given = {**dict(zip((a.name for a in arguments), node.args, strict=False)), **node.kwargs}
    return tuple(given.get(a.name, a.default_value) for a in arguments)
