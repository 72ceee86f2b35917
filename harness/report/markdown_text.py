"""Text as Markdown shows it: escaped, and folded."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from harness.report.plain import plain

if TYPE_CHECKING:
    from harness.report.columns import Cell

SPECIAL = re.compile(r"[\\`*_|#~$]|\](?=[(\[:])")

REFERENCE = re.compile(r"(?<![0-9A-Za-z])@(?=[0-9A-Za-z])|\\#(?=\d)|(?<![0-9A-Za-z])[Gg][Hh]-(?=\d)")
"""Where GitHub would see a mention or an issue, which no backslash keeps it from: it looks at what is rendered. A
space of no width behind the sign does."""

NO_BREAK = "\u00a0"
NUMBER = re.compile(r"\d")

NO_WIDTH = "&#8203;"


def escape(text: str) -> str:
    """Text on one line in which nothing is markup, HTML, a mention, a reference or a table's border."""
    escaped = SPECIAL.sub(r"\\\g<0>", html.escape(" ".join(plain(text).split()), quote=False))
    return REFERENCE.sub(rf"\g<0>{NO_WIDTH}", escaped)


def cell_text(cell: Cell) -> str:
    """The number with its interval below it; neither is broken over lines, as words may be."""
    parts = (escape(part) for part in (cell.value, cell.detail, cell.kind) if part)
    return "<br>".join(part.replace(" ", NO_BREAK) if NUMBER.search(part) else part for part in parts)


def folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Lines that GitHub shows when their title is clicked."""
    yield f"<details><summary>{escape(title)}</summary>"
    yield ""
    yield from lines
    yield ""
    yield "</details>"
    yield ""
