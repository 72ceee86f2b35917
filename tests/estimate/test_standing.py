"""Standing: what is known of a kernel family on a device, from measured there to nothing at all."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log
from typing import Any

import pytest

from harness.estimate.calibrated import POOLED, fitted, fitted_families
from harness.estimate.standing import OTHER_THREADS, PRIOR_FACTOR90, Standing, standing
from harness.profile import Calibration, DeviceProfile


def calibration(**given: Any) -> Calibration:
    row = {
        "kernel_family": "ncnn", "precision": "fp32", "threads": 4, "scale": 1.25, "rows": 9, "models": 9,
        "error_percent": 8.0, "source": "made up", "date": "2026",
    }  # fmt: skip
    return Calibration(**{**row, **given})


@pytest.fixture(scope="module")
def board(profiles: Any) -> DeviceProfile:
    """A board that nobody has measured."""
    return replace(profiles["rpi4"], name="board", calibrations=())


def of(board: DeviceProfile, *known: Calibration, **given: Any) -> Standing:
    asked = {"family": "ncnn", "precision": "fp32", "threads": 4, **given}
    return standing(replace(board, calibrations=known), **asked)


def test_a_calibrated_device_has_its_own_scale_and_says_how_many_models_it_is_from(board: DeviceProfile) -> None:
    found = of(board, calibration())
    assert (found.scale, found.calibrated) == (1.25, True)
    assert found.basis.endswith("calibrated by 9 published models on board")
    assert found.basis.startswith("ncnn fp32 coefficients from ")


def test_a_calibrated_device_takes_the_coefficients_of_its_family(board: DeviceProfile) -> None:
    _, fit = fitted("ncnn", "fp32")
    assert fit is not None
    assert of(board, calibration()).coefficients == of(board).coefficients == fit.coefficients


def test_calibration_narrows_the_interval(board: DeviceProfile) -> None:
    assert of(board, calibration(models=14)).factor90 < of(board).factor90


def test_few_models_leave_doubt_about_the_scale(board: DeviceProfile) -> None:
    _, fit = fitted("ncnn", "fp32")
    assert fit is not None
    factors = [of(board, calibration(models=n)).factor90 for n in (1, 2, 4, 16, 10**6)]
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] == pytest.approx(fit.scaled_factor90, rel=1e-3)
    doubts = [log(f) ** 2 - log(fit.scaled_factor90) ** 2 for f in factors]
    assert doubts[0] == pytest.approx(4 * doubts[2])


def test_another_number_of_threads_is_said_and_widens(board: DeviceProfile) -> None:
    same, other = (of(board, calibration(), threads=threads) for threads in (4, 2))
    assert other.basis == f"{same.basis} at 4 threads"
    assert other.factor90 == pytest.approx(same.factor90 * OTHER_THREADS)
    assert other.scale == same.scale


@pytest.mark.parametrize(("asked", "taken"), [(1, 1), (2, 1), (3, 4), (4, 4), (8, 4)])
def test_the_nearest_number_of_threads_by_ratio_is_taken(board: DeviceProfile, asked: int, taken: int) -> None:
    known = [calibration(threads=threads, scale=float(threads)) for threads in (4, 1)]
    assert of(board, *known, threads=asked).scale == taken


def test_without_calibration_the_datasheet_stands_alone_and_that_is_said(board: DeviceProfile) -> None:
    found = of(board)
    assert (found.scale, found.calibrated) == (1.0, False)
    assert found.basis.endswith("uncalibrated on board: its datasheet alone")


@pytest.mark.parametrize("other", [{"precision": "int8"}, {"kernel_family": "armnn"}])
def test_a_calibration_of_something_else_does_not_count(board: DeviceProfile, other: dict[str, str]) -> None:
    assert of(board, calibration(**other)) == of(board)


def test_a_family_that_nobody_published_takes_what_all_have_in_common_and_says_so(board: DeviceProfile) -> None:
    found = of(board, calibration(), family="mlas")
    pooled = fitted_families()[POOLED].precisions["fp32"]
    assert found.coefficients == pooled.coefficients
    assert found.factor90 == pooled.factor90
    assert found.scale == 1.0
    assert found.basis.startswith("uncalibrated: nothing is published of mlas in fp32, pooled fp32 coefficients")


def test_a_family_without_a_name_is_said_to_have_none(board: DeviceProfile) -> None:
    assert "nothing is published of an unnamed kernel family" in of(board, family="").basis


def test_a_pooled_calibration_on_a_device_is_not_taken_for_that_of_a_family(board: DeviceProfile) -> None:
    assert not of(board, calibration(kernel_family="mlas"), family="mlas").calibrated


def test_float16_without_rows_takes_the_pooled_float32_coefficients(board: DeviceProfile) -> None:
    found = of(board, family="mlas", precision="fp16")
    assert "fp16" not in fitted_families()[POOLED].precisions
    assert found.coefficients == of(board, family="mlas", precision="fp32").coefficients
    assert found.basis.startswith("uncalibrated: nothing is published of mlas in fp16")


def test_where_not_even_a_pooled_fit_exists_the_prior_stands_alone(board: DeviceProfile) -> None:
    found = of(board, family="mlas", precision="int16")
    assert set(found.coefficients.values()) == {1.0}
    assert found.factor90 == found.pair_factor90 == found.gain_factor90 == PRIOR_FACTOR90
    assert found.basis == "physical prior, uncalibrated for mlas in int16"


@pytest.mark.parametrize("family", ["ncnn", "armnn", "tflite-ruy", "tflite-xnnpack", "mlas", "openvino", "torch"])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_word_uncalibrated_stands_exactly_where_nothing_was_measured(
    profiles: Any, family: str, precision: str
) -> None:
    for profile in profiles.values():
        found = standing(profile, family=family, precision=precision, threads=1)
        measured = any((c.kernel_family, c.precision) == (family, precision) for c in profile.calibrations)
        assert found.calibrated is measured
        assert ("uncalibrated" in found.basis) is not measured


def test_the_less_is_known_the_wider_the_interval(profiles: Any) -> None:
    board = profiles["rpi4"]
    factors = [
        standing(board, family="ncnn", precision="fp32", threads=4).factor90,
        standing(replace(board, calibrations=()), family="ncnn", precision="fp32", threads=4).factor90,
        standing(board, family="mlas", precision="fp32", threads=4).factor90,
        standing(board, family="mlas", precision="int16", threads=4).factor90,
    ]
    assert factors == sorted(factors)
    assert len(set(factors)) == len(factors)


def test_a_gain_that_nobody_published_is_as_unsure_as_the_prior(board: DeviceProfile) -> None:
    assert of(board).gain_factor90 == PRIOR_FACTOR90
    assert 1 < of(board, precision="int8").gain_factor90 < PRIOR_FACTOR90


def test_doubts_are_factors_above_one(board: DeviceProfile) -> None:
    for precision in ("fp32", "fp16", "int8"):
        found = of(board, precision=precision)
        assert min(found.factor90, found.pair_factor90, found.gain_factor90) > exp(0.05)
