"""Quality: accuracy and agreement of known outputs, and outputs that no class can be read from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.measure.statistics import wilson
from harness.model import Data, Split
from harness.quality import Reference, judge, rows_right
from harness.record import Quality


def saved(path: Path, *outputs: Any) -> Path:
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{f"y{i}": np.asarray(o) for i, o in enumerate(outputs)})
    return path


def one_hot(classes: list[int], of: int = 3) -> Any:
    return np.eye(of, dtype=np.float32)[classes]


def data(labels: list[int] | None, rows: int = 4) -> Data:
    column = None if labels is None else np.asarray(labels, np.int64)
    split = Split(inputs=(np.zeros((rows, 2), np.float32),), labels=column)
    return Data(name="points", sha256="1", metric="top1", splits={"test": lambda: split}, note="four points")


def score(folder: Path, outputs: Any, labels: list[int] | None = None, expected: Any = None) -> Quality:
    reference = None
    if expected is not None:
        reference = Reference(outputs=saved(folder / "expected.npz", expected), name="baseline in b")
    return judge(saved(folder / "outputs.npz", outputs), data(labels, len(outputs)), reference)


def test_accuracy_is_the_share_of_rows_whose_largest_score_is_the_label(tmp_path: Path) -> None:
    quality = score(tmp_path, one_hot([0, 1, 2, 2]), [0, 1, 2, 0])
    assert (quality.metric, quality.value, quality.n) == ("top1", 0.75, 4)
    assert (quality.data, quality.note) == ("points", "four points")


def test_rows_without_a_label_are_left_out_of_accuracy_and_not_of_agreement(tmp_path: Path) -> None:
    quality = score(tmp_path, one_hot([0, 1, 2, 2]), [-1, 1, -1, 0], one_hot([0, 1, 2, 1]))
    assert (quality.value, quality.n) == (0.5, 2)
    assert (quality.agreement, quality.agreement_n) == (0.75, 4)
    assert quality.reference == "baseline in b"


def test_the_interval_of_accuracy_is_that_of_wilson(tmp_path: Path) -> None:
    quality = score(tmp_path, one_hot([0] * 8 + [1] * 2), [0] * 10)
    assert (quality.lo95, quality.hi95) == wilson(8, 10)
    assert quality.lo95 == pytest.approx(0.4902, abs=1e-4)  # Newcombe 1998, method 3
    assert quality.hi95 == pytest.approx(0.9433, abs=1e-4)


def test_all_right_is_not_certain(tmp_path: Path) -> None:
    quality = score(tmp_path, one_hot([0, 1]), [0, 1])
    assert quality.hi95 == 1.0
    assert quality.lo95 is not None
    assert quality.lo95 < 0.5


@pytest.mark.parametrize("labels", [None, [-1, -1, -1, -1]])
def test_without_labels_there_is_agreement_alone(tmp_path: Path, labels: list[int] | None) -> None:
    quality = score(tmp_path, one_hot([0, 1, 2, 2]), labels, one_hot([0, 1, 1, 2]))
    assert (quality.metric, quality.value, quality.lo95, quality.n) == ("agreement", None, None, 0)
    assert quality.agreement == 0.75


def test_without_a_reference_there_is_no_agreement(tmp_path: Path) -> None:
    quality = score(tmp_path, one_hot([0, 1]), [0, 1])
    assert (quality.agreement, quality.agreement_n, quality.reference) == (None, 0, "")
    assert quality.max_abs_error is None


def test_the_largest_difference_from_the_reference_is_kept(tmp_path: Path) -> None:
    outputs = np.array([[1.0, 0.0], [0.5, -2.0]], np.float32)
    quality = score(tmp_path, outputs, None, outputs + np.array([[0.0, 0.25], [0.0, 0.0]], np.float32))
    assert quality.max_abs_error == 0.25


def test_trailing_dimensions_are_one_row_of_scores(tmp_path: Path) -> None:
    quality = score(tmp_path, one_hot([0, 2]).reshape(2, 3, 1, 1), [0, 1], one_hot([0, 2]).reshape(2, 3, 1, 1))
    assert quality.value == 0.5
    assert quality.agreement == 1.0


def test_only_the_first_output_is_scored(tmp_path: Path) -> None:
    path = saved(tmp_path / "outputs.npz", one_hot([0, 1]), np.zeros((2, 7)))
    assert judge(path, data([0, 1], 2), None).value == 1.0


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_one_number_a_row_has_no_class_and_agrees_with_nothing(tmp_path: Path, shape: tuple[int, ...]) -> None:
    outputs = np.arange(4, dtype=np.float32).reshape(shape)
    quality = score(tmp_path, outputs, [0, 0, 1, 1], outputs + 0.5)
    assert (quality.value, quality.agreement, quality.agreement_n) == (None, None, 0)
    assert quality.max_abs_error == 0.5
    assert "one number" in quality.note
    assert "four points" in quality.note


def test_numbers_that_are_not_finite_are_said_and_never_written_as_such(tmp_path: Path) -> None:
    outputs = np.array([[1.0, 0.0], [np.nan, 0.0], [np.inf, 0.0], [0.0, 1.0]], np.float32)
    expected = np.array([[1.0, 0.5], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], np.float32)
    quality = score(tmp_path, outputs, [0, 0, 0, 1], expected)
    assert quality.max_abs_error == 0.5
    assert "2 of 4 rows" in quality.note


def test_a_row_of_nan_is_never_right(tmp_path: Path) -> None:
    quality = score(tmp_path, np.full((4, 2), np.nan, np.float32), [0, 0, 0, 0], one_hot([0, 0, 0, 0], of=2))
    assert quality.value == 0.0
    assert quality.agreement == 0.0
    assert quality.max_abs_error is None


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        (np.zeros((3, 2)), "3 rows"),
        (np.zeros((8, 2)), "8 rows"),
    ],
)
def test_another_number_of_rows_than_there_are_labels_is_refused(tmp_path: Path, outputs: Any, said: str) -> None:
    path = saved(tmp_path / "outputs.npz", outputs)
    with pytest.raises(ValueError, match=said):
        judge(path, data([0, 1, 0, 1]), None)


def test_a_reference_of_another_shape_is_refused_and_not_stretched(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\(4, 3\).*\(4, 1\)"):
        score(tmp_path, one_hot([0, 1, 2, 0]), None, np.zeros((4, 1)))


def test_outputs_without_rows_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "outputs.npz", np.zeros((0, 3)))
    with pytest.raises(ValueError, match="0 rows"):
        judge(path, data(None), None)


def test_a_file_without_outputs_is_a_key_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        judge(saved(tmp_path / "outputs.npz"), data(None), None)


def test_integers_are_scored_as_well(tmp_path: Path) -> None:
    assert score(tmp_path, one_hot([0, 1]).astype(np.int8) * 127, [0, 1]).value == 1.0


def test_points_lost_are_paired_row_by_row_with_the_reference(tmp_path: Path) -> None:
    labels = [0, 1, 2, 0] * 25
    expected = one_hot(labels)
    outputs = one_hot([1, *labels[1:]])
    quality = score(tmp_path, outputs, labels, expected)
    assert quality.drop == pytest.approx(0.01)
    assert quality.drop_lo95 is not None
    assert quality.drop_hi95 is not None
    assert quality.drop_lo95 < 0.01 < quality.drop_hi95 < 0.07


def test_divergence_is_zero_for_equal_scores_and_that_of_the_formula_else(tmp_path: Path) -> None:
    scores = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]])
    assert score(tmp_path, scores, None, scores + 5).kl_mean == pytest.approx(0, abs=1e-9)  # softmax ignores an offset
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.6, 0.3, 0.1])
    found = score(tmp_path, np.log(q)[None], None, np.log(p)[None]).kl_mean
    assert found == pytest.approx(float((p * np.log(p / q)).sum()))
    assert score(tmp_path, q[None], None, p[None]).kl_mean == pytest.approx(found)  # outputs that are probabilities


def test_agreement_has_an_interval(tmp_path: Path) -> None:
    quality = score(tmp_path, one_hot([0] * 100), None, one_hot([0] * 98 + [1] * 2))
    assert (quality.agreement_lo95, quality.agreement_hi95) == wilson(98, 100)


def test_which_rows_are_right_can_be_read_back(tmp_path: Path) -> None:
    labels = [0, 1, 2, -1, 0, 1, 2, 0, 1, 2]
    predicted = [0, 0, 2, 1, 0, 1, 1, 0, 1, 2]
    right = rows_right(score(tmp_path, one_hot(predicted), labels))
    assert right is not None
    assert right.tolist() == [True, False, True, True, True, False, True, True, True]
    assert rows_right(score(tmp_path, one_hot([0, 1]), None)) is None


def test_quality_under_a_corruption_is_compared_with_the_reference_under_the_same(tmp_path: Path) -> None:
    def both(name: str, clean: list[int], noisy: list[int]) -> Path:
        path = tmp_path / name
        with path.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **{"y0": one_hot(clean), "noise.y0": one_hot(noisy)})
        return path

    labels = [0, 1, 2, 0]
    reference = Reference(outputs=both("expected.npz", labels, [0, 1, 1, 1]), name="baseline in b")
    quality = judge(both("outputs.npz", labels, [0, 0, 1, 1]), data(labels), reference)
    (found,) = quality.robustness
    assert (found.corruption, found.value, found.n) == ("noise", 0.25, 4)
    assert (found.drop, found.agreement) == (0.25, 0.75)
