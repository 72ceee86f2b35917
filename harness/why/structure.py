"""Reasons that lie in the structure: work that is not multiply-accumulates, or of which fewer did not cost less."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.why.arithmetic import left_in_float
from harness.why.reason import Cause, Reason
from harness.why.side import MATTERS, PRODUCTS, Comparison, Side, ms, percent, some

if TYPE_CHECKING:
    from harness.graph import Operator, OpGraph

FEWER_MACS = 0.02
"""Share of the multiply-accumulates that must have gone before a gain is expected of it."""

MORE_ZEROS = 0.10
"""Share of products with a zero weight that must have come. Rounding to 8 bits makes 1 to 3 % of zeros by itself: of
normal weights with their largest at 4 standard deviations, those below half a step of 1/127 of it."""

DENSE = frozenset({"fp32", "fp16", "bf16", "fp64", "int8", "uint8"})
"""Precisions whose zeros were put there. Rounding to 4 bits makes a sixth of all weights zero by itself."""

LARGE = 0.25
"""Share of time beside the arithmetic from which it limits the gain, though it did not grow: arithmetic twice as fast
is then 1.6 times as fast on the whole (Amdahl's law)."""

DOMINATES = 0.5
"""The larger part."""

SHORT_LAUNCHES = 10
"""An operator that takes less than this many times what starting one costs is short: a tenth and more of it is the
launch, and the rest mostly the ends of loops, which no number format makes faster."""

REUSE_FELL = 0.9
"""Multiply-accumulates a byte over the baseline's, below which memory has become more of the work."""


def dense_zeros(given: Comparison) -> Reason | None:
    """Zeros that dense kernels multiply like any other number."""
    if given.variant.graph is None or given.baseline.graph is None:
        return None
    zeros, before = _zeros(given.variant.graph), _zeros(given.baseline.graph)
    if zeros - before < MORE_ZEROS:
        return None
    side = given.variant
    share = zeros * side.share(side.spent("compute")) if side.operators else None
    macs = side.graph.macs if side.graph else 0
    text = (
        f"{percent(zeros)} of the {macs / 1e6:.3g} million multiply-accumulates have a weight of zero (baseline: "
        f"{percent(before)}), and dense kernels do them all the same."
    )
    return given.reason(Cause.DENSE_ZEROS, share, text, counted=True)


def odd_channels(given: Comparison) -> Reason | None:
    """Output channels that do not fill the last vector, where the variant has more of that than the baseline."""
    lanes = given.cpu.lanes
    if given.variant.graph is None or given.baseline.graph is None or lanes < 2:
        return None
    padding = _padding(given.variant.graph, lanes)
    extra = padding - _padding(given.baseline.graph, lanes)
    side = given.variant
    share = extra / (1 + padding) * (side.share(side.spent("compute")) if side.operators else 1.0)
    if extra < MATTERS or share < MATTERS:
        return None
    odd = [op for op in side.products if _channels(op, given.variant.graph) % lanes]
    of_macs = sum(op.macs for op in odd) / side.graph.macs if side.graph else 0.0
    text = (
        f"{len(odd)} of {len(side.products)} {PRODUCTS} ({percent(of_macs)} of the "
        f"multiply-accumulates) have output channels that are no multiple of the {lanes} lanes of a vector; filled up "
        f"to whole vectors they are {percent(padding)} more work, {percent(max(padding - extra, 0.0))} in the baseline."
    )
    return given.reason(Cause.ODD_CHANNELS, share, text, counted=True)


def less_reuse(given: Comparison) -> Reason | None:
    """Fewer multiply-accumulates that take more than their share of the baseline's time, as each byte serves fewer."""
    side, base = given.variant, given.baseline
    if side.graph is None or base.graph is None or not base.graph.macs or not fewer_macs(given):
        return None
    ratio = side.graph.macs / base.graph.macs
    now, before = side.spent("compute"), base.spent("compute")
    reuse, reuse_before = _reuse(side), _reuse(base)
    share = side.share(now - before * ratio)
    if not before or share < MATTERS or reuse > REUSE_FELL * reuse_before:
        return None
    layers = len(side.products), len(base.products)
    number = f"{layers[0]} instead of {layers[1]}" if layers[0] != layers[1] else f"{layers[0]}"
    text = (
        f"The convolutions and matrix products ({number}) do {percent(1 - ratio)} fewer multiply-accumulates but take "
        f"{percent(now / before)} of the baseline's {ms(before)}: for each byte that they read or write they do "
        f"{reuse:.3g} instead of {reuse_before:.3g}."
    )
    return given.reason(Cause.LESS_REUSE, share, text)


def other_work(given: Comparison) -> Reason | None:
    """Operators that neither multiply matrices nor change the number format: more of them, or too large a part."""
    side, base = given.variant, given.baseline
    left = set(left_in_float(given))
    others = [op for op in side.operators if op.does == "other" and op not in left]
    spent, before = sum(op.ns for op in others), base.spent("other")
    share = side.share(spent)
    grown = side.share(spent - before)
    if not base.operators or (grown < MATTERS and share < LARGE):
        return None
    by_kind: dict[str, list[int]] = {}
    for op in others:
        by_kind.setdefault(op.kind, []).append(op.ns)
    longest = sorted(by_kind.items(), key=lambda item: -sum(item[1]))[:3]
    kinds = ", ".join(f"{len(times)} × {kind} ({ms(sum(times))})" for kind, times in longest)
    text = (
        f"{some(len(others), 'operator')} beside the convolutions and matrix products take {ms(spent)} of "
        f"{ms(side.total_ns)} ({percent(share)}; baseline: {ms(before)}): {kinds}."
    )
    return given.reason(Cause.OTHER_WORK, grown if grown >= MATTERS else share, text)


def too_small(given: Comparison) -> Reason | None:
    """Calls, launches and operators too short to be worth one make up most of the time."""
    side, short_ns = given.variant, SHORT_LAUNCHES * given.cpu.launch_ns
    share, before = _small(side, short_ns), _small(given.baseline, short_ns)
    if share < DOMINATES:
        return None
    short = [op for op in side.operators if op.ns < short_ns]
    base = f" (baseline: {percent(before)} of {ms(given.baseline.total_ns)})" if given.baseline.operators else ""
    text = (
        f"Of {ms(side.total_ns)}, {ms(side.between_ns)} pass outside operators and {ms(sum(op.ns for op in short))} in "
        f"{len(short)} of {some(len(side.operators), 'operator')} that are shorter than {ms(short_ns)}, "
        f"{SHORT_LAUNCHES} times what starting one costs: {percent(share)} of the time{base}, which no faster "
        f"arithmetic makes shorter."
    )
    return given.reason(Cause.TOO_SMALL, share, text)


def fewer_macs(given: Comparison) -> bool:
    """Whether the variant does fewer multiply-accumulates than the baseline."""
    variant, baseline = given.variant.graph, given.baseline.graph
    return bool(variant and baseline and variant.macs <= (1 - FEWER_MACS) * baseline.macs)


def more_zeros(given: Comparison) -> bool:
    """Whether the variant multiplies by more zeros than the baseline."""
    variant, baseline = given.variant.graph, given.baseline.graph
    return bool(variant and baseline and _zeros(variant) - _zeros(baseline) >= MORE_ZEROS)


def _zeros(graph: OpGraph) -> float:
    """Share of the multiply-accumulates whose weight is zero."""
    total = idle = 0.0
    for op in graph.operators:
        total += op.macs
        weights = [t for t in graph.weights_of(op) if t.zeros is not None and t.precision in DENSE and len(t.shape) > 1]
        if op.macs and weights:
            idle += op.macs * (max(weights, key=lambda t: t.elements).zeros or 0.0)
    return idle / total if total else 0.0


def _padding(graph: OpGraph, lanes: int) -> float:
    """Multiply-accumulates that filling every last vector adds, over those there are."""
    filled = 0.0
    for op in graph.operators:
        channels = _channels(op, graph) if op.macs else 1
        filled += op.macs * (-(-channels // lanes) * lanes / channels if op.macs else 1)
    return filled / graph.macs - 1 if graph.macs else 0.0


def _channels(op: Operator, graph: OpGraph) -> int:
    """Output channels that kernels put side by side in a vector: a group's, or all of a depthwise convolution's."""
    tensor = graph.tensors.get(op.outputs[0])
    if tensor is None or not tensor.shape:
        return 1
    if op.kind not in {"conv", "deconv"}:
        return max(1, tensor.shape[-1])
    channels = max(1, tensor.shape[1]) if len(tensor.shape) > 2 else max(1, tensor.shape[-1])
    groups = op.attributes.get("groups", 1)
    alone = not isinstance(groups, int) or groups in {1, channels} or channels % groups
    return channels if alone or not isinstance(groups, int) else channels // groups


def _reuse(side: Side) -> float:
    """Multiply-accumulates for each byte that convolutions and matrix products read or write, by the file's types."""
    if side.graph is None:
        return 0.0
    moved = sum(
        t.size_bytes for op in side.products for t in (*side.graph.activations_of(op), *side.graph.weights_of(op))
    )
    return side.graph.macs / moved if moved else 0.0


def _small(side: Side, short_ns: float) -> float:
    """Share of time outside operators and in short ones; 0 where either time is not known."""
    if side.latency_ns is None or not side.operators:
        return 0.0
    return side.share(side.between_ns + sum(op.ns for op in side.operators if op.ns < short_ns))
