"""`bench report`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False))
def report(*, run: Path) -> None:
    """Write the report of the folder RUN again, from its records."""
    from harness.cli.outcome import show
    from harness.run_folder import read_environment, read_records

    show(run, read_records(run), read_environment(run))
