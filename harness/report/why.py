"""Why variants are not faster, for readers: rows with their reasons, what concerns most of the time first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report import units
from harness.report.row import BASELINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.document import Section
    from harness.report.row import Row
    from harness.why.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A row and what holds it back.

    Attributes:
        name: `int8-static in onnxruntime`.
        speed: How it did against the baseline here, or "" where it was not timed.
        reasons: One line each, those of this machine before those of the device.
    """

    name: str
    speed: str
    reasons: tuple[str, ...]


def explained(section: Section) -> tuple[Explained, ...]:
    """Rows that have reasons, in the order of the table."""
    return tuple(
        Explained(
            name=f"{row.recipe} in {row.backend}",
            speed=_speed(row),
            reasons=tuple(_line(reason, section.profile) for reason in _in_order(row.why)),
        )
        for row in section.rows
        if row.why and row.recipe != BASELINE
    )


def _in_order(reasons: Sequence[Reason]) -> list[Reason]:
    return sorted(reasons, key=lambda reason: (reason.where != "host", -(reason.share or 0.0)))


def _line(reason: Reason, profile: str) -> str:
    where = "here" if reason.where == "host" else f"on {profile}"
    basis = {"measured": "measured", "estimated": "estimated", "counted": "by the graph and the processor"}[
        reason.basis
    ]
    return f"{where}, {basis}: {reason.text}"


def _speed(row: Row) -> str:
    if row.speed is None:
        return ""
    found = row.speed.summary
    return units.speed(found.ratio, found.lo95, found.hi95, row.speed.verdict)
