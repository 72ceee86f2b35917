"""How much longer measuring takes: the budget, or what is taken whatever the budget."""

from __future__ import annotations

import pytest

from harness.measure.pace import FIRST_ONLY, Pace


class Wall:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


def rounds(pace: Pace, wall: Wall, count: int, seconds: float) -> None:
    for _ in range(count):
        wall.now += seconds
        pace.round_done()


def test_nothing_is_told_before_the_first_round(wall: Wall) -> None:
    pace = Pace(budget_s=30.0, processes=3, rounds=6, clock=wall)
    pace.begin(0)
    wall.now += 5.0
    assert pace.left() is None
    pace.opened()
    assert pace.left() is None


def test_a_budget_that_is_long_enough_is_what_is_left(wall: Wall) -> None:
    pace = Pace(budget_s=30.0, processes=3, rounds=6, clock=wall)
    pace.begin(0)
    wall.now += 2.0
    pace.opened()
    rounds(pace, wall, 1, 0.1)
    left = pace.left()
    assert left is not None
    assert left.seconds == pytest.approx(30.0 - 2.1)
    assert left.plus == FIRST_ONLY


def test_what_is_taken_whatever_the_budget_counts_when_it_is_more(wall: Wall) -> None:
    pace = Pace(budget_s=1.0, processes=3, rounds=6, clock=wall)
    pace.begin(0)
    wall.now += 5.0
    pace.opened()
    rounds(pace, wall, 2, 1.0)
    left = pace.left()
    assert left is not None
    assert left.seconds == pytest.approx(4 * 1.0 + 2 * (5.0 + 6 * 1.0))


def test_scoring_is_behind_after_the_first_process(wall: Wall) -> None:
    pace = Pace(budget_s=30.0, processes=2, rounds=2, clock=wall)
    pace.begin(0)
    pace.opened()
    rounds(pace, wall, 2, 1.0)
    pace.begin(1)
    assert pace.left().plus == ""  # type: ignore[union-attr]


def test_variants_that_wait_for_memory_come_on_top(wall: Wall) -> None:
    pace = Pace(budget_s=30.0, processes=1, rounds=1, clock=wall)
    pace.more = "2 variants that memory has no room for yet"
    pace.begin(1)
    pace.opened()
    rounds(pace, wall, 1, 1.0)
    assert pace.left().plus == "2 variants that memory has no room for yet"  # type: ignore[union-attr]


def test_a_budget_that_is_spent_is_never_less_than_nothing(wall: Wall) -> None:
    pace = Pace(budget_s=1.0, processes=1, rounds=1, clock=wall)
    pace.begin(0)
    pace.opened()
    rounds(pace, wall, 3, 1.0)
    assert pace.left().seconds == 0.0  # type: ignore[union-attr]
