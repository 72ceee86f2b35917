"""Latency of a partition: t0 + multiply-accumulates / rate + streamed parameters / link.

The accelerator multiplies with an array of 64 × 64 cells: 4 TOPS (coral.ai/docs/edgetpu/faq) are two operations in each
cell at 480 to 500 MHz. A convolution of many channels fills it. Of a grouped one only the blocks on the diagonal of its
weight matrix are not zero, and a tile of 64 × 64 holds at most 64 groups: the array then takes as long as it would for
min(groups, 64) times as many multiply-accumulates. With model families held out, counting so lowers the mean error
over eight networks and both columns of coral.ai/docs/edgetpu/benchmarks from 13 to 9 %. Activations, numbers of
operators and channels padded to 64 were tried and did not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench_edgetpu.partition import parameter_sizes, split_cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness import Operator, OpGraph

ARRAY = 64
"""Rows and columns of the array."""

NEEDED = ("t0_ms", "macs_per_s", "link_bytes_per_s", "cache_bytes")
"""Facts of an accelerator that the model needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What an inference asks of the accelerator.

    Attributes:
        array_macs: Multiply-accumulates, those of grouped convolutions times what they leave unused of the array.
        parameters: Bytes of each parameter tensor, in execution order.
    """

    array_macs: int
    parameters: tuple[int, ...]

    def streamed_bytes(self, cache_bytes: float) -> int:
        """Parameters that do not fit on the chip."""
        return split_cache(self.parameters, cache_bytes)[1]


def work_of(graph: OpGraph, operators: Iterable[Operator]) -> Work:
    """Work of some operators of a graph."""
    chosen = tuple(operators)
    return Work(array_macs=sum(op.macs * _unused(op) for op in chosen), parameters=parameter_sizes(graph, chosen))


def latency_ms(work: Work, facts: Mapping[str, Any]) -> float:
    """Milliseconds of an inference; `facts` holds `NEEDED`."""
    return (
        float(facts["t0_ms"])
        + work.array_macs / float(facts["macs_per_s"]) * 1e3
        + work.streamed_bytes(float(facts["cache_bytes"])) / float(facts["link_bytes_per_s"]) * 1e3
    )


def _unused(op: Operator) -> int:
    groups = op.attributes.get("groups", 1)
    return min(max(1, groups), ARRAY) if op.kind in {"conv", "deconv"} and isinstance(groups, int) else 1
