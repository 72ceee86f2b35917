"""Simulated latency and energy of a graph that maps, and a table like the compiler's."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from bench_edgetpu.code import COMPILER, Code
from bench_edgetpu.gate import Verdict, batch, judge
from harness import Interval, OpGraph, Simulation, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FACTOR = 2.0
"""90 % factor of the latency model: fitted to the 14 models of coral.ai/docs/edgetpu/benchmarks whose graphs are
public, with model families held out it misses by 11 % (USB) and 22 % (Dev Board) in the median and by a third in the
mean; DenseNet comes out at 0.4 times, Inception-ResNet v2 at 2 times what was published."""

BIAS_BYTES = 4
NEEDED = ("t0_ms", "macs_per_s", "link_bytes_per_s", "cache_bytes")


def simulate(graph: OpGraph, facts: Mapping[str, Any]) -> Simulation:
    """What the accelerator would make of a graph.

    Args:
        graph: A normalised graph.
        facts: `t0_ms`, `macs_per_s`, `link_bytes_per_s`, `cache_bytes` and, for energy, `power_w`.

    Raises:
        UnsupportedError: A fact that the model needs is missing.
    """
    missing = [key for key in NEEDED if not facts.get(key)]
    if missing:
        raise UnsupportedError(
            f"the profile's accelerator does not state {', '.join(missing)}",
            hint="Add the numbers to [accelerators.facts]; profiles/README.md lists the keys.",
        )
    batched = batch(graph)
    if batched:
        basis = f"rules of {COMPILER}; nothing maps with a batch of more than one"
        return Simulation(latency_ms=None, energy_mj=None, basis=basis, rejections=batched)
    verdicts = judge(graph)
    rejections = tuple(v.rejection() for v in verdicts if v.rejected)
    mapped = _prefix(verdicts)
    if rejections:
        counted = [verdict.code is not Code.FLOAT_IO for verdict in verdicts]
        basis = (
            f"rules of {COMPILER}; {sum(counted[:mapped])} of {sum(counted)} operators would map, the first that is"
            " refused and all that follow it would run on the CPU, which is not simulated"
        )
        return Simulation(
            latency_ms=None, energy_mj=None, basis=basis, rejections=rejections, table=_table(verdicts, mapped)
        )
    streamed = streamed_bytes(graph, float(facts["cache_bytes"]))
    milliseconds = (
        float(facts["t0_ms"])
        + graph.macs / float(facts["macs_per_s"]) * 1e3
        + streamed / float(facts["link_bytes_per_s"]) * 1e3
    )
    power = facts.get("power_w")
    basis = (
        f"t0 + MAC / rate + streamed parameters / link ({streamed / 1e6:.1f} MB streamed), a fit to"
        f" coral.ai/docs/edgetpu/benchmarks; rules of {COMPILER}"
    )
    if power:
        basis += f"; energy is the accelerator's stated {float(power):g} W alone, without the board"
    return Simulation(
        latency_ms=_spread(milliseconds),
        energy_mj=_spread(milliseconds * float(power)) if power else None,
        basis=basis,
        table=_table(verdicts, mapped),
    )


def streamed_bytes(graph: OpGraph, cache_bytes: float) -> int:
    """Parameter bytes that do not fit into the cache, which takes whole tensors in order until it is full.

    int8 weights take a byte an element, biases four, whatever the file stores.
    """
    cached = streamed = 0
    seen: set[str] = set()
    for op in graph.operators:
        for position, name in enumerate(op.inputs):
            tensor = graph.tensors.get(name)
            if tensor is None or not tensor.constant or name in seen or not op.macs:
                continue
            seen.add(name)
            size = tensor.elements * (1 if position < 2 else BIAS_BYTES)
            if streamed == 0 and cached + size <= cache_bytes:
                cached += size
            else:
                streamed += size
    return streamed


def _prefix(verdicts: Sequence[Verdict]) -> int:
    """Operators before the first that is refused: the one partition that the compiler makes."""
    return next((index for index, verdict in enumerate(verdicts) if verdict.rejected), len(verdicts))


def _table(verdicts: Sequence[Verdict], mapped: int) -> tuple[tuple[str, int, str], ...]:
    rows = Counter((_label(v), _status(v, after=index > mapped)) for index, v in enumerate(verdicts))
    return tuple((kind, count, status) for (kind, status), count in sorted(rows.items()))


def _label(verdict: Verdict) -> str:
    op = verdict.operator
    groups = op.attributes.get("groups", 1)
    return "depthwise conv" if op.kind == "conv" and isinstance(groups, int) and groups > 1 else op.kind


def _status(verdict: Verdict, *, after: bool) -> str:
    if verdict.rejected:
        return f"refused: {verdict.code}"
    if verdict.code is Code.FLOAT_IO:
        return f"on the CPU: {verdict.code}"
    if after:
        return "on the CPU: after an operator that is refused"
    return f"may not map: {verdict.code}" if verdict.code else "mapped"


def _spread(middle: float) -> Interval:
    return Interval(p50=middle, lo90=middle / FACTOR, hi90=middle * FACTOR)
