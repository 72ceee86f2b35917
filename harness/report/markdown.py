"""A report as GitHub Markdown for a pull request as it is: the answer, a picture, tables, the rest folded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.report import noise as noise_words
from harness.report import prose
from harness.report.markdown_blocks import Block, fit, text_of
from harness.report.markdown_section import section_blocks, some
from harness.report.markdown_text import escape, folded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.report.document import Report, Section

__all__ = ("escape", "markdown_files", "render_markdown")

EXPENDABLE = (
    "lineage", "runtimes", "operators", "robustness", "why", "noise", "missing", "words", "others", "table", "notes",
    "sure", "method", "heading", "answers",
)  # fmt: skip
"""What goes first where a report is too long for GitHub."""

FEW_ANSWERS = 10

PICTURES = "-pareto-{}.svg"
MORE = "-more.md"


def markdown_files(report: Report) -> dict[str, str]:
    """The report by the ends of its files' names: the text, a picture for each section, and what was cut.

    The latter, `-more.md`, is there only where something was cut.
    """
    pictures, problem = _pictures(report)
    text, more = fit(list(_blocks(report, pictures, problem)), EXPENDABLE, f"report{MORE}")
    files = {PICTURES.format(number): svg for number, svg in pictures.items()}
    if more:
        files[MORE] = more
    return {**files, ".md": text}


def render_markdown(report: Report) -> str:
    """The text alone, without pictures, however long it is; every string of a record appears as the text that it is."""
    return text_of(_blocks(report, {}, ""))


def _pictures(report: Report) -> tuple[dict[int, str], str]:
    """SVG of each section that has one, by its number from 1; and what to do where they cannot be drawn."""
    from harness.report.chart import pareto_svg

    found: dict[int, str] = {}
    for number, section in enumerate(report.sections, start=1):
        try:
            svg = pareto_svg(section)
        except UsageError as error:
            return {}, f"{error} {error.hint}"
        if svg:
            found[number] = svg
    return found, ""


def _blocks(report: Report, pictures: Mapping[int, str], problem: str) -> Iterator[Block]:
    yield _answers(report)
    if problem:
        yield Block(kind="picture", what="", lines=(f"*There is no picture: {escape(problem)}*", ""))
    for number, section in enumerate(report.sections, start=1):
        yield from section_blocks(section, PICTURES.format(number) if number in pictures else "")
    yield Block(kind="method", what="how it was measured", lines=tuple(_method(report)))
    yield from some("noise", "what each comparison can tell", _noise(report))
    words = [f"- **{word}:** {escape(text)}" for word, text in prose.WORDS]
    yield Block(kind="words", what="what the words mean", lines=tuple(folded("What the words mean", words)))


def _answers(report: Report) -> Block:
    answers = [tuple(_answer(section)) for section in report.sections]
    lines = [line for told in answers for line in told]
    name = f"Benchmark {escape(report.run)}: " if report.run else "Benchmark: "
    run = (f"*{name}{escape(prose.outcomes(report))}.*", "")
    hidden = max(0, len(report.sections) - FEW_ANSWERS)
    return Block(
        kind="answers",
        what=f"{hidden:,} answers" if hidden else "answers",
        lines=(*lines, *run),
        brief=(*(line for told in answers[:FEW_ANSWERS] for line in told), *run),
    )


def _answer(section: Section) -> Iterator[str]:
    yield f"**{escape(prose.heading(section))}.** {escape(section.recommendation.sentence)}"
    yield ""
    for warning in section.warnings:
        yield f"> **Warning:** {escape(warning)}"
        yield ""


def _method(report: Report) -> Iterator[str]:
    yield "## How it was measured"
    yield ""
    noise = report.method.noise
    for what, text in prose.method_facts(report.method):
        yield f"- **{what}:** {escape(text)}"
        if what == "Noise" and noise:
            yield from (f"  - {escape(fact)}" for fact in noise_words.facts(noise))
            for advice in noise_words.advice(noise):
                yield f"  - **To do:** {escape(advice.text)}" + (f": `{advice.command}`" if advice.command else ".")
    yield ""


def _noise(report: Report) -> Iterator[str]:
    noise = report.method.noise
    if noise is None or len(noise.resolutions) < 2:
        return
    compared = "comparison with a baseline" if noise.resolutions[0].compared else "latency"
    lines = (
        f"- {escape(found.name)}: {'too few samples' if found.share is None else noise_words.percent(found.share)}"
        for found in noise.resolutions
    )
    yield from folded(f"Smallest difference that each {compared} can tell", lines)
