"""A report for the terminal: answer, table, what is missing, how it was measured."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.report import prose, units
from harness.report.columns import Cell, Column, columns, rows_scored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.report.document import Report, Section
    from harness.report.missing import MissingGroup
    from harness.report.row import Row

GAP = 2
HEADING_PADDING = 2  # tabulate makes a column this much wider than its heading
RECIPE_WIDTH = 26
FLAT_COLUMNS = 4
MOST_NOTES = 12
MOST_ROWS = 60
LEAST_WIDTH = 40

BOLD, DIM, RED, GREEN, MAGENTA = "1", "2", "31", "32", "35"


@dataclass(frozen=True, slots=True)
class Ink:
    """Colours text, or leaves it as it is."""

    colour: bool

    def __call__(self, code: str, text: str) -> str:
        """Each line in the colour of an ANSI code, reset at its end, so that tables can be built from it."""
        if not self.colour or not text:
            return text
        return "\n".join(f"\x1b[{code}m{line}\x1b[0m" for line in text.split("\n"))


def render_terminal(report: Report, width: int, colour: bool = False) -> str:  # noqa: FBT001, FBT002 - a plain switch
    """Render for a terminal `width` characters wide, with ANSI colours if asked for."""
    width, ink = max(width, LEAST_WIDTH), Ink(colour)
    blocks = ["\n".join(_section(section, width, ink)) for section in report.sections]
    facts = [
        line
        for what, text in prose.method_facts(report.method)
        if what in ("Threads", "Cells timed", "Noise", "Note")
        for line in _wrap(f"{what}: {text}", width, indent="  ")
    ]
    blocks.append("\n".join([ink(BOLD, "How it was measured"), *facts]))
    blocks.append("\n".join(_wrap(prose.outcomes(report), width)))
    return "\n\n".join(blocks) + "\n"


def plain(text: str) -> str:
    """Text on one line and without control characters, which could move the cursor or change the title."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split(" ")).strip()


def _section(section: Section, width: int, ink: Ink) -> Iterator[str]:
    yield ink(BOLD, plain(prose.heading(section)))
    yield from (ink(GREEN, line) for line in _wrap(section.recommendation.sentence, width))
    for doubt in section.recommendation.sure:
        yield from _wrap(f"- {doubt}", width, indent="  ")
    if section.rows:
        yield ""
        yield from _table(section, width, ink)
    for note in section.notes:
        yield from _wrap(f"All rows: {note}", width, indent="  ")
    notes = prose.lineage_notes(section)
    for where, note in notes[:MOST_NOTES]:
        yield from _wrap(f"{where}: {note}", width, indent="  ")
    if len(notes) > MOST_NOTES:
        yield f"and {len(notes) - MOST_NOTES} more notes → see report.md"
    for group in section.missing:
        yield from _missing(group, width, ink)


def _missing(group: MissingGroup, width: int, ink: Ink) -> Iterator[str]:
    label = ink(RED if group.outcome == "failed" else DIM, group.outcome)
    parts = f"{group.outcome} {len(group.cells)}", group.reason, group.error
    yield from _wrap(": ".join(part for part in parts if part), width, indent="  ", first=label)
    yield from _wrap(", ".join(prose.missing_cell(cell) for cell in group.cells), width, start="  ")
    if group.stage:
        yield from _wrap(f"stage {group.stage}, {group.plugin}", width, start="  ")
    if group.hint:
        yield from _wrap(f"Next: {group.hint}", width, start="  ")


def _table(whole: Section, width: int, ink: Ink) -> Iterator[str]:
    from tabulate import tabulate

    section = replace(whole, rows=_first(whole.rows))
    known, empty = columns(section)
    numbers = prose.footnotes(section)
    stacked, shown = _fit(known, section, width)
    head = ["variant", *([] if stacked else ["backend"]), *(_title(column, section, stacked) for column in shown)]
    body = [_line(row, shown, numbers, stacked=stacked, ink=ink) for row in section.rows]
    align = ["left"] * (1 if stacked else 2) + ["right"] * len(shown)
    yield tabulate(body, headers=head, tablefmt="simple", colalign=align, disable_numparse=True)
    if len(section.rows) < len(whole.rows):
        yield f"{len(whole.rows) - len(section.rows):,} slower rows → see report.md"
    yield from _legend(section, width)
    dropped = [column.title for column in known if column not in shown]
    if dropped:
        yield from _wrap(f"Left out for width: {', '.join(dropped)} → see report.md", width, indent="  ")
    if empty:
        yield from _wrap(f"Not known for any row: {', '.join(empty)}.", width, indent="  ")
    for note, number in numbers.items():
        yield from _wrap(f"[{number}] {note}", width, indent="    ")


def _first(rows: Sequence[Row]) -> tuple[Row, ...]:
    """As many rows as somebody reads in a terminal: what is Pareto-optimal or a baseline, and the fastest others."""
    if len(rows) <= MOST_ROWS:
        return tuple(rows)
    order = sorted(range(len(rows)), key=lambda at: (not rows[at].pareto, not rows[at].baseline, at))
    return tuple(rows[at] for at in sorted(order[:MOST_ROWS]))


def _legend(section: Section, width: int) -> Iterator[str]:
    marks = "* Pareto-optimal. " if any(row.pareto for row in section.rows) else ""
    ends = "Brackets: 95 % interval" + (", of estimates 90 %." if any(row.estimate for row in section.rows) else ".")
    yield from _wrap(marks + ends, width, indent="  ")


def _fit(known: Sequence[Column], section: Section, width: int) -> tuple[bool, list[Column]]:
    """Whether intervals go below their value, and the columns that then fit, by importance."""
    numbers = prose.footnotes(section)
    recipe = max(_longest(_recipe(row, numbers)) for row in section.rows)
    backend = max(len("backend") + HEADING_PADDING, *(len(plain(row.backend)) for row in section.rows))
    shown: list[Column] = []
    for stacked in (False, True):
        left = width - (max(recipe, backend + len("in ")) if stacked else recipe + GAP + backend)
        shown = []
        for column in known:
            left -= GAP + _width(column, section, stacked)
            if left < 0 and shown:
                break
            shown.append(column)
        if not stacked and len(shown) > min(FLAT_COLUMNS, len(known)) - 1 and left >= 0:
            break
    return stacked, shown


def _width(column: Column, section: Section, stacked: bool) -> int:  # noqa: FBT001 - which of two layouts
    return max(_longest(_title(column, section, stacked)) + HEADING_PADDING, _cells_width(column, section, stacked))


def _cells_width(column: Column, section: Section, stacked: bool) -> int:  # noqa: FBT001
    return max(_longest(_text(column, column.cell(row), stacked=stacked)) for row in section.rows)


def _title(column: Column, section: Section, stacked: bool) -> str:  # noqa: FBT001
    """Title, unit and kind, broken to the width of the cells below."""
    n = rows_scored(section.rows) if column.key == "quality" else None
    unit = f" in {column.unit}" if column.unit else ""
    keep = "\u00a0"
    parts = f"{column.title}{unit}", column.kind, f"n = {n:,}" if n is not None else ""
    words = plain(", ".join(part for part in parts if part)).replace("n = ", f"n{keep}={keep}")
    words = words.replace(unit, unit[:3] + keep + column.unit) if unit else words
    width = max(_cells_width(column, section, stacked) - HEADING_PADDING, *map(len, words.split(" ")))
    return "\n".join(textwrap.wrap(words, width)).replace(keep, " ")


def _longest(text: str) -> int:
    return max(map(len, text.split("\n")))


def _line(row: Row, shown: Sequence[Column], numbers: dict[str, int], *, stacked: bool, ink: Ink) -> list[str]:
    name = ink(BOLD, _recipe(row, numbers)) if row.pareto else _recipe(row, numbers)
    cells = [_paint(column, column.cell(row), row, stacked=stacked, ink=ink) for column in shown]
    if stacked:
        return [f"{name}\n{ink(DIM, f'in {plain(row.backend)}')}", *cells]
    return [name, plain(row.backend), *cells]


def _paint(column: Column, cell: Cell, row: Row, *, stacked: bool, ink: Ink) -> str:
    text = _text(column, cell, stacked=stacked)
    if cell.kind == "simulated":
        return ink(MAGENTA, text)
    if column.key == "speed" and row.speed and row.speed.verdict != "no difference shown":
        return ink(GREEN if row.speed.verdict == "faster" else RED, text)
    return text


def _text(column: Column, cell: Cell, *, stacked: bool) -> str:
    value = cell.value.removesuffix(f" {column.unit}") if column.unit else cell.value
    parts = [part for part in (value, cell.detail) if part]
    text = ("\n" if stacked else " ").join(parts)
    if stacked:
        text = text.replace("no difference shown", "no difference\nshown")
    # Kept below the number, as it must not be the part that a narrow terminal cuts off.
    return f"{text}\n{cell.kind}" if cell.kind and cell.value != units.MISSING else text


def _recipe(row: Row, numbers: dict[str, int]) -> str:
    """The recipe with its marks, one technique a line when it is long."""
    mark = "* " if row.pareto else ""
    notes = "".join(f" [{number}]" for number in prose.references(row, numbers)) if numbers else ""
    text, width = plain(row.recipe) + notes, RECIPE_WIDTH - len("* ")
    if len(text) <= width:
        return mark + text
    techniques = re.split(r"(?=\+)", text)
    lines = [
        line
        for technique in techniques
        for line in textwrap.wrap(technique.replace("(", " ("), width, break_on_hyphens=False)
    ]
    return mark + "\n".join(lines)


def _wrap(text: str, width: int, *, indent: str = "", start: str = "", first: str = "") -> list[str]:
    """Wrapped lines; `first` replaces the first word, coloured."""
    lines = textwrap.wrap(plain(text), width, initial_indent=start, subsequent_indent=start + indent) or [""]
    if first:
        lines[0] = first + lines[0][len(lines[0].split(" ", 1)[0]) :]
    return lines
