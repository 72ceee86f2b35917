"""The fit: on data whose coefficients are known it finds their predictions, and no more than the data say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.estimate.design import COLUMN, NAMES
from harness.estimate.fit import DEVICE_SD, MODEL_SD, as_table, fit, scale

TRUTH = np.random.default_rng(3).lognormal(0, 0.5, len(NAMES))


def off(given_design: Any, coefficients: Any, truth: Any = TRUTH) -> np.ndarray:
    """Relative errors of predictions against those of the truth, the common factor of all taken out."""
    errors = np.log((given_design.matrix @ coefficients) / (given_design.matrix @ truth))
    return np.abs(np.exp(errors - np.median(errors)) - 1)


def test_without_belief_in_the_prior_known_coefficients_predict_again_through_the_runs_own_factors(
    synthetic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = synthetic(TRUTH)
    assert off(made, np.ones(len(NAMES))).mean() > 0.3
    monkeypatch.setattr("harness.estimate.fit.RIDGE", 1e-4)
    assert off(made, fit(made)).mean() < 0.005


def test_belief_in_the_prior_keeps_at_most_two_thirds_of_its_error(synthetic: Any) -> None:
    made = synthetic(TRUTH)
    assert off(made, fit(made)).mean() < off(made, np.ones(len(NAMES))).mean() * 2 / 3


def test_noise_does_not_make_a_coefficient_negative(synthetic: Any) -> None:
    assert fit(synthetic(TRUTH, noise=0.5)).min() >= 0


def test_a_run_that_is_slower_as_a_whole_changes_no_order_of_networks(synthetic: Any) -> None:
    made = synthetic(TRUTH)
    runs = made.of("run")
    slower = replace(made, measured_ms=made.measured_ms * np.where(runs == "run0", 2.0, 1.0))
    assert off(made, fit(slower), fit(made)).max() < 0.05


def test_a_row_far_off_moves_the_others_little(synthetic: Any) -> None:
    made = synthetic(TRUTH)
    measured = made.measured_ms.copy()
    measured[5] *= 10
    assert off(made, fit(replace(made, measured_ms=measured)), fit(made)).mean() < 0.02


def test_what_no_row_depends_on_stays_at_the_prior_times_the_level(synthetic: Any) -> None:
    made = synthetic(np.ones(len(NAMES)), run_spread=0.0)
    matrix = made.matrix.copy()
    matrix[:, COLUMN["group"]] = 0
    found = fit(replace(made, matrix=matrix, measured_ms=matrix.sum(axis=1) * 1.7))
    assert found[COLUMN["group"]] == pytest.approx(1.7)


def test_rows_that_the_prior_explains_leave_it_where_it_is(synthetic: Any) -> None:
    made = synthetic(np.ones(len(NAMES)), run_spread=0.0)
    assert fit(made) == pytest.approx(np.ones(len(NAMES)))


def test_one_row_alone_hardly_moves_the_ratio_of_coefficients(synthetic: Any) -> None:
    one = synthetic(TRUTH).take([True] + [False] * 107)
    found = fit(one)
    assert found == pytest.approx(np.full(len(NAMES), found.mean()), rel=0.05)


def test_the_unit_of_time_does_not_matter(synthetic: Any) -> None:
    made = synthetic(TRUTH, noise=0.1)
    assert fit(replace(made, measured_ms=made.measured_ms * 1000)) == pytest.approx(fit(made) * 1000)


def test_the_same_rows_give_the_same_bytes(synthetic: Any) -> None:
    one, other = (fit(synthetic(TRUTH, noise=0.1)) for _ in range(2))
    assert one.tobytes() == other.tobytes()


def test_the_order_of_rows_does_not_matter(synthetic: Any) -> None:
    made = synthetic(TRUTH, noise=0.1)
    order = np.random.default_rng(0).permutation(len(made.rows))
    shuffled = replace(
        made, rows=tuple(made.rows[i] for i in order), matrix=made.matrix[order], measured_ms=made.measured_ms[order]
    )
    assert fit(shuffled) == pytest.approx(fit(made), rel=1e-6)


def test_a_table_names_every_coefficient() -> None:
    assert as_table(TRUTH) == dict(zip(map(str, NAMES), TRUTH, strict=True))


def test_without_models_a_device_has_no_scale_of_its_own() -> None:
    assert scale(np.array([])) == 1.0


def test_one_model_moves_a_scale_by_as_much_as_its_error_is_trusted() -> None:
    trust = (1 / MODEL_SD**2) / (1 / MODEL_SD**2 + 1 / DEVICE_SD**2)
    assert scale(np.log([2.0])) == pytest.approx(2**trust)


@given(error=st.floats(-2, 2), models=st.integers(1, 30))
def test_a_scale_lies_between_1_and_what_the_models_say_and_nears_it(error: float, models: int) -> None:
    found, more = (np.log(scale(np.full(n, error))) for n in (models, models + 1))
    assert 0 <= abs(found) <= abs(more) <= abs(error) + 1e-12
    assert found * error >= 0


def test_one_wrong_model_of_many_does_not_move_a_scale() -> None:
    errors = np.full(9, 0.2)
    assert scale(np.array([*errors, 5.0])) == pytest.approx(scale(np.full(10, 0.2)))
