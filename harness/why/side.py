"""One side of a comparison: a variant's graph, the times of its operators and of the whole, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.why.reason import Basis, Cause, Reason, Where

if TYPE_CHECKING:
    from harness.graph import Operator, OpGraph
    from harness.operator_time import OperatorTime
    from harness.why.cpu import CpuFacts

EIGHT_BITS = frozenset({"int8", "uint8"})
FLOATS = frozenset({"fp32", "fp16", "bf16", "fp64"})
HALF = frozenset({"fp16"})
PRODUCTS = "convolutions and matrix products"

MATTERS = 0.05
"""Share of the time below which nothing is a reason: a gain of less than 5 % is within what an estimate or a busy
machine differs by, and nobody changes a network for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side.

    Attributes:
        graph: As the file has it; None where nobody can read the format.
        operators: As the runtime executed them (or as the estimate has them), empty where nobody says.
        latency_ns: Of one inference, None where nobody timed it.
    """

    graph: OpGraph | None = None
    operators: tuple[OperatorTime, ...] = ()
    latency_ns: float | None = None

    @property
    def operators_ns(self) -> int:
        """Time inside operators."""
        return sum(op.ns for op in self.operators)

    @property
    def between_ns(self) -> float:
        """Time outside operators: calling the runtime, and passing from one operator to the next."""
        return max(0.0, (self.latency_ns or 0.0) - self.operators_ns) if self.operators else 0.0

    @property
    def total_ns(self) -> float:
        """Time of one inference, and at least what its operators add up to: they were timed at another moment."""
        return self.operators_ns + self.between_ns

    def spent(self, does: str) -> int:
        """Time in operators that do this."""
        return sum(op.ns for op in self.operators if op.does == does)

    @property
    def products(self) -> tuple[Operator, ...]:
        """Operators of the graph that carry multiply-accumulates."""
        return tuple(op for op in self.graph.operators if op.macs) if self.graph else ()

    def share(self, ns: float) -> float:
        """A time as a share of the whole, 0 to 1."""
        return ns / self.total_ns if self.total_ns else 0.0

    def macs_share(self, *, precision: frozenset[str] = frozenset(), scheme: str = "") -> float:
        """Share of the multiply-accumulates of a precision, a scheme or both, as the file has them."""
        total = sum(op.macs for op in self.products)
        chosen = (
            op.macs
            for op in self.products
            if (not precision or op.precision in precision) and (not scheme or op.scheme == scheme)
        )
        return sum(chosen) / total if total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A variant beside its baseline, on one processor."""

    baseline: Side
    variant: Side
    cpu: CpuFacts
    where: Where

    @property
    def timed(self) -> Basis:
        """How the times are known."""
        return "measured" if self.where == "host" else "estimated"

    def reason(self, cause: Cause, share: float | None, text: str, *, counted: bool = False) -> Reason:
        """A reason of this comparison; `counted` where no operator's time is behind it."""
        return Reason(cause=cause, where=self.where, basis="counted" if counted else self.timed, share=share, text=text)

    def gained(self, precision: frozenset[str], *, scheme: str = "") -> float:
        """By how much the share of multiply-accumulates of a precision or scheme rose, by the files."""
        variant, baseline = (s.macs_share(precision=precision, scheme=scheme) for s in (self.variant, self.baseline))
        return variant - baseline


def ms(ns: float) -> str:
    """A time in words: `1.23 ms`, or `45.6 µs` below a tenth of a millisecond."""
    return f"{ns / 1e6:.3g} ms" if ns >= 1e5 else f"{ns / 1e3:.3g} µs"


def percent(share: float) -> str:
    """A share in words."""
    return f"{share:.0%}" if share >= 0.095 or share == 0 else f"{share:.1%}"


def some(number: int, noun: str) -> str:
    """A number with its noun, which takes an s."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
