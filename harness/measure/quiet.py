"""Quiet: after a call returns, a runtime's threads may spin on; how long, and whether they stop, is measured.

OpenMP keeps its threads busy for a block time, ONNX Runtime spins in its pool. A session that is timed next would
share the processor with them. The process's own CPU clock tells when they are done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """The clocks that timing uses; tests inject their own."""

    now_ns: Callable[[], int] = time.perf_counter_ns
    cpu_ns: Callable[[], int] = time.process_time_ns
    sleep_s: Callable[[float], None] = time.sleep


REAL = Clocks()

WINDOW_NS = 2_000_000
"""Length of one look. Long against the cost of a look (microseconds), short against any block time (milliseconds)."""

QUIET_SHARE = 0.10
"""Below this share of one core over a window, nothing spins: one spinning thread alone would show 1.0."""

GIVE_UP_NS = 1_000_000_000


def settle(clocks: Clocks = REAL, give_up_ns: int = GIVE_UP_NS) -> tuple[int, bool]:
    """Wait until this process stops using the processor.

    Returns:
        Nanoseconds from the call until the first quiet window began, and whether a quiet window came before
        `give_up_ns` were over.
    """
    started = clocks.now_ns()
    while True:
        wall, cpu = clocks.now_ns(), clocks.cpu_ns()
        clocks.sleep_s(WINDOW_NS / 1e9)
        elapsed = max(1, clocks.now_ns() - wall)
        if (clocks.cpu_ns() - cpu) / elapsed < QUIET_SHARE:
            return wall - started, True
        if clocks.now_ns() - started > give_up_ns:
            return clocks.now_ns() - started, False
