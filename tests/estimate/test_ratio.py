"""Ratios of two estimates on one device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.estimate.calibrated import fitted
from harness.estimate.estimator import estimate
from harness.estimate.interval import Estimate, Interval
from harness.estimate.ratio import ratio
from harness.estimate.standing import OTHER_THREADS, PRIOR_FACTOR90

POINT = Interval(p50=10.0, lo90=5.0, hi90=20.0)
BASE = Estimate(
    kind="estimated", latency_ms=POINT, peak_memory_bytes=POINT, energy_mj=None, energy_above_idle_mj=None, threads=4,
    basis="made up", in_domain=True, pair_factor90=1.25, gain_factor90=2.0,
)  # fmt: skip
FACTORS = st.floats(1.01, 4)


def taking(ms: float, **more: Any) -> Estimate:
    return replace(BASE, latency_ms=Interval(p50=ms, lo90=ms / 2, hi90=ms * 2), **more)


@pytest.mark.parametrize(
    ("ms", "verdict"),
    [(7.9, "faster"), (8.1, "no difference shown"), (10.0, "no difference shown"), (12.4, "no difference shown"),
     (12.6, "slower")],
)  # fmt: skip
def test_a_verdict_needs_the_whole_interval_on_one_side(ms: float, verdict: str) -> None:
    assert ratio(taking(ms), BASE).verdict == verdict


def test_an_estimate_is_no_faster_than_itself() -> None:
    found = ratio(BASE, BASE)
    assert found.interval == Interval(p50=1.0, lo90=1 / 1.25, hi90=1.25)
    assert found.verdict == "no difference shown"


def test_what_threads_gain_is_in_doubt_where_only_one_of_the_two_has_them() -> None:
    alone = ratio(taking(9.0, threads=1), BASE).interval
    assert alone.hi90 / alone.p50 == pytest.approx(1.25 * OTHER_THREADS)


@given(ms=st.floats(0.1, 1000), pair=FACTORS, gain=FACTORS, precision=st.sampled_from(["fp32", "int8"]))
def test_turned_round_a_ratio_is_its_inverse(ms: float, pair: float, gain: float, precision: str) -> None:
    one = taking(ms, pair_factor90=pair, gain_factor90=gain, precision=precision)
    there, back = ratio(one, BASE), ratio(BASE, one)
    assert there.interval.p50 == pytest.approx(1 / back.interval.p50)
    assert there.interval.lo90 == pytest.approx(1 / back.interval.hi90)
    assert there.interval.hi90 == pytest.approx(1 / back.interval.lo90)
    opposite = {"faster": "slower", "slower": "faster"}
    assert there.verdict == opposite.get(back.verdict, back.verdict)


@given(ms=st.floats(0.1, 1000), pair=FACTORS)
def test_the_less_sure_of_the_two_decides(ms: float, pair: float) -> None:
    found = ratio(taking(ms, pair_factor90=pair), BASE).interval
    assert found.hi90 / found.p50 == pytest.approx(max(pair, BASE.pair_factor90))


def test_two_precisions_are_compared_by_what_is_known_of_the_gain_of_one_over_the_other() -> None:
    """Float has no gain over float that anybody could publish: its own factor is that of knowing nothing."""
    found = ratio(taking(6.0, precision="int8"), replace(BASE, gain_factor90=3.0))
    assert found.interval.hi90 / found.interval.p50 == pytest.approx(2.0)
    assert found.verdict == "no difference shown"
    assert ratio(taking(6.0), BASE).verdict == "faster"


@given(pair=FACTORS, gain=FACTORS)
def test_another_precision_never_makes_a_ratio_surer(pair: float, gain: float) -> None:
    alike, unlike = (
        ratio(taking(6.0, pair_factor90=pair, gain_factor90=gain, precision=p), BASE).interval for p in ("fp32", "int8")
    )
    assert unlike.hi90 >= alike.hi90


def test_the_ratio_of_two_networks_is_surer_than_either_latency(mobilenets: Any, profiles: Any) -> None:
    """What is wrong with the datasheet of a device that nobody measured is wrong with both."""
    board = replace(profiles["rpi4"], calibrations=())
    one = estimate(mobilenets["fp32"], board, kernel_family="ncnn")
    found = ratio(one, one).interval
    assert found.hi90 < one.latency_ms.hi90 / one.latency_ms.p50


def test_a_network_of_half_the_channels_is_shown_to_be_faster(builder: Any, profiles: Any) -> None:
    def tower(channels: int) -> Any:
        b = builder((1, 16, 56, 56))
        for _ in range(8):
            b.conv(channels, 3)
            b.add("relu")
        return b.build()

    half, full = (estimate(tower(n), profiles["rpi4"], kernel_family="ncnn") for n in (32, 64))
    assert ratio(half, full).verdict == "faster"


def test_the_gain_of_int8_is_as_sure_as_the_published_gains_of_its_family(mobilenets: Any, profiles: Any) -> None:
    floats, integers = (estimate(mobilenets[p], profiles["rpi4"], kernel_family="ncnn") for p in ("fp32", "int8"))
    found = ratio(integers, floats).interval
    _, known = fitted("ncnn", "int8")
    assert known is not None
    assert found.hi90 / found.p50 == pytest.approx(max(known.gain_factor90, known.pair_factor90))


def test_a_gain_that_nobody_published_is_as_unsure_as_the_prior(mobilenets: Any, profiles: Any) -> None:
    one, other = (estimate(mobilenets[p], profiles["rpi5"], kernel_family="mlas") for p in ("fp16", "fp32"))
    found = ratio(one, other)
    assert found.interval.hi90 / found.interval.p50 == pytest.approx(PRIOR_FACTOR90)
