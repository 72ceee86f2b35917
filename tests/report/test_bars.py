"""Geometry of the bars that draw intervals."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.report.bars import BAR_WIDTH, Scale, bar, bar_scale


@given(st.floats(0.001, 1e4), st.floats(1.01, 1e4), st.floats(0, 1))
def test_a_scale_keeps_order_and_stays_inside(lo: float, factor: float, share: float) -> None:
    for log in (False, True):
        scale = Scale(lo=lo, hi=lo * factor, start=50, end=650, log=log)
        middle = lo + (lo * factor - lo) * share
        assert 50 <= scale(lo) <= scale(middle) <= scale(lo * factor) <= 650
        assert scale(lo * factor * 10) == 650


def test_bars_of_a_column_share_one_axis_as_wide_as_a_bar() -> None:
    spans = [(1.0, 2.0, 4.0), (4.0, 8.0, 16.0)]
    scale = bar_scale(spans, log=True)
    first, second = (bar(span, scale) for span in spans)
    assert (first.lo, second.hi) == (2, BAR_WIDTH - 2)
    assert first.hi == second.lo
    assert first.lo < first.middle < first.hi


def test_intervals_of_zero_width_have_no_bars() -> None:
    assert bar_scale([(1.0, 1.0, 1.0)], log=True) is None
    assert bar_scale([], log=False) is None
