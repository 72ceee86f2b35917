"""Files of a fit: written the same every time, and nothing that a person wrote is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.estimate.calibrated import FOLDER, FittedFamily, FittedPrecision, fitted_families
from harness.estimate.fit_files import MARK, write_fit
from harness.estimate.fitting import FittedAll
from harness.profile import Calibration
from harness.profile_file import builtin_folder, load_profile

FOUND = FittedAll(
    families=(
        FittedFamily(
            family="mlas",
            source="made up",
            precisions={
                "fp32": FittedPrecision(
                    rows=9, runs=3, processors=3, models=3, model_families=3, error_percent=10.0,
                    scaled_error_percent=8.0, factor90=1.5, scaled_factor90=1.3, pair_factor90=1.2,
                    coefficients={"pointwise": 1.25},
                )
            },
        ),
    ),
    calibrations={
        "rpi4": (
            Calibration(kernel_family="mlas", precision="fp32", threads=4, scale=0.9, rows=3, models=3,
                        error_percent=8.0, source="made up", date="2026"),
        )
    },
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two profiles as they ship."""
    for name in ("rpi4", "rpi5"):
        text = (builtin_folder() / f"{name}.toml").read_text(encoding="utf-8")
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    return tmp_path


def above(path: Path) -> str:
    return path.read_text(encoding="utf-8").split(MARK, 1)[0].rstrip("\n")


def test_what_is_written_is_read_again(folder: Path) -> None:
    write_fit(FOUND, folder)
    assert fitted_families(folder / FOLDER) == {"mlas": FOUND.families[0]}
    assert load_profile(folder / "rpi4.toml").calibrations == FOUND.calibrations["rpi4"]


def test_what_a_person_wrote_stays(folder: Path) -> None:
    before = {path: above(path) for path in folder.glob("*.toml")}
    write_fit(FOUND, folder)
    assert {path: above(path) for path in folder.glob("*.toml")} == before


def test_the_kernels_that_a_profile_names_outlive_a_fit(folder: Path) -> None:
    before = load_profile(folder / "rpi4.toml").kernels
    write_fit(FOUND, folder)
    assert before
    assert load_profile(folder / "rpi4.toml").kernels == before


def test_a_device_that_has_no_calibration_any_more_loses_it(folder: Path) -> None:
    write_fit(FOUND, folder)
    text = (folder / "rpi5.toml").read_text(encoding="utf-8")
    assert MARK not in text
    assert text.endswith("\n")
    assert load_profile(folder / "rpi5.toml").calibrations == ()


def test_written_twice_nothing_changes(folder: Path) -> None:
    assert {path.name for path in write_fit(FOUND, folder)} == {"mlas.toml", "rpi4.toml", "rpi5.toml"}
    assert write_fit(FOUND, folder) == ()


def test_the_same_fit_is_the_same_bytes_whatever_stood_there_before(folder: Path) -> None:
    write_fit(FOUND, folder)
    first = (folder / "rpi4.toml").read_bytes()
    write_fit(FittedAll(families=(), calibrations={}), folder)
    assert (folder / "rpi4.toml").read_bytes() != first
    write_fit(FOUND, folder)
    assert (folder / "rpi4.toml").read_bytes() == first


@pytest.mark.parametrize("text", ["family = ", "family = 'mlas'\n", "family = 'm'\nsource = 's'\nwhat = 1\n"])
def test_a_file_that_is_no_fit_is_refused_with_what_writes_it_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "mlas.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"mlas\.toml is not a fitted kernel family") as caught:
        fitted_families(tmp_path)
    assert "bench profiles fit" in caught.value.hint
