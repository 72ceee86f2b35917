"""Peak memory of one inference on a device: weights, activations, workspace and the runtime itself."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from harness.estimate.fusion import aliases
from harness.estimate.interval import Interval
from harness.profile import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.estimate.fusion import Kernel
    from harness.graph import OpGraph

ALIGNMENT = 64
"""Bytes, as in TensorFlow Lite's arena planner."""

ARENA_SLACK = 1.3
"""Allocated over used of a pooling allocator: 1.2 to 1.3 is typical of ONNX Runtime's (microsoft/onnxruntime pull
request 2835), far more when shapes are dynamic."""

WEIGHT_COPIES = (1.0, 1.5, 2.0)
"""Low, median and high: mapped once, or mapped and packed again for the kernels (google/XNNPACK issue 8721). Published
peaks of ExecuTorch on a Raspberry Pi 5 fit one copy within 1 MB (GoogLeNet, SqueezeNet, ResNet-18)."""

RUNTIME_BASE_MIB: Mapping[str, tuple[float, float, float]] = MappingProxyType({
    "xnnpack": (8, 14, 40),
    "mlas": (30, 60, 120),
    "torch": (100, 200, 500),
})  # fmt: skip
"""Low, median and high of a process that has loaded the runtime and no model; assumptions: 11 to 17 MB beside the
weights in Arm's ExecuTorch cards, 63 to 66 MB for a 1 MB network in Arm's ONNX Runtime card, 30 to 60 MB for Python."""

UNKNOWN_BASE_MIB = (15, 80, 300)
"""For every other kernel family: an assumption, and wide."""

Fits = Literal["fits", "does not fit", "uncertain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """A run-time tensor: its size and the first and last kernel that need it."""

    name: str
    size_bytes: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """Parts of the peak, in bytes.

    Attributes:
        live_bytes: Largest sum of tensors that live at once: no plan can need less.
        arena_bytes: What greedy packing by size needs.
        workspace_bytes: Unrolled rows of the largest convolution, one for each thread.
    """

    weights_bytes: int
    live_bytes: int
    arena_bytes: int
    workspace_bytes: int


def buffers(graph: OpGraph, kernels: Sequence[Kernel]) -> tuple[Buffer, ...]:
    """Lifetimes over the fused graph; a view shares what it views, the graph's outputs live to the end."""
    root = aliases(graph)
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


def live_bytes(found: Sequence[Buffer]) -> int:
    """Largest sum of sizes that live at once."""
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
        placed.append((offset, each))
        placed.sort(key=lambda pair: pair[0])
    return max((start + each.size_bytes for start, each in placed), default=0)


def plan(graph: OpGraph, kernels: Sequence[Kernel], *, threads: int) -> MemoryPlan:
    """Memory of the fused graph, without the runtime."""
    found = buffers(graph, kernels)
    weights = {t.name: t.size_bytes for op in graph.operators for t in graph.weights_of(op)}
    return MemoryPlan(
        weights_bytes=sum(weights.values()),
        live_bytes=live_bytes(found),
        arena_bytes=arena_bytes(found),
        workspace_bytes=threads * max((_unrolled_row(kernel) for kernel in kernels), default=0),
    )


def peak(planned: MemoryPlan, kernel_family: str) -> Interval:
    """Peak resident memory of the process in bytes."""
    base = RUNTIME_BASE_MIB.get(kernel_family, UNKNOWN_BASE_MIB)
    arena = (planned.live_bytes, planned.arena_bytes, planned.arena_bytes * ARENA_SLACK)
    workspace = (0, planned.workspace_bytes, planned.workspace_bytes)
    low, middle, high = (
        base[i] * MIB + WEIGHT_COPIES[i] * planned.weights_bytes + arena[i] + workspace[i] for i in range(3)
    )
    return Interval(p50=middle, lo90=low, hi90=high)


def fits(needed: Interval, available_bytes: int) -> Fits:
    """Whether it fits into what the system leaves; uncertain when only a part of the interval does."""
    if needed.hi90 <= available_bytes:
        return "fits"
    return "does not fit" if needed.lo90 > available_bytes else "uncertain"


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def _unrolled_row(kernel: Kernel) -> int:
    """Bytes of one output row of a convolution laid out as a matrix (im2col)."""
    window = kernel.operator.attributes.get("kernel", ())
    if kernel.operator.kind != "conv" or not isinstance(window, tuple) or prod(window) == 1:
        return 0
    if not kernel.outputs or not kernel.inputs or len(kernel.inputs[0].shape) < 3:
        return 0
    channels = max(1, kernel.inputs[0].shape[1])
    groups = kernel.operator.attributes.get("groups", 1)
    groups = max(1, groups) if isinstance(groups, int) else 1
    width = max(1, kernel.outputs[0].shape[-1])
    element = kernel.inputs[0].size_bytes / kernel.inputs[0].elements
    return round(prod(window) * channels / groups * width * element)
