"""A report as GitHub Markdown."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from harness.report import prose
from harness.report.columns import Column, columns, rows_scored
from harness.report.robustness import robustness
from harness.report.why import explained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.document import Origin, Report, Section
    from harness.report.row import Row

SPECIAL = re.compile(r"[\\`*_|#~$]|\](?=[(\[:])")


def render_markdown(report: Report) -> str:
    """Render as GitHub Markdown; every name and message of a record appears as the text that it is."""
    return "\n".join(_lines(report)) + "\n"


def escape(text: str) -> str:
    """Text on one line in which nothing is markup, HTML, a mention or a table's border."""
    return SPECIAL.sub(r"\\\g<0>", html.escape(" ".join(text.split()), quote=False))


def _lines(report: Report) -> Iterator[str]:
    yield f"# Benchmark {escape(report.run)}".rstrip()
    yield ""
    yield f"{escape(prose.outcomes(report))}."
    yield ""
    for section in report.sections:
        yield f"**{escape(prose.heading(section))}.** {escape(section.recommendation.sentence)}"
        yield ""
    for section in report.sections:
        yield from _section(section)
    yield "## How it was measured"
    yield ""
    yield from (f"- **{what}:** {escape(text)}" for what, text in prose.method_facts(report.method))
    yield ""
    yield "## What the words mean"
    yield ""
    yield from (f"- **{word}:** {escape(text)}" for word, text in prose.WORDS)


def _section(section: Section) -> Iterator[str]:
    yield f"## {escape(prose.heading(section))}"
    yield ""
    if section.recommendation.sure:
        yield "How sure is the answer?"
        yield ""
        yield from (f"- {escape(doubt)}" for doubt in section.recommendation.sure)
        yield ""
    if section.rows:
        yield from _table(section)
        yield from _why(section)
        yield from _robustness(section)
        yield from _origins(section)
    if section.missing:
        yield from _missing(section)


def _table(section: Section) -> Iterator[str]:
    known, empty = columns(section)
    numbers = prose.footnotes(section)
    yield f"| variant | backend | {' | '.join(_title(column, section) for column in known)} |"
    yield f"|---|---|{'--:|' * len(known)}"
    for row in section.rows:
        cells = [escape(column.cell(row).text) for column in known]
        yield f"| {_name(row, numbers)} | {escape(row.backend)} | {' | '.join(cells)} |"
    yield ""
    ends = "Brackets hold 95 % intervals" + (
        ", of estimates 90 %." if any(row.estimate for row in section.rows) else "."
    )
    yield f"★ Pareto-optimal. {ends}"
    if empty:
        yield f"Not known for any row: {escape(', '.join(empty))}."
    yield ""
    yield from (f"- [{number}] {escape(note)}" for note, number in numbers.items())
    yield from (f"- All rows: {escape(note)}" for note in section.notes)
    yield from (f"- All timed rows: {escape(note)}" for note in section.timed_notes)
    yield from (f"- Estimates of {escape(basis)}" for basis in section.bases)
    yield from (f"- Energy of {escape(basis)}" for basis in section.energy_bases)
    yield from (f"- Data: {escape(line)}" for line in section.data)
    yield ""


def _title(column: Column, section: Section) -> str:
    n = rows_scored(section.rows) if column.key == "quality" else None
    parts = [column.title, column.kind, f"n = {n:,}" if n is not None else ""]
    return escape(", ".join(part for part in parts if part))


def _name(row: Row, numbers: dict[str, int]) -> str:
    notes = "".join(f" [{number}]" for number in prose.references(row, numbers))
    star = "★ " if row.pareto else ""
    name = f"**{escape(row.recipe)}**" if row.baseline else escape(row.recipe)
    return f"{star}{name}{notes}"


def _origins(section: Section) -> Iterator[str]:
    yield "### How each variant was made"
    yield ""
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
    yield ""


def _why(section: Section) -> Iterator[str]:
    found = explained(section)
    if not found:
        return
    yield f"### {prose.WHY}"
    yield ""
    for row in found:
        speed = f" ({escape(row.speed)})" if row.speed else ""
        yield f"- **{escape(row.name)}**{speed}"
        yield from (f"  - {escape(reason)}" for reason in row.reasons)
    yield ""


def _robustness(section: Section) -> Iterator[str]:
    found = robustness(section)
    if found is None:
        return
    yield f"### {prose.ROBUSTNESS}"
    yield ""
    yield f"| variant | backend | {' | '.join(escape(name) for name in ('clean', *found.corruptions))} |"
    yield f"|---|---|{'--:|' * (1 + len(found.corruptions))}"
    for recipe, backend, cells in found.rows:
        yield f"| {escape(recipe)} | {escape(backend)} | {' | '.join(escape(cell) for cell in cells)} |"
    yield ""
    yield escape(prose.robustness_words(found.n))
    yield ""


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
