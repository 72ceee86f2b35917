"""A runtime over all its recipes: how far from the framework, what it loses, what its process holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.report import deviation as words
from harness.report import units
from harness.report.columns import DASH, Cell
from harness.report.deviation import deviation_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.record import Deviation
    from harness.report.document import Section
    from harness.report.row import Row

THE_REFERENCE = "the reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A runtime over all its recipes.

    Attributes:
        recipes: How many it ran, and how many it did not.
        deviation: The largest against what is allowed, such as `2.1e-07 of 1e-03`, and `where` that was.
        lost: Smallest and largest loss, in points; or smallest and largest agreement where there are no labels.
        base_memory: What its process holds before a variant is opened.
    """

    backend: str
    recipes: Cell
    deviation: str
    where: str
    verdict: str
    differs: bool
    lost: str
    base_memory: Cell


def summarise(backend: str, section: Section, references: Sequence[str]) -> Summary:
    """One runtime of a section.

    Args:
        references: What outputs were compared with, such as `baseline in torch`.
    """
    rows = [row for row in section.rows if row.backend == backend]
    found = [(row.recipe, deviation) for row in rows if (deviation := deviation_of(row))]
    worst = max(found, key=lambda each: _share(each[1]), default=None)
    judged = worst is not None and (worst[1].tolerance is not None or worst[1].largest is None)
    return Summary(
        backend=backend,
        recipes=Cell(value=f"{len({row.recipe for row in rows}):,}", detail=_missing(backend, section)),
        deviation=_against(worst[1]) if worst and judged else "",
        where=worst[0] if worst and judged else "",
        verdict=_verdict([deviation for _, deviation in found], reference=is_reference(backend, references)),
        differs=any(words.differs(deviation) for _, deviation in found),
        lost=_lost(rows, labelled=section.axes.quality == "value"),
        base_memory=_base_memory(rows),
    )


def _missing(backend: str, section: Section) -> str:
    """`1 failed, 2 skipped`."""
    counts = Counter(group.outcome for group in section.missing for cell in group.cells if cell.backend == backend)
    return ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(counts.items()))


def _share(found: Deviation) -> float:
    """The deviation as a share of what is allowed, so that a small one that is too much stands before a large one that
    is not; what is not finite first, what has no tolerance last."""
    if found.largest is None:
        return float("inf")
    if found.tolerance is None:
        return -1.0
    return found.largest / found.tolerance if found.tolerance else float("inf" if found.largest else 0)


def _against(found: Deviation) -> str:
    limit = words.allowed(found)
    return f"{words.amount(found)} of {limit}" if limit and found.largest is not None else words.amount(found)


def _verdict(found: Sequence[Deviation], *, reference: bool) -> str:
    """`all 3 agree, 2 judged by accuracy`."""
    if not found:
        return THE_REFERENCE if reference else ""
    counts = Counter("differs" if words.differs(each) else "agrees" if each.agrees else "accuracy" for each in found)
    parts = []
    judged = counts["differs"] + counts["agrees"]
    if counts["differs"]:
        parts.append(f"{counts['differs']} of {judged} DIFFER" if judged > 1 else "DIFFERS")
    elif counts["agrees"]:
        parts.append(words.AGREES if judged == 1 else "both agree" if judged == 2 else f"all {judged} agree")
    if counts["accuracy"]:
        parts.append(f"{counts['accuracy']} in integers: judged by accuracy")
    return ", ".join(parts)


def _lost(rows: Iterable[Row], *, labelled: bool) -> str:
    """`0.0 to 1.2` points, or `98.2 to 99.9 %` agreement, of all recipes but the baseline."""
    scored = [row.quality for row in rows if row.quality and not row.baseline]
    shares = [found.drop if labelled else found.agreement for found in scored]
    points = sorted({f"{_points(share):.1f}": _points(share) for share in shares if share is not None}.values())
    if not points:
        return units.MISSING
    ends = f"{points[0]:.1f}" if len(points) == 1 else f"{points[0]:.1f} to {points[-1]:.1f}"
    return ends if labelled else f"{ends} %"


def _points(share: float) -> float:
    return 0.0 if abs(share) < 0.0005 else share * 100


def _base_memory(rows: Iterable[Row]) -> Cell:
    """The median of the rows of a runtime, which differ by little, and what else the process holds."""
    found = sorted((row.base_memory_bytes, row.also_imports) for row in rows if row.base_memory_bytes is not None)
    if not found:
        return DASH
    size, beside = found[len(found) // 2]
    return Cell(value=units.size(size), detail=f"with {beside}, not comparable" if beside else "")


def is_reference(backend: str, references: Sequence[str]) -> bool:
    """Whether outputs of others were compared with those of this backend."""
    return any(reference.endswith(f" in {backend}") for reference in references)
