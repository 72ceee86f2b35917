"""The one partition that the compiler makes: the operators before the first that it refuses.

Sources: "More than one subgraph is not supported" in logs that people published (google-coral/edgetpu issues 75 and
322); parameters are cached whole, in order, until the memory is full (coral.ai/docs/edgetpu/compiler, parameter data
caching).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench_edgetpu.gate import TRANSPARENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench_edgetpu.gate import Verdict
    from harness import Operator, OpGraph

BIAS_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """What runs where.

    Attributes:
        operators: Operators that count for the compiler; conversions at the edges do not.
        mapped_operators: How many of them the accelerator takes: the first so many, in execution order.
        mapped_macs: Their multiply-accumulates.
        cpu_macs: Multiply-accumulates left on the CPU.
        crossing_bytes: Tensors that go in or out of the accelerator in an inference, a byte an element.
        cached_bytes: Parameters that stay on the chip.
        streamed_bytes: Parameters that are sent at every inference.
    """

    operators: int
    mapped_operators: int
    mapped_macs: int
    cpu_macs: int
    crossing_bytes: int
    cached_bytes: int
    streamed_bytes: int


def prefix(verdicts: Sequence[Verdict]) -> int:
    """Index of the first verdict that is a refusal."""
    return next((index for index, verdict in enumerate(verdicts) if verdict.rejected), len(verdicts))


def partition(graph: OpGraph, verdicts: Sequence[Verdict], cache_bytes: float) -> Partition:
    """Cut a graph where the compiler would.

    Args:
        graph: The graph that was judged.
        verdicts: One for each operator, in execution order.
        cache_bytes: On-chip memory for parameters.
    """
    mapped = [verdict.operator for verdict in verdicts[: prefix(verdicts)] if not verdict.conversion]
    cached, streamed = split_cache(parameter_sizes(graph, mapped), cache_bytes)
    macs = sum(op.macs for op in mapped)
    return Partition(
        operators=sum(not verdict.conversion for verdict in verdicts),
        mapped_operators=len(mapped),
        mapped_macs=macs,
        cpu_macs=graph.macs - macs,
        crossing_bytes=_crossing_bytes(graph, mapped),
        cached_bytes=cached,
        streamed_bytes=streamed,
    )


def parameter_sizes(graph: OpGraph, operators: Iterable[Operator]) -> tuple[int, ...]:
    """Bytes of each parameter tensor of operators that multiply and accumulate, in execution order.

    int8 weights take a byte an element, biases four, whatever the file stores.
    """
    sizes: dict[str, int] = {}
    for op in operators:
        for position, name in enumerate(op.inputs):
            tensor = graph.tensors.get(name)
            if tensor is not None and tensor.constant and op.macs:
                sizes.setdefault(name, tensor.elements * (1 if position < 2 else BIAS_BYTES))
    return tuple(sizes.values())


def split_cache(sizes: Sequence[int], cache_bytes: float) -> tuple[int, int]:
    """Bytes on the chip, and bytes that are streamed: tensors are cached whole, in order, until one does not fit."""
    cached = 0
    for index, size in enumerate(sizes):
        if cached + size > cache_bytes:
            return cached, sum(sizes[index:])
        cached += size
    return cached, 0


def _crossing_bytes(graph: OpGraph, mapped: Sequence[Operator]) -> int:
    """Tensors that the partition reads but does not make, and those that it makes and others read; a view is the
    tensor that it shows."""
    shown: dict[str, str] = {}
    for op in graph.operators:
        if op.kind in TRANSPARENT:
            shown |= {name: shown.get(op.inputs[0], op.inputs[0]) for name in op.outputs}
    inside = {id(op) for op in mapped}
    made = {name for op in mapped for name in op.outputs}
    read, elsewhere = set[str](), set(graph.outputs)
    for op in graph.operators:
        if op.kind not in TRANSPARENT:
            (read if id(op) in inside else elsewhere).update(op.inputs)
    entering = {shown.get(name, name) for name in read} - made
    leaving = {shown.get(name, name) for name in elsewhere} & made
    tensors = [graph.tensors[name] for name in entering | leaving if name in graph.tensors]
    return sum(tensor.elements for tensor in tensors if not tensor.constant)
