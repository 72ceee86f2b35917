"""Progress on standard error: drawn in place in a terminal, plain lines everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from harness.cli.terminal import can_colour, can_move, printable
from harness.progress import Silent

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

    from harness.progress import Left, Progress

Clock = Callable[[], float]

BAR = 16
"""Characters of the bar, where the line has room for it."""

REDRAWN_HZ = 2
"""How often it is drawn anew. Drawing takes a processor, of which what is being timed should have all."""


@contextmanager
def open_progress(*, quiet: bool = False) -> Iterator[Progress]:
    """The progress that fits standard error, or none."""
    if quiet:
        yield Silent()
    elif can_move(sys.stderr):
        from rich.console import Console
        from rich.live import Live as RichLive

        console = Console(stderr=True, no_color=not can_colour(sys.stderr), highlight=False)
        live = Live(console.print)
        with RichLive(live, console=console, transient=True, refresh_per_second=REDRAWN_HZ):
            yield live
    else:
        yield Lines()


def duration(seconds: float) -> str:
    """A time to wait, no finer than it can be known."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s" if seconds < 10 else f"{5 * round(seconds / 5)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def time_left(left: Left | None) -> str:
    """What remains in words, and what of it nothing is known of."""
    if left is None:
        return "time left unknown"
    if left.seconds <= 0:
        return f"only {left.plus} left" if left.plus else "nearly done"
    plus = f" plus {left.plus}" if left.plus else ""
    return f"about {duration(left.seconds)} left{plus}"


@dataclass(slots=True)
class Live:
    """Draws the stage that runs: a line with its state, and one with what is being done.

    Attributes:
        print: Prints a line above, where it stays.
        clock: Seconds.
    """

    print: Callable[..., None]
    clock: Clock = time.monotonic
    _name: str = ""
    _total: int = 0
    _then: str = ""
    _done: int = 0
    _now: str = ""
    _left: Left | None = None
    _told_at: float = 0.0
    _began: float = field(default=0.0)

    def opened(self, folder: Path) -> None:
        """Print the folder above: a run that is interrupted is continued by that name."""
        self.print(f"Run folder: {printable(str(folder))}", markup=False, soft_wrap=True)

    def stage(self, name: str, total: int = 0, then: str = "") -> None:
        """Begin anew."""
        self._name, self._total, self._then = printable(name), total, then
        self._done, self._now, self._left = 0, "", None
        self._began = self.clock()

    def step(self, text: str, left: Left | None = None) -> None:
        """Count it, and keep what failed in sight."""
        self._done += 1
        self.say(text, left)

    def say(self, text: str, left: Left | None = None) -> None:
        """Show what is being done."""
        self._now, self._left, self._told_at = printable(text).replace("\n", " "), left, self.clock()

    def lines(self, width: int) -> list[Text]:
        """The two lines, cut to the width; what matters least gives way first."""
        from rich.text import Text

        if not self._name:
            return []
        lines = [Text("  ").join(parts) for parts in self._choices()]
        first = next((line for line in lines if line.cell_len < width), None) or self._shortest(width)
        second = Text(f"  {self._now}", style="dim")
        for line in (first, second):
            line.truncate(max(1, width - 1), overflow="ellipsis")  # a line that is full would wrap in some terminals
        return [first, second]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from self.lines(options.max_width)

    def _choices(self) -> Iterator[list[Text]]:
        """The first line, ever shorter."""
        from rich.text import Text

        name = Text(self._name, style="bold")
        count = [Text(f"{self._done}/{self._total}")] if self._total else []
        filled = BAR * min(self._done, self._total) // self._total if self._total else 0
        bar = [Text("━" * filled, style="cyan") + Text("─" * (BAR - filled), style="dim")] if self._total else []
        passed = int(self.clock() - self._began)
        elapsed = Text(f"{passed // 60}:{passed % 60:02}")
        left = Text(self._time_left())
        then = [Text(f"then {self._then}", style="dim")] if self._then else []
        yield [name, *bar, *count, elapsed, left, *then]
        yield [name, *bar, *count, elapsed, left]
        yield [name, *count, elapsed, left]
        yield [name, *count, left]
        yield [name, *count, Text(self._time_left().partition(" plus ")[0])]

    def _shortest(self, width: int) -> Text:
        """The first line with as much of the name as there is room for."""
        from rich.text import Text

        count = f"  {self._done}/{self._total}" if self._total else ""
        rest = f"{count}  {self._time_left().partition(' plus ')[0]}"
        name = Text(self._name, style="bold")
        name.truncate(max(8, width - 1 - len(rest)), overflow="ellipsis")
        return name + Text(rest)

    def _time_left(self) -> str:
        """What was told last, less the time since."""
        from harness.progress import Left

        if self._left is None:
            return time_left(None)
        return time_left(Left(seconds=self._left.seconds - (self.clock() - self._told_at), plus=self._left.plus))


@dataclass(slots=True)
class Lines:
    """Prints a line for each step, with the seconds since the start; each in one write.

    Attributes:
        clock: Seconds.
    """

    clock: Clock = time.monotonic
    _started: float = field(init=False)
    _total: int = 0
    _done: int = 0

    def __post_init__(self) -> None:
        self._started = self.clock()

    def opened(self, folder: Path) -> None:
        """Print the folder."""
        click.echo(f"Run folder: {printable(str(folder))}", err=True)

    def stage(self, name: str, total: int = 0, then: str = "") -> None:
        """Print the stage."""
        self._total, self._done = total, 0
        parts = [f"{total} step{'s' * (total > 1)}" if total else "", f"then {then}" if then else ""]
        words = ", ".join(part for part in parts if part)
        self._print(f"{name} ({words})" if words else name)

    def step(self, text: str, left: Left | None = None) -> None:
        """Print the step, and how much is left where that can be told."""
        self._done += 1
        count = f"{self._done}/{self._total} " if self._total else ""
        rest = f"; {time_left(left)}" if left and left.seconds else ""
        self._print(f"  {count}{text}{rest}")

    def say(self, text: str, left: Left | None = None) -> None:
        """Print nothing: a pipe wants results of steps, not the work in between."""

    def _print(self, text: str) -> None:
        line = printable(text).replace("\n", " ")
        click.echo(f"[{self.clock() - self._started:6.1f} s] {line}", err=True)
