"""The estimate as a whole: interval, domain, basis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.estimate.estimator import OUT_OF_DOMAIN, estimate, per_operator
from harness.estimate.published import published_folder
from harness.estimate.standing import standing
from harness.graph import Operator, OpGraph, Tensor
from harness.profile import HostCalibration, Quantity
from harness.workload import read_workload


def width(estimated: Any) -> float:
    return float(estimated.latency_ms.hi90 / estimated.latency_ms.p50)


def known(profile: Any, family: str = "mlas", precision: str = "fp32") -> Any:
    return standing(profile, family=family, precision=precision, threads=4)


def test_a_plain_network_is_in_domain_and_says_its_basis(mobilenets: Any, profiles: Any) -> None:
    estimated = estimate(mobilenets["fp32"], profiles["rpi4"], kernel_family="mlas")
    assert estimated.in_domain
    assert estimated.reasons == estimated.unmodelled == ()
    assert estimated.basis.startswith("uncalibrated: nothing is published of mlas in fp32, pooled fp32 coefficients")
    assert estimated.kind == "estimated"
    assert estimated.fits == "fits"
    assert width(estimated) == pytest.approx(known(profiles["rpi4"]).factor90)


def test_integers_are_less_certain(mobilenets: Any, profiles: Any) -> None:
    for family in ("mlas", "ncnn"):
        floats, integers = (estimate(mobilenets[p], profiles["rpi4"], kernel_family=family) for p in ("fp32", "int8"))
        assert width(integers) == pytest.approx(known(profiles["rpi4"], family, "int8").factor90)
        assert width(integers) > width(floats)


def test_what_was_measured_on_the_device_is_surer_than_what_was_not(mobilenets: Any, profiles: Any) -> None:
    measured, other = (estimate(mobilenets["fp32"], profiles["rpi4"], kernel_family=f) for f in ("ncnn", "mlas"))
    assert "calibrated by 14 published models on rpi4" in measured.basis
    assert "uncalibrated" not in measured.basis
    assert "uncalibrated" in other.basis
    assert width(measured) < width(other)


def test_a_graph_in_two_precisions_is_as_sure_as_their_shares(builder: Any, profiles: Any) -> None:
    b = builder((1, 64, 56, 56))
    b.conv(64, 3)
    b.conv(64, 3)
    graph = b.build()
    half = replace(graph.operators[1], precision="int8", scheme="static")
    both = estimate(replace(graph, operators=(graph.operators[0], half)), profiles["rpi4"], kernel_family="mlas")
    floats, integers = (known(profiles["rpi4"], precision=p).factor90 for p in ("fp32", "int8"))
    assert width(both) == pytest.approx((floats * integers) ** 0.5)
    assert "in fp32" in both.basis
    assert "in int8" in both.basis


def test_the_precision_is_that_of_most_multiplications(mobilenets: Any, profiles: Any) -> None:
    for board, family, precision in (("rpi4", "ncnn", "fp32"), ("rpi5", "ncnn", "fp16"), ("rpi5", "mlas", "fp32")):
        assert estimate(mobilenets["fp32"], profiles[board], kernel_family=family).precision == precision
    assert estimate(mobilenets["int8"], profiles["rpi5"], kernel_family="ncnn").precision == "int8"


def test_double_precision_stands_on_the_coefficients_of_float(builder: Any, profiles: Any) -> None:
    latencies = []
    for precision in ("fp32", "fp64"):
        b = builder((1, 16, 14, 14), precision)
        b.conv(16, 3)
        found = estimate(b.build(), profiles["rpi4"], kernel_family="mlas")
        assert found.basis.startswith("uncalibrated: nothing is published of mlas in fp32")
        latencies.append(found.latency_ms.p50)
    assert latencies[1] > 1.5 * latencies[0]


@pytest.mark.parametrize(
    ("kind", "reason", "wider"),
    [
        ("unknown", "1 operators are not modelled: unknown1", 1.4),
        ("detection", "detection post-processing (1 operators) is not in the estimate", 1.0),
    ],
)
def test_what_is_not_modelled_is_listed_and_widens(
    builder: Any, profiles: Any, kind: str, reason: str, wider: float
) -> None:
    b = builder()
    b.conv(16, 3)
    b.add(kind)
    estimated = estimate(b.build(), profiles["rpi4"], kernel_family="mlas")
    assert estimated.unmodelled == (f"{kind}1",)
    assert not estimated.in_domain
    assert reason in estimated.reasons[0]
    assert width(estimated) >= known(profiles["rpi4"]).factor90 * OUT_OF_DOMAIN * wider


def test_a_vision_transformer_is_out_of_the_domain_of_convolutional_networks(builder: Any, profiles: Any) -> None:
    b = builder((1, 3, 224, 224))
    b.add("conv", (1, 192, 14, 14), b.constant("patch", (192, 3, 16, 16)), macs=192 * 196 * 3 * 256,
          attributes={"kernel": (16, 16), "stride": (16, 16), "dilation": (1, 1), "groups": 1})  # fmt: skip
    b.add("transpose", (1, 196, 192))
    for _ in range(12):
        b.add("layer_norm")
        b.linear(192)
        b.add("matmul", (1, 3, 196, 196), b.last, macs=3 * 196 * 196 * 64)
        b.add("softmax")
        b.add("matmul", (1, 196, 192), b.last, macs=3 * 196 * 196 * 64)
        b.linear(768)
        b.add("gelu")
        b.linear(192)
    calibrated = standing(profiles["rpi4"], family="ncnn", precision="fp32", threads=4)
    estimated = estimate(b.build(), profiles["rpi4"], kernel_family="ncnn")
    assert not estimated.in_domain
    assert "matrix products of several rows" in estimated.reasons[0]
    assert width(estimated) == pytest.approx(calibrated.factor90 * OUT_OF_DOMAIN)
    assert estimated.pair_factor90 == pytest.approx(calibrated.pair_factor90 * OUT_OF_DOMAIN)


def test_a_published_network_with_a_detection_head_is_out_of_domain(profiles: Any) -> None:
    graph = read_workload(published_folder() / "workloads" / "ncnn-squeezenet_ssd_300.json")
    estimated = estimate(graph, profiles["rpi4"], kernel_family="ncnn")
    assert not estimated.in_domain
    assert "detection post-processing" in estimated.reasons[0]


@pytest.mark.parametrize("name", ["resnet50_224", "mobilenet_v2_1.0_224", "vgg16_224", "squeezenet_v1.1"])
def test_published_convolutional_networks_are_in_domain(profiles: Any, name: str) -> None:
    graph = read_workload(published_folder() / "workloads" / f"ncnn-{name}.json")
    assert estimate(graph, profiles["rpi4"], kernel_family="ncnn").reasons == ()


def test_attention_is_out_of_domain(builder: Any, profiles: Any) -> None:
    b = builder((1, 256, 256))
    b.add("matmul", (1, 256, 256), "x", macs=256**3)
    estimated = estimate(b.build(), profiles["rpi4"], kernel_family="mlas")
    assert not estimated.in_domain
    assert "matrix products" in estimated.reasons[0]
    assert width(estimated) == pytest.approx(known(profiles["rpi4"]).factor90 * OUT_OF_DOMAIN)


def test_a_device_that_was_timed_on_some_threads_is_estimated_on_those(builder: Any, profiles: Any) -> None:
    def of(value: float) -> Quantity:
        return Quantity(value=value, unit="", source="test", date="2026-01-01")

    table = HostCalibration(
        family="mlas", precision="fp32", threads=of(4), graphs=of(100), error=of(5), factor90=of(1.2), near=of(1024),
        last=of(2048), coefficients={"call one": 1.0},
    )  # fmt: skip
    b = builder((1, 6, 10, 10))
    b.conv(16, 1)
    board = replace(profiles["rpi4"], profiled=(table,))
    found = estimate(b.build(), board, kernel_family="mlas")
    assert found.threads == 4
    assert found.latency_ms.p50 == pytest.approx(1.0, rel=0.1)
    assert not any("launching" in each for each in found.reasons)


def test_a_dynamic_dimension_is_out_of_domain(builder: Any, profiles: Any) -> None:
    b = builder((1, 3, -1, 32))
    b.add("relu")
    estimated = estimate(b.build(), profiles["rpi4"], kernel_family="mlas")
    assert "dynamic" in estimated.reasons[0]
    assert estimated.latency_ms.p50 > 0


def test_four_bit_weights_are_out_of_domain(builder: Any, profiles: Any) -> None:
    b = builder((1, 64))
    b.linear(64)
    graph = b.build()
    tensors = {**graph.tensors, "w0": replace(graph.tensors["w0"], precision="int4")}
    operators = (replace(graph.operators[0], scheme="weight-only"),)
    estimated = estimate(replace(graph, tensors=tensors, operators=operators), profiles["rpi4"], kernel_family="mlas")
    assert "4-bit" in estimated.reasons[0]


def test_rows_of_the_kernels_add_up_to_the_estimate(mobilenets: Any, profiles: Any) -> None:
    rows = per_operator(mobilenets["fp32"], profiles["rpi4"], kernel_family="mlas", threads=4)
    total = estimate(mobilenets["fp32"], profiles["rpi4"], kernel_family="mlas", threads=4).latency_ms.p50
    (one, *_) = per_operator(mobilenets["fp32"], profiles["rpi4"], kernel_family="mlas", threads=1)
    assert sum(row.total_ms for row in rows) + one.overhead_ms == pytest.approx(total)  # calling wakes no threads
    assert all(row.total_ms > 0 for row in rows)


def test_a_graph_of_nothing_still_takes_a_call(profiles: Any) -> None:
    x = Tensor(name="x", shape=(1,), precision="fp32")
    y = Tensor(name="y", shape=(1,), precision="fp32")
    view = Operator(name="view", kind="identity", inputs=("x",), outputs=("y",), precision="fp32")
    graph = OpGraph(name="n", inputs=("x",), outputs=("y",), tensors={"x": x, "y": y}, operators=(view,), parameters=0)
    assert estimate(graph, profiles["rpi4"], kernel_family="mlas").latency_ms.p50 > 0


def test_a_board_without_published_power_has_no_energy(mobilenets: Any, profiles: Any) -> None:
    estimated = estimate(mobilenets["fp32"], profiles["coral-dev-board"], kernel_family="mlas")
    assert estimated.energy_mj is None
    assert estimated.energy_above_idle_mj is None


def test_a_network_larger_than_the_memory_does_not_fit(builder: Any, profiles: Any) -> None:
    b = builder((1, 16384))
    b.linear(16384)
    assert estimate(b.build(), profiles["rpi-zero-2w"], kernel_family="mlas").fits == "does not fit"
