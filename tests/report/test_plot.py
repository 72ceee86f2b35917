"""Geometry of the drawings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.record import Record
from harness.report.document import build_report
from harness.report.plot import Scale, bar_scale, linear_ticks, log_ticks, scatter


@given(st.floats(0.001, 1e4), st.floats(1.01, 1e4), st.floats(0, 1))
def test_a_scale_keeps_order_and_stays_inside(lo: float, factor: float, share: float) -> None:
    for log in (False, True):
        scale = Scale(lo=lo, hi=lo * factor, start=50, end=650, log=log)
        middle = lo + (lo * factor - lo) * share
        assert 50 <= scale(lo) <= scale(middle) <= scale(lo * factor) <= 650
        assert scale(lo * factor * 10) == 650


@given(st.floats(1e-4, 1e4), st.floats(1.3, 1e6))
def test_ticks_of_a_logarithmic_axis_are_inside_and_not_too_many(lo: float, factor: float) -> None:
    found = log_ticks(lo, lo * factor, 343)
    assert all(lo <= tick <= lo * factor for tick in found)
    assert len(found) <= 12


@given(st.floats(0, 0.99), st.floats(0.004, 1))
def test_ticks_of_a_linear_axis_are_inside_and_not_too_many(lo: float, width: float) -> None:
    found = linear_ticks(lo, lo + width, 6)
    assert len(found) <= 7
    assert all(lo - 1e-9 <= tick <= min(lo + width, 1) + 1e-9 for tick in found)


@pytest.mark.parametrize("size", [(1040, 380), (343, 320)])
def test_points_whiskers_and_labels_lie_inside_the_drawing(records: list[Record], size: tuple[int, int]) -> None:
    for section in build_report(records, {}).sections:
        plot = scatter(section, *size)
        for point in plot.points:
            assert plot.left <= point.x_lo <= point.x_hi <= plot.right
            assert plot.top <= point.y_hi <= point.y_lo <= plot.bottom
            assert point.label is None or 0 <= point.label.x <= plot.width


def test_points_that_coincide_are_moved_apart(records: list[Record]) -> None:
    plot = scatter(build_report(records, {}).sections[1], 1040, 380)
    places = [(point.x, point.y) for point in plot.points]
    assert len(set(places)) == len(places)


def test_labels_do_not_cover_each_other(records: list[Record]) -> None:
    plot = scatter(build_report(records, {}).sections[1], 1040, 380)
    labels = [point.label for point in plot.points if point.label]
    assert {label.text for label in labels} >= {"int8-static", "baseline"}
    assert len({(label.x, label.y) for label in labels}) == len(labels)


def test_one_point_is_no_scatter(factory: dict[str, Any]) -> None:
    assert scatter(build_report([factory["record"]()], {}).sections[0], 1040, 380) is None


def test_equal_qualities_can_be_drawn(factory: dict[str, Any]) -> None:
    cells = [factory["record"](recipe=f"r{n}", quality=factory["unlabelled"](1.0)) for n in range(3)]
    assert len(scatter(build_report(cells, {}).sections[0], 1040, 380).points) == 3


def test_intervals_of_zero_width_have_no_bars() -> None:
    assert bar_scale([(1.0, 1.0, 1.0)], 88, log=True) is None
    assert bar_scale([], 88, log=False) is None
