"""Sampling: calibration and warm-up, on a clock that only moves when a call does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from harness.measure.quiet import Clocks
from harness.measure.sampling import (
    RESOLUTIONS_PER_SAMPLE,
    SHORTEST_SAMPLE_NS,
    calibrate,
    is_steady,
    time_calls,
    warm_up,
)


class Machine:
    """A machine on which call number i takes durations[i] nanoseconds."""

    def __init__(self, durations: Iterator[int]) -> None:
        self.now = 0
        self.calls = 0
        self._durations = durations

    def call(self) -> None:
        self.now += next(self._durations)
        self.calls += 1

    def clocks(self) -> Clocks:
        return Clocks(now_ns=lambda: self.now, cpu_ns=lambda: self.now, sleep_s=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


def constant(call_ns: int) -> Machine:
    return Machine(repeat(call_ns))


@pytest.mark.parametrize("call_ns", [1, 90, 35_000, 3_000_000, 10**9])
def test_a_sample_is_at_least_the_shortest_sample(call_ns: int) -> None:
    machine = constant(call_ns)
    calls = calibrate(machine.call, machine.clocks(), resolution_ns=1)
    assert calls * call_ns >= SHORTEST_SAMPLE_NS


def test_a_slow_call_is_timed_alone() -> None:
    machine = constant(3_000_000)
    assert calibrate(machine.call, machine.clocks(), resolution_ns=1) == 1


def test_a_coarse_clock_makes_samples_longer() -> None:
    machine = constant(1_000)
    calls = calibrate(machine.call, machine.clocks(), resolution_ns=1_000)
    assert calls * 1_000 >= RESOLUTIONS_PER_SAMPLE * 1_000


def test_calibration_does_not_overshoot_far() -> None:
    machine = constant(35_000)
    calls = calibrate(machine.call, machine.clocks(), resolution_ns=1)
    assert calls * 35_000 < 2 * SHORTEST_SAMPLE_NS


def test_time_of_calls_is_their_sum() -> None:
    machine = constant(7)
    assert time_calls(machine.call, 100, machine.clocks().now_ns) == 700
    assert machine.calls == 100


def test_warm_up_lasts_until_times_are_steady() -> None:
    falling = chain(range(20_000_000, 3_000_000, -500_000), repeat(3_000_000))
    machine = Machine(falling)
    warmup = warm_up(machine.call, 1, 10**12, machine.clocks())
    assert warmup.steady
    assert len(warmup.latency_ns) > 34
    assert warmup.latency_ns[-1] == 3_000_000


def test_warm_up_that_never_gets_steady_ends_with_its_budget_and_says_so() -> None:
    growing = iter(range(10**6, 10**12, 10**6))
    machine = Machine(growing)
    warmup = warm_up(machine.call, 1, 500_000_000, machine.clocks())
    assert not warmup.steady


def test_one_outlier_does_not_make_a_steady_window_unsteady() -> None:
    steady = [100] * 9
    assert is_steady([*steady, 500])


def test_few_samples_are_never_steady() -> None:
    assert not is_steady([100] * 9)
