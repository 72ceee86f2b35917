"""The Pareto front against its definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.report.pareto import pareto_front

POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=30)


def beaten(point: tuple[int, int], other: tuple[int, int]) -> bool:
    return other != point and other[0] <= point[0] and other[1] >= point[1]


@given(POINTS)
def test_the_front_holds_what_no_other_point_beats(points: list[tuple[int, int]]) -> None:
    front = pareto_front(dict(enumerate(points)))
    expected = {at for at, point in enumerate(points) if not any(beaten(point, other) for other in points)}
    assert front == expected


def test_no_points_have_no_front() -> None:
    assert pareto_front({}) == frozenset()
