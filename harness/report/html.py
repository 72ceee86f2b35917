"""A report as one HTML file that works offline, without scripts, in light and dark, on paper and on a telephone."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.report import prose, units
from harness.report.columns import Cell, Column, Kind, columns, rows_scored
from harness.report.plot import Bar, Scale, Scatter, bar, bar_scale, scatter, series
from harness.report.robustness import RobustnessTable, robustness
from harness.report.why import Explained, explained

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

    from harness.report.document import Report, Section
    from harness.report.row import Row

TEMPLATES = Path(__file__).parent / "templates"
BAR_WIDTH = 88
WIDE, NARROW = (1040, 380), (343, 320)
"""Sizes of the scatter: one for a screen, one for a telephone."""

UNIT = re.compile(r"(?<=\d) (?=(?:%|µs|ms|s|mJ|B|kB|MB|GB)(?!\w))")

BREAKS = re.compile(r"(?=[+(])|(?<=,)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """Heading of a column."""

    title: str
    kind: Kind
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A cell with its interval drawn.

    Attributes:
        label: What the cell is, for cards without a heading.
        words: Whether it may be broken over lines, as numbers may not.
    """

    cell: Cell
    label: str
    bar: Bar | None
    kind: Kind
    words: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the table."""

    row: Row
    series: int
    notes: tuple[int, ...]
    cells: tuple[Drawn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number of the answer."""

    title: str
    kind: Kind
    value: str
    detail: str
    against: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A section, laid out."""

    anchor: str
    section: Section
    tiles: tuple[Tile, ...]
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]
    empty: tuple[str, ...]
    footnotes: tuple[tuple[int, str], ...]
    colours: tuple[tuple[str, int], ...]
    wide: Scatter | None
    narrow: Scatter | None
    explained: tuple[Explained, ...]
    robustness: RobustnessTable | None


def render_html(report: Report) -> str:
    """Render as one file; every string of a record is escaped, and nothing is loaded from anywhere."""
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return (
        _templates()
        .get_template("report.html.j2")
        .render(
            report=report,
            views=[_view(number, section) for number, section in enumerate(report.sections, start=1)],
            style=style,
            script=script,
            policy=f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'",
            prose=prose,
            bar_width=BAR_WIDTH,
        )
    )


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    environment.filters["whole"] = _whole
    return environment


def _breakable(text: str) -> Markup:
    """A recipe, escaped, that may be broken before its techniques and options and nowhere else."""
    from markupsafe import Markup

    return Markup("<wbr>").join(BREAKS.split(text))


def _whole(text: str) -> str:
    """A sentence in which no line ends between a number and its unit."""
    return UNIT.sub("\u00a0", text)


def _hash(text: str) -> str:
    """Hash of an inline style or script for the content security policy, which then admits no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _view(number: int, section: Section) -> View:
    known, empty = columns(section)
    numbers = prose.footnotes(section)
    colours = series(section)
    cells = [[column.cell(row) for column in known] for row in section.rows]
    scales = [
        bar_scale([line[at].span for line in cells if line[at].span], BAR_WIDTH, log=column.log)  # type: ignore[misc]
        for at, column in enumerate(known)
    ]
    return View(
        anchor=f"s{number}",
        section=section,
        tiles=_tiles(section, known),
        headings=tuple(_heading(column, section) for column in known),
        lines=tuple(
            Line(
                row=row,
                series=colours[row.backend],
                notes=prose.references(row, numbers),
                cells=tuple(map(_drawn, line, scales, known)),
            )
            for row, line in zip(section.rows, cells, strict=True)
        ),
        empty=empty,
        footnotes=tuple((number, note) for note, number in numbers.items()),
        colours=tuple(colours.items()),
        wide=scatter(section, *WIDE),
        narrow=scatter(section, *NARROW),
        explained=explained(section),
        robustness=robustness(section),
    )


def _heading(column: Column, section: Section) -> Heading:
    n = rows_scored(section.rows) if column.key == "quality" else None
    return Heading(
        title=column.title,
        kind=column.kind,
        note=f"n = {n:,}" if n is not None else "",
    )


def _drawn(cell: Cell, scale: Scale | None, column: Column) -> Drawn:
    kind = cell.kind or column.kind
    return Drawn(
        cell=cell,
        label=f"{column.title}, {kind}" if kind else column.title,
        bar=bar(cell.span, scale) if cell.span and scale else None,
        kind=kind,
        words=column.key == "speed",
    )


def _tiles(section: Section, known: tuple[Column, ...]) -> tuple[Tile, ...]:
    """The answer's numbers beside those of its baseline: latency, measured speed, quality, download."""
    chosen, reference = section.recommendation.row, section.recommendation.reference
    if chosen is None:
        return ()
    first = "device" if section.axes.latency == "estimated" else "host"
    qualities = ["quality"] if section.axes.quality == "value" else ["agreement"]
    qualities += ["agreement"] if section.axes.sharper else []
    by_key = {column.key: column for column in known}
    tiles = []
    for column in (by_key[key] for key in (first, "speed", *qualities, "download") if key in by_key):
        cell = column.cell(chosen)
        base = column.cell(reference).value if reference else units.MISSING
        if cell.value == units.MISSING:
            continue
        tiles.append(
            Tile(
                title=column.title,
                kind=cell.kind or column.kind,
                value=cell.value,
                detail=cell.detail,
                against=f"baseline {base}" if base != units.MISSING else "",
            )
        )
    return tuple(tiles)
