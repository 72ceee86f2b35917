"""The end of a run: report files, the table, and where to look."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

    from harness.record import Record


def show(folder: Path, records: Sequence[Record], environment: Mapping[str, Any]) -> None:
    """Write the report files and print the table."""
    from harness.errors import UsageError
    from harness.report import write_report
    from harness.report.document import build_report
    from harness.report.terminal import render_terminal

    try:
        paths = write_report(folder, records, environment)
    except OSError as error:
        hint = "Make the folder writable, or copy the run elsewhere."
        raise UsageError(f"the report cannot be written into {folder}: {error.strerror}.", hint=hint) from None
    width = shutil.get_terminal_size((100, 24)).columns
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    click.echo(render_terminal(build_report(records, environment), width, colour=colour))
    for path in paths:
        click.echo(f"Report: {path}")
