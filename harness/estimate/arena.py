"""Run-time tensors in memory: how long each lives, and the smallest arena that a runtime's planner finds."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from harness.estimate.fusion import aliases
from harness.estimate.memory_families import memory_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.estimate.fusion import Kernel
    from harness.graph import OpGraph

ALIGNMENT = 64
"""Bytes, as in TensorFlow Lite's arena planner."""

POINTWISE = frozenset({
    "add", "sub", "mul", "div", "min", "max", "pow", "sqrt", "exp", "elementwise", "relu", "relu6", "clip",
    "leaky_relu", "prelu", "sigmoid", "tanh", "hardsigmoid", "hardswish", "swish", "gelu", "erf", "batch_norm",
    "softmax",
})  # fmt: skip
"""Kernels that read each element once, in the place where they write it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """A run-time tensor: its size and the first and last kernel that need it."""

    name: str
    size_bytes: int
    first: int
    last: int


def buffers(graph: OpGraph, kernels: Sequence[Kernel], family: str = "") -> tuple[Buffer, ...]:
    """Lifetimes over the fused graph.

    A view shares what it views; a pointwise kernel writes over an input that nobody reads later, in the families that
    do so; the graph's inputs are there before the first kernel, its outputs live to the end.
    """
    root = shared_memory(graph, kernels, family)
    spans: dict[str, tuple[int, int]] = {root.get(name, name): (0, 0) for name in graph.inputs}
    for index, kernel in enumerate(kernels):
        for tensor in (*kernel.inputs, *kernel.outputs):
            name = root.get(tensor.name, tensor.name)
            first, _ = spans.get(name, (index, index))
            spans[name] = (first, index)
    for name in graph.outputs:
        held = root.get(name, name)
        if held in spans:
            spans[held] = (spans[held][0], max(0, len(kernels) - 1))
    return tuple(
        Buffer(name=name, size_bytes=_aligned(graph.tensors[name].size_bytes), first=first, last=last)
        for name, (first, last) in spans.items()
        if name in graph.tensors and not graph.tensors[name].constant
    )


def shared_memory(graph: OpGraph, kernels: Sequence[Kernel], family: str) -> Mapping[str, str]:
    """For each tensor without memory of its own, the tensor whose memory it uses."""
    views = aliases(graph, family)
    if not memory_of(family).in_place:
        return views
    over = _overwritten(graph, kernels, views)
    root = {name: over.get(held, held) for name, held in views.items()}
    return {**root, **{name: held for name, held in over.items() if name not in root}}


def live_bytes(found: Sequence[Buffer]) -> int:
    """Largest sum of sizes that live at once: no plan can need less."""
    change: dict[int, int] = {}
    for each in found:
        change[each.first] = change.get(each.first, 0) + each.size_bytes
        change[each.last + 1] = change.get(each.last + 1, 0) - each.size_bytes
    now = most = 0
    for at in sorted(change):
        now += change[at]
        most = max(most, now)
    return most


def arena_bytes(found: Sequence[Buffer]) -> int:
    """Size of an arena packed greedily, largest tensor first, each at the lowest free offset.

    Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference, arXiv 2001.03288.
    """
    placed: list[tuple[int, Buffer]] = []
    for each in sorted(found, key=lambda b: (-b.size_bytes, b.first, b.name)):
        offset = 0
        for start, other in placed:  # in order of offset
            if other.last < each.first or each.last < other.first:
                continue
            if start - offset >= each.size_bytes:
                break
            offset = max(offset, start + other.size_bytes)
        insort(placed, (offset, each), key=itemgetter(0))
    return max((start + each.size_bytes for start, each in placed), default=0)


def _overwritten(graph: OpGraph, kernels: Sequence[Kernel], views: Mapping[str, str]) -> dict[str, str]:
    """For each output of a pointwise kernel that is written over an input of its size that dies there, that input."""
    last = {views.get(t.name, t.name): index for index, kernel in enumerate(kernels) for t in kernel.inputs}
    kept = {views.get(name, name) for name in (*graph.inputs, *graph.outputs)}
    over: dict[str, str] = {}
    for index, kernel in enumerate(kernels):
        if kernel.operator.kind not in POINTWISE or len(kernel.outputs) != 1:
            continue
        out = kernel.outputs[0]
        made = views.get(out.name, out.name)
        if made in kept:
            continue
        for tensor in kernel.inputs:
            read = views.get(tensor.name, tensor.name)
            if last[read] == index and read not in kept and tensor.size_bytes == out.size_bytes:
                over[made] = over.get(read, read)
                break
    return over


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT
