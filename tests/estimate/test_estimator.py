"""The estimate as a whole: interval, domain, basis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.estimate.estimator import FLOAT_FACTOR, INT8_FACTOR, OUT_OF_DOMAIN, estimate, per_operator
from harness.graph import Operator, Tensor


def width(estimated: Any) -> float:
    return float(estimated.latency_ms.hi90 / estimated.latency_ms.p50)


def test_a_plain_network_is_in_domain_and_says_its_basis(mobilenets: Any, profiles: Any) -> None:
    estimated = estimate(mobilenets["fp32"], profiles["rpi4"], kernel_family="mlas")
    assert estimated.in_domain
    assert estimated.reasons == estimated.unmodelled == ()
    assert estimated.basis == "physical prior, uncalibrated for mlas"
    assert estimated.kind == "estimated"
    assert estimated.fits == "fits"
    assert width(estimated) == pytest.approx(FLOAT_FACTOR)


def test_integers_are_less_certain(mobilenets: Any, profiles: Any) -> None:
    assert width(estimate(mobilenets["int8"], profiles["rpi4"], kernel_family="mlas")) == pytest.approx(INT8_FACTOR)


@pytest.mark.parametrize("kind", ["unknown", "detection"])
def test_what_is_not_modelled_is_listed_and_widens(builder: Any, profiles: Any, kind: str) -> None:
    b = builder()
    b.conv(16, 3)
    b.add(kind)
    estimated = estimate(b.build(), profiles["rpi4"], kernel_family="mlas")
    assert estimated.unmodelled == (f"{kind}1",)
    assert not estimated.in_domain
    assert "not modelled" in estimated.reasons[0]
    assert width(estimated) > FLOAT_FACTOR * OUT_OF_DOMAIN * 1.4


def test_attention_is_out_of_domain(builder: Any, profiles: Any) -> None:
    b = builder((1, 64, 64))
    b.add("matmul", (1, 64, 64), "x", macs=64**3)
    estimated = estimate(b.build(), profiles["rpi4"], kernel_family="mlas")
    assert not estimated.in_domain
    assert "matrix products" in estimated.reasons[0]
    assert width(estimated) == pytest.approx(FLOAT_FACTOR * OUT_OF_DOMAIN)


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
    launch = rows[0].overhead_ms
    assert sum(row.total_ms for row in rows) + launch == pytest.approx(total)
    assert all(row.total_ms > 0 for row in rows)


def test_a_graph_of_nothing_still_takes_a_call(profiles: Any) -> None:
    from harness import OpGraph

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
