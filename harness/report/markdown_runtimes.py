"""The runtimes of a section in Markdown: each of them in a line, the rest folded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report import prose, units
from harness.report.markdown_blocks import Block
from harness.report.markdown_text import cell_text, escape, folded
from harness.report.runtimes import runtimes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.report.document import Section
    from harness.report.runtime_summary import Summary
    from harness.report.runtimes import Group, Runtimes

FEW_NOTES = 6
"""More notes of runtimes than this are folded."""


def runtime_block(section: Section) -> Iterator[Block]:
    """The part on runtimes, of which the first table stays where all of it would be too long; or nothing."""
    found = runtimes(section)
    if found is None:
        return
    first = tuple(_first(found))
    what = f"each recipe in each runtime ({escape(prose.heading(section))})"
    yield Block(kind="runtimes", what=what, lines=(*first, *_rest(found)), brief=first)


def _first(found: Runtimes) -> Iterator[str]:
    yield f"### {prose.RUNTIMES}"
    yield ""
    if found.summaries:
        yield from _summaries(found)
        yield escape(prose.compared_with(found.references))
        yield ""
    if found.same_files:
        yield from (f"- {escape(text)}" for text in found.same_files)
        yield ""


def _rest(found: Runtimes) -> Iterator[str]:
    if found.groups:
        more = f"; {found.left_out:,} more in the tables above" if found.left_out else ""
        yield from folded(f"Each recipe in each runtime ({len(found.groups):,}{more})", _groups(found))
    notes = [f"- {escape(note.of)}: {escape(note.text)}" for note in found.notes]
    if len(notes) > FEW_NOTES:
        yield from folded(f"What the runtimes made of the variants ({len(notes):,})", notes)
    elif notes:
        yield from ("What the runtimes made of the variants:", "", *notes, "")


def _summaries(found: Runtimes) -> Iterator[str]:
    yield f"| runtime | outputs | largest deviation | {found.lost_title} | base memory, measured | recipes |"
    yield "|---|---|--:|--:|--:|--:|"
    yield from (f"| {' | '.join(_summary(each))} |" for each in found.summaries)
    yield ""


def _summary(found: Summary) -> Iterable[str]:
    where = f"<br>{escape(found.where)}" if found.where else ""
    verdict = escape(found.verdict) or units.MISSING
    return (
        escape(found.backend),
        f"**{verdict}**" if found.differs else verdict,
        f"{escape(found.deviation) or units.MISSING}{where}",
        escape(found.lost),
        cell_text(found.base_memory),
        cell_text(found.recipes),
    )


def _groups(found: Runtimes) -> Iterator[str]:
    titles = [escape(", ".join(part for part in heading if part)) for heading in found.headings]
    yield f"| variant | runtime | {' | '.join(titles)} | outputs |"
    yield f"|---|---|{'--:|' * len(titles)}---|"
    for group in found.groups:
        yield from _lines(group)


def _lines(group: Group) -> Iterator[str]:
    for line in group.lines:
        cells = " | ".join(cell_text(cell) for cell in line.cells)
        verdict = escape(line.verdict) or units.MISSING
        shown = f"**{verdict}**" if line.differs else verdict
        yield f"| {escape(group.recipe)} | {escape(line.backend)} | {cells} | {shown} |"
