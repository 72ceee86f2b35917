"""Conformance of meters: honest about being there, counting up from where they were opened, gone when closed."""

# ruff: noqa: D102 - the name of a check says what it checks

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from harness.contributions import Counter, Meter
from harness.testing.loading import load_alone
from harness.testing.plugin import PluginConformance, needed

LONGEST_WAIT_S = 3.0
"""Until a counter has risen and until its threads have ended; sensors that are sampled answer within a second."""

READINGS = 20

LARGEST_W = 10_000.0
"""No machine that a meter reads draws more; a counter that starts above it has not started at 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSubject:
    """A meter.

    Attributes:
        plugin: The module, or the path of the .py file, that contributes it.
    """

    plugin: str
    name: str


class MeterConformance(PluginConformance):
    """Give a fixture `subject` that returns a `MeterSubject`."""

    @pytest.fixture
    def meter(self, subject: MeterSubject) -> Meter:
        """The meter; a test that asks for it is skipped on a machine that does not have it."""
        meter: Meter = needed(load_alone(subject.plugin).meters.get(subject.name).contribution)
        return meter

    @pytest.fixture
    def counter(self, meter: Meter) -> Iterator[Counter]:
        """An opened counter, closed afterwards."""
        counter = meter.open()
        yield counter
        counter.close()

    def test_its_scope_is_one_line(self, subject: MeterSubject) -> None:
        scope = load_alone(subject.plugin).meters.get(subject.name).contribution.scope
        assert scope.strip(), f"{subject.name} does not say what it covers and what it misses"
        assert "\n" not in scope, f"the scope of {subject.name} has several lines"

    def test_it_counts_from_when_it_was_opened(self, meter: Meter) -> None:
        started = time.perf_counter()
        counter = meter.open()
        try:
            first_uj = counter.read_uj()
            taken_s = time.perf_counter() - started
        finally:
            counter.close()
        assert isinstance(first_uj, int), f"read_uj() is {type(first_uj).__name__}, not int"
        assert first_uj >= 0, f"the first reading is {first_uj} µJ"
        assert first_uj <= taken_s * LARGEST_W * 1e6, (
            f"the first reading, {taken_s * 1e3:.1f} ms after opening, is {first_uj} µJ: count from 0 at opening"
        )

    def test_it_never_falls(self, counter: Counter) -> None:
        readings = []
        for _ in range(READINGS):
            readings.append(counter.read_uj())
            time.sleep(0.005)
        assert readings == sorted(readings), f"the counter falls: {readings}"

    def test_it_rises(self, counter: Counter) -> None:
        first_uj, end = counter.read_uj(), time.monotonic() + LONGEST_WAIT_S
        while time.monotonic() < end:
            if counter.read_uj() > first_uj:
                return
            sum(range(10_000))
        pytest.fail(f"the meter says that it is available and stood still for {LONGEST_WAIT_S:g} s of work")

    def test_closing_twice_is_fine(self, meter: Meter) -> None:
        counter = meter.open()
        counter.close()
        counter.close()

    def test_it_can_be_opened_again(self, meter: Meter) -> None:
        for _ in range(2):
            counter = meter.open()
            counter.read_uj()
            counter.close()

    def test_nothing_samples_after_closing(self, meter: Meter) -> None:
        before = set(threading.enumerate())
        meter.open().close()
        end = time.monotonic() + LONGEST_WAIT_S
        while left := set(threading.enumerate()) - before:
            if time.monotonic() > end:
                pytest.fail(f"after closing there still run {', '.join(sorted(each.name for each in left))}")
            time.sleep(0.01)
