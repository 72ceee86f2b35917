"""What is written reads back equal, and commands take it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.calibrate.bandwidth import BLOCKS_KIB, measure_bandwidths
from harness.calibrate.write import write_profile
from harness.detect import detect
from harness.profile import HostCalibration, Quantity
from harness.profile_file import load_profile, resolve_profile


def quantity(value: float, unit: str) -> Quantity:
    return Quantity(value=value, unit=unit, source='measured "here"', date="2026-01-01")


def test_a_profile_reads_back_equal(tmp_path: Path) -> None:
    fitted = HostCalibration(
        family="some", precision="int8", threads=quantity(2, "threads"), graphs=quantity(100, "graphs"),
        error=quantity(5.5, "%"), factor90=quantity(1.2, "times"), near=quantity(2048, "KiB"),
        last=quantity(32768, "KiB"), launch=quantity(1.5, "us"),
        coefficients={"call one": 0.01, "1x1 mac": 1e-05}, residuals={"3x3 8/8 at 7": -3.5},
    )  # fmt: skip
    profile = replace(detect(), name="this-machine", bandwidths=measure_bandwidths(), profiled=(fitted, fitted))
    path = tmp_path / "this-machine.toml"
    write_profile(profile, path)
    assert load_profile(path) == profile
    assert resolve_profile(str(path), {}) == profile


def test_memory_is_measured_for_each_size_of_block() -> None:
    found = measure_bandwidths()
    assert [each.block.value for each in found] == list(BLOCKS_KIB)
    assert all(each.copy.value > 0 and each.read.value > 0 for each in found)
