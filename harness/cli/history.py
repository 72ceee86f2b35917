"""`bench history`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.completion import complete_backend, complete_model, complete_recipe, complete_run
from harness.cli.options import json_option

if TYPE_CHECKING:
    from harness.history.archive import Archive


@click.command()
@click.argument("folders", type=click.Path(path_type=Path), nargs=-1, metavar="[FOLDER]...",
                shell_complete=complete_run)  # fmt: skip
@click.option("--cell", default="", metavar="ID", help="Follow the cell whose identity begins so.")
@click.option("--model", default="", metavar="REF", shell_complete=complete_model,
              help="Follow the cells of this model; * stands for anything.")  # fmt: skip
@click.option("--recipe", default="", metavar="RECIPE", shell_complete=complete_recipe,
              help="Follow the cells of this recipe; * stands for anything.")  # fmt: skip
@click.option("--backend", default="", metavar="NAME", shell_complete=complete_backend,
              help="Follow the cells in this backend; * stands for anything.")  # fmt: skip
@click.option("--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), metavar="DATE",
              help="Leave out runs that began before, in UTC.")  # fmt: skip
@click.option("--sql", metavar="QUERY",
              help="Answer one SELECT over the table records, whose columns are those of bench export. It reaches no"
              " file and changes nothing.")  # fmt: skip
@json_option
def history(
    *, folders: tuple[Path, ...], since: datetime | None, sql: str | None, as_json: bool, **choice: str
) -> None:
    """Show the runs in FOLDER, or follow a cell through them.

    FOLDER is a run or holds runs, four levels deep at most; runs when none is given. A cell is followed on
    one machine at a time. A run that cannot be read is named and left out.
    """
    from harness.cli.history_view import answer_lines, course_document, document, print_courses, print_runs
    from harness.cli.listing import print_json, print_table
    from harness.history.archive import Choice, ask, open_archive
    from harness.history.course import courses
    from harness.history.folders import find_runs
    from harness.history.overview import overview

    chosen = Choice(**choice)
    archive = open_archive(find_runs(folders or (Path("runs"),)), chosen, since)
    _tell_unread(archive)
    found: dict[str, Any]
    if sql is not None:
        found = {"rows": ask(archive, sql)}
        tell = partial(print_table, answer_lines(found["rows"]))
    elif chosen:
        followed = courses(archive)
        found = {"courses": [course_document(course) for course in followed]}
        tell = partial(print_courses, followed)
    else:
        runs = overview(archive)
        found = {"runs": [asdict(run) for run in runs]}
        tell = partial(print_runs, runs)
    if as_json:
        unread = [{"folder": str(folder), "problem": problem} for folder, problem in archive.unread]
        print_json(document({**found, "unread": unread}))
    else:
        tell()


def _tell_unread(archive: Archive) -> None:
    from harness.report.terminal_table import plain

    for folder, problem in archive.unread:
        click.echo(plain(f"Left out {folder}: {problem}"), err=True)
