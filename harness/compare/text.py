"""A page for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.terminal_table import plain, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.compare.page import Block

LEAST_WIDTH = 30


def render_text(page: Sequence[Block], width: int) -> str:
    """Render for a terminal `width` characters wide; what a record says cannot move the cursor."""
    width = max(width, LEAST_WIDTH)
    return "\n".join(line for block in page for line in _lines(block, width)).strip("\n") + "\n"


def _lines(block: Block, width: int) -> Iterator[str]:
    if block.kind == "heading":
        yield ""
        yield from wrap(block.text, width)
    elif block.kind == "table":
        yield from _table(block, width)
    else:
        indent = "  " if block.kind == "item" else ""
        yield from wrap(f"- {block.text}" if indent else block.text, width, indent=indent)


def _table(block: Block, width: int) -> Iterator[str]:
    """A table, or a list of what would stand in each line where that is too wide."""
    from tabulate import tabulate

    head, rows = [plain(cell) for cell in block.head], [[plain(cell) for cell in row] for row in block.rows]
    lines = tabulate(rows, headers=head, tablefmt="simple", disable_numparse=True).split("\n")
    if max(map(len, lines)) <= width:
        yield from lines
        return
    for variant, backend, *cells in rows:
        facts = "; ".join(f"{title} {cell}" for title, cell in zip(head[2:], cells, strict=True))
        yield from wrap(f"{variant} in {backend}: {facts}", width, indent="  ")
