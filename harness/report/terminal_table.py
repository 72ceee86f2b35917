"""The table of a report in a terminal, laid out for its width."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from harness.report import prose, units
from harness.report.columns import SAME, Cell, Column, columns, rows_scored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.report.document import Section
    from harness.report.row import Row

GAP = 2
RECIPE_WIDTH = 24
MOST_ROWS = 60
WIDEST_PROSE = 110
SEE = "→ see report.md"

BREVITY = 4
"""With fewer columns than this on one line a row, rows take several lines."""

BOLD, DIM, RED, GREEN, MAGENTA = "1", "2", "31", "32", "35"

Style = Literal["wide", "brief", "stacked"]
"""Everything on one line; one line with shortened intervals; intervals below their value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ink:
    """Colours text, or leaves it as it is."""

    colour: bool

    def __call__(self, code: str, text: str) -> str:
        """Each line in the colour of an ANSI code, reset at its end, so that tables can be built from it."""
        if not self.colour or not text:
            return text
        return "\n".join(f"\x1b[{code}m{line}\x1b[0m" for line in text.split("\n"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a section is laid out.

    Attributes:
        names: What stands for a recipe, where that is not its full text.
        notes: Footnotes with their numbers.
        left_out: How many rows are not in it.
    """

    style: Style
    section: Section
    columns: tuple[Column, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0


def plain(text: str) -> str:
    """Text on one line and without control characters, which could move the cursor or change the title."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split(" ")).strip()


def wrap(text: str, width: int, *, indent: str = "", start: str = "", first: str = "") -> list[str]:
    """Wrapped lines; `first` replaces the first word, coloured."""
    lines = textwrap.wrap(
        plain(text),
        min(width, WIDEST_PROSE),
        initial_indent=start,
        subsequent_indent=start + indent,
        break_on_hyphens=False,
    ) or [""]
    if first:
        lines[0] = first + lines[0][len(lines[0].split(" ", 1)[0]) :]
    return lines


def lay_out(whole: Section, width: int) -> Layout:
    """The layout of a section that has rows."""
    section = replace(whole, rows=_first(whole.rows))
    known, _ = columns(section)
    return replace(_fit(known, section, width), left_out=len(whole.rows) - len(section.rows))


def table(layout: Layout, ink: Ink, width: int) -> Iterator[str]:
    """Lines of the table of a section, with its footnotes."""
    from tabulate import tabulate

    names = ["variant"] if layout.style == "stacked" else ["variant", "backend"]
    head = [*names, *(_title(column, layout) for column in layout.columns)]
    body = [_line(row, layout, ink) for row in layout.section.rows]
    align = ["left"] * len(names) + ["right"] * len(layout.columns)
    lines = tabulate([head, *body], tablefmt="plain", colalign=align, disable_numparse=True).split("\n")
    high = max(title.count("\n") + 1 for title in head)
    # As a row of its own a heading needs no more room than its words; tabulate's headings take two characters more.
    yield from lines[:high]
    yield "─" * min(max(len(line) for line in lines[:high]), width)
    yield from lines[high:]
    if layout.left_out:
        yield f"{layout.left_out:,} slower rows {SEE}"
    for note, number in layout.notes.items():
        yield from wrap(f"[{number}] {note}", width, indent="    ")


def legend(layouts: Sequence[Layout], width: int) -> Iterator[str]:
    """How to read the tables, and which columns they leave out."""
    if not layouts:
        return
    rows = [row for layout in layouts for row in layout.section.rows]
    parts = ["* Pareto-optimal."] if any(row.pareto for row in rows) else []
    parts.append("Brackets: 95 % interval" + (", of estimates 90 %." if any(row.estimate for row in rows) else "."))
    if any(column.key == "speed" and layout.style == "brief" for layout in layouts for column in layout.columns):
        parts.append(f"Speed: against the baseline of the same backend, {SAME} no difference shown.")
    options = dict.fromkeys(name for layout in layouts for name in layout.names)
    if options:
        parts.append(f"In full: {', '.join(options)}.")
    yield from wrap(" ".join(parts), width, indent="  ")
    known = [columns(layout.section) for layout in layouts]
    dropped = dict.fromkeys(
        column.title
        for (found, _), layout in zip(known, layouts, strict=True)
        for column in found
        if column.key not in {shown.key for shown in layout.columns}
    )
    if dropped:
        yield from wrap(f"Left out for width: {', '.join(dropped)} {SEE}", width, indent="  ")
    empty = dict.fromkeys(title for _, titles in known for title in titles)
    if len(layouts) == 1 and empty:
        yield from wrap(f"Not known for any row: {', '.join(empty)}.", width, indent="  ")


def _first(rows: Sequence[Row]) -> tuple[Row, ...]:
    """As many rows as somebody reads in a terminal: what is Pareto-optimal or a baseline, and the fastest others."""
    if len(rows) <= MOST_ROWS:
        return tuple(rows)
    order = sorted(range(len(rows)), key=lambda at: (not rows[at].pareto, not rows[at].baseline, at))
    return tuple(rows[at] for at in sorted(order[:MOST_ROWS]))


def _fit(known: Sequence[Column], section: Section, width: int) -> Layout:
    """The first style in which enough columns fit, with those that do, by importance."""
    notes = prose.footnotes(section)
    for style, enough in (("wide", len(known)), ("brief", min(BREVITY, len(known))), ("stacked", 0)):
        names = _short_names(section.rows) if style == "brief" else {}
        layout = Layout(style=style, section=section, names=names, notes=notes)  # type: ignore[arg-type]
        found = _fitting(known, layout, width)
        if len(found) >= enough:
            break
    return replace(layout, columns=tuple(found))


def _fitting(known: Sequence[Column], layout: Layout, width: int) -> list[Column]:
    rows = layout.section.rows
    recipe = max(_longest(_recipe(row, layout)) for row in rows)
    backend = max(len("backend"), *(len(plain(row.backend)) for row in rows))
    left = width - (max(recipe, backend + len("in ")) if layout.style == "stacked" else recipe + GAP + backend)
    found: list[Column] = []
    for column in known:
        left -= GAP + max(_longest(_title(column, layout)), _cells_width(column, layout))
        if left < 0 and (found or layout.style != "stacked"):
            break
        found.append(column)
    return found


def _short_names(rows: Sequence[Row]) -> dict[str, str]:
    """Recipes without their options, where that still tells them apart."""
    found: dict[str, list[str]] = {}
    for recipe in dict.fromkeys(row.recipe for row in rows):
        found.setdefault(re.sub(r"\([^()]*\)", "", recipe), []).append(recipe)
    return {same[0]: short for short, same in found.items() if len(same) == 1 and short and short != same[0]}


def _cells_width(column: Column, layout: Layout) -> int:
    return max(_longest(_text(column, column.cell(row), layout.style)) for row in layout.section.rows)


def _title(column: Column, layout: Layout) -> str:
    """Title, unit and kind, broken to the width of the cells below."""
    if layout.style == "brief":
        return "\n".join(plain(line) for line in column.short.split("\n"))
    keep = "\u00a0"
    n = rows_scored(layout.section.rows) if column.key == "quality" else None
    unit = f" in {column.unit}" if column.unit else ""
    parts = f"{column.title}{unit}", column.kind, f"n = {n:,}" if n is not None else ""
    words = plain(", ".join(part for part in parts if part)).replace("n = ", f"n{keep}={keep}")
    words = words.replace(unit, unit[:3] + keep + column.unit) if unit else words
    width = max(_cells_width(column, layout), *map(len, words.split(" ")))
    return "\n".join(textwrap.wrap(words, width)).replace(keep, " ")


def _longest(text: str) -> int:
    return max(map(len, text.split("\n")))


def _line(row: Row, layout: Layout, ink: Ink) -> list[str]:
    name = ink(BOLD, _recipe(row, layout)) if row.pareto else _recipe(row, layout)
    cells = [_paint(column, row, layout.style, ink) for column in layout.columns]
    if layout.style == "stacked":
        return [f"{name}\n{ink(DIM, f'in {plain(row.backend)}')}", *cells]
    return [name, plain(row.backend), *cells]


def _paint(column: Column, row: Row, style: Style, ink: Ink) -> str:
    cell = column.cell(row)
    text = _text(column, cell, style)
    if cell.kind == "simulated":
        return ink(MAGENTA, text)
    if column.key == "speed" and row.speed and row.speed.verdict != "no difference shown":
        return ink(GREEN if row.speed.verdict == "faster" else RED, text)
    return text


def _text(column: Column, cell: Cell, style: Style) -> str:
    value = cell.value.removesuffix(f" {column.unit}") if column.unit else cell.value
    if style == "brief":
        text = cell.short or value
    else:
        text = ("\n" if style == "stacked" else " ").join(part for part in (value, cell.detail) if part)
    if style == "stacked":
        text = text.replace("no difference shown", "no difference\nshown")
    # Kept below the number, as it must not be the part that a narrow terminal cuts off.
    return f"{text}\n{cell.kind}" if cell.kind and cell.value != units.MISSING else text


def _recipe(row: Row, layout: Layout) -> str:
    """The recipe with its marks, one technique a line when it is long."""
    mark = "* " if row.pareto else ""
    notes = "".join(f" [{number}]" for number in prose.references(row, layout.notes)) if layout.notes else ""
    text = plain(layout.names.get(row.recipe, row.recipe)) + notes
    if len(text) <= RECIPE_WIDTH:
        return mark + text
    lines = [
        line
        for technique in re.split(r"(?=\+)", text)
        for line in textwrap.wrap(technique.replace("(", " ("), RECIPE_WIDTH, break_on_hyphens=False)
    ]
    return mark + "\n".join(lines)
