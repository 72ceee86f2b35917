"""How long one estimate takes once a graph is loaded: MobileNetV2 at 224 × 224, with and without calibration.

    make bench

A search that asks for the cost of a thousand variants must not wait for it: the budget is 5 ms an estimate.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness.estimate.estimator import estimate, per_operator
from harness.estimate.published import published_folder
from harness.graph import OpGraph
from harness.profile import DeviceProfile
from harness.profile_file import builtin_folder, load_profiles
from harness.workload import read_workload


@pytest.fixture(scope="module")
def mobilenet() -> OpGraph:
    return read_workload(published_folder() / "workloads" / "tf-mobilenet_v2_1.0_224.json")


@pytest.fixture(scope="module")
def board() -> DeviceProfile:
    return load_profiles([builtin_folder()])["rpi4"]


@pytest.mark.benchmark(group="one estimate")
@pytest.mark.parametrize("family", ["ncnn", "mlas"])
def test_a_mobilenet_is_estimated(benchmark: Any, mobilenet: OpGraph, board: DeviceProfile, family: str) -> None:
    found = benchmark(estimate, mobilenet, board, kernel_family=family)
    assert found.latency_ms.p50 > 0


@pytest.mark.benchmark(group="one estimate")
def test_its_kernels_alone_are_priced(benchmark: Any, mobilenet: OpGraph, board: DeviceProfile) -> None:
    assert benchmark(per_operator, mobilenet, board, kernel_family="ncnn")
