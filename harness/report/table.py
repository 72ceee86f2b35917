"""The table of a section laid out for a page, and the numbers that its script sorts, filters and draws by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.report import prose, units
from harness.report.bars import Bar, Scale, bar, bar_scale
from harness.report.chart import axis_title, memory, series
from harness.report.choice import fits, needs_option
from harness.report.columns import columns, rows_scored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.columns import Cell, Column, Kind
    from harness.report.document import Section
    from harness.report.row import Row

PAGE_ROWS = 200
"""How many rows of a section stand in the document at a time."""

MAIN_BARS = frozenset({"host", "device"})
"""Columns whose intervals are drawn in a report of any size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """Heading of a column.

    Attributes:
        label: What a cell is, in a card without a heading.
        place: `host` or `device`, where the column is about one of them.
    """

    title: str
    kind: Kind
    note: str
    label: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A cell with its interval drawn.

    Attributes:
        look: The kind that colours it.
        words: Whether it may be broken over lines, as numbers may not.
    """

    value: str
    detail: str
    kind: Kind
    look: Kind
    bar: Bar | None
    words: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the table."""

    recipe: str
    backend: str
    series: int
    pareto: bool
    baseline: bool
    notes: tuple[int, ...]
    cells: tuple[Drawn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Everything that the table of a section shows.

    Attributes:
        lines: Rows in order: the first `PAGE_ROWS` stand in the document, the others wait beside it.
        empty: Columns left out because no row has a number for them.
        colours: Number of the colour of each backend.
        kinds: Kinds of numbers that rows hold.
        data: The numbers, as JSON that may stand in a script element.
    """

    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]
    empty: tuple[str, ...]
    footnotes: tuple[tuple[int, str], ...]
    colours: tuple[tuple[str, int], ...]
    kinds: tuple[str, ...]
    data: str


def lay_out(section: Section, *, every_bar: bool) -> Table:
    """Lay out the table of a section.

    Args:
        section: With at least one row.
        every_bar: Whether every interval is drawn, or only those of latency.
    """
    known, empty = columns(section)
    cells = [[column.cell(row) for column in known] for row in section.rows]
    scales = [
        _scale([line[at] for line in cells], column) if every_bar or column.key in MAIN_BARS else None
        for at, column in enumerate(known)
    ]
    numbers = prose.footnotes(section)
    colours = series(section)
    kinds = [_kinds(row) for row in section.rows]
    return Table(
        headings=tuple(_heading(column, section) for column in known),
        lines=tuple(
            Line(
                recipe=row.recipe,
                backend=row.backend,
                series=colours[row.backend],
                pareto=row.pareto,
                baseline=row.baseline,
                notes=prose.references(row, numbers),
                cells=tuple(map(_drawn, line, scales, known)),
            )
            for row, line in zip(section.rows, cells, strict=True)
        ),
        empty=empty,
        footnotes=tuple((number, note) for note, number in numbers.items()),
        colours=tuple(colours.items()),
        kinds=tuple(kind for kind in ("measured", "estimated", "simulated") if any(kind in found for found in kinds)),
        data=as_script(
            {
                "columns": [_axis(column) for column in known],
                "x": "device" if section.axes.latency == "estimated" else "host",
                "y": "quality" if section.axes.quality == "value" else "agreement",
                "colours": colours,
                "rows": [
                    [_flags(row, found), _short(memory(row, section), 3), *map(_numbers, line)]
                    for row, line, found in zip(section.rows, cells, kinds, strict=True)
                ],
            }
        ),
    )


def as_script(value: Any) -> str:
    """JSON in which nothing ends a script element or a line of a script."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _heading(column: Column, section: Section) -> Heading:
    n = rows_scored(section.rows) if column.key == "quality" else None
    place = {"measured": "host", "estimated": "device"}.get(column.kind, "")
    return Heading(
        title=column.title,
        kind=column.kind,
        note=f"n = {n:,}" if n is not None else "",
        label=f"{column.title}, {column.kind}" if column.kind else column.title,
        place=place,
    )


def _scale(cells: Sequence[Cell], column: Column) -> Scale | None:
    return bar_scale([cell.span for cell in cells if cell.span], log=column.log)


def _drawn(cell: Cell, scale: Scale | None, column: Column) -> Drawn:
    return Drawn(
        value=cell.value,
        detail=cell.detail,
        kind=cell.kind,
        look=cell.kind or column.kind,
        bar=bar(cell.span, scale) if cell.span and scale else None,
        words=column.key == "speed",
    )


def _axis(column: Column) -> dict[str, Any]:
    return {
        "key": column.key,
        "title": column.title,
        "axis": column.axis,
        "label": axis_title(column),
        "kind": column.kind,
        "ticks": column.ticks,
        "fewer": column.fewer,
    }


def _kinds(row: Row) -> tuple[str, ...]:
    kinds = ("measured",) if row.host else ()
    return (*kinds, row.estimate.kind) if row.estimate else kinds


def _flags(row: Row, kinds: Sequence[str]) -> str:
    """Letters for what is true: Pareto-optimal, baseline, does not fit, needs an option; and of each kind of number."""
    true = {"p": row.pareto, "b": row.baseline, "x": not fits(row), "o": needs_option(row)}
    return "".join(letter for letter, holds in true.items() if holds) + "".join(kind[0] for kind in kinds)


def _numbers(cell: Cell) -> float | list[float | None] | None:
    """What is sorted and drawn: the number, or the number with the ends of its interval."""
    if cell.order is None or cell.value == units.MISSING:
        return None
    if cell.span is None:
        return _short(cell.order)
    return [_short(cell.order), _short(cell.span[0], 3), _short(cell.span[2], 3)]


def _short(value: float | None, digits: int = 6) -> float | None:
    """A number with as many significant digits as a picture or an order needs."""
    if value is None:
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() else rounded
