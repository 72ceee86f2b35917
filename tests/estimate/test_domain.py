"""Networks so small that an estimate of them is mostly launches, of which the published ones say little."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.estimate.coefficient import OVERHEAD
from harness.estimate.conformal import factor
from harness.estimate.design import COLUMN, Design, design
from harness.estimate.domain import LEAST_LAUNCH, Overhead
from harness.estimate.estimator import estimate, per_operator
from harness.estimate.fit import fit
from harness.estimate.fitting import FAMILIES, PRECISIONS, overhead_shares
from harness.estimate.holdout import hold_out
from harness.estimate.published import PublishedData, published_data
from harness.estimate.standing import standing

SHARES = st.floats(0.0, 1.0)
TIMES = st.floats(0.001, 1000.0)

ENOUGH_ROWS = 40
"""Rows of which a half is still enough to fit."""


@pytest.fixture(scope="module")
def data() -> PublishedData:
    return published_data()


def small(builder: Any) -> Any:
    """Eight kernels of a few microseconds each."""
    b = builder((1, 6, 100, 1))
    for _ in range(8):
        b.conv(16, 1)
    return b.build()


def test_an_estimate_of_mostly_launches_says_so(builder: Any, profiles: Any) -> None:
    found = estimate(small(builder), profiles["rpi4"], kernel_family="tflite-xnnpack", threads=4)
    assert not found.in_domain
    known = standing(profiles["rpi4"], family="tflite-xnnpack", precision="fp32", threads=4)
    share = f"{100 * known.overhead_share:.0f} %"
    (reason,) = found.reasons
    assert reason == f"launching kernels takes more of its time than of any published network's ({share} at most)"


def test_its_interval_reaches_from_what_is_computed_to_launches_twice_as_dear(builder: Any, profiles: Any) -> None:
    found = estimate(small(builder), profiles["rpi4"], kernel_family="tflite-xnnpack", threads=4).latency_ms
    known = standing(profiles["rpi4"], family="tflite-xnnpack", precision="fp32", threads=4)
    assert found.p50 / found.lo90 > 3 * known.factor90
    assert known.factor90 < found.hi90 / found.p50 < 2 * known.factor90


def test_no_variant_of_it_is_told_to_be_faster(builder: Any, profiles: Any) -> None:
    found = estimate(small(builder), profiles["rpi4"], kernel_family="tflite-xnnpack", threads=4)
    assert found.pair_factor90 > 3
    assert found.gain_factor90 > 3


def test_a_small_network_is_taken_to_run_on_one_thread_and_a_large_one_on_all(
    builder: Any, mobilenets: Any, profiles: Any
) -> None:
    board = profiles["rpi4"]
    given = {"kernel_family": "tflite-xnnpack"}
    little, large = (estimate(graph, board, **given) for graph in (small(builder), mobilenets["fp32"]))
    assert (little.threads, large.threads) == (1, board.fast_cores)
    assert little == estimate(small(builder), board, **given, threads=1)
    assert little.latency_ms.p50 < estimate(small(builder), board, **given, threads=4).latency_ms.p50


def test_the_kernels_of_an_estimate_are_priced_at_its_threads(builder: Any, profiles: Any) -> None:
    board = profiles["rpi4"]
    told, alone = (
        per_operator(small(builder), board, kernel_family="tflite-xnnpack", threads=threads) for threads in (None, 1)
    )
    assert told == alone


def test_one_thread_wakes_nobody_and_needs_no_reason(builder: Any, profiles: Any) -> None:
    b = builder((1, 16, 14, 14))
    for _ in range(4):
        b.conv(32, 3)
    alone, four = (
        estimate(b.build(), profiles["rpi4"], kernel_family="tflite-xnnpack", threads=threads) for threads in (1, 4)
    )
    assert alone.in_domain
    assert not four.in_domain


@given(launches=TIMES, computed=TIMES, published=SHARES)
def test_what_is_unseen_is_a_part_of_the_launches(launches: float, computed: float, published: float) -> None:
    found = Overhead(launches_ms=launches, of_ms=launches + computed, published_share=published)
    assert 0 <= found.unseen_ms <= launches * (1 - LEAST_LAUNCH)
    if launches / (launches + computed) < published:
        assert not found.unseen_ms
        assert not found.reasons


@given(launches=TIMES, computed=TIMES, shares=st.tuples(SHARES, SHARES))
def test_the_smaller_the_published_networks_the_less_is_unseen(
    launches: float, computed: float, shares: tuple[float, float]
) -> None:
    fewer, more = (
        Overhead(launches_ms=launches, of_ms=launches + computed, published_share=share).unseen_ms
        for share in sorted(shares, reverse=True)
    )
    assert fewer <= more


def test_the_interval_holds_for_networks_smaller_than_all_that_was_fitted(data: PublishedData) -> None:
    """Half of the rows, those with the larger networks, are fitted; the others have launches beyond what those have."""
    within: list[bool] = []
    without: list[bool] = []
    for rows in (data.calibrating(family, precision) for family in FAMILIES for precision in PRECISIONS):
        if len(rows) < ENOUGH_ROWS:
            continue
        every = design(rows, data)
        shares = overhead_shares(every, fit(every))
        large, little = every.take(shares <= np.median(shares)), every.take(shares > np.median(shares))
        coefficients, factor90 = fit(large), _factor90(large)
        published = float(overhead_shares(large, coefficients).max())
        predicted = little.matrix @ coefficients
        for ms, share, measured in zip(
            predicted, overhead_shares(little, coefficients), little.measured_ms, strict=True
        ):
            found = Overhead(launches_ms=share * ms, of_ms=ms, published_share=published)
            if found.reasons:
                low, high = (ms - found.unseen_ms) / factor90, (ms + found.unseen_ms) * factor90
                within.append(low <= measured <= high)
                without.append(ms / factor90 <= measured <= ms * factor90)
    assert len(within) > 200
    assert np.mean(without) < 0.88
    assert np.mean(within) > 0.93


def _factor90(rows: Design) -> float:
    return factor(np.log(hold_out(rows).datasheet_ms / rows.measured_ms), rows.of("soc"))


def test_the_overhead_of_a_row_is_that_of_its_launches(data: PublishedData) -> None:
    rows = design(data.calibrating("tflite-ruy", "int8")[:5], data)
    prior = np.ones(rows.matrix.shape[1])
    launches = rows.matrix[:, [COLUMN[name] for name in OVERHEAD]].sum(axis=1)
    assert overhead_shares(rows, prior) == pytest.approx(launches / rows.matrix.sum(axis=1))
