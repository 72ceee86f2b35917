"""Causes in the structure, each planted, each with a control in which it must not be found."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.why.reason import Cause, Reason
from harness.why.reasons import host_reasons
from harness.why.side import Side

RUN = (("Conv", "fp32", 500.0), ("Conv", "fp32", 500.0))


def causes(found: tuple[Reason, ...]) -> list[Cause]:
    return [reason.cause for reason in found]


def test_zeros_that_dense_kernels_multiply_are_a_reason(make: dict[str, Any]) -> None:
    baseline = make["side"](make["graph"](zeros=0.01), *RUN)
    (reason,) = host_reasons(baseline, make["side"](make["graph"](zeros=0.5), *RUN), make["cpu"]())
    assert (reason.cause, reason.share) == (Cause.DENSE_ZEROS, pytest.approx(0.5))
    assert "50% of the" in reason.text


@pytest.mark.parametrize("zeros", [0.01, 0.03, 0.09])
def test_the_zeros_that_rounding_makes_are_none(make: dict[str, Any], zeros: float) -> None:
    baseline = make["side"](make["graph"](), *RUN)
    assert host_reasons(baseline, make["side"](make["graph"](zeros=zeros), *RUN), make["cpu"]()) == ()


def test_zeros_that_rounding_to_4_bits_makes_are_none(make: dict[str, Any]) -> None:
    baseline = make["side"](make["graph"](), *RUN)
    narrow = make["side"](make["graph"](precision="int4", zeros=0.17), *RUN)
    assert Cause.DENSE_ZEROS not in causes(host_reasons(baseline, narrow, make["cpu"]()))


def test_zeros_without_operator_times_have_no_share(make: dict[str, Any]) -> None:
    found = host_reasons(Side(graph=make["graph"]()), Side(graph=make["graph"](zeros=0.5)), make["cpu"]())
    assert [(r.cause, r.basis, r.share) for r in found] == [(Cause.DENSE_ZEROS, "counted", None)]


def test_channels_that_do_not_fill_the_vectors_are_a_reason(make: dict[str, Any]) -> None:
    baseline = make["side"](make["graph"]((16, 32, 32)), *RUN)
    variant = make["side"](make["graph"]((16, 17, 17)), ("Conv", "fp32", 280.0), ("Conv", "fp32", 150.0))
    found = host_reasons(baseline, variant, make["cpu"](lanes=16))
    assert Cause.ODD_CHANNELS in causes(found)
    (reason,) = (r for r in found if r.cause is Cause.ODD_CHANNELS)
    assert reason.basis == "counted"
    assert reason.share == pytest.approx(1 - 17 / 32)
    assert "2 of 2" in reason.text


def test_pruning_to_whole_vectors_is_none(make: dict[str, Any]) -> None:
    baseline = make["side"](make["graph"]((16, 32, 32)), *RUN)
    variant = make["side"](make["graph"]((16, 16, 16)), ("Conv", "fp32", 167.0), ("Conv", "fp32", 167.0))
    assert host_reasons(baseline, variant, make["cpu"](lanes=16)) == ()


def test_channels_that_were_odd_in_the_baseline_are_not_the_variants_fault(make: dict[str, Any]) -> None:
    baseline = make["side"](make["graph"]((16, 17, 17)), *RUN)
    variant = make["side"](make["graph"]((16, 17, 17), precision="int8"), ("Conv", "int8", 200.0))
    assert host_reasons(baseline, variant, make["cpu"](lanes=16)) == ()


def test_the_same_channels_fill_shorter_vectors(make: dict[str, Any]) -> None:
    baseline = make["side"](make["graph"]((16, 32, 32)), *RUN)
    variant = make["side"](make["graph"]((16, 24, 24)), ("Conv", "fp32", 400.0), ("Conv", "fp32", 290.0))
    assert Cause.ODD_CHANNELS in causes(host_reasons(baseline, variant, make["cpu"](lanes=16)))
    assert Cause.ODD_CHANNELS not in causes(host_reasons(baseline, variant, make["cpu"](lanes=8)))


def test_factors_that_take_more_than_their_multiply_accumulates_are_a_reason(make: dict[str, Any]) -> None:
    baseline = make["side"](make["graph"]((128, 128, 128)), *RUN)
    factors = make["graph"]((128, 32, 128, 32, 128))
    variant = make["side"](factors, *[("Conv", "fp32", 240.0)] * 4)
    (reason,) = host_reasons(baseline, variant, make["cpu"]())
    assert reason.cause is Cause.LESS_REUSE
    assert reason.share == pytest.approx((960 - 500) / 960)
    assert "4 instead of 2" in reason.text
    assert "50% fewer" in reason.text


def test_factors_that_are_as_fast_as_they_have_fewer_are_none(make: dict[str, Any]) -> None:
    baseline = make["side"](make["graph"]((128, 128, 128)), *RUN)
    variant = make["side"](make["graph"]((128, 32, 128, 32, 128)), *[("Conv", "fp32", 126.0)] * 4)
    assert host_reasons(baseline, variant, make["cpu"]()) == ()


def test_operators_that_the_baseline_does_not_have_are_a_reason(make: dict[str, Any]) -> None:
    baseline = make["side"](make["graph"](), *RUN)
    half = make["graph"](precision="fp16")
    run = (("Conv", "fp16", 250.0), ("Conv", "fp16", 250.0))
    (reason,) = host_reasons(baseline, make["side"](half, *run, *[("Reorder", "fp16", 60.0)] * 3), make["cpu"]())
    assert reason.cause is Cause.OTHER_WORK
    assert reason.share == pytest.approx(180 / 680)
    assert "3 × Reorder (0.18 ms)" in reason.text
    assert host_reasons(baseline, make["side"](half, *run), make["cpu"]()) == ()


def test_work_beside_the_arithmetic_that_did_not_shrink_limits_the_gain(make: dict[str, Any]) -> None:
    side = ("Resize", "fp32", 300.0)
    baseline = make["side"](make["graph"](), *RUN, side)
    variant = make["graph"](precision="int8")
    fast = make["side"](variant, ("Conv", "int8", 150.0), ("Conv", "int8", 150.0), ("Resize", "int8", 300.0))
    slow = make["side"](variant, ("Conv", "int8", 490.0), ("Conv", "int8", 490.0), ("Resize", "int8", 300.0))
    assert causes(host_reasons(baseline, fast, make["cpu"]())) == [Cause.OTHER_WORK]
    assert host_reasons(baseline, slow, make["cpu"]()) == ()


def test_a_model_whose_operators_are_shorter_than_their_launch_is_too_small(make: dict[str, Any]) -> None:
    baseline = make["side"](make["graph"](), *[("Conv", "fp32", 2.0)] * 10, latency_us=40)
    variant = make["side"](make["graph"](precision="int8"), *[("Conv", "int8", 1.0)] * 10, latency_us=30)
    (reason,) = host_reasons(baseline, variant, make["cpu"](launch_ns=300.0))
    assert reason.cause is Cause.TOO_SMALL
    assert reason.share == pytest.approx(1.0)
    assert "20 µs pass outside operators" in reason.text
    assert "baseline: 100%" in reason.text


def test_a_model_of_long_operators_is_not_too_small(make: dict[str, Any]) -> None:
    baseline = make["side"](make["graph"](), *RUN, latency_us=1030)
    variant = make["side"](
        make["graph"](precision="int8"), ("Conv", "int8", 200.0), ("Conv", "int8", 200.0), latency_us=430
    )
    assert host_reasons(baseline, variant, make["cpu"]()) == ()


def test_a_latency_from_a_busier_moment_is_not_taken_for_launches(make: dict[str, Any]) -> None:
    baseline = make["side"](make["graph"](), *RUN, latency_us=3000)
    variant = make["side"](
        make["graph"](precision="int8"), ("Conv", "int8", 200.0), ("Conv", "int8", 200.0), latency_us=1500
    )
    assert host_reasons(baseline, variant, make["cpu"]()) == ()


def test_a_variant_that_promises_nothing_is_asked_nothing(make: dict[str, Any]) -> None:
    tiny = make["side"](make["graph"](), *[("Conv", "fp32", 1.0)] * 10, latency_us=40)
    assert host_reasons(tiny, tiny, make["cpu"](dot_product=False, half=False)) == ()


def test_reasons_come_with_the_largest_share_first(make: dict[str, Any]) -> None:
    baseline = make["side"](make["graph"](), *RUN)
    variant = make["side"](
        make["graph"](precision="int8", zeros=0.5), ("Conv", "int8", 100.0), ("Conv", "fp32", 300.0),
        *[("Quantise", "fp32", 40.0)] * 3,
    )  # fmt: skip
    found = host_reasons(baseline, variant, make["cpu"]())
    assert causes(found)[0] is Cause.FLOAT_LEFT
    shares = [reason.share or 0.0 for reason in found]
    assert len(found) == 3
    assert shares == sorted(shares, reverse=True)


KINDS = st.sampled_from(["Conv", "Quantise", "Resize"])
ROWS = st.lists(st.tuples(KINDS, st.sampled_from(["fp32", "int8", "fp16", ""]), st.floats(0, 1e4)), max_size=6)


@given(
    before=ROWS,
    after=ROWS,
    precision=st.sampled_from(["fp32", "fp16", "int8"]),
    zeros=st.floats(0, 1),
    latency_us=st.floats(0, 1e5),
    has=st.booleans(),
)
def test_shares_are_shares_and_sentences_end(
    make: dict[str, Any],
    before: list[Any],
    after: list[Any],
    precision: str,
    zeros: float,
    latency_us: float,
    has: bool,
) -> None:
    baseline = make["side"](make["graph"](), *before, latency_us=latency_us)
    graph = make["graph"]((16, 20, 9), precision=precision, zeros=zeros)
    variant = make["side"](graph, *after, latency_us=latency_us)
    for reason in host_reasons(baseline, variant, make["cpu"](dot_product=has, half=has)):
        assert reason.share is None or 0 <= reason.share <= 1
        assert reason.text.endswith(".")
        assert "nan" not in reason.text
