"""Sampling: one sample is a number of calls timed together, and warm-up lasts until samples are steady."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from statistics import median

from harness.measure.quiet import REAL, Clocks

RESOLUTIONS_PER_SAMPLE = 10_000
"""A sample is at least this many clock resolutions long, so that reading the clock weighs less than 0.01 %."""

SHORTEST_SAMPLE_NS = 2_000_000
"""And at least this long, so that one timer interrupt (some microseconds) weighs less than half a percent."""

STEADY_WINDOW = 5
STEADY_WITHIN = 0.02
"""Warm-up ends when the medians of two neighbouring windows of samples differ by less than this share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmup:
    """What warming up took: time per call of each sample in ns, and whether it ended steady."""

    latency_ns: tuple[int, ...]
    calls_per_sample: int
    steady: bool


def time_calls(call: Callable[[], object], calls: int, now_ns: Callable[[], int] = time.perf_counter_ns) -> int:
    """Nanoseconds that `calls` calls take together. The loop itself adds some 20 ns a call."""
    turns = repeat(None, calls)
    started = now_ns()
    for _ in turns:
        call()
    return now_ns() - started


@cache
def clock_resolution_ns() -> int:
    """Smallest step that the clock was seen to make, of 1000 steps."""
    now = time.perf_counter_ns
    smallest = 1 << 62
    for _ in range(1000):
        start = now()
        while (end := now()) == start:
            pass
        smallest = min(smallest, end - start)
    return smallest


def calibrate(call: Callable[[], object], clocks: Clocks = REAL, resolution_ns: int | None = None) -> int:
    """Calls per sample so that a sample is far above the clock's resolution."""
    resolution = clock_resolution_ns() if resolution_ns is None else resolution_ns
    target_ns = max(SHORTEST_SAMPLE_NS, resolution * RESOLUTIONS_PER_SAMPLE)
    calls = 1
    while True:
        taken = max(1, time_calls(call, calls, clocks.now_ns))
        if taken >= target_ns:
            return calls
        calls = max(calls + 1, min(calls * 10, -(-calls * target_ns * 11 // (taken * 10))))


def warm_up(call: Callable[[], object], calls: int, budget_ns: int, clocks: Clocks = REAL) -> Warmup:
    """Run samples until two neighbouring windows agree or the budget is spent.

    Args:
        calls: Calls per sample, or 0 to calibrate first.
    """
    started = clocks.now_ns()
    calls = calls or calibrate(call, clocks)
    samples: list[int] = []
    while True:
        samples.append(time_calls(call, calls, clocks.now_ns) // calls)
        if is_steady(samples):
            return Warmup(latency_ns=tuple(samples), calls_per_sample=calls, steady=True)
        if clocks.now_ns() - started > budget_ns:
            return Warmup(latency_ns=tuple(samples), calls_per_sample=calls, steady=False)


def is_steady(samples: list[int]) -> bool:
    """Whether the last window of samples agrees with the one before it."""
    if len(samples) < 2 * STEADY_WINDOW:
        return False
    last = median(samples[-STEADY_WINDOW:])
    before = median(samples[-2 * STEADY_WINDOW : -STEADY_WINDOW])
    return abs(last - before) <= STEADY_WITHIN * before
