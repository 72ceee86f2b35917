"""Listings: one table or one JSON document on standard output."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import click

from harness.cli.terminal import printable, terminal_width

GAP = 2
"""Spaces that tabulate's `simple` format puts between columns, and beside a heading where the cells are no wider."""

LEAST_WIDTH = 8
"""A column is never made narrower, whatever the terminal."""


def print_json(value: Any) -> None:
    """Print a JSON document."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def print_text(text: str, *, indent: str = "", hang: str = "") -> None:
    """Print a paragraph wrapped to the terminal; a long word such as a path stays whole.

    Args:
        indent: Before each line.
        hang: Before each line but the first, besides.
    """
    width = terminal_width()
    lines = textwrap.wrap(
        printable(text),
        width,
        initial_indent=indent,
        subsequent_indent=indent + hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    click.echo("\n".join(lines))


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table that fits the terminal; the widest columns wrap, the first one last of all.

    Where even the narrowest columns do not fit beside each other, each row is a block of lines.
    """
    from tabulate import tabulate

    if not rows:
        click.echo("none")
        return
    headers = list(rows[0])
    table = [[printable(str(row[header])) for header in headers] for row in rows]
    columns = [[header + " " * GAP, *cells] for header, *cells in zip(headers, *table, strict=True)]
    room = terminal_width() - GAP * (len(headers) - 1)
    widths = fit(columns, room)
    if sum(widths) > room:
        _print_blocks(headers, table)
        return
    wrapped = [[_wrap(cell, width) for cell, width in zip(row, widths, strict=True)] for row in table]
    click.echo(tabulate(wrapped, headers=headers, tablefmt="simple", disable_numparse=True))


def _print_blocks(headers: Sequence[str], table: Sequence[Sequence[str]]) -> None:
    for row in table:
        print_text(row[0])
        for header, cell in zip(headers[1:], row[1:], strict=True):
            for line in cell.splitlines():
                print_text(f"{header}: {line}" if line.strip() else "", indent="  ", hang="  ")


def fit(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Width of each column: as wide as its cells, or less where all together would exceed the room.

    The widest columns give way first. As long as the room allows it none becomes narrower than its longest word; the
    first column, whose names are there to be typed, gives way last.
    """
    natural = [max(len(line) for cell in column for line in [*cell.splitlines(), ""]) for column in columns]
    words = [max(len(word) for cell in column for word in [*cell.split(), ""]) for column in columns]
    headings = [len(column[0]) for column in columns]
    least = [max(LEAST_WIDTH, heading) for heading in headings]
    whole = [max(pair) for pair in zip(words, headings, strict=True)]
    floors = ([natural[0], *whole[1:]], [natural[0], *least[1:]], least)
    widths = natural
    for floor in floors:
        while sum(widths) > room:
            widest = max(range(len(widths)), key=lambda at: (widths[at] > floor[at], widths[at]))
            if widths[widest] <= floor[widest]:
                break
            widths[widest] -= 1
    return widths


def _wrap(text: str, width: int) -> str:
    return "\n".join(
        part for line in text.splitlines() for part in textwrap.wrap(line, width, break_on_hyphens=False) or [""]
    )
