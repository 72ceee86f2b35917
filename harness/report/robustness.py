"""Quality under corrupted inputs as a table: a row per variant, a column per corruption."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.report import units

if TYPE_CHECKING:
    from harness.record import CorruptedQuality, Quality
    from harness.report.document import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustnessTable:
    """Corruptions, and for each variant its quality on clean rows and under each of them.

    Attributes:
        rows: `(recipe, backend, cells)`; the first cell is that of clean rows.
        n: Rows scored under each corruption.
    """

    corruptions: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    n: int


def robustness(section: Section) -> RobustnessTable | None:
    """The table, or None where nothing was scored under corruptions."""
    scored = [(row, row.quality) for row in section.rows if row.quality and row.quality.robustness]
    names = tuple(dict.fromkeys(c.corruption for _, quality in scored for c in quality.robustness))
    if not names:
        return None
    return RobustnessTable(
        corruptions=names,
        rows=tuple((row.recipe, row.backend, _cells(quality, names, row.baseline)) for row, quality in scored),
        n=max(c.n for _, quality in scored for c in quality.robustness),
    )


def _cells(quality: Quality, names: tuple[str, ...], alone: bool) -> tuple[str, ...]:  # noqa: FBT001 - a fact of the row
    """Cells of a row; `alone` where it is the baseline, which gains nothing on itself."""
    by_name = {c.corruption: replace(c, drop=None) if alone else c for c in quality.robustness}
    return (_clean(quality), *(_cell(by_name[name]) if name in by_name else units.MISSING for name in names))


def _clean(quality: Quality) -> str:
    found = quality.value if quality.value is not None else quality.agreement
    return units.percent(found) if found is not None else units.MISSING


def _cell(found: CorruptedQuality) -> str:
    """`71.2 % (−1.4 [−3.0, 0.2])`: the points are those gained on the baseline under the same corruption."""
    if found.value is None:
        return f"{units.percent(found.agreement)} agree" if found.agreement is not None else units.MISSING
    if found.drop is None or found.drop_lo95 is None or found.drop_hi95 is None:
        return units.percent(found.value)
    gained, low, high = (_points(-x) for x in (found.drop, found.drop_hi95, found.drop_lo95))
    return f"{units.percent(found.value)} ({gained} [{low}, {high}])"


def _points(share: float) -> str:
    points = round(share * 100, 1)
    return f"{points:+.1f}".replace("-", "\N{MINUS SIGN}") if points else "0.0"
