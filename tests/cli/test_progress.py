"""Progress: two lines that fit the terminal, plain lines in a pipe, and no number that nobody knows."""

from __future__ import annotations

import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from io import StringIO
from pathlib import Path

import pytest

from harness.cli.progress import Lines, Live, duration, open_progress, time_left
from harness.cli.terminal import can_colour
from harness.progress import Left, Silent

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


class Wall:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def live(wall: Wall) -> Live:
    return Live(print=lambda text, **_: None, clock=wall)


def shown(live: Live, width: int) -> list[str]:
    lines = [line.plain for line in live.lines(width)]
    assert all(len(line) < width for line in lines), lines
    return lines


# --- words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (7.4, "7 s"), (43.0, "45 s"), (59.0, "60 s"), (89.0, "1 min"), (3540.0, "59 min"),
     (5400.0, "1 h 30 min")],
)  # fmt: skip
def test_a_time_is_no_finer_than_it_is_known(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_what_is_not_known_is_said() -> None:
    assert time_left(None) == "time left unknown"
    assert time_left(Left(seconds=20.0, plus="scoring")) == "about 20 s left plus scoring"
    assert time_left(Left(seconds=0.0, plus="scoring")) == "only scoring left"
    assert time_left(Left(seconds=0.0)) == "nearly done"


# --- in a terminal


def test_nothing_is_drawn_before_the_first_stage(live: Live) -> None:
    assert shown(live, 80) == []


def test_a_stage_shows_what_is_done_how_long_it_took_and_what_is_left(live: Live, wall: Wall) -> None:
    live.stage("building", 4, then="measuring")
    wall.now += 75
    live.step("net int8-static: built in 75.0 s", Left(seconds=150.0))
    assert shown(live, 80) == [
        "building  ━━━━────────────  1/4  1:15  about 2 min left  then measuring",
        "  net int8-static: built in 75.0 s",
    ]


def test_the_time_left_runs_down_between_two_tellings_and_never_below_nothing(live: Live, wall: Wall) -> None:
    live.stage("measuring net")
    live.say("round 1", Left(seconds=30.0))
    wall.now += 20
    assert "about 10 s left" in shown(live, 80)[0]
    wall.now += 20
    assert "nearly done" in shown(live, 80)[0]


def test_a_new_stage_knows_nothing_of_the_one_before(live: Live) -> None:
    live.stage("building", 1)
    live.step("done", Left(seconds=0.0))
    live.stage("measuring net")
    assert shown(live, 80) == ["measuring net  0:00  time left unknown", "  "]


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 120])
def test_no_line_reaches_the_edge_of_the_terminal(live: Live, width: int) -> None:
    live.stage("measuring package.subpackage.module:build_the_network", 12, then="measuring, budget 30 s")
    live.say("process 1: opened 3 of 12, a very long name " * 3, Left(seconds=200.0, plus="scoring and profiling"))
    first, _ = shown(live, width)
    assert "3 min left" in first or width < 40
    assert first.startswith("measuring" if width >= 40 else "m")


def test_names_cannot_move_the_cursor_or_write_markup(live: Live) -> None:
    live.stage("measuring \x1b[2Jnet[red]")
    live.say("a\rb\n[/bold]c")
    assert shown(live, 80) == ["measuring  [2Jnet[red]  0:00  time left unknown", "  a b [/bold]c"]


# --- in a pipe


class Pipe(StringIO):
    """Keeps each write by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        done = super().write(text)
        self.writes.append(text)
        return done


def test_each_line_of_a_pipe_is_one_write(monkeypatch: pytest.MonkeyPatch, wall: Wall) -> None:
    pipe = Pipe()
    monkeypatch.setattr(sys, "stderr", pipe)
    lines = Lines(clock=wall)
    lines.opened(Path("runs/here"))
    lines.stage("building", 2, then="measuring, budget 30 s")
    wall.now += 12.34
    lines.say("not told")
    lines.step("net int8-static: built in 12.3 s", Left(seconds=12.0))
    lines.step("net fp16: failed: it\nbroke\x1b[31m")
    lines.stage("measuring net")
    assert [text for text in pipe.writes if text] == [
        "Run folder: runs/here\n",
        "[   0.0 s] building (2 steps, then measuring, budget 30 s)\n",
        "[  12.3 s]   1/2 net int8-static: built in 12.3 s; about 10 s left\n",
        "[  12.3 s]   2/2 net fp16: failed: it broke [31m\n",
        "[  12.3 s] measuring net\n",
    ]


# --- a real terminal

DRAW = """
import time
from pathlib import Path
from harness.cli.progress import open_progress
from harness.progress import Left
with open_progress() as progress:
    progress.opened(Path("runs/here"))
    progress.stage("building", 2, then="measuring")
    progress.step("net int8-static: built in 1.0 s", Left(seconds=20.0))
    time.sleep(0.7)
print("the result")
"""


def in_terminal(columns: int, command: list[str], **environment: str) -> tuple[int, str]:
    """Run Python in a pseudo-terminal; exit code and everything that was written."""
    kept = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "NO_COLOR", "TERM"}}
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-P", *command],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**kept, "TERM": "xterm-256color", **environment},
    )
    os.close(slave)
    written = b""
    while select.select([master], [], [], 120)[0]:
        try:
            written += os.read(master, 1 << 16)
        except OSError:  # the other end is closed
            break
    os.close(master)
    return process.wait(10), written.decode()


def test_a_run_in_a_terminal_of_forty_columns_never_overruns_it(tmp_path: Path, cache: Path, toy: str) -> None:
    arguments = ["-m", "harness", "--plugin", toy, "run", "--model", "toy:linear", "--recipe", "baseline",
                 "--profile", "rpi4", "--processes", "1", "--budget-s", "0.5", "--backend", "toy-numpy",
                 "--out", str(tmp_path / "out")]  # fmt: skip
    code, written = in_terminal(40, arguments)
    assert code == 0
    drawn = [line for line in re.split(r"[\r\n]+", ESCAPE.sub("", written)) if str(tmp_path) not in line]
    assert [line for line in drawn if len(line) > 40] == []
    assert any(line.startswith("measuring toy:linear  ") for line in drawn)
    assert "Keep the baseline" in written


def test_a_terminal_shows_a_coloured_bar_and_gets_its_cursor_back() -> None:
    code, written = in_terminal(80, ["-c", DRAW])
    assert code == 0
    assert COLOUR.search(written)
    assert "about 20 s left  then measuring" in ESCAPE.sub("", written)
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")
    assert written.rstrip().endswith("the result")


def test_no_color_is_kept_to() -> None:
    _, written = in_terminal(80, ["-c", DRAW], NO_COLOR="1")
    assert "building" in written
    assert not COLOUR.search(written)


def test_a_dumb_terminal_gets_plain_lines() -> None:
    _, written = in_terminal(80, ["-c", DRAW], TERM="dumb")
    assert "\x1b" not in written
    assert "1/2 net int8-static: built in 1.0 s; about 20 s left" in written


def test_quiet_is_silent() -> None:
    with open_progress(quiet=True) as progress:
        assert isinstance(progress, Silent)


@pytest.mark.parametrize(
    ("term", "no_color", "colour"),
    [("xterm", None, True), ("xterm", "", True), ("xterm", "1", False), ("dumb", None, False)],
)
def test_colour_is_asked_for_in_one_place(
    monkeypatch: pytest.MonkeyPatch, term: str, no_color: str | None, colour: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    screen = StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    assert can_colour(screen) is colour
    assert not can_colour(StringIO())
