"""Listings: one table or one JSON document on standard output."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import click


def print_json(value: Any) -> None:
    """Print a JSON document."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table that fits the terminal; the last column wraps."""
    from tabulate import tabulate

    if not rows:
        click.echo("none")
        return
    headers = list(rows[0])
    width = shutil.get_terminal_size((100, 24)).columns
    fixed = [max(len(str(row[h])) for row in [dict(zip(headers, headers, strict=True)), *rows]) for h in headers[:-1]]
    last = max(20, width - sum(fixed) - 2 * len(fixed))
    limits = [*(None for _ in fixed), last]
    click.echo(tabulate([list(r.values()) for r in rows], headers=headers, tablefmt="simple", maxcolwidths=limits))
