"""The double hold-out: nothing of what is predicted reaches the fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.estimate.design import NAMES, Design
from harness.estimate.fit import fit
from harness.estimate.holdout import hold_out

TRUTH = np.random.default_rng(3).lognormal(0, 0.5, len(NAMES))
CELLS = [("family0", "soc0"), ("family3", "soc1"), ("family2", "soc3")]


@pytest.fixture(scope="module")
def made(synthetic: Any) -> Design:
    found: Design = synthetic(TRUTH, noise=0.1, families=4, socs=4)
    return found


def corrupted(given: Design, rows: np.ndarray) -> Design:
    """The same with other latencies in some rows."""
    wrong = np.exp(np.random.default_rng(11).uniform(-3, 3, len(given.rows)))
    return replace(given, measured_ms=np.where(rows, given.measured_ms * wrong, given.measured_ms))


@pytest.mark.parametrize(("family", "soc"), CELLS)
def test_neither_its_model_family_nor_its_processor_reaches_a_datasheet_prediction(
    made: Design, family: str, soc: str
) -> None:
    families, socs = made.of("model_family"), made.of("soc")
    hidden = (families == family) & (socs == soc)
    after = hold_out(corrupted(made, (families == family) | (socs == soc))).datasheet_ms[hidden]
    assert after.tobytes() == hold_out(made).datasheet_ms[hidden].tobytes()


@pytest.mark.parametrize(("family", "soc"), CELLS)
def test_its_own_model_family_does_not_reach_a_scaled_prediction(made: Design, family: str, soc: str) -> None:
    families = made.of("model_family")
    hidden = (families == family) & (made.of("soc") == soc)
    after = hold_out(corrupted(made, families == family)).scaled_ms[hidden]
    assert after.tobytes() == hold_out(made).scaled_ms[hidden].tobytes()


def test_other_rows_do_reach_it(made: Design) -> None:
    families, socs = made.of("model_family"), made.of("soc")
    hidden = (families == "family0") & (socs == "soc0")
    before = hold_out(made)
    elsewhere = hold_out(corrupted(made, (families != "family0") & (socs != "soc0")))
    beside = hold_out(corrupted(made, (families != "family0") & (socs == "soc0")))
    assert not np.allclose(elsewhere.datasheet_ms[hidden], before.datasheet_ms[hidden])
    assert not np.allclose(beside.scaled_ms[hidden], before.scaled_ms[hidden])


def test_two_boards_with_one_processor_are_hidden_together(made: Design) -> None:
    twins = replace(
        made,
        rows=tuple(replace(row, soc="soc0" if row.soc == "soc1" else row.soc) for row in made.rows),
    )
    of_twin = (made.of("soc") == "soc1") & (made.of("model_family") != "family0")
    hidden = (made.of("soc") == "soc0") & (made.of("model_family") == "family0")
    after = hold_out(corrupted(twins, of_twin)).datasheet_ms[hidden]
    assert after.tobytes() == hold_out(twins).datasheet_ms[hidden].tobytes()


def test_a_scale_comes_from_the_other_model_families_of_the_run(made: Design) -> None:
    assert set(hold_out(made).scaled_by) == {9.0}  # three networks of each of three other families


def test_without_other_families_in_its_run_a_prediction_is_not_scaled(made: Design) -> None:
    lonely = made.take((made.of("soc") != "soc0") | (made.of("model_family") == "family0"))
    found = hold_out(lonely)
    alone = lonely.of("soc") == "soc0"
    assert set(found.scaled_by[alone]) == {0.0}
    assert np.array_equal(found.scaled_ms[alone], found.datasheet_ms[alone])


@pytest.mark.parametrize(("kept", "hidden"), [("soc", "model_family"), ("model_family", "soc")])
def test_with_one_processor_or_one_model_family_only_the_other_is_hidden(made: Design, kept: str, hidden: str) -> None:
    only = made.take(made.of(kept) == made.of(kept)[0])
    found = hold_out(only)
    for label in set(only.of(hidden)):
        rows = only.of(hidden) == label
        assert np.array_equal(found.datasheet_ms[rows], (only.matrix @ fit(only.take(~rows)))[rows])


def test_the_same_rows_give_the_same_bytes(made: Design) -> None:
    one, other = hold_out(made), hold_out(made)
    assert one.datasheet_ms.tobytes() == other.datasheet_ms.tobytes()
    assert one.scaled_ms.tobytes() == other.scaled_ms.tobytes()


def test_known_coefficients_are_found_again_on_hidden_rows(synthetic: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.estimate.fit.RIDGE", 1e-4)
    made = synthetic(TRUTH, run_spread=0.05, families=12)
    found = hold_out(made)
    raw = np.abs(np.log(made.matrix.sum(axis=1) / made.measured_ms)).mean()
    assert np.abs(np.log(found.datasheet_ms / made.measured_ms)).mean() < raw / 3
    assert np.abs(np.log(found.scaled_ms / made.measured_ms)).mean() < raw / 3
