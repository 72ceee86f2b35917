"""Progress on standard error: a live bar in a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from harness.progress import Progress


@contextmanager
def open_progress() -> Iterator[Progress]:
    """The progress that fits standard error."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=16), MofNCompleteColumn(),
               TimeElapsedColumn(), TextColumn("[dim]{task.fields[now]}", markup=True))  # fmt: skip
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Live(bar)


class Live:
    """Draws a bar for the stage that runs."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def opened(self, folder: Path) -> None:
        """Print the folder above the bar, where it stays: a run that is interrupted is continued by that name."""
        self._bar.console.print(f"Run folder: {folder}", markup=False, highlight=False, soft_wrap=True)

    def stage(self, name: str, total: int) -> None:
        """Begin a new bar."""
        if self._task is not None:
            self._bar.update(self._task, visible=False)
        self._task = self._bar.add_task(name, total=total, now="")

    def step(self, text: str) -> None:
        """Advance the bar."""
        if self._task is not None:
            self._bar.update(self._task, advance=1, now=text[:60])

    def say(self, text: str) -> None:
        """Show what is being done."""
        if self._task is not None:
            self._bar.update(self._task, now=text[:60])


class Lines:
    """Prints a line per step, with seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def opened(self, folder: Path) -> None:
        """Print the folder."""
        click.echo(f"Run folder: {folder}", err=True)

    def stage(self, name: str, total: int) -> None:
        """Print the stage."""
        self._print(f"{name} ({total})" if total > 1 else name)

    def step(self, text: str) -> None:
        """Print the step."""
        self._print(f"  {text}: done")

    def say(self, text: str) -> None:
        """Print nothing: a pipe wants results of steps, not the work in between."""

    def _print(self, text: str) -> None:
        click.echo(f"[{time.monotonic() - self._started:6.1f} s] {text}", err=True)
