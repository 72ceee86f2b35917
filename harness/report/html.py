"""A report as one HTML file that works offline, in light and dark, on paper, on a telephone, and without scripts."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.report import noise, operators, prose, units
from harness.report.chart import PAGE, chart_library, missing_library, page_chart, pareto_chart, pareto_svg
from harness.report.columns import columns
from harness.report.lineage import Lineage, lineages
from harness.report.operators import Breakdowns, breakdowns
from harness.report.plain import plain
from harness.report.robustness import RobustnessTable, robustness
from harness.report.runtimes import Runtimes, runtimes
from harness.report.table import PAGE_ROWS, as_script, lay_out
from harness.report.why import Explained, explained

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jinja2
    from markupsafe import Markup

    from harness.report.columns import Column, Kind
    from harness.report.document import Report, Section
    from harness.report.table import Table

TEMPLATES = Path(__file__).parent / "templates"

LARGE = 1_000
"""Rows of a report above which only intervals of latency are drawn in tables."""

TOLD = 100
"""How many rows of a report are told at length below their tables, besides those of the front and baselines."""

STILL = 2_000
"""How many points all still pictures of a report may have together."""

PICTURES = 20
"""How many sections have a still picture, each of which takes a twelfth of a second; a script draws the others."""

LATER = '<p class="small">This chart is drawn when scripts run and it comes into view.</p>'

UNIT = re.compile(r"(?<=\d) (?=(?:%|µs|ms|s|mJ|B|kB|MB|GB)(?!\w))")

BREAKS = re.compile(r"(?=[+(])|(?<=,)")


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
    """A section, laid out.

    Attributes:
        section: What is told below the table: in a large report of some of its rows only.
        picture: The chart as SVG, what stands in its place until a script draws it, or "" where there is none.
    """

    anchor: str
    section: Section
    tiles: tuple[Tile, ...]
    table: Table | None
    picture: str
    explained: tuple[Explained, ...]
    runtimes: Runtimes | None
    robustness: RobustnessTable | None
    breakdowns: Breakdowns | None
    lineages: tuple[Lineage, ...]


def render_html(report: Report) -> str:
    """Render as one file; every string of a record is escaped, and nothing is loaded from anywhere."""
    rows = sum(len(section.rows) for section in report.sections)
    lacking = missing_library()
    views = [
        _view(number, section, report, drawn=lacking is None) for number, section in enumerate(report.sections, start=1)
    ]
    library = chart_library() if any(view.picture for view in views) else ""
    style, script = f"{_joined('*.css')}\n{_labels(views)}", _joined("*.js")
    allowed = " ".join(f"'{_hash(text)}'" for text in (library, script) if text)
    return (
        _templates()
        .get_template("report.html.j2")
        .render(
            report=report,
            views=views,
            rows=rows,
            told=sum(len(view.section.rows) for view in views),
            lacking=lacking,
            library=library,
            specification=as_script(page_chart()) if library else "",
            style=style,
            script=script,
            policy=f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src {allowed}",
            prose=prose,
            operators=operators,
            noise=noise,
            page_rows=PAGE_ROWS,
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
        finalize=_plain,
    )
    environment.filters["breakable"] = _breakable
    environment.filters["whole"] = _whole
    return environment


def _breakable(text: str) -> Markup:
    """A recipe, escaped, that may be broken before its techniques and options and nowhere else."""
    from markupsafe import Markup

    return Markup("<wbr>").join(BREAKS.split(plain(text)))


def _plain(value: object) -> object:
    """Text of a record as text; what this module made itself stays as it is."""
    from markupsafe import Markup

    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _whole(text: str) -> str:
    """A sentence in which no line ends between a number and its unit."""
    return UNIT.sub("\u00a0", text)


@cache
def _joined(pattern: str) -> str:
    """All templates of a kind, by name."""
    return "\n".join(path.read_text(encoding="utf-8").strip() for path in sorted(TEMPLATES.glob(pattern)))


def _hash(text: str) -> str:
    """Hash of an inline style or script for the content security policy, which then admits no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _view(number: int, section: Section, report: Report, *, drawn: bool) -> View:
    sections, rows = len(report.sections), sum(len(section.rows) for section in report.sections)
    told = section if rows <= TOLD else _told(section, TOLD // sections)
    return View(
        anchor=f"s{number}",
        section=told,
        tiles=_tiles(section, columns(section)[0]),
        table=lay_out(section, every_bar=rows <= LARGE) if section.rows else None,
        picture=_picture(section, STILL // sections, still=number <= PICTURES) if drawn else "",
        explained=explained(told),
        runtimes=runtimes(section),
        robustness=robustness(told),
        breakdowns=breakdowns(told),
        lineages=lineages(told),
    )


def _picture(section: Section, most: int, *, still: bool) -> str:
    if still:
        return pareto_svg(section, PAGE, most=min(most, 1_000))
    return LATER if pareto_chart(section, PAGE) else ""


def _told(section: Section, most: int) -> Section:
    """The section with so many of its rows: Pareto-optimal ones and baselines always, then the fastest."""
    matters = [row.pareto or row.baseline for row in section.rows]
    others = [at for at, holds in enumerate(matters) if not holds]
    kept = set(others[: max(0, most - sum(matters))])
    rows = tuple(row for at, row in enumerate(section.rows) if matters[at] or at in kept)
    files = {(row.recipe, row.variant.sha256) for row in rows if row.variant}
    origins = tuple(origin for origin in section.origins if (origin.recipe, origin.variant.sha256) in files)
    return replace(section, rows=rows, origins=origins)


def _labels(views: Sequence[View]) -> str:
    """A rule for each column of each table: what its cells are called in a card, which has no headings."""
    return "\n".join(
        f'#{view.anchor} .rows td:nth-of-type({at})::before {{ content: "{_css(heading.label)}"; }}'
        for view in views
        if view.table
        for at, heading in enumerate(view.table.headings, start=1)
    )


def _css(text: str) -> str:
    """Text for a string of a style sheet, with everything but letters and digits escaped."""
    return re.sub(r"[^0-9A-Za-z ]", lambda found: f"\\{ord(found[0]):x} ", text)


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
