"""One section of a Markdown report, in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report import prose
from harness.report.columns import Column, columns, rows_scored
from harness.report.markdown_blocks import Block
from harness.report.markdown_runtimes import runtime_block
from harness.report.markdown_text import cell_text, escape, folded
from harness.report.operators import NOTE, Breakdown, breakdown, summary
from harness.report.robustness import RobustnessTable, robustness
from harness.report.why import Explained, explained

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from harness.report.document import Origin, Section
    from harness.report.row import Row

FEW_ROWS = 40
"""Rows of a table that are kept where all of them would be too long for GitHub."""

FEW_NOTES = 8
"""More notes than this are folded."""

FIRST = frozenset({"host", "device", "quality", "speed", "drop", "download"})
"""Columns that GitHub has room for; the others are folded."""


def section_blocks(section: Section, picture: str) -> Iterator[Block]:
    """Heading, doubts, tables, what is folded and what is missing.

    Args:
        picture: End of the name of its picture's file, "" without one.
    """
    where = escape(prose.heading(section))
    lines = [f"## {where}", ""]
    if picture:
        lines += [f"![{_alternative(section)}](report{picture})", ""]
    yield Block(kind="heading", what=where, lines=tuple(lines))
    if section.recommendation.sure:
        lines = ["How sure is the answer?", "", *(f"- {escape(doubt)}" for doubt in section.recommendation.sure), ""]
        yield Block(kind="sure", what=f"how sure the answer for {where} is", lines=tuple(lines))
    if section.rows:
        yield from _tables(section)
        yield from runtime_block(section)
        yield from some("why", f"why variants are not faster ({where})", _why(section))
        yield from some("robustness", f"quality under corrupted inputs ({where})", _robustness(section))
        yield from some("operators", f"where the time goes ({where})", _operators(section))
        yield from some("lineage", f"how each variant was made ({where})", _origins(section))
    if section.missing:
        yield from some("missing", f"what is missing ({where})", _missing(section))


def some(kind: str, what: str, lines: Iterable[str]) -> Iterator[Block]:
    """A block, or none where there is nothing to say."""
    found = tuple(lines)
    if found:
        yield Block(kind=kind, what=what, lines=found)


def _alternative(section: Section) -> str:
    """What a reader is told who does not see the picture."""
    chosen = section.recommendation.row
    what = f"; recommended: {chosen.recipe} in {chosen.backend}" if chosen else ""
    return escape(f"Quality against latency of {prose.heading(section)}{what}").replace("]", r"\]")


def _tables(section: Section) -> Iterator[Block]:
    """The columns that matter most, then all others folded, then notes."""
    known, empty = columns(section)
    where = escape(prose.heading(section))
    agreement = section.axes.quality != "value" or section.axes.sharper
    first = [column for column in known if column.key in FIRST or (column.key == "agreement" and agreement)]
    others = [column for column in known if column not in first]
    kept = prose.first_rows(section.rows, FEW_ROWS)
    hidden = len(section.rows) - len(kept)
    lines = tuple(_rows(section, first))
    yield Block(
        kind="table",
        what=f"{hidden:,} slower rows ({where})" if hidden else f"all rows ({where})",
        lines=(*lines, ""),
        brief=(*lines[:2], *(lines[2 + at] for at in kept), "") if hidden else (),
    )
    if others:
        names = ", ".join(column.title for column in others)
        yield Block(
            kind="others",
            what=f"{escape(names)} ({where})",
            lines=tuple(folded(f"Also: {names}", _rows(section, others))),
        )
    numbers = prose.footnotes(section)
    yield Block(kind="notes", what=f"notes on rows ({where})", lines=tuple(_below(section, numbers, empty)))


def _rows(section: Section, shown: Sequence[Column]) -> Iterator[str]:
    """A table, its heading in two lines."""
    numbers = prose.footnotes(section)
    yield f"| variant | backend | {' | '.join(_title(column, section) for column in shown)} |"
    yield f"|---|---|{'--:|' * len(shown)}"
    for row in section.rows:
        cells = [cell_text(column.cell(row)) for column in shown]
        yield f"| {_name(row, numbers)} | {escape(row.backend)} | {' | '.join(cells)} |"


def _below(section: Section, numbers: Mapping[str, int], empty: Sequence[str]) -> Iterator[str]:
    """How to read the table, and what holds for its rows; folded where it is long."""
    ends = "Brackets hold 95 % intervals" + (
        ", of estimates 90 %." if any(row.estimate for row in section.rows) else "."
    )
    yield f"★ Pareto-optimal. {ends}"
    if empty:
        yield f"Not known for any row: {escape(', '.join(empty))}."
    yield ""
    lines = (
        *(f"- [{number}] {escape(note)}" for note, number in numbers.items()),
        *(f"- All rows: {escape(note)}" for note in section.notes),
        *(f"- All timed rows: {escape(note)}" for note in section.timed_notes),
        *(f"- Estimates of {escape(basis)}" for basis in section.bases),
        *(f"- Energy of {escape(basis)}" for basis in section.energy_bases),
        *(f"- Data: {escape(line)}" for line in section.data),
    )
    if len(lines) > FEW_NOTES:
        yield from folded(f"Notes, data and what the estimates rest on ({len(lines):,})", lines)
    else:
        yield from lines
        yield ""


def _title(column: Column, section: Section) -> str:
    n = rows_scored(section.rows) if column.key == "quality" else None
    parts = [column.title, column.kind, f"n = {n:,}" if n is not None else ""]
    return escape(", ".join(part for part in parts if part))


def _name(row: Row, numbers: Mapping[str, int]) -> str:
    notes = "".join(f" [{number}]" for number in prose.references(row, numbers))
    star = "★ " if row.pareto else ""
    name = f"**{escape(row.recipe)}**" if row.baseline else escape(row.recipe)
    return f"{star}{name}{notes}"


def _origins(section: Section) -> Iterator[str]:
    yield from folded(f"How each variant was made ({len(section.origins):,})", _origin_lines(section))


def _origin_lines(section: Section) -> Iterator[str]:
    told: list[Origin] = []
    for origin in section.origins:
        yield f"- **{escape(origin.recipe)}** in {escape(', '.join(origin.backends))}: " + escape(
            prose.variant_facts(origin.variant)
        )
        other, alike = prose.told_before(origin, told)
        if other:
            first = "Step 1 is that" if alike == 1 else f"Steps 1 to {alike} are those"
            yield f"  - {first} of {escape(other.recipe)} in {escape(', '.join(other.backends))}"
        for number, step in enumerate(origin.variant.lineage[alike:], start=alike + 1):
            yield f"  {number}. {escape(prose.step(step))}"
            yield from (f"     - {escape(note)}" for note in step.notes)
        told.append(origin)


def _operators(section: Section) -> Iterator[str]:
    """Where the time of the recommended row and of its baseline goes."""
    chosen = section.recommendation.row or section.recommendation.nearest
    if chosen is None or not chosen.operators:
        return
    base = next((row for row in section.rows if row.baseline and row.backend == chosen.backend), None)
    rows = [chosen] if base is None or base is chosen or not base.operators else [base, chosen]
    found = [breakdown(row) for row in rows]
    names = " and ".join(row.recipe for row in found)
    yield from folded(f"Where the time goes: {names} in {chosen.backend}", _operator_lines(found))


def _operator_lines(found: Sequence[Breakdown]) -> Iterator[str]:
    yield escape(NOTE)
    for row in found:
        yield ""
        yield f"**{escape(row.recipe)}:** {escape(summary(row))}"
        yield ""
        yield "| operator | kind | precision | share |"
        yield "|---|---|---|--:|"
        yield from (
            f"| {escape(op.name)} | {escape(op.kind)} | {escape(op.precision)} | {op.share} |" for op in row.top
        )
        if row.left:
            yield f"| and {row.left:,} more | | | {row.left_share} |"


def _why(section: Section) -> Iterator[str]:
    found = explained(section)
    if found:
        yield from folded(prose.WHY, _why_lines(found))


def _why_lines(found: Sequence[Explained]) -> Iterator[str]:
    for row in found:
        speed = f" ({escape(row.speed)})" if row.speed else ""
        yield f"- **{escape(row.name)}**{speed}"
        yield from (f"  - {escape(reason)}" for reason in row.reasons)


def _robustness(section: Section) -> Iterator[str]:
    found = robustness(section)
    if found:
        yield from folded(prose.ROBUSTNESS, _robustness_lines(found))


def _robustness_lines(found: RobustnessTable) -> Iterator[str]:
    yield f"| variant | backend | {' | '.join(escape(name) for name in ('clean', *found.corruptions))} |"
    yield f"|---|---|{'--:|' * (1 + len(found.corruptions))}"
    for recipe, backend, cells in found.rows:
        yield f"| {escape(recipe)} | {escape(backend)} | {' | '.join(escape(cell) for cell in cells)} |"
    yield ""
    yield escape(prose.robustness_words(found.n))


def _missing(section: Section) -> Iterator[str]:
    yield "### Missing"
    yield ""
    for group in section.missing:
        yield f"- **{escape(prose.missing_where(group))}:** {escape(group.reason)}"
        if group.error:
            yield f"  - What happened: {escape(group.error)}"
        yield from (f"  - {escape(prose.missing_cell(cell))}" for cell in group.cells)
        if group.hint:
            yield f"  - Next: {escape(group.hint)}"
    yield ""
