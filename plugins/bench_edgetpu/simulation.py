"""Simulated latency and energy of a graph that maps, and a table like the compiler's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench_edgetpu.code import COMPILER, Code
from bench_edgetpu.gate import batch, judge
from bench_edgetpu.latency import NEEDED, latency_ms, work_of
from bench_edgetpu.partition import Partition, partition
from bench_edgetpu.table import table
from harness import Interval, OpGraph, Rejection, Simulation, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench_edgetpu.gate import Verdict

FACTOR = 2.0
"""90 % factor of the latency model. With model families held out it misses eight networks of
coral.ai/docs/edgetpu/benchmarks by 8 % (USB) and 5 % (Dev Board) in the median, 12 and 7 % in the mean, 1.3 times at
most. The factor is wider for two known misses among the networks without a table of layers here: DenseNet comes out at
a third of what was published, Inception-ResNet v2 at twice. Networks that leave their end to the CPU (SSD, DeepLab) are
not in the fit."""

NAMED = 2
"""Operators that may not map which the basis names."""


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
    verdicts = judge(graph)
    cut = partition(graph, verdicts, float(facts["cache_bytes"]))
    batched = batch(graph)
    rejections = batched or _by_cause([v for v in verdicts if v.rejected])
    if batched:
        basis = f"rules of {COMPILER}; nothing maps with a batch of more than one"
        return Simulation(latency_ms=None, energy_mj=None, basis=basis, rejections=rejections)
    if rejections:
        basis = f"rules of {COMPILER}; {_left(cut)}"
        return Simulation(latency_ms=None, energy_mj=None, basis=basis, rejections=rejections, table=table(verdicts))
    milliseconds = latency_ms(work_of(graph, graph.operators), facts)
    power = facts.get("power_w")
    return Simulation(
        latency_ms=_spread(milliseconds),
        energy_mj=_spread(milliseconds * float(power)) if power else None,
        basis=_basis(cut, [verdict for verdict in verdicts if verdict.unsure], power),
        table=table(verdicts),
    )


def _by_cause(refused: Sequence[Verdict]) -> tuple[Rejection, ...]:
    """Rejections in execution order, but weights that alone are quantised first: they are why what is beside them is in
    float, and a file that turns its layout before the first layer has such an operator in front."""
    ordered = sorted(refused, key=lambda verdict: verdict.code is not Code.DYNAMIC_RANGE_ONLY)
    return tuple(verdict.rejection() for verdict in ordered)


def _left(cut: Partition) -> str:
    """What a graph that is refused would leave to the CPU."""
    share = cut.cpu_macs / max(1, cut.cpu_macs + cut.mapped_macs)
    return (
        f"{cut.mapped_operators} of {cut.operators} operators would map, the first that is refused and all that follow"
        f" it would run on the CPU, which is not simulated: {cut.operators - cut.mapped_operators} operators with"
        f" {cut.cpu_macs / 1e6:.3g} million multiply-accumulates ({share:.0%}); {_bytes(cut)}"
    )


def _bytes(cut: Partition) -> str:
    return (
        f"{_size(cut.crossing_bytes)} cross between CPU and accelerator, {_size(cut.cached_bytes)} of parameters stay"
        f" on the chip, {_size(cut.streamed_bytes)} are streamed"
    )


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.3g} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.3g} kB"


def _basis(cut: Partition, unsure: Sequence[Verdict], power: float | None) -> str:
    basis = f"t0 + MAC / rate + streamed parameters / link; {_bytes(cut)}; rules of {COMPILER}"
    if unsure:
        named = ", ".join(f"{verdict.operator.name}: {verdict.detail}" for verdict in unsure[:NAMED])
        more = f", and {len(unsure) - NAMED} more" if len(unsure) > NAMED else ""
        basis += f"; {len(unsure)} of {cut.operators} operators may not map ({named}{more})"
    if power:
        basis += f"; energy is the accelerator's stated {float(power):g} W alone, without the board"
    return basis


def _spread(middle: float) -> Interval:
    return Interval(p50=middle, lo90=middle / FACTOR, hi90=middle * FACTOR)
