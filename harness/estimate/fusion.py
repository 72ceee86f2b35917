"""Fuses an OpGraph into the kernels that a runtime would launch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.graph import Operator, OpGraph, Tensor

FREE = frozenset({"reshape", "identity"})
"""No work at run time: the output is another view of the input."""

ANCHORS = frozenset({"conv", "deconv", "fully_connected", "matmul"})
"""Kernels whose inner loop can end in something pointwise."""

EPILOGUES = frozenset({
    "relu", "relu6", "clip", "leaky_relu", "sigmoid", "tanh", "hardsigmoid", "hardswish", "swish", "batch_norm",
})  # fmt: skip
"""What ONNX Runtime's, XNNPACK's and OpenVINO's graph rewriting puts into the kernel before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One launch: an operator with what is fused into it.

    Attributes:
        operator: The operator that does the work.
        fused: Names of the operators that cost nothing of their own because they run inside it.
        inputs: Run-time tensors that are read.
        weights: Constants that are read.
        outputs: Tensors that are written, after everything fused.
    """

    operator: Operator
    fused: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def fuse(graph: OpGraph) -> tuple[Kernel, ...]:
    """Kernels in execution order; every operator is a kernel, fused into one, or a free view (`aliases`)."""
    consumers = _consumers(graph)
    inside: set[str] = set()
    kernels = []
    for op in graph.operators:
        if op.kind in FREE or op.name in inside:
            continue
        fused, outputs = _epilogue(graph, op, consumers)
        inside.update(each.name for each in fused)
        taken = {name for each in (op, *fused) for name in each.outputs}
        reads = dict.fromkeys(name for each in (op, *fused) for name in each.inputs if name not in taken)
        tensors = [graph.tensors[name] for name in reads if name in graph.tensors]
        kernels.append(
            Kernel(
                operator=op,
                fused=tuple(each.name for each in fused),
                inputs=tuple(t for t in tensors if not t.constant),
                weights=tuple(t for t in tensors if t.constant),
                outputs=tuple(graph.tensors[name] for name in outputs if name in graph.tensors),
            )
        )
    return tuple(kernels)


def aliases(graph: OpGraph) -> Mapping[str, str]:
    """For each tensor that is only a view, the tensor whose memory it shares."""
    root: dict[str, str] = {}
    for op in graph.operators:
        if op.kind in FREE and op.inputs:
            source = root.get(op.inputs[0], op.inputs[0])
            root.update(dict.fromkeys(op.outputs, source))
    return root


def _consumers(graph: OpGraph) -> Mapping[str, list[Operator]]:
    found: dict[str, list[Operator]] = {}
    for op in graph.operators:
        for name in dict.fromkeys(op.inputs):
            found.setdefault(name, []).append(op)
    return found


def _epilogue(
    graph: OpGraph, op: Operator, consumers: Mapping[str, list[Operator]]
) -> tuple[list[Operator], tuple[str, ...]]:
    fused: list[Operator] = []
    activated = bool(op.activation)
    last = op
    while op.kind in ANCHORS and len(last.outputs) == 1 and last.outputs[0] not in graph.outputs:
        users = consumers.get(last.outputs[0], [])
        if len(users) != 1 or not _fits(graph, users[0], last.outputs[0], activated=activated):
            break
        last = users[0]
        activated = activated or (last.kind in EPILOGUES and last.kind != "batch_norm")
        fused.append(last)
    return fused, last.outputs


def _fits(graph: OpGraph, op: Operator, carried: str, *, activated: bool) -> bool:
    """One activation at most, and nothing after it; a bias is an addition of a constant vector."""
    if activated or len(op.outputs) != 1:
        return False
    others = [graph.tensors[name] for name in op.inputs if name != carried and name in graph.tensors]
    if op.kind in EPILOGUES:
        return all(t.constant for t in others)
    vector = all(t.constant and t.elements == max(t.shape, default=1) for t in others)
    return op.kind == "add" and len(others) == 1 and vector
