"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.412, "0.412 ms"),
        (0.000412, "0.000412 ms"),
        (9.996, "10.0 ms"),
        (12.34, "12.3 ms"),
        (999.6, "1,000 ms"),
        (12345, "12,345 ms"),
        (None, "–"),
        (math.inf, "–"),
        (math.nan, "–"),
    ],
)
def test_milliseconds_have_three_significant_digits_or_a_dash(value: float | None, text: str) -> None:
    assert units.quantity(value, "ms") == text


@given(st.floats(min_value=1e-6, max_value=999, allow_nan=False))
def test_three_significant_digits_are_within_half_a_percent(value: float) -> None:
    assert float(units.digits(value).replace(",", "")) == pytest.approx(value, rel=0.00501)


def test_an_interval_has_the_decimals_of_its_value() -> None:
    assert units.interval(0.412, 0.405, 0.42, "ms") == "0.412 ms [0.405, 0.420]"


def test_an_interval_without_ends_is_its_value() -> None:
    assert units.interval(0.412, None, None, "ms") == "0.412 ms"


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "–"), (0, "0 B"), (999, "999 B"), (1_000, "1.00 kB"), (17_100, "17.1 kB"), (4_850_000, "4.85 MB"),
     (8_334_000_000, "8.33 GB")],
)  # fmt: skip
def test_sizes_are_powers_of_a_thousand(count: int | None, text: str) -> None:
    assert units.size(count) == text


def test_the_ends_of_a_size_are_in_the_unit_of_its_middle() -> None:
    assert units.size_interval(1_200_000, 900_000, 1_600_000) == "1.20 MB [0.90, 1.60]"


def test_shares_are_percentages_with_one_decimal() -> None:
    assert units.percent(0.861, 0.842, 0.878) == "86.1 % [84.2, 87.8]"
    assert units.percent(None) == "–"


@pytest.mark.parametrize(
    ("ratio", "lo", "hi", "verdict", "text"),
    [
        (2.061, 1.9, 2.2, "faster", "2.06× faster [1.90, 2.20]"),
        (0.5, 0.4, 0.625, "slower", "2.00× slower [1.60, 2.50]"),
        (1.01, 0.97, 1.02, "no difference shown", "no difference shown [0.97, 1.02]"),
        (1.004, 1.001, 1.007, "faster", "1.004× faster [1.001, 1.007]"),
        (12.34, 11.0, 13.5, "faster", "12.3× faster [11.0, 13.5]"),
        (1.5, None, None, "no difference shown", "no difference shown (1.50×)"),
    ],
)
def test_a_ratio_says_faster_or_slower_and_how_sure(
    ratio: float, lo: float | None, hi: float | None, verdict: str, text: str
) -> None:
    assert units.speed(ratio, lo, hi, verdict) == text
