"""The statistics of latencies: known values, properties, and coverage by simulation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.measure.statistics import FEW_PROCESSES, median_interval, ratio, student_t, summarise, wilson
from harness.record import Measurement, ProcessReading

LATENCIES = st.lists(st.integers(min_value=1, max_value=10**12), min_size=1, max_size=60)


def measurement(*processes: list[int], group: str = "g", rounds: list[int] | None = None) -> Measurement:
    samples = [ns for process in processes for ns in process]
    reading = ProcessReading(
        load_ns=1, first_run_ns=1, settle_ns=0, settled=True, samples=0, warmup=0, steady=True, opened_alone=True,
        baseline_rss_bytes=1, peak_rss_bytes=1,
    )  # fmt: skip
    return Measurement(
        threads=1, threads_reported=1, calls_per_sample=1, latency_ns=tuple(samples),
        rounds=tuple(rounds or [number for process in processes for number in range(len(process))]),
        warmup_ns=(), load_ns=1, first_run_ns=1, baseline_rss_bytes=1, peak_rss_bytes=1, stopped="precise",
        group=group, processes=tuple(replace(reading, samples=len(process)) for process in processes),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("df", "quantile"),
    # Any printed table of Student's t, two-sided 5 %; the two broken ones from scipy.stats.t.ppf.
    [
        (1, 12.706),
        (2, 4.303),
        (3, 3.182),
        (4, 2.776),
        (5, 2.571),
        (9, 2.262),
        (30, 2.042),
        (120, 1.98),
        (0.5, 164.558),
        (2.37, 3.719),
        (1000000.0, 1.96),
    ],
)
def test_quantiles_of_students_t_are_those_of_the_tables(df: float, quantile: float) -> None:
    assert student_t(df) == pytest.approx(quantile, abs=6e-4)


def test_students_t_refuses_no_degrees_of_freedom() -> None:
    with pytest.raises(ValueError, match="0 degrees"):
        student_t(0)


@pytest.mark.parametrize(
    ("n", "rank"),
    # Ranks of the 95 % interval of a median: Conover, Practical Nonparametric Statistics, table A3.
    [(6, 1), (8, 1), (9, 2), (15, 4), (20, 6), (25, 8), (50, 18), (100, 40)],
)
def test_the_interval_of_a_median_uses_the_tabled_ranks(n: int, rank: int) -> None:
    _, lo, hi = median_interval(list(range(1, n + 1)))
    assert (lo, hi) == (rank, n + 1 - rank)


def test_five_values_allow_no_interval_of_their_median() -> None:
    assert median_interval([1, 2, 3, 4, 5]) == (3.0, -math.inf, math.inf)


def test_the_median_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        median_interval([])


@given(LATENCIES)
def test_a_median_lies_within_its_interval_and_order_does_not_matter(values: list[int]) -> None:
    middle, lo, hi = median_interval(values)
    assert lo <= middle <= hi
    assert median_interval(sorted(values, reverse=True)) == (middle, lo, hi)


def test_the_interval_of_a_median_covers_it_95_times_in_100_whatever_the_distribution() -> None:
    rng = np.random.default_rng(7)
    draws = rng.pareto(1.5, size=(2000, 25))
    truth = 2 ** (1 / 1.5) - 1
    inside = [lo <= truth <= hi for _, lo, hi in map(median_interval, draws.tolist())]
    assert 0.945 < np.mean(inside) < 0.975  # exact coverage for 25 values is 95.7 %


def test_wilson_agrees_with_the_published_example() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_of_nothing_knows_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_mirrors(case: tuple[int, int]) -> None:
    successes, n = case
    lo, hi = wilson(successes, n)
    assert 0 <= lo <= successes / n <= hi <= 1
    assert lo < hi
    mirrored = wilson(n - successes, n)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((lo, hi), abs=1e-9)


def test_wilson_refuses_more_successes_than_trials() -> None:
    with pytest.raises(ValueError, match="5 successes of 4"):
        wilson(5, 4)


def test_the_latency_is_the_geometric_mean_of_process_medians_with_students_interval() -> None:
    summary = summarise(measurement([100] * 9, [110] * 9, [121] * 9))
    assert summary.median_ns == pytest.approx(110)
    assert summary.between_process_sd == pytest.approx(math.log(1.1))
    half = 4.302652730 * math.log(1.1) / math.sqrt(3)
    assert (summary.lo95_ns, summary.hi95_ns) == pytest.approx((110 * math.exp(-half), 110 * math.exp(half)))


def test_processes_that_agree_by_luck_do_not_make_the_interval_narrower_than_their_samples_allow() -> None:
    process = list(range(90, 111))
    summary = summarise(measurement(process, process, process))
    alone = summarise(measurement(process))
    assert summary.between_process_sd == pytest.approx(0, abs=1e-12)
    width = math.log(summary.hi95_ns / summary.lo95_ns)
    assert width == pytest.approx(math.log(alone.hi95_ns / alone.lo95_ns) / math.sqrt(3))


def test_one_disturbed_process_among_many_does_not_widen_the_interval_beyond_their_spread() -> None:
    quiet, disturbed = [100, 100, 100, 100, 100, 100], [50, 100, 100, 100, 100, 200]
    few = summarise(measurement(*[quiet] * (FEW_PROCESSES - 2), disturbed))
    many = summarise(measurement(*[quiet] * (FEW_PROCESSES - 1), disturbed))
    assert few.lo95_ns < 95
    assert (many.lo95_ns, many.hi95_ns) == pytest.approx((100, 100))


def test_one_process_gives_its_own_interval_and_says_so() -> None:
    summary = summarise(measurement(list(range(1, 101))))
    assert (summary.processes, summary.between_process_sd) == (1, None)
    assert summary.lo95_ns < summary.median_ns < summary.hi95_ns


def test_too_few_samples_give_a_median_without_an_interval() -> None:
    summary = summarise(measurement([100, 110]))
    assert (summary.lo95_ns, summary.hi95_ns) == (None, None)


def test_a_process_without_samples_is_left_out() -> None:
    assert summarise(measurement([], [100] * 9, [110] * 9)).processes == 2


@pytest.mark.parametrize("damage", [{"latency_ns": (1, 2), "rounds": (0, 1)}, {"processes": ()}])
def test_samples_that_do_not_add_up_are_an_error(damage: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="samples"):
        summarise(replace(measurement([100] * 9), **damage))


def test_a_measurement_without_samples_is_an_error() -> None:
    with pytest.raises(ValueError, match="without samples"):
        summarise(measurement())


@given(st.lists(LATENCIES, min_size=1, max_size=4), st.integers(2, 50))
@settings(max_examples=60)
def test_a_slower_clock_scales_the_summary_and_leaves_the_spread(processes: list[list[int]], factor: int) -> None:
    one = summarise(measurement(*processes))
    other = summarise(measurement(*([ns * factor for ns in process] for process in processes)))
    assert other.median_ns == pytest.approx(one.median_ns * factor)
    assert other.between_process_sd == pytest.approx(one.between_process_sd, abs=1e-9)


@given(st.lists(LATENCIES, min_size=1, max_size=4), st.lists(LATENCIES, min_size=1, max_size=4), st.sampled_from("gh"))
@settings(max_examples=60)
def test_the_ratio_the_other_way_round_is_its_inverse(
    left: list[list[int]], right: list[list[int]], group: str
) -> None:
    one, other = measurement(*left), measurement(*right, group=group)
    there, back = ratio(one, other), ratio(other, one)
    assert there.ratio * back.ratio == pytest.approx(1)
    assert there.significant == back.significant
    if there.lo95 is not None:
        assert there.lo95 * back.hi95 == pytest.approx(1)
        assert there.lo95 <= there.ratio <= there.hi95
        assert there.significant == (not there.lo95 <= 1 <= there.hi95)


def test_a_ratio_above_one_means_that_the_variant_is_faster() -> None:
    found = ratio(measurement(*[[200] * 9] * 3), measurement(*[[100] * 9] * 3))
    assert (found.ratio, found.significant, found.paired, found.processes) == (pytest.approx(2), True, True, 3)


def test_drift_that_hits_both_alike_cancels_in_a_paired_ratio_only() -> None:
    drift = [[int(scale * (1000 + 20 * step)) for step in range(20)] for scale in (1.0, 1.4, 0.8)]
    half = [[ns // 2 for ns in process] for process in drift]
    paired = ratio(measurement(*drift), measurement(*half))
    apart = ratio(measurement(*drift), measurement(*half, group="other"))
    assert paired.paired
    assert paired.significant
    assert paired.ratio == pytest.approx(2, rel=1e-3)
    assert not apart.paired
    assert apart.hi95 - apart.lo95 > 100 * (paired.hi95 - paired.lo95)


def test_a_pair_is_compared_over_the_rounds_it_shares() -> None:
    base = measurement([100] * 10 + [900] * 10, [100] * 10 + [900] * 10)
    variant = measurement([50] * 10, [50] * 10)
    assert ratio(base, variant).ratio == pytest.approx(2)


def test_a_group_without_shared_rounds_is_compared_unpaired() -> None:
    base = measurement([100] * 9, [102] * 9)
    variant = measurement([50] * 9, [51] * 9, rounds=list(range(100, 118)))
    assert not ratio(base, variant).paired


def test_unpaired_intervals_are_those_of_welch() -> None:
    base = measurement([100] * 9, [104] * 9, [108] * 9)
    variant = measurement([50] * 9, [53] * 9, group="other")
    found = ratio(base, variant)
    # scipy.stats.ttest_ind(log base, log variant, equal_var=False).confidence_interval(0.95)
    assert (math.log(found.lo95), math.log(found.hi95)) == pytest.approx((0.554547, 0.850933), abs=1e-4)


def test_single_samples_give_a_ratio_that_shows_nothing() -> None:
    found = ratio(measurement([200]), measurement([100]))
    assert (found.ratio, found.lo95, found.hi95, found.significant) == (pytest.approx(2), None, None, False)


@pytest.mark.parametrize("group", ["g", "other"])
def test_the_ratio_of_a_thing_to_itself_shows_a_difference_5_times_in_100(group: str) -> None:
    rng = np.random.default_rng(11)

    def once() -> Measurement:
        process = rng.normal(0, 0.03, size=(4, 1))
        samples = np.exp(process + rng.normal(0, 0.01, size=(4, 15))) * 1e6
        return measurement(*samples.astype(int).tolist())

    shown = [ratio(once(), replace(once(), group=group)).significant for _ in range(1500)]
    assert 0.02 < np.mean(shown) < 0.065  # Welch with four processes a side is a little conservative
