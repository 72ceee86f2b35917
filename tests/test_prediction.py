"""Predictions: what a graph costs on a device, on its processor or on an accelerator that is only imitated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.contributions import Backend, Rejection, Simulation
from harness.errors import UnsupportedError
from harness.estimate.estimator import estimate
from harness.estimate.interval import Estimate, Interval
from harness.graph import Operator, OpGraph, Tensor
from harness.plan import Plan
from harness.prediction import Device, accelerator_of, no_accelerator, predict
from harness.profile import Accelerator, AcceleratorFacts, DeviceProfile, Quantity
from harness.profile_file import builtin_folder, load_profiles
from harness.record import Failure, SkipReason
from harness.registry import Registered
from harness.runner import run

BOARD = load_profiles([builtin_folder()])["rpi4"]
FAMILIES = 'kernel_family={"aarch64": "toy", "x86_64": "toy"}'
LATENCY = Interval(p50=2.0, lo90=1.0, hi90=4.0)

GRAPH = OpGraph(
    name="linear",
    inputs=("x",),
    outputs=("y",),
    tensors={
        "x": Tensor(name="x", shape=(1, 64), precision="fp32"),
        "w": Tensor(name="w", shape=(64, 10), precision="fp32", constant=True),
        "y": Tensor(name="y", shape=(1, 10), precision="fp32"),
    },
    operators=(
        Operator(name="fc", kind="fully_connected", inputs=("x", "w"), outputs=("y",), precision="fp32", macs=640),
    ),
    parameters=640,
)


def simulated(graph: OpGraph, facts: Mapping[str, Any]) -> Simulation:
    return Simulation(latency_ms=LATENCY, energy_mj=None, basis=f"imitated at {facts['power_w']} W")


def backend(**more: Any) -> Registered[Backend]:
    contribution = Backend(
        name="engine",
        summary="",
        reads=("file",),
        prepare=lambda: None,
        open=lambda path, options: None,  # type: ignore[arg-type, return-value]
        **more,
    )
    return Registered(name="engine", contribution=contribution, plugin="fake", distribution="fakes", version="1")


def accelerator(name: str, *, optional: bool, kind: str = "abacus") -> Accelerator:
    power = Quantity(value=2.0, unit="W", source="assumed", date="2026")
    return Accelerator(name=name, kind=kind, optional=optional, link="usb3", facts=AcceleratorFacts(power=power))


def device(*accelerators: Accelerator) -> Device:
    return Device(profile=replace(BOARD, accelerators=accelerators), threads=None)


def failed(found: Estimate | Failure) -> Failure:
    assert isinstance(found, Failure), found
    assert found.plugin == "fake (fakes 1)"
    assert found.hint
    return found


def test_the_kernel_family_of_the_device_is_what_is_estimated() -> None:
    families = {"x86_64": "mlas", "aarch64": "xnnpack"}
    found = predict(GRAPH, backend(kernel_family=families), device())
    assert found == estimate(GRAPH, BOARD, kernel_family="xnnpack", threads=None)
    assert found.kind == "estimated"


def test_the_kernels_that_the_device_names_for_a_backend_come_before_those_that_it_names_itself() -> None:
    board = Device(profile=replace(BOARD, kernels={"engine": "armnn"}), threads=None)
    found = predict(GRAPH, backend(kernel_family={"aarch64": "xnnpack"}), board)
    assert found == estimate(GRAPH, BOARD, kernel_family="armnn", threads=None)


def test_a_runtime_that_takes_one_thread_is_estimated_on_one() -> None:
    families = {"aarch64": "xnnpack"}
    found = predict(GRAPH, backend(kernel_family=families, most_threads=1), device())
    assert found == estimate(GRAPH, BOARD, kernel_family="xnnpack", threads=1)


def test_fewer_threads_than_a_runtime_takes_are_estimated_as_asked() -> None:
    asked = Device(profile=BOARD, threads=1)
    found = predict(GRAPH, backend(kernel_family={"aarch64": "xnnpack"}, most_threads=2), asked)
    assert found == estimate(GRAPH, BOARD, kernel_family="xnnpack", threads=1)


def test_a_device_may_name_kernels_of_a_backend_that_names_none() -> None:
    board = Device(profile=replace(BOARD, kernels={"engine": "armnn"}), threads=None)
    assert isinstance(predict(GRAPH, backend(kernel_family={}), board), Estimate)


@pytest.mark.parametrize(
    ("family", "state"), [("tflite-xnnpack", " published models on rpi4"), ("mlas", "uncalibrated: ")]
)
def test_an_estimate_names_its_kernels_and_says_whether_they_are_calibrated(family: str, state: str) -> None:
    found = predict(GRAPH, backend(kernel_family={"aarch64": family}), device())
    assert isinstance(found, Estimate)
    assert found.kernel_family == family
    assert state in found.basis
    assert family in found.basis


def test_what_is_simulated_assumes_no_kernels_of_a_processor() -> None:
    found = predict(GRAPH, backend(accelerator="abacus", simulate=simulated), device(accelerator("a1", optional=False)))
    assert isinstance(found, Estimate)
    assert found.kernel_family == ""


def test_a_backend_for_other_devices_is_estimated_in_the_kernels_that_the_device_is_calibrated_for_and_says_so() -> (
    None
):
    found = predict(GRAPH, backend(kernel_family={"x86_64": "mlas"}), device())
    assert isinstance(found, Estimate)
    own = estimate(GRAPH, BOARD, kernel_family=BOARD.calibrations[0].kernel_family, threads=None)
    assert replace(found, basis="") == replace(own, basis="")
    assert found.basis == f"engine has no kernels for aarch64; as ncnn would run it: {own.basis}"


@pytest.mark.parametrize(("families", "named"), [({"x86_64": "mlas"}, "it names x86_64"), ({}, "it names none")])
def test_no_kernel_family_for_the_device_is_a_failure_and_no_skip(families: dict[str, str], named: str) -> None:
    bare = Device(profile=replace(BOARD, calibrations=()), threads=None)
    found = failed(predict(GRAPH, backend(kernel_family=families), bare))
    assert (found.stage, found.reason) == ("estimate", "")
    assert "no kernel family for aarch64" in found.error
    assert named in found.error
    assert "below [kernels] in a profile of your own" in found.hint


def test_a_row_without_an_estimate_stays_measured(tmp_path: Path, plugins_folder: Path, cache: Path) -> None:
    toy = (plugins_folder / "toy" / "bench_toy" / "__init__.py").read_text(encoding="utf-8")
    plugin = tmp_path / "bench_toy.py"
    assert FAMILIES in toy
    plugin.write_text(toy.replace(FAMILIES, "kernel_family={}"), encoding="utf-8")
    plan = Plan(models=("toy:linear",), recipes=("baseline",), backends=("toy-numpy",), profiles=("rpi4",),
                plugins=(str(plugin),), budget_s=0.1, processes=1)  # fmt: skip
    (record,) = run(plan, out=tmp_path / "run")
    assert record.outcome == "measured"
    assert record.measurement is not None
    assert record.quality is not None
    assert record.estimate is None
    assert record.failure is not None
    assert (record.failure.stage, record.failure.reason) == ("estimate", "")


def test_a_fitted_accelerator_is_part_of_the_board() -> None:
    found = predict(GRAPH, backend(accelerator="abacus", simulate=simulated), device(accelerator("a1", optional=False)))
    assert isinstance(found, Estimate)
    assert (found.kind, found.accelerator) == ("simulated", "a1")
    assert found.latency_ms == LATENCY
    assert found.basis == "imitated at 2.0 W"
    assert found.energy_above_idle_mj is None


def test_an_optional_accelerator_is_said_to_be_an_option() -> None:
    found = predict(GRAPH, backend(accelerator="abacus", simulate=simulated), device(accelerator("a1", optional=True)))
    assert isinstance(found, Estimate)
    assert found.accelerator == "a1 (an option, not part of the board)"


def test_a_fitted_accelerator_is_taken_before_an_optional_one() -> None:
    both = device(accelerator("usb", optional=True), accelerator("fitted", optional=False))
    chosen = accelerator_of(backend(accelerator="abacus"), both.profile)
    assert chosen is not None
    assert chosen.name == "fitted"


def test_an_accelerator_of_another_kind_does_not_count() -> None:
    other = device(accelerator("a1", optional=False, kind="slide-rule"))
    found = failed(predict(GRAPH, backend(accelerator="abacus", simulate=simulated), other))
    assert found == no_accelerator(backend(accelerator="abacus"), other.profile)
    assert found.reason == SkipReason.NO_ACCELERATOR.name
    assert "rpi4 has no abacus" in found.error


def test_a_graph_that_does_not_map_is_a_skip_with_the_codes_counted() -> None:
    rejections = (
        Rejection(code="NOT_QUANTISED", operator="conv1", detail="fp32"),
        Rejection(code="UNSUPPORTED_OP", operator="erf", detail="no kernel"),
        Rejection(code="NOT_QUANTISED", operator="conv2", detail="fp32"),
    )

    def refuse(graph: OpGraph, facts: Mapping[str, Any]) -> Simulation:
        return Simulation(latency_ms=None, energy_mj=None, basis="", rejections=rejections)

    found = failed(
        predict(GRAPH, backend(accelerator="abacus", simulate=refuse), device(accelerator("a1", optional=False)))
    )
    assert found.reason == SkipReason.NOT_MAPPABLE.name
    assert "NOT_QUANTISED × 2, UNSUPPORTED_OP × 1; first: conv1: fp32" in found.error


@pytest.mark.parametrize("error", [RuntimeError("no such\ntable"), UnsupportedError("not today"), KeyError("t0_ms")])
def test_a_simulation_that_raises_is_a_failure_of_that_row(error: Exception) -> None:
    def broken(graph: OpGraph, facts: Mapping[str, Any]) -> Simulation:
        raise error

    found = failed(
        predict(GRAPH, backend(accelerator="abacus", simulate=broken), device(accelerator("a1", optional=False)))
    )
    assert (found.stage, found.reason) == ("estimate", "")
    assert type(error).__name__ in found.error


def test_a_backend_for_an_accelerator_without_a_simulation_is_at_fault_not_the_board() -> None:
    found = failed(predict(GRAPH, backend(accelerator="abacus"), device(accelerator("a1", optional=False))))
    assert found.reason == ""
    assert "no simulation" in found.error


@pytest.mark.parametrize("profile", [p for p in load_profiles([builtin_folder()]).values() if p.accelerators])
def test_the_accelerators_of_built_in_profiles_can_be_simulated(profile: DeviceProfile) -> None:
    given: list[Mapping[str, Any]] = []

    def note(graph: OpGraph, facts: Mapping[str, Any]) -> Simulation:
        given.append(facts)
        return simulated(graph, {"power_w": 0, **facts})

    kind = profile.accelerators[0].kind
    predict(GRAPH, backend(accelerator=kind, simulate=note), Device(profile=profile, threads=None))
    assert {type(value) for value in given[0].values()} <= {float}
