"""Skill: errors are means over runs, orders are of one run, and pairs are close ones only."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Any

import numpy as np
import pytest

from harness.estimate.design import NAMES, Design
from harness.estimate.skill import skill

Row = Callable[..., Any]


def judged(made_row: Row, predicted: list[float], measured: list[float], runs: list[str] | None = None) -> Any:
    runs = runs or ["run"] * len(measured)
    rows = tuple(made_row(run=run, soc=run, model=f"net{i}") for i, run in enumerate(runs))
    given = Design(rows=rows, matrix=np.zeros((len(rows), len(NAMES))), measured_ms=np.array(measured))
    return skill(np.array(predicted), given)


def test_no_run_counts_for_its_number_of_rows(made_row: Row) -> None:
    found = judged(made_row, [1.0] * 9 + [2.0], [1.0] * 10, ["many"] * 9 + ["one"])
    assert found.error == pytest.approx(0.5)
    assert (found.within_10, found.within_20) == (0.5, 0.5)
    assert found.worst_error == pytest.approx(1.0)


def test_the_worst_run_is_named(made_row: Row) -> None:
    assert judged(made_row, [1.0], [1.0]).worst == "board, 1 threads, undated"


@pytest.mark.parametrize(("predicted", "rank"), [([1, 2, 3, 4, 5], 1.0), ([5, 4, 3, 2, 1], -1.0), ([1] * 5, 0.0)])
def test_order_is_judged_by_rank(made_row: Row, predicted: list[float], rank: float) -> None:
    assert judged(made_row, predicted, [1, 10, 100, 1000, 10000]).spearman == pytest.approx(rank)


def test_four_networks_say_nothing_of_order(made_row: Row) -> None:
    assert isnan(judged(made_row, [1, 2, 3, 4], [1, 2, 3, 4]).spearman)


@pytest.mark.parametrize(("ratio", "close"), [(1.05, 0), (1.11, 1), (1.49, 1), (1.6, 0)])
def test_only_pairs_that_are_neither_alike_nor_far_apart_are_close(made_row: Row, ratio: float, close: int) -> None:
    assert judged(made_row, [1.0, 2.0], [1.0, ratio]).close == close


def test_a_close_pair_is_right_when_its_order_is(made_row: Row) -> None:
    assert judged(made_row, [1.0, 1.01], [1.0, 1.3]).close_right == 1.0
    assert judged(made_row, [1.01, 1.0], [1.0, 1.3]).close_right == 0.0


def test_networks_of_two_runs_are_no_pair(made_row: Row) -> None:
    assert judged(made_row, [1.0, 1.2], [1.0, 1.2], ["a", "b"]).close == 0
