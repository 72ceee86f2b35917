"""The verdict on noise, from synthetic measurements whose noise is known."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.measure.noise import BELIEVED, MOST_PROCESSES, Cause, Conditions, Noise, judge
from harness.record import Measurement, ProcessReading

LOUDER = ("quiet", "usable", "noisy")


def measurement(
    ms: float = 1.0, *, seed: int = 0, processes: int = 5, samples: int = 40, between: float = 0.0,
    within: float = 0.002, drift: float = 0.0, outliers: float = 0.0,
) -> Measurement:  # fmt: skip
    """Samples with a known spread between processes, spread within, drift in a process, and share of slow outliers."""
    rng = random.Random(seed)
    latency: list[int] = []
    for _ in range(processes):
        scale = ms * 1e6 * 2.718281828 ** (between * rng.gauss(0, 1))
        for at in range(samples):
            slow = 2.0 if rng.random() < outliers else 1.0
            latency.append(round(scale * slow * (1 + drift * at / samples) * 2.718281828 ** (within * rng.gauss(0, 1))))
    reading = ProcessReading(
        load_ns=1, first_run_ns=1, settle_ns=0, settled=True, samples=samples, warmup=0, steady=True,
        baseline_rss_bytes=1, peak_rss_bytes=1, opened_alone=True,
    )  # fmt: skip
    return Measurement(
        threads=1, threads_reported=1, calls_per_sample=2, latency_ns=tuple(latency),
        rounds=tuple(number for _ in range(processes) for number in range(samples)), warmup_ns=(), load_ns=1,
        first_run_ns=1, baseline_rss_bytes=1, peak_rss_bytes=1, stopped="precise", group="g",
        processes=(reading,) * processes,
    )  # fmt: skip


def run(conditions: Conditions | None = None, **noise: float) -> Noise:
    """Two variants and their baseline on a machine of that noise."""
    cells = {name: measurement(seed=seed, **noise) for seed, name in enumerate(("base", "one", "two"))}  # type: ignore[arg-type]
    found = judge(cells, {"one": "base", "two": "base"}, conditions)
    assert found is not None
    return found


def test_a_quiet_machine_is_quiet_and_needs_nothing() -> None:
    found = run()
    assert (found.verdict, found.causes) == ("quiet", ())
    assert found.resolution is not None
    assert found.resolution < BELIEVED


def test_spread_between_processes_is_seen_and_told_from_spread_within() -> None:
    found = run(between=0.08)
    assert found.verdict in ("usable", "noisy")
    assert found.causes[0] == Cause.PROCESSES
    assert found.between is not None
    assert found.explained is not None
    assert found.between > 10 * found.explained


def test_a_wide_scatter_of_samples_is_not_blamed_on_processes() -> None:
    found = run(within=0.6, samples=12)
    assert found.verdict != "quiet"
    assert found.causes[0] in (Cause.SAMPLES, Cause.PROCESSES)
    assert found.within == pytest.approx(0.6, rel=0.4)


def test_drift_that_pairing_cancels_keeps_a_run_from_being_called_quiet() -> None:
    found = run(drift=0.2)
    assert found.resolution is not None
    assert found.resolution < BELIEVED
    assert found.drift == pytest.approx(0.13, abs=0.03)
    assert (found.verdict, found.causes[0]) == ("usable", Cause.DRIFT)


def test_many_slow_outliers_keep_a_run_from_being_called_quiet() -> None:
    found = run(outliers=0.12)
    assert found.outliers == pytest.approx(0.12, abs=0.04)
    assert found.verdict != "quiet"
    assert Cause.OUTLIERS in found.causes


def test_tiny_outliers_of_a_quiet_machine_do_not_count() -> None:
    assert run(within=0.0005).outliers == 0


@given(st.integers(0, 50), st.lists(st.floats(0.0, 0.3), min_size=2, max_size=4))
@settings(max_examples=25, deadline=None)
def test_more_noise_never_makes_a_better_verdict(seed: int, factors: list[float]) -> None:
    def level(spread: float) -> int:
        cells = {
            name: measurement(seed=seed + at, between=spread, within=spread, samples=15, processes=4)
            for at, name in enumerate(("base", "one", "two"))
        }
        found = judge(cells, {"one": "base", "two": "base"})
        assert found is not None
        return LOUDER.index(found.verdict)

    levels = [level(factor) for factor in sorted(factors)]
    assert levels == sorted(levels)


def test_one_process_leaves_the_noise_unknown_unless_it_is_plain() -> None:
    assert run(processes=1).verdict == "unknown"
    assert run(processes=1).causes[0] == Cause.ONE_PROCESS
    assert run(processes=1, within=1.5, samples=8).verdict == "noisy"


def test_processes_are_advised_that_would_tell_three_per_cent() -> None:
    found = run(between=0.03, processes=4)
    assert found.processes_needed is not None
    assert 4 <= found.processes_needed <= MOST_PROCESSES
    assert run(between=0.5, processes=3).processes_needed is None


def test_without_a_comparison_the_latencies_themselves_are_judged() -> None:
    found = judge({"base": measurement()}, {})
    assert found is not None
    assert [entry.compared for entry in found.resolutions] == [False]
    assert found.verdict == "quiet"


def test_threads_that_were_never_quiet_and_spent_budgets_are_counted() -> None:
    cell = measurement()
    restless = tuple(replace(process, settled=False) for process in cell.processes)
    found = judge({"a": replace(cell, processes=restless, stopped="budget")}, {})
    assert found is not None
    assert (found.unsettled, found.budget_stops, found.verdict) == (1.0, 1, "usable")
    assert Cause.UNSETTLED in found.causes


def test_load_and_clock_are_named_as_causes_only_where_something_is_wrong() -> None:
    busy = Conditions(load_average=3.0, cores=2, clock="free")
    assert run(busy).causes == ()
    assert {Cause.LOAD, Cause.CLOCK} <= set(run(busy, between=0.1).causes)
    assert not {Cause.LOAD, Cause.CLOCK} & set(
        run(Conditions(load_average=0.1, cores=2, clock="fixed"), between=0.1).causes
    )


def test_nothing_timed_and_damaged_samples_give_no_verdict() -> None:
    assert judge({}, {}) is None
    assert judge({"a": replace(measurement(), latency_ns=(1, 2), rounds=(0, 1))}, {}) is None
