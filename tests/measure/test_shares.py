"""Intervals of shares: wider where rows hang together, paired where two variants saw the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measure.shares import design_effect, mcnemar, paired_difference, share_interval
from harness.measure.statistics import wilson

HITS = np.array([True] * 90 + [False] * 10)


def test_rows_that_stand_for_themselves_have_wilsons_interval():
    assert share_interval(HITS, None) == wilson(90, 100)
    assert share_interval(HITS, np.arange(100)) == wilson(90, 100)


def test_groups_that_fail_as_a_whole_widen_the_interval_as_if_each_group_were_one_row():
    groups = np.repeat(np.arange(10), 10)
    low, high = share_interval(HITS, groups)
    assert design_effect(HITS, groups) == pytest.approx(100 / 9)
    assert low < wilson(90, 100)[0] - 0.1
    assert low <= 0.9 <= high


def test_groups_that_fail_alike_widen_nothing():
    hits = np.tile(np.array([True] * 9 + [False]), 10)
    assert design_effect(hits, np.repeat(np.arange(10), 10)) == 1.0


def test_too_few_groups_tell_nothing():
    assert design_effect(HITS, np.repeat(np.arange(4), 25)) == 1.0


def test_the_paired_interval_is_narrower_than_that_of_two_separate_shares():
    draw = np.random.default_rng(0)
    first = draw.random(1000) < 0.9
    second = first ^ (draw.random(1000) < 0.01)
    difference, low, high = paired_difference(first, second)
    assert difference == pytest.approx(first.mean() - second.mean())
    unpaired = 2 * 1.96 * np.sqrt(2 * 0.9 * 0.1 / 1000)
    assert high - low < 0.4 * unpaired


def test_half_a_row_is_added_to_each_cell_as_agresti_and_min_do():
    first = np.array([True] * 40 + [True] * 27 + [False] * 9 + [False] * 24)
    second = np.array([True] * 40 + [False] * 27 + [True] * 9 + [False] * 24)
    difference, low, high = paired_difference(first, second)
    b, c, n = 27.5, 9.5, 102
    half = 1.959964 * np.sqrt((b + c) - (b - c) ** 2 / n) / n
    assert difference == pytest.approx(0.18)
    assert (low, high) == pytest.approx(((b - c) / n - half, (b - c) / n + half), rel=1e-4)


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.floats(0, 1), st.floats(0, 1))
def test_the_interval_holds_the_difference_and_turns_with_the_order(seed, n, p, q):
    draw = np.random.default_rng(seed)
    first, second = draw.random(n) < p, draw.random(n) < q
    difference, low, high = paired_difference(first, second)
    assert -1 <= low <= difference <= high <= 1
    assert paired_difference(second, first) == pytest.approx((-difference, -high, -low))


def test_the_interval_covers_as_often_as_it_says():
    draw = np.random.default_rng(7)
    hit = 0
    for _ in range(600):
        uniform = draw.random(150)
        first, second = uniform < 0.9, (uniform + 0.03 + 0.05 * draw.standard_normal(150)) < 0.9
        expected = 0.9 - np.mean((draw.random(20_000) + 0.03 + 0.05 * draw.standard_normal(20_000)) < 0.9)
        _, low, high = paired_difference(first, second)
        hit += low <= expected <= high
    assert 0.92 <= hit / 600 <= 0.995


def test_mcnemars_test_is_that_of_a_fair_coin_over_the_rows_that_differ():
    first = np.array([True] * 8 + [False] * 2 + [True] * 90)
    second = ~first
    second[10:] = True
    assert mcnemar(first, second) == pytest.approx(2 * (1 + 10 + 45) / 2**10)  # two or fewer heads of ten, two-sided
    assert mcnemar(first, first) == 1.0


def test_a_stricter_level_widens_a_paired_interval():
    second = np.roll(HITS, 3)
    usual, strict = paired_difference(HITS, second), paired_difference(HITS, second, 0.01)
    assert usual[0] == strict[0]
    assert strict[1] < usual[1] < usual[2] < strict[2]
