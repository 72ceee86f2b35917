"""Quiet: after a call returns, a runtime's threads may spin on; how long, and whether they stop, is measured.

OpenMP keeps its threads busy for a block time, and the pools of other runtimes spin for tens of milliseconds. A session
that is timed next would share the processors with them, and run at half speed or less where a spinning thread holds a
processor that one of its own threads needs.

Where the kernel tells the state of each thread (proc(5), `/proc/self/task/<id>/stat`), a process is quiet when no
thread but the asking one is running or ready to run. Elsewhere the process's CPU clock must stand still over a window
that is long against the kernel's tick: a running thread's time is added to that clock at ticks only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TASKS = Path("/proc/self/task")

LOOK_NS = 1_000_000
"""Time between two looks at the threads."""

QUIET_LOOKS = 3
"""Looks in a row that must find no thread busy: one look may fall between two spins."""

WINDOW_NS = 20_000_000
"""Window of the CPU clock, where threads cannot be looked at: five ticks of a kernel with 250 a second."""

QUIET_SHARE = 0.10
"""Below this share of one core over a window nothing spins: one spinning thread alone would show 1.0."""

GIVE_UP_NS = 1_000_000_000


def busy_threads() -> int | None:
    """How many threads of this process besides the calling one run or are ready to; None where nobody tells."""
    if not _TASKS.is_dir():
        return None
    own = str(threading.get_native_id())
    busy = 0
    for task in _TASKS.iterdir():
        if task.name == own:
            continue
        with suppress(OSError):  # the thread has ended since
            busy += (task / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] == "R"
    return busy


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """The clocks that timing uses; tests inject their own."""

    now_ns: Callable[[], int] = time.perf_counter_ns
    cpu_ns: Callable[[], int] = time.process_time_ns
    busy: Callable[[], int | None] = busy_threads
    sleep_s: Callable[[float], None] = time.sleep


REAL = Clocks()


def settle(clocks: Clocks = REAL, give_up_ns: int = GIVE_UP_NS) -> tuple[int, bool]:
    """Wait until no thread of this process is busy any more.

    Returns:
        Nanoseconds until the process was first found quiet, and whether it was within `give_up_ns`.
    """
    started = clocks.now_ns()
    quiet_since: int | None = None
    looks = 0
    while clocks.now_ns() - started <= give_up_ns:
        before = clocks.now_ns()
        quiet, needed = _look(clocks)
        looks = looks + 1 if quiet else 0
        if not quiet:
            quiet_since = None
        elif quiet_since is None:
            quiet_since = before
        if quiet_since is not None and looks >= needed:
            return quiet_since - started, True
    return clocks.now_ns() - started, False


def _look(clocks: Clocks) -> tuple[bool, int]:
    """Whether the process is quiet at this moment, and how many such looks in a row are needed."""
    busy = clocks.busy()
    if busy is not None:
        clocks.sleep_s(LOOK_NS / 1e9)
        return busy == 0, QUIET_LOOKS
    wall, cpu = clocks.now_ns(), clocks.cpu_ns()
    clocks.sleep_s(WINDOW_NS / 1e9)
    elapsed = max(1, clocks.now_ns() - wall)
    return (clocks.cpu_ns() - cpu) / elapsed < QUIET_SHARE, 1
