"""Whether outputs are those of the framework: a largest deviation, what is allowed of it, and what it is taken from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.consistency import ROUNDING, deviation, keeps_network, tolerance
from harness.contributions import Technique

if TYPE_CHECKING:
    from pathlib import Path


def technique(deviation: float | None) -> Technique:
    return Technique(name="made-up", summary="", stage="artifact", deviation=deviation)


def saved(path: Path, *outputs: Any, **more: Any) -> Path:
    np.savez(path, **{f"y{i}": np.asarray(each, np.float32) for i, each in enumerate(outputs)}, **more)
    return path


def test_it_is_the_largest_difference_over_the_largest_value_of_the_reference(tmp_path) -> None:
    ours, theirs = saved(tmp_path / "a.npz", [[1.0, -4.0]]), saved(tmp_path / "b.npz", [[1.0, -4.5]])
    found = deviation(ours, theirs, "the first", 0.2)
    assert found.largest == pytest.approx(0.5 / 4.5)
    assert found.agrees


def test_each_output_is_taken_in_its_own_scale(tmp_path) -> None:
    ours = saved(tmp_path / "a.npz", [[1000.0]], [[0.2]])
    theirs = saved(tmp_path / "b.npz", [[1000.0]], [[0.1]])
    assert deviation(ours, theirs, "the first", None).largest == pytest.approx(1.0, rel=1e-5)


def test_what_is_not_finite_on_one_side_only_never_agrees(tmp_path) -> None:
    ours, theirs = saved(tmp_path / "a.npz", [[1.0, np.nan]]), saved(tmp_path / "b.npz", [[1.0, 2.0]])
    found = deviation(ours, theirs, "the first", 1.0)
    assert found.largest is None
    assert found.agrees is False


def test_rows_under_a_corruption_do_not_take_part(tmp_path) -> None:
    ours = saved(tmp_path / "a.npz", [[1.0]], **{"noise.y0": np.ones((1, 1))})
    theirs = saved(tmp_path / "b.npz", [[1.0]], **{"noise.y0": np.zeros((1, 1))})
    assert deviation(ours, theirs, "the first", ROUNDING).largest == 0.0


def test_another_number_of_outputs_cannot_be_compared(tmp_path) -> None:
    ours, theirs = saved(tmp_path / "a.npz", [[1.0]], [[1.0]]), saved(tmp_path / "b.npz", [[1.0]])
    with pytest.raises(ValueError, match="other outputs than the first"):
        deviation(ours, theirs, "the first", ROUNDING)


def test_another_shape_cannot_be_compared(tmp_path) -> None:
    ours, theirs = saved(tmp_path / "a.npz", [[1.0, 2.0]]), saved(tmp_path / "b.npz", [[1.0]])
    with pytest.raises(ValueError, match=r"shape \(1, 2\).*\(1, 1\)"):
        deviation(ours, theirs, "the first", ROUNDING)


def test_float32_is_allowed_its_rounding_and_half_precision_its_own() -> None:
    assert tolerance([]) == ROUNDING
    assert tolerance([technique(0.0)]) == ROUNDING
    assert tolerance([technique(0.0), technique(1e-2)]) == 1e-2


def test_of_integers_accuracy_alone_can_tell() -> None:
    assert tolerance([technique(0.0), technique(None)]) is None


def test_another_arithmetic_keeps_the_network_and_other_weights_do_not() -> None:
    assert keeps_network([technique(1e-2)])
    assert keeps_network([technique(None)])
    assert not keeps_network([technique(0.0), technique(1e-2)])
