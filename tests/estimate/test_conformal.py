"""Conformal intervals: they hold what they promise, over devices and not over rows."""

from __future__ import annotations

from math import exp, isnan, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.estimate.conformal import COVERAGE, FLOOR, covered, factor

SCORES = st.lists(st.floats(-3, 3), min_size=1, max_size=60)


def exchangeable(draw: np.random.Generator, groups: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors of groups that are alike."""
    return 0.5 * draw.standard_normal(groups * rows), np.repeat(np.arange(groups), rows)


def test_nine_tenths_of_new_errors_lie_within_the_factor() -> None:
    draw = np.random.default_rng(1)
    hits = []
    for _ in range(200):
        errors, labels = exchangeable(draw, 10, 10)
        new, _ = exchangeable(draw, 10, 10)
        hits.append(np.mean(np.abs(new) <= log(factor(errors, labels))))
    assert 0.89 <= np.mean(hits) <= 0.92


def test_groups_judged_by_the_others_are_covered_as_promised() -> None:
    errors, labels = exchangeable(np.random.default_rng(2), 30, 40)
    share, lowest, _ = covered(errors, labels)
    assert share == pytest.approx(COVERAGE, abs=0.02)
    assert 0.7 < lowest < share


def test_each_group_counts_alike_however_many_rows_it_has() -> None:
    many_good = np.array([*np.full(1000, 0.2), *np.full(10, 1.0)]), np.array([*np.zeros(1000), *np.ones(10)])
    assert factor(*many_good) == pytest.approx(exp(1.0))
    one_bad = (
        np.array([*np.full(1000, 1.0), *np.full(190, 0.2)]),
        np.array([*np.zeros(1000), *np.repeat(range(1, 20), 10)]),
    )
    assert factor(*one_bad) == pytest.approx(exp(0.2))


def test_the_same_errors_again_in_every_group_change_nothing_but_the_correction_for_few() -> None:
    errors, labels = exchangeable(np.random.default_rng(3), 20, 10)
    assert factor(np.tile(errors, 5), np.tile(labels, 5)) == pytest.approx(factor(errors, labels), rel=0.05)


def test_no_interval_is_narrower_than_two_runs_of_one_build() -> None:
    assert factor(np.full(50, 1e-6), np.arange(50)) == FLOOR


@pytest.mark.parametrize("count", range(1, 10))
def test_with_fewer_than_ten_errors_the_largest_is_taken(count: int) -> None:
    errors = 0.2 + 0.1 * np.arange(count)
    assert factor(errors, np.arange(count)) == pytest.approx(exp(errors[-1]))


def test_from_nineteen_errors_on_the_largest_is_not_needed() -> None:
    errors = 0.2 + 0.1 * np.arange(19)
    assert factor(errors, np.arange(19)) == pytest.approx(exp(errors[-2]))


def test_without_errors_there_is_no_factor() -> None:
    with pytest.raises(ValueError, match="no errors"):
        factor(np.array([]), [])


@given(errors=SCORES)
def test_at_least_nine_tenths_of_the_errors_themselves_lie_within(errors: list[float]) -> None:
    scores = np.abs(errors)
    assert np.mean(scores <= log(factor(np.array(errors), range(len(errors)))) + 1e-9) >= COVERAGE - 1e-9


@given(errors=SCORES)
def test_the_sign_and_the_order_of_errors_do_not_matter(errors: list[float]) -> None:
    turned = -np.array(errors[::-1])
    assert factor(turned, range(len(errors))) == factor(np.array(errors), range(len(errors)))


@given(errors=SCORES, more=st.floats(1, 3))
def test_larger_errors_never_make_a_narrower_interval(errors: list[float], more: float) -> None:
    labels = range(len(errors))
    assert factor(np.array(errors) * more, labels) >= factor(np.array(errors), labels) - 1e-9


def test_one_group_cannot_be_judged_by_others() -> None:
    share, lowest, found = covered(np.full(20, 0.3), np.zeros(20))
    assert isnan(share)
    assert isnan(lowest)
    assert found == pytest.approx(exp(0.3))


def test_a_group_with_errors_of_its_own_is_seen_as_the_worst() -> None:
    errors = np.array([*np.full(90, 0.15), *np.full(10, 0.9)])
    share, lowest, _ = covered(errors, np.repeat(range(10), 10))
    assert (share, lowest) == (pytest.approx(0.9), 0.0)
