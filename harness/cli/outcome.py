"""The end of a run: report files, the table, and where to look."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import warn
from harness.cli.report_files import Formats, write_files
from harness.cli.terminal import can_colour, printable, terminal_width

if TYPE_CHECKING:
    from pathlib import Path

    from harness.record import Record
    from harness.report.goals import Goals


def show(
    folder: Path,
    records: Sequence[Record],
    environment: Mapping[str, Any],
    goals: Goals | None = None,
    formats: Formats = (),
) -> None:
    """Write the report files and print the table; without goals, that of the run's plan holds.

    Args:
        formats: Those of plugins, written beside the host's own.
    """
    from harness.report.document import build_report
    from harness.report.goals import planned_goals
    from harness.report.terminal import render_terminal

    goals = goals or planned_goals(folder)
    paths = write_files(folder, records, environment, goals, formats, warn)
    colour = can_colour(sys.stdout)
    click.echo(render_terminal(build_report(records, environment, goals), terminal_width(), colour=colour))
    for path in paths:
        click.echo(f"Report: {printable(str(path))}")
