"""Latency: classes, precisions and threads; `test_physics.py` has what must hold for any graph."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from harness.estimate.coefficient import EXPONENTIAL, STREAM
from harness.estimate.estimator import estimate, per_operator
from harness.estimate.family import FAMILIES, family_of
from harness.estimate.features import KernelClass, features
from harness.estimate.fusion import fuse
from harness.graph import KINDS
from harness.profile import DeviceProfile


def milliseconds(graph: Any, profile: DeviceProfile, family: str = "mlas", threads: int | None = 1) -> float:
    return estimate(graph, profile, kernel_family=family, threads=threads).latency_ms.p50


def one_conv(builder: Any, channels: int, size: int, kernel: int, precision: str = "fp32", **more: Any) -> Any:
    b = builder((1, 16, size, size), precision)
    b.conv(channels, kernel, **more)
    return b.build()


@pytest.mark.parametrize(
    ("kernel", "groups", "family", "expected"),
    [
        (1, 1, "mlas", KernelClass.POINTWISE),
        (3, 1, "mlas", KernelClass.CONV),
        (3, 1, "ncnn", KernelClass.WINOGRAD),
        (3, 16, "mlas", KernelClass.DEPTHWISE),
        (3, 4, "mlas", KernelClass.GROUPED),
    ],
)
def test_a_convolution_is_classed(
    builder: Any, profiles: Any, kernel: int, groups: int, family: str, expected: KernelClass
) -> None:
    graph = one_conv(builder, 16, 14, kernel, groups=groups)
    (row,) = per_operator(graph, profiles["rpi4"], kernel_family=family)
    assert row.kernel_class is expected


@pytest.mark.parametrize("family", [*FAMILIES, "nobody's"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_winograd_is_used_only_by_families_that_have_it(
    builder: Any, profiles: Any, family: str, precision: str
) -> None:
    (row,) = per_operator(one_conv(builder, 16, 14, 3, precision), profiles["rpi4"], kernel_family=family)
    habits = family_of(family)
    has = habits.winograd_int8 if precision == "int8" else habits.winograd
    assert row.kernel_class is (KernelClass.WINOGRAD if has else KernelClass.CONV)


@pytest.mark.parametrize("unlike", [{"kernel": 5}, {"kernel": 3, "stride": 2}])
def test_winograd_is_for_windows_of_3x3_and_stride_1_only(builder: Any, profiles: Any, unlike: dict[str, int]) -> None:
    graph = one_conv(builder, 16, 14, **unlike)
    assert per_operator(graph, profiles["rpi4"], kernel_family="ncnn")[0].kernel_class is KernelClass.CONV


@pytest.mark.parametrize(
    ("board", "family", "expected"),
    [("rpi5", "ncnn", "fp16"), ("rpi5", "mlas", "fp32"), ("rpi5", "tflite-xnnpack", "fp32"), ("rpi4", "ncnn", "fp32")],
)
def test_a_float_network_computes_in_half_only_where_family_and_core_do(
    mobilenets: Any, profiles: Any, board: str, family: str, expected: str
) -> None:
    rows = per_operator(mobilenets["fp32"], profiles[board], kernel_family=family)
    assert {row.arithmetic for row in rows} == {expected}


def test_one_row_is_bound_by_weights_and_several_rows_by_arithmetic(builder: Any, profiles: Any) -> None:
    kinds = []
    for rows in (1, 64):
        b = builder((1, rows, 256))
        b.linear(256)
        kinds.append(per_operator(b.build(), profiles["rpi4"], kernel_family="mlas")[0].kernel_class)
    assert kinds == [KernelClass.GEMV, KernelClass.GEMM]


def test_a_1x1_convolution_of_one_pixel_is_one_row(builder: Any, profiles: Any) -> None:
    graph = one_conv(builder, 64, 1, 1)
    assert per_operator(graph, profiles["rpi4"], kernel_family="mlas")[0].kernel_class is KernelClass.GEMV


def test_half_precision_gains_nothing_where_the_core_has_none(mobilenets: Any, profiles: Any) -> None:
    for name, gain in (("rpi4", 1.0), ("rpi5", 1.5)):
        ratio = milliseconds(mobilenets["fp32"], profiles[name]) / milliseconds(mobilenets["fp16"], profiles[name])
        assert ratio == pytest.approx(1.0) if gain == 1.0 else ratio > gain


def test_without_a_dot_product_integers_never_run_at_its_rate(builder: Any, profiles: Any) -> None:
    graph = one_conv(builder, 64, 28, 3, "int8")
    with_dot = profiles["rpi5"]
    without = replace(with_dot, isa_flags=tuple(f for f in with_dot.isa_flags if f != "asimddp"))
    fast, slow = (per_operator(graph, each, kernel_family="mlas")[0].compute_ms for each in (with_dot, without))
    assert slow == pytest.approx(2 * fast)
    assert slow >= per_operator(
        one_conv(builder, 64, 28, 3), without, kernel_family="mlas"
    )[0].compute_ms / 2 - 1e-12  # fmt: skip


def test_weight_only_computes_in_float_and_reads_small_weights(builder: Any, profiles: Any) -> None:
    b = builder((1, 64))
    b.linear(256)
    graph = b.build()
    small = {**graph.tensors, "w0": replace(graph.tensors["w0"], precision="int8")}
    op = replace(graph.operators[0], scheme="weight-only")
    thin = replace(graph, tensors=small, operators=(op,))
    before, after = (per_operator(g, profiles["rpi4"], kernel_family="mlas")[0] for g in (graph, thin))
    assert after.arithmetic == "fp32"
    assert after.weight_ms == pytest.approx(before.weight_ms / 4)


def test_a_transposed_convolution_unrolls_what_it_writes_and_a_convolution_what_it_reads(builder: Any) -> None:
    """The two are each other's reverse, so that the same numbers are multiplied and as many bytes unrolled."""
    there = builder((1, 64, 14, 14))
    there.add("deconv", (1, 32, 28, 28), there.constant("w", (64, 32, 2, 2)), macs=14 * 14 * 64 * 32 * 4,
              attributes={"kernel": (2, 2), "stride": (2, 2), "dilation": (1, 1), "groups": 1})  # fmt: skip
    back = builder((1, 32, 28, 28))
    back.conv(64, 2, stride=2)
    found = [
        features(fuse(b.build(), "mlas")[0], family_of("mlas"), fp16_arithmetic=False) for b in (there, back)
    ]  # fmt: skip
    assert found[0].products == found[1].products
    assert found[0].handled_bytes == found[1].handled_bytes == 14 * 14 * 32 * 4 * 4


def test_functions_with_exp_cost_more_passes(builder: Any, profiles: Any) -> None:
    costs = []
    for kind in ("relu", "sigmoid"):
        b = builder()
        b.add(kind)
        costs.append(per_operator(b.build(), profiles["rpi4"], kernel_family="mlas")[0].activation_ms)
    assert 2 <= costs[1] / costs[0] <= 1.2 * EXPONENTIAL.handled / STREAM.handled


def test_threads_beyond_the_cores_help_nothing(mobilenets: Any, profiles: Any) -> None:
    graph = mobilenets["fp32"]
    default = estimate(graph, profiles["rpi4"], kernel_family="mlas")
    assert default.threads == 4
    assert milliseconds(graph, profiles["rpi4"], threads=64) == default.latency_ms.p50


def test_a_mobilenet_on_a_raspberry_pi_4_is_near_what_was_published(mobilenets: Any, profiles: Any) -> None:
    """Published for 4 threads: 46 and 17 ms (google/XNNPACK README at 75db3c0), 51.6 and 27.9 ms (Arm NN, MLPerf
    Inference v1.0)."""
    for precision, published in (("fp32", (46, 51.6)), ("int8", (17, 27.9))):
        latency = estimate(mobilenets[precision], profiles["rpi4"], kernel_family="xnnpack").latency_ms
        assert all(latency.lo90 < each < latency.hi90 for each in published)
    assert mobilenets["fp32"].macs == pytest.approx(301e6, rel=0.01)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_kind_of_operator_makes_an_inference_free_or_not_a_number(builder: Any, profiles: Any, kind: str) -> None:
    b = builder()
    b.add(kind)
    for profile in profiles.values():
        latency = estimate(b.build(), profile, kernel_family="mlas").latency_ms
        assert 0 < latency.lo90 < latency.p50 < latency.hi90 < math.inf


def test_an_unknown_operator_costs_at_least_one_pass(builder: Any, profiles: Any) -> None:
    costs = []
    for kind in ("copy", "unknown"):
        b = builder()
        b.add(kind)
        costs.append(milliseconds(b.build(), profiles["rpi4"]))
    assert costs[1] >= costs[0]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_zeros_in_weights_change_nothing(builder: Any, profiles: Any, family: str, precision: str) -> None:
    dense, sparse = (one_conv(builder, 32, 14, 3, precision, zeros=zeros) for zeros in (0.0, 0.9))
    assert estimate(dense, profiles["rpi4"], kernel_family=family) == estimate(
        sparse, profiles["rpi4"], kernel_family=family
    )
