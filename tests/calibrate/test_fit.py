"""The fit finds the costs behind made-up times, whatever a neighbour of the machine does to some of them."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.calibrate.fit import Timed, fit
from harness.calibrate.model import calibration_of, operator_times, predict_ms, unswept
from harness.calibrate.quantities import CacheSizes, borders_of, quantities
from harness.calibrate.sketch import Sketch
from harness.calibrate.sweep import networks, sweep
from harness.graph import OpGraph
from harness.profile import HostCalibration, Quantity

CACHES = CacheSizes(near_bytes=2 * 2**20, last_bytes=32 * 2**20)


def cost_of(name: str, scale: float = 1.0) -> float:
    return scale * {"one": 0.003, "mac": 0.012, "tail": 0.0, "patch": 0.02}.get(name.rpartition(" ")[2], 0.04)


def timed(scale: float = 1.0) -> list[Timed]:
    found = []
    for graph in sweep(quantised=False):
        amounts = quantities(graph, CACHES)
        ms = sum(cost_of(name, scale) * amount for name, amount in amounts.items())
        found.append(Timed(name=graph.name, amounts=amounts, ms=ms))
    return found


def quantity(value: float, unit: str) -> Quantity:
    return Quantity(value=value, unit=unit, source="test", date="2026-01-01")


def calibration(coefficients: dict[str, float]) -> HostCalibration:
    return HostCalibration(
        family="some", precision="fp32", threads=quantity(2, "threads"), graphs=quantity(100, "graphs"),
        error=quantity(5, "%"), factor90=quantity(1.2, "times"), near=quantity(2048, "KiB"),
        last=quantity(32768, "KiB"), coefficients=coefficients,
    )  # fmt: skip


def unseen(quantised: bool = False) -> OpGraph:
    sketch = Sketch("unseen", quantised=quantised)
    x = sketch.conv(sketch.source(3, 97, 97), 20, 3, stride=2, then="relu")
    for channels in (36, 72):
        x = sketch.conv(x, sketch.shape(x)[1], 3, stride=2, groups=sketch.shape(x)[1], then="relu")
        x = sketch.conv(x, channels)
    return sketch.finish(sketch.linear(sketch.reshape(sketch.global_pool(x), 72), 30))


@settings(max_examples=4, deadline=None)
@given(st.floats(0.05, 50.0))
def test_a_graph_that_was_not_timed_is_predicted_when_times_follow_the_model(scale: float) -> None:
    found = fit(timed(scale))
    truth = sum(cost_of(n, scale) * amount for n, amount in quantities(unseen(), CACHES).items())
    assert abs(predict_ms(unseen(), calibration(dict(found.coefficients))) / truth - 1) < 0.05


def test_a_few_disturbed_graphs_move_the_fit_little() -> None:
    clean = timed()
    disturbed = [
        Timed(name=t.name, amounts=t.amounts, ms=t.ms * (3 if i % 12 == 5 else 1)) for i, t in enumerate(clean)
    ]
    found = fit(disturbed)
    truth = sum(cost_of(n) * amount for n, amount in quantities(unseen(), CACHES).items())
    assert abs(predict_ms(unseen(), calibration(dict(found.coefficients))) / truth - 1) < 0.15
    assert found.factor90 > 1.0


def test_costs_are_never_negative_and_every_graph_has_a_residual() -> None:
    rows = timed()
    found = fit(rows)
    assert min(found.coefficients.values()) >= 0
    assert set(found.errors) == {row.name for row in rows}


def test_times_of_operators_add_up_to_the_prediction() -> None:
    fitted = calibration({name: cost_of(name) for t in timed() for name in t.amounts})
    borders = sum(fitted.coefficients[name] * amount for name, amount in borders_of(unseen()))
    total = sum(t.ms for t in operator_times(unseen(), fitted)) + borders
    assert abs(total - predict_ms(unseen(), fitted)) < 1e-12


def test_an_operator_that_the_sweep_does_not_hold_has_a_stand_in_and_is_named() -> None:
    sketch = Sketch("s")
    graph = sketch.finish(sketch.pointwise("erf", sketch.source(8, 10, 10)))
    fitted = calibration({"call one": 0.01, "pair one": 0.002, "pair bytes": 0.1})
    assert unswept(graph, fitted) == ("erf",)
    assert predict_ms(graph, fitted) > 0.012


def test_the_table_is_that_of_the_graphs_precision_family_and_threads() -> None:
    fitted = calibration({})
    assert calibration_of(unseen(), (fitted,), kernel_family="some", threads=2) is fitted
    assert calibration_of(unseen(), (fitted,), kernel_family="some", threads=1) is None
    assert calibration_of(unseen(), (fitted,), kernel_family="other", threads=2) is None
    assert calibration_of(unseen(quantised=True), (fitted,), kernel_family="some", threads=2) is None


def networked(factor: float) -> list[Timed]:
    """The sweep with its networks slower than the sum of their parts by a factor."""
    return [replace(each, ms=each.ms * factor, network=True) if each.name in networks() else each for each in timed()]


def test_what_whole_networks_take_over_their_parts_is_learnt_from_made_up_ones() -> None:
    plain, slower = fit(timed()), fit(networked(1.2))
    gains = [slower.coefficients[name] / cost for name, cost in plain.coefficients.items() if cost > 1e-6]
    assert 1.05 < median(gains) < 1.25


def test_networks_that_take_what_their_parts_take_change_nothing() -> None:
    plain, same = fit(timed()), fit(networked(1.0))
    assert same.coefficients.keys() == plain.coefficients.keys()
    assert all(abs(same.coefficients[name] - cost) <= 0.02 * cost + 1e-9 for name, cost in plain.coefficients.items())
