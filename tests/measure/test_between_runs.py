"""Differences between two runs: known values, what cancels, and how often chance is taken for a change."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measure.between_runs import (
    FEW_PROCESSES,
    Difference,
    Level,
    difference,
    holm,
    latency_level,
    level,
    relative_latency_level,
)
from harness.measure.statistics import student_t
from harness.record import Measurement, ProcessReading

READING = ProcessReading(
    load_ns=1, first_run_ns=1, settle_ns=0, settled=True, samples=0, warmup=0, steady=True, opened_alone=True,
    baseline_rss_bytes=1, peak_rss_bytes=1,
)  # fmt: skip


def measurement(processes: np.ndarray, group: str = "g") -> Measurement:
    """A measurement of `(processes, rounds)` latencies in ns."""
    count, rounds = processes.shape
    return Measurement(
        threads=1, threads_reported=1, calls_per_sample=1, latency_ns=tuple(int(ns) for ns in processes.ravel()),
        rounds=tuple(range(rounds)) * count, warmup_ns=(), load_ns=1, first_run_ns=1, baseline_rss_bytes=1,
        peak_rss_bytes=1, stopped="precise", group=group, processes=(replace(READING, samples=rounds),) * count,
    )  # fmt: skip


def noisy_run(rng: np.random.Generator, *, processes: int, slower: float = 0.0) -> tuple[Measurement, Measurement]:
    """Reference and variant of one run: the machine drifts by 10 % between and within runs, each process has its luck,
    each sample its own."""
    drift = 0.1 * rng.standard_normal() + np.cumsum(0.01 * rng.standard_normal((processes, 9)), axis=None).reshape(
        -1, 9
    )
    made = []
    for shift in (0.0, math.log1p(slower)):
        luck = 0.02 * rng.standard_normal((processes, 1))
        made.append(measurement(1e6 * np.exp(drift + luck + shift + 0.01 * rng.standard_normal((processes, 9)))))
    return made[0], made[1]


def compared(rng: np.random.Generator, processes: int, slower: float) -> Difference:
    before, after = (noisy_run(rng, processes=processes, slower=share) for share in (0.0, slower))
    return difference(relative_latency_level(*before), relative_latency_level(*after))


def p_of(found: Difference) -> float:
    p = found.p()
    assert p is not None
    return p


@pytest.mark.parametrize("processes", [4, 10])
def test_at_1_percent_about_one_pair_of_like_runs_in_a_hundred_is_called_different(processes: int) -> None:
    rng = np.random.default_rng(11)
    called = sum(p_of(compared(rng, processes, 0.0)) < 0.01 for _ in range(600))
    assert 1 <= called <= 15  # of a binomial variable B(600, 1 %) fewer than 1 in 200 lie outside


def test_a_planted_5_percent_is_found_in_twice_as_much_drift() -> None:
    rng = np.random.default_rng(12)
    found = [compared(rng, 24, 0.05) for _ in range(40)]
    assert sum(p_of(one) < 0.01 and one.value > 0 for one in found) >= 38


def test_what_a_comparison_is_said_to_see_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(13)
    sees = float(np.mean([compared(rng, 8, 0.0).smallest_seen(0.01) or 0 for _ in range(100)]))
    found = sum(p_of(compared(rng, 8, math.expm1(sees))) < 0.01 for _ in range(200))
    assert 0.68 < found / 200 < 0.92


def test_the_drift_of_the_machine_shows_in_the_latency_and_not_in_the_ratio() -> None:
    rng = np.random.default_rng(14)
    before, after = noisy_run(rng, processes=10), noisy_run(rng, processes=10)
    hotter = [replace(m, latency_ns=tuple(ns * 2 for ns in m.latency_ns)) for m in after]
    assert difference(latency_level(before[1]), latency_level(hotter[1])).value > 0.3
    assert abs(difference(relative_latency_level(*before), relative_latency_level(*hotter)).value) < 0.05


def test_the_test_is_welchs() -> None:
    # scipy.stats.ttest_ind(…, equal_var=False) of scipy 1.x: p-value, degrees of freedom, 99 % interval.
    found = difference(level([1.02, 0.97, 1.05, 1.00, 0.99]), level([1.10, 1.21, 0.95, 1.30, 1.04]))
    assert found.p() == pytest.approx(0.139271, abs=1e-6)
    assert found.df == pytest.approx(4.3896, abs=1e-4)
    assert found.interval(0.01) == pytest.approx((-0.1601, 0.3881), abs=2e-3)


def test_over_six_processes_or_more_it_is_yuens() -> None:
    # The same with trim=0.2.
    before, after = [1.02, 0.97, 1.05, 1.0, 0.99, 1.01, 1.03], [1.1, 1.21, 0.95, 1.3, 1.04, 1.18, 1.5, 1.12, 1.09, 1.2]
    found = difference(level(before), level(after))
    assert found.p() == pytest.approx(0.00496863, abs=1e-7)
    assert found.df == pytest.approx(5.92891, abs=1e-4)


def test_a_few_disturbed_processes_neither_hide_5_percent_nor_make_some() -> None:
    rng = np.random.default_rng(15)

    def run(change: float) -> Level:
        values = rng.normal(change, 0.03, 24)
        values[rng.choice(24, 2, replace=False)] += rng.normal(0, 0.4, 2)
        return level(list(values))

    assert sum(p_of(difference(run(0), run(0))) < 0.01 for _ in range(400)) <= 10
    assert sum(p_of(difference(run(0), run(0.05))) < 0.01 for _ in range(100)) >= 95


def test_students_quantiles_are_tabled_at_1_percent_too() -> None:
    # Any printed table of Student's t, two-sided 1 %.
    assert [student_t(df, 0.01) for df in (1, 4, 10, 18)] == pytest.approx([63.657, 4.604, 3.169, 2.878], abs=6e-4)


def test_one_process_tells_nothing_of_the_spread_between_processes() -> None:
    found = difference(level([1.0]), level([2.0, 2.1, 2.2]))
    assert (found.value, found.p(), found.interval(0.05), found.smallest_seen(0.05)) == (
        pytest.approx(1.1), None, None, None,
    )  # fmt: skip


def test_few_processes_that_agree_by_luck_are_no_surer_than_their_samples() -> None:
    errors = [0.1] * (FEW_PROCESSES - 1)
    lucky = difference(level([1.0] * len(errors), errors), level([1.05] * len(errors), errors))
    assert lucky.error == pytest.approx(0, abs=1e-12)
    assert p_of(lucky) > 0.3


def test_one_disturbed_process_of_many_does_not_hide_what_the_others_agree_on() -> None:
    values = [0.01 * (-1) ** i for i in range(20)]
    errors = [0.002] * 19 + [0.3]
    found = difference(level(values, errors), level([v + 0.05 for v in values], errors))
    assert p_of(found) < 1e-6


def test_values_that_never_vary_are_told_apart_exactly() -> None:
    assert difference(level([5.0, 5.0]), level([5.0, 5.0])).p() == 1.0
    assert difference(level([5.0, 5.0]), level([6.0, 6.0])).p() == 0.0


def test_sides_that_were_timed_apart_carry_the_spread_of_both() -> None:
    rng = np.random.default_rng(5)
    base, variant = noisy_run(rng, processes=6)
    together = relative_latency_level(base, variant)
    apart = relative_latency_level(base, replace(variant, group="another"))
    assert len(together.parts) == 1
    assert len(apart.parts) == 2
    assert apart.centre == pytest.approx(latency_level(variant).centre - latency_level(base).centre)


def test_a_level_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        level([])


def test_holms_correction_is_that_of_the_worked_example() -> None:
    # R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), max_size=20))
def test_a_corrected_p_value_is_never_smaller_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    assert [a for _, a in sorted(zip(p_values, adjusted, strict=True))] == sorted(adjusted)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8), st.lists(st.floats(-5, 5), min_size=2, max_size=8))
def test_swapping_the_runs_mirrors_the_difference(first: list[float], second: list[float]) -> None:
    there, back = difference(level(first), level(second)), difference(level(second), level(first))
    assert there.value == -back.value
    assert there.p() == pytest.approx(back.p())
