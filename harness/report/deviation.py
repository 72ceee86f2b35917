"""How far a row's outputs are from those of the framework, in words, and the warning where that is too far."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.record import Deviation
    from harness.report.row import Row

AGREES = "agrees"
BY_ACCURACY = "integers: judged by accuracy"

NAMED = 5
"""How many rows a warning names; the table of runtimes marks all of them."""


def deviation_of(row: Row) -> Deviation | None:
    """That of a row, None where its outputs were compared with nothing."""
    return row.quality.deviation if row.quality else None


def differs(found: Deviation) -> bool:
    """Whether it is more than allowed. What is finite on one side only is never right, in integers neither."""
    return found.agrees is False or found.largest is None


def amount(found: Deviation) -> str:
    """`3.1e-02`, `0`, or `not finite`."""
    if found.largest is None:
        return "not finite"
    return f"{found.largest:.1e}" if found.largest else "0"


def allowed(found: Deviation) -> str:
    """`1e-03`, or "" where accuracy alone can tell."""
    return "" if found.tolerance is None else f"{found.tolerance:.1e}".replace(".0e", "e")


def verdict(found: Deviation) -> str:
    """`agrees`, `DIFFERS: 3.1e-02, allowed 1e-03`, or that accuracy must tell."""
    if differs(found):
        return f"DIFFERS: {amount(found)}{_allowed(found)}"
    return BY_ACCURACY if found.agrees is None else AGREES


def remark(found: Deviation) -> str:
    """What a reader must know of a row that differs."""
    if found.largest is None:
        return f"it computes something else than {found.reference}: one of them is not finite where the other is"
    return (
        f"it computes something else than {found.reference}: outputs differ by {amount(found)} of the largest"
        f"{_allowed(found)}"
    )


def warnings(rows: Sequence[Row], chosen: Row | None) -> tuple[str, ...]:
    """What stands at the top: the rows that compute something else than the framework does, in one sentence.

    Args:
        chosen: The recommended row, if any.
    """
    wrong = [(row, found) for row in rows if (found := deviation_of(row)) and differs(found)]
    if not wrong:
        return ()
    several = len(wrong) > 1
    told = "; ".join(
        f"{row.recipe} in {row.backend} ({amount(deviation)}{_allowed(deviation)})" for row, deviation in wrong[:NAMED]
    )
    left = f"; and {len(wrong) - NAMED:,} more" if len(wrong) > NAMED else ""
    chief = "The recommended row is one of them." if several else "It is the recommended row."
    return (
        f"{len(wrong):,} {'rows compute' if several else 'row computes'} something else than the framework that the"
        f" network was written in: {told}{left}." + (f" {chief}" if any(row is chosen for row, _ in wrong) else ""),
    )


def _allowed(found: Deviation) -> str:
    return f", allowed {allowed(found)}" if found.tolerance is not None and found.largest is not None else ""
