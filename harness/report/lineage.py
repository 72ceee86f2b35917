"""How each variant came to be, as a picture: model, steps and variant with their size, work and accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.report import units
from harness.report.row import BASELINE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.record import LineageStep
    from harness.report.document import Origin, Section

WIDTH = 100
"""Width of a bar in its own units: percent of the largest file of the section."""

SHRUNK = 0.02
"""A change of size by less than this share is told as none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What stands at one point of the way.

    Attributes:
        title: What was done to get here; for the first node the model.
        format: What came out.
        size: In words, a dash for a live object of unknown size.
        bar: Size as a share of the section's largest, 0 to 100; None without a size.
        change: Size against the last one known, such as `−73 %`, where it changed.
        parameters, macs: `24.4 k parameters`, `364 k MACs`, where somebody counted.
        accuracy: `83.2 % of 1,038 right`: validation rows, where it was scored.
        gone: Points of that since it was last scored, such as `−0.2 points`.
    """

    kind: Literal["source", "technique", "converter"]
    title: str
    format: str
    size: str
    bar: float | None
    change: str
    parameters: str
    macs: str
    accuracy: str
    gone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The way of one variant.

    Attributes:
        chosen: Whether it is the recommended one, or the baseline of its backend.
    """

    origin: Origin
    nodes: tuple[Node, ...]
    chosen: bool


def lineages(section: Section) -> tuple[Lineage, ...]:
    """One for each origin of the section, in their order."""
    sizes = [
        step.size_bytes for origin in section.origins for step in origin.variant.lineage if step.size_bytes is not None
    ]
    largest = max(sizes, default=0)
    found = section.recommendation
    row = found.row or found.nearest
    recipes = {BASELINE, row.recipe} if row else set()
    return tuple(
        Lineage(
            origin=origin,
            nodes=tuple(_nodes(origin, largest)),
            chosen=origin.recipe in recipes and row is not None and row.backend in origin.backends,
        )
        for origin in section.origins
    )


def _nodes(origin: Origin, largest: int) -> Iterable[Node]:
    size: int | None = None
    scored: LineageStep | None = None
    for step in origin.variant.lineage:
        yield Node(
            kind=step.kind,
            title=step.name,
            format=step.format,
            size=units.size(step.size_bytes),
            bar=None if step.size_bytes is None or not largest else round(step.size_bytes / largest * WIDTH, 1),
            change=_change(size, step.size_bytes),
            parameters=_count(step.parameters, "parameters"),
            macs=_count(step.macs, "MACs"),
            accuracy=_accuracy(step),
            gone=_gone(scored, step),
        )
        size = step.size_bytes if step.size_bytes is not None else size
        scored = step if step.accuracy is not None else scored


def _change(before: int | None, after: int | None) -> str:
    if not before or after is None:
        return ""
    change = after / before - 1
    if abs(change) < SHRUNK:
        return ""
    return f"{change * 100:+.0f} %".replace("-", "\N{MINUS SIGN}")


def _count(number: int | None, what: str) -> str:
    return "" if number is None else f"{units.scaled_count(number)} {what}"


def _accuracy(step: LineageStep) -> str:
    if step.accuracy is None:
        return ""
    rows = f" of {step.accuracy_n:,}" if step.accuracy_n else ""
    return f"{units.percent(step.accuracy)}{rows} right"


def _gone(before: LineageStep | None, step: LineageStep) -> str:
    """Points since it was last scored, where both were over as many rows."""
    if before is None or before.accuracy is None or step.accuracy is None or before.accuracy_n != step.accuracy_n:
        return ""
    points = round((step.accuracy - before.accuracy) * 100, 1)
    if not points:
        return ""
    return f"{points:+.1f} {'point' if abs(points) == 1 else 'points'}".replace("-", "\N{MINUS SIGN}")
