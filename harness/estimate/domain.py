"""Domain: what speaks against trusting an estimate of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.estimate.features import UNMODELLED, KernelClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.estimate.latency import KernelCost
    from harness.graph import OpGraph

__all__ = ["UNMODELLED", "Overhead", "reasons_against"]

UNSEEN_SHARE = 0.10
"""Share of the time in launches beyond those of any published network above which a graph is out of domain; below it
the interval alone says so."""

LEAST_LAUNCH = 0.01
"""Share of its price that a launch takes at the very least: 0.2 µs on four threads of a Cortex-A72 at 1.5 GHz, some 300
cycles. An assumption, so that no estimate ends at nothing."""

MATRIX_SHARE = 0.10
"""Share of multiply-accumulates in matrix products of several rows (attention, transformers) above which a graph is
out of domain: the published rows are of convolutional networks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Time that goes into launching kernels, and not into what they compute.

    Its price is a prior that large networks hardly test: how a runtime wakes its threads for a kernel of a microsecond
    does not show in one of a millisecond.

    Attributes:
        of_ms: The whole inference, of which `launches_ms` are a part.
        published_share: The largest share that launches have in a network that the coefficients are from.
    """

    launches_ms: float
    of_ms: float
    published_share: float

    @property
    def unseen_ms(self) -> float:
        """Time of launches beyond the share that they have in any published network: no data speak of it."""
        if self.published_share >= 1:
            return 0.0
        share = self.published_share / (1 - self.published_share)
        unseen_ms = self.launches_ms - share * (self.of_ms - self.launches_ms)
        return max(0.0, min(unseen_ms, self.launches_ms * (1 - LEAST_LAUNCH)))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why an estimate of mostly launches is not to be trusted, in words; none where it is not one.

        The same words for all that rests on the same published rows, so that a table says them once.
        """
        if self.unseen_ms <= UNSEEN_SHARE * self.of_ms:
            return ()
        share = f"{100 * self.published_share:.0f} %"
        return (f"launching kernels takes more of its time than of any published network's ({share} at most)",)


def reasons_against(graph: OpGraph, costs: Sequence[KernelCost], unmodelled: tuple[str, ...]) -> tuple[str, ...]:
    """Reasons in words, none when the graph is of the sort that was calibrated."""
    found = []
    detection = sum(op.kind == "detection" for op in graph.operators)
    unknown = len(unmodelled) - detection
    if unknown:
        names = ", ".join(op.name for op in graph.operators if op.kind == "unknown")
        found.append(f"{unknown} operators are not modelled: {_short(names)}")
    if detection:
        found.append(f"detection post-processing ({detection} operators) is not in the estimate: shapes do not tell it")
    matrix = sum(each.macs for each in costs if each.kernel_class is KernelClass.GEMM)
    if graph.macs and matrix / graph.macs > MATRIX_SHARE:
        found.append(f"{matrix / graph.macs:.0%} of the multiply-accumulates are matrix products of several rows")
    dynamic = [t.name for t in graph.tensors.values() if any(d < 0 for d in t.shape)]
    if dynamic:
        found.append(f"{len(dynamic)} tensors have a dynamic shape, counted as 1: {', '.join(dynamic[:3])}")
    if any(t.precision == "int4" for t in graph.tensors.values()) or any(
        op.precision == "int4" for op in graph.operators
    ):
        found.append("4-bit weights are in no calibration data")
    return tuple(found)


def _short(names: str, most: int = 60) -> str:
    return names if len(names) <= most else names[: most - 1] + "…"
