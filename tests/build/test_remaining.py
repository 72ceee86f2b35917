"""How much longer builds take: told from jobs of the same steps, and from nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.build.remaining import Remaining


def job(key: str, *steps: str, model: str = "m") -> Any:
    found = [SimpleNamespace(name=name) for name in steps]
    return SimpleNamespace(key=key, model=SimpleNamespace(ref=model), steps=found)


class Wall:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


def rest(wall: Wall, *jobs: Any, lanes: int = 1) -> Remaining:
    return Remaining(open={j.key: j for j in jobs}, lanes=lanes, clock=wall)


def build(remaining: Remaining, wall: Wall, made: Any, seconds: float) -> float | None:
    remaining.start(made)
    wall.now += seconds
    return remaining.end(made)


def test_nothing_is_told_before_a_like_job_has_ended(wall: Wall) -> None:
    first, second = job("1", "quantise"), job("2", "prune")
    remaining = rest(wall, first, second)
    assert remaining.left() is None
    assert build(remaining, wall, first, 10.0) == 10.0
    assert remaining.left() is None


def test_an_open_job_takes_as_long_as_those_of_the_same_steps(wall: Wall) -> None:
    jobs = [job(str(n), "quantise") for n in range(4)]
    remaining = rest(wall, *jobs)
    build(remaining, wall, jobs[0], 10.0)
    build(remaining, wall, jobs[1], 20.0)
    left = remaining.left()
    assert left is not None
    assert (left.seconds, left.plus) == (30.0, "")


def test_what_was_timed_on_the_same_model_comes_before_what_was_on_another(wall: Wall) -> None:
    small, large = job("1", "prune", model="small"), job("2", "prune", model="large")
    jobs = [job("3", "prune", model="large"), job("4", "prune", model="third")]
    remaining = rest(wall, small, large, *jobs)
    build(remaining, wall, small, 2.0)
    build(remaining, wall, large, 100.0)
    left = remaining.left()
    assert left is not None
    assert left.seconds == pytest.approx(100.0 + 51.0)


def test_what_is_not_known_is_said_beside_what_is(wall: Wall) -> None:
    jobs = [job("1", "quantise"), job("2", "quantise"), job("3", "prune"), job("4", "distil")]
    remaining = rest(wall, *jobs)
    build(remaining, wall, jobs[0], 5.0)
    left = remaining.left()
    assert left is not None
    assert (left.seconds, left.plus) == (5.0, "2 steps of a kind not timed yet")


def test_lanes_share_the_work_and_one_job_is_never_shared(wall: Wall) -> None:
    jobs = [job(str(n), "quantise") for n in range(4)]
    remaining = rest(wall, *jobs, lanes=2)
    build(remaining, wall, jobs[0], 10.0)
    assert remaining.left().seconds == 15.0  # type: ignore[union-attr]
    build(remaining, wall, jobs[1], 10.0)
    build(remaining, wall, jobs[2], 10.0)
    assert remaining.left().seconds == 10.0  # type: ignore[union-attr]


def test_a_running_job_has_less_before_it_the_longer_it_runs(wall: Wall) -> None:
    jobs = [job("1", "quantise"), job("2", "quantise")]
    remaining = rest(wall, *jobs)
    build(remaining, wall, jobs[0], 10.0)
    remaining.start(jobs[1])
    wall.now += 4.0
    assert remaining.left().seconds == 6.0  # type: ignore[union-attr]
    wall.now += 60.0
    assert remaining.left().seconds == 0.0  # type: ignore[union-attr]


def test_what_comes_out_of_the_cache_tells_nothing(wall: Wall) -> None:
    jobs = [job("1", "quantise"), job("2", "quantise")]
    remaining = rest(wall, *jobs)
    assert remaining.end(jobs[0]) is None
    assert remaining.left() is None


def test_nothing_is_left_when_every_job_has_ended(wall: Wall) -> None:
    only = job("1", "quantise")
    remaining = rest(wall, only)
    build(remaining, wall, only, 1.0)
    assert remaining.left().seconds == 0.0  # type: ignore[union-attr]
