"""A page as GitHub Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.markdown import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.compare.page import Block

LONGEST = 65_536
"""Characters of a comment on GitHub."""

CUT = "\n*Cut here: a comment can hold no more.*\n"

LONGEST_TEXT = 2_000
"""Characters of a single name or message; longer ones are cut."""


def render_markdown(page: Sequence[Block]) -> str:
    """Render as GitHub Markdown of at most `LONGEST` characters; every name and message appears as the text it is."""
    text = "\n".join(_lines(page)).strip("\n") + "\n"
    if len(text) <= LONGEST:
        return text
    return text[: text.rindex("\n", 0, LONGEST - len(CUT))] + "\n" + CUT.lstrip("\n")


def _lines(page: Sequence[Block]) -> Iterator[str]:
    last = ""
    for number, block in enumerate(page):
        if block.kind != last or block.kind != "item":
            yield ""
        last = block.kind
        if block.kind == "heading":
            yield f"{'##' if number == 0 else '###'} {_escape(block.text)}"
        elif block.kind == "table":
            yield f"| {' | '.join(map(_escape, block.head))} |"
            yield f"|{'---|' * len(block.head)}"
            yield from (f"| {' | '.join(map(_escape, row))} |" for row in block.rows)
        else:
            yield f"{'- ' if block.kind == 'item' else ''}{_escape(block.text)}"


def _escape(text: str) -> str:
    return escape(text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} …")
