"""A report for the terminal, about one screen a model: answer, table, what is missing; the files hold the rest."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from harness.report import noise as noise_words
from harness.report import prose
from harness.report.runtimes import outputs_told, runtimes
from harness.report.terminal_table import BOLD, DIM, GREEN, RED, Ink, lay_out, legend, plain, table, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.document import Report, Section
    from harness.report.missing import MissingGroup

MOST_DOUBTS = 3
"""How many sentences on how sure the answer is: of the estimate, of what was timed here, of the quality."""

MOST_ADVICE = 2
"""How much of what to do against noise is said here; the files say all of it."""

LEAST_WIDTH = 40


def render_terminal(report: Report, width: int, colour: bool = False) -> str:  # noqa: FBT001, FBT002 - a plain switch
    """Render for a terminal `width` characters wide, with ANSI colours if asked for."""
    width, ink = max(width, LEAST_WIDTH), Ink(colour=colour)
    everywhere = _skipped_everywhere(report)
    blocks = ["\n".join(_section(section, everywhere, width, ink)) for section in report.sections]
    blocks.append("\n".join(_end(report, everywhere, width, ink)))
    return "\n\n".join(blocks) + "\n"


def _section(section: Section, everywhere: list[str], width: int, ink: Ink) -> Iterator[str]:
    yield ink(BOLD, plain(prose.heading(section)))
    yield from (ink(GREEN, line) for line in wrap(section.recommendation.sentence, width))
    for warning in section.warnings:
        yield from wrap(f"WARNING: {warning}", width, indent="  ", first=ink(RED, "WARNING:"))
    for doubt in section.recommendation.sure[:MOST_DOUBTS]:
        yield from wrap(f"- {doubt}", width, indent="  ")
    if section.rows:
        yield ""
        yield from table(lay_out(section, width), ink, width)
    found = runtimes(section)
    for line in outputs_told(found) if found else ():
        yield from wrap(line, width, indent="  ")
    for note in section.notes:
        yield from wrap(f"All rows: {note}", width, indent="  ")
    for basis in section.bases:
        yield from wrap(f"Estimates of {basis}", width, indent="  ")
    for group in section.missing:
        if group.outcome == "failed":
            yield from _failed(group, width, ink)
        elif _skipped(group) not in everywhere:
            yield from wrap(_skipped(group), width, indent="  ", first=ink(DIM, group.outcome))


def _failed(group: MissingGroup, width: int, ink: Ink) -> Iterator[str]:
    parts = f"{group.outcome} {len(group.cells)}", group.reason, group.error
    yield from wrap(": ".join(part for part in parts if part), width, indent="  ", first=ink(RED, group.outcome))
    yield from wrap(", ".join(prose.missing_cell(cell) for cell in group.cells), width, start="  ")
    if group.stage:
        yield from wrap(f"stage {group.stage}, {group.plugin}", width, start="  ")
    if group.hint:
        yield from wrap(f"Next: {group.hint}", width, start="  ")


def _skipped(group: MissingGroup) -> str:
    """What was skipped and the reason in short: the particulars of each cell are for the files."""
    cells = sorted(group.cells, key=lambda cell: cell.backend)
    where = (
        f"{', '.join(cell.recipe for cell in found)} in {backend}"
        for backend, found in groupby(cells, key=lambda cell: cell.backend)
    )
    return f"{group.outcome} {len(group.cells)}: {'; '.join(where)}: {group.reason}"


def _skipped_everywhere(report: Report) -> list[str]:
    """What was skipped alike in every section, so that it is said once."""
    found = [[_skipped(g) for g in part.missing if g.outcome == "skipped"] for part in report.sections]
    return [text for text in found[0] if all(text in texts for texts in found)] if len(found) > 1 else []


def _end(report: Report, everywhere: list[str], width: int, ink: Ink) -> Iterator[str]:
    """What holds for all sections: what was skipped, how to read the tables, the noise, where the rest is."""
    for text in everywhere:
        outcome, number, rest = text.split(" ", 2)
        number = f"{number.removesuffix(':')} in each table:"
        yield from wrap(f"{outcome} {number} {rest}", width, indent="  ", first=ink(DIM, outcome))
    yield from legend([lay_out(section, width) for section in report.sections if section.rows], width)
    noise = report.method.noise
    if noise:
        colour = {"quiet": GREEN, "noisy": RED}.get(noise.verdict, BOLD)
        text = f"Noise: {noise_words.headline(noise)}."
        yield from wrap(text, width, indent="  ", first=ink(colour, "Noise:"))
        for advice in noise_words.advice(noise)[:MOST_ADVICE]:
            yield from wrap(f"- {advice.line}", width, indent="  ")
    yield from wrap(prose.outcomes(report), width)
