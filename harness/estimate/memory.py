"""Peak memory of one inference on a device: weights, activations, workspace and the runtime itself."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, prod
from typing import TYPE_CHECKING, Literal

from harness.estimate.arena import arena_bytes, buffers, live_bytes, shared_memory
from harness.estimate.interval import Interval
from harness.estimate.memory_families import memory_of
from harness.profile import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.estimate.fusion import Kernel
    from harness.graph import OpGraph

FLOAT_BYTES = 4
"""Detection post-processing computes in float32, whatever the network computes in."""

Fits = Literal["fits", "does not fit", "uncertain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """Parts of the peak, in bytes.

    Attributes:
        live_bytes: Largest sum of tensors that live at once: no plan can need less.
        arena_bytes: What greedy packing by size needs.
        workspace_bytes: What the largest convolution unrolls.
        detection_bytes: Inputs of detection post-processing, as float; they are not in the arena.
    """

    weights_bytes: int
    live_bytes: int
    arena_bytes: int
    workspace_bytes: int
    detection_bytes: int = 0


def plan(graph: OpGraph, kernels: Sequence[Kernel], *, threads: int, family: str = "") -> MemoryPlan:
    """Memory of the fused graph, without the runtime."""
    heads = [kernel for kernel in kernels if kernel.operator.kind == "detection"]
    root = shared_memory(graph, kernels, family) if heads else {}
    apart = {root.get(t.name, t.name) for kernel in heads for t in kernel.inputs}
    found = [each for each in buffers(graph, kernels, family) if each.name not in apart]
    weights = {t.name: t.size_bytes for op in graph.operators for t in graph.weights_of(op)}
    return MemoryPlan(
        weights_bytes=sum(weights.values()),
        live_bytes=live_bytes(found),
        arena_bytes=arena_bytes(found),
        workspace_bytes=_workspace(kernels, threads, memory_of(family).workspace),
        detection_bytes=FLOAT_BYTES * sum(t.elements for kernel in heads for t in kernel.inputs),
    )


def peak(planned: MemoryPlan, family: str) -> Interval:
    """Peak resident memory of the process in bytes.

    The medians of the parts add up; their errors are independent and add up as squares.
    """
    habits = memory_of(family)
    arena = (planned.live_bytes, planned.arena_bytes, planned.arena_bytes)
    parts: list[list[float]] = [
        [MIB * factor for factor in habits.base_mib],
        [planned.weights_bytes * factor for factor in habits.copies],
        [size * factor for size, factor in zip(arena, habits.arena, strict=True)],
        [0, planned.workspace_bytes, planned.workspace_bytes],
        [planned.detection_bytes * factor for factor in habits.detection],
    ]
    middle = sum(part[1] for part in parts)
    below, above = (hypot(*(part[bound] - part[1] for part in parts)) for bound in (0, 2))
    return Interval(p50=middle, lo90=max(0.0, middle - below), hi90=middle + above)


def fits(needed: Interval, available_bytes: int) -> Fits:
    """Whether it fits into what the system leaves; uncertain when only a part of the interval does."""
    if needed.hi90 <= available_bytes:
        return "fits"
    return "does not fit" if needed.lo90 > available_bytes else "uncertain"


def _workspace(kernels: Sequence[Kernel], threads: int, kind: Literal["none", "row", "whole"]) -> int:
    if kind == "none":
        return 0
    times = threads if kind == "row" else 1
    return times * max((_unrolled(kernel, whole=kind == "whole") for kernel in kernels), default=0)


def _unrolled(kernel: Kernel, *, whole: bool) -> int:
    """Bytes of a convolution laid out as a matrix (im2col), or of one output row of it; none when depthwise."""
    window = kernel.operator.attributes.get("kernel", ())
    if kernel.operator.kind != "conv" or not isinstance(window, tuple) or prod(window) == 1:
        return 0
    if not kernel.outputs or not kernel.inputs or len(kernel.inputs[0].shape) < 3:
        return 0
    channels = max(1, kernel.inputs[0].shape[1])
    groups = kernel.operator.attributes.get("groups", 1)
    groups = max(1, groups) if isinstance(groups, int) else 1
    if groups == channels:
        return 0
    pixels = prod(max(1, size) for size in kernel.outputs[0].shape[2:]) if whole else kernel.outputs[0].shape[-1]
    element = kernel.inputs[0].size_bytes / kernel.inputs[0].elements
    return round(prod(window) * channels / groups * max(1, pixels) * element)
