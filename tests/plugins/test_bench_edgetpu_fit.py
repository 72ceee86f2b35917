"""The latency model of the Edge TPU: its physics, and the fit of its constants to published latencies."""

from __future__ import annotations

import csv
from dataclasses import replace
from math import log
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_edgetpu.fit import PRIOR, HeldOut, Row, errors_of, facts_of, fit_edgetpu, leave_one_family_out
from bench_edgetpu.latency import ARRAY, Work, latency_ms, work_of
from bench_edgetpu.simulation import FACTOR, simulate
from harness import Operator, OpGraph, Tensor
from harness.estimate.precision import at_precision
from harness.profile import accelerator_facts
from harness.profile_file import load_profile
from harness.workload import read_workload

PUBLISHED = Path(__file__).parents[2] / "profiles" / "published"

TRUTH = {"t0_ms": 1.4, "macs_per_s": 0.8e12, "link_bytes_per_s": 420e6, "cache_bytes": 7e6}

GIGA = st.floats(0.01, 30)
MEGA = st.floats(0.05, 150)


def work(giga_macs: float, mega_bytes: float, tensors: int = 40) -> Work:
    return Work(array_macs=round(giga_macs * 1e9), parameters=(round(mega_bytes * 1e6 / tensors),) * tensors)


def row(name: str, family: str, giga_macs: float, mega_bytes: float, milliseconds: float = 0.0) -> Row:
    done = work(giga_macs, mega_bytes)
    return Row(name=name, family=family, work=done, latency_ms=milliseconds or latency_ms(done, TRUTH))


def rows() -> list[Row]:
    """Sixteen networks that follow the model exactly, small and large, with and without streaming."""
    sizes = [(g, m) for g in (0.05, 0.6, 3.0, 12.0) for m in (0.5, 5.0, 25.0, 120.0)]
    return [row(f"net {i}", f"family {i % 5}", g, m) for i, (g, m) in enumerate(sizes)]


def convolution(groups: int, channels: int = 128) -> OpGraph:
    macs = 49 * channels * channels // groups * 9
    tensors = {
        "x": Tensor(name="x", shape=(1, channels, 7, 7), precision="int8"),
        "w": Tensor(name="w", shape=(channels, channels // groups, 3, 3), precision="int8", constant=True),
        "y": Tensor(name="y", shape=(1, channels, 7, 7), precision="int8"),
    }
    attributes = {"kernel": (3, 3), "groups": groups}
    op = Operator(name="c", kind="conv", inputs=("x", "w"), outputs=("y",), precision="int8", macs=macs,
                  attributes=attributes, scheme="static")  # fmt: skip
    return OpGraph(name="one", inputs=("x",), outputs=("y",), tensors=tensors, operators=(op,), parameters=0)


@given(giga=GIGA, mega=MEGA, more=st.floats(1.0, 10.0))
def test_more_work_never_takes_less_time(giga: float, mega: float, more: float) -> None:
    base = latency_ms(work(giga, mega), TRUTH)
    assert base > TRUTH["t0_ms"]
    assert latency_ms(work(giga * more, mega), TRUTH) >= base
    assert latency_ms(work(giga, mega * more), TRUTH) >= base


@given(giga=GIGA, mega=MEGA, factor=st.floats(1.1, 20.0))
def test_a_slower_link_slows_only_what_is_streamed(giga: float, mega: float, factor: float) -> None:
    slow = {**TRUTH, "link_bytes_per_s": TRUTH["link_bytes_per_s"] / factor}
    done = work(giga, mega)
    more = latency_ms(done, slow) - latency_ms(done, TRUTH)
    streamed = done.streamed_bytes(TRUTH["cache_bytes"])
    assert more == pytest.approx(streamed / TRUTH["link_bytes_per_s"] * 1e3 * (factor - 1), abs=1e-6)
    assert (more > 0) == (streamed > 0)


@given(giga=GIGA, mega=MEGA, factor=st.floats(0.1, 10.0))
def test_a_device_that_is_so_many_times_faster_takes_so_many_times_less(
    giga: float, mega: float, factor: float
) -> None:
    faster = {"t0_ms": TRUTH["t0_ms"] / factor, "macs_per_s": TRUTH["macs_per_s"] * factor,
              "link_bytes_per_s": TRUTH["link_bytes_per_s"] * factor, "cache_bytes": TRUTH["cache_bytes"]}  # fmt: skip
    done = work(giga, mega)
    assert latency_ms(done, faster) * factor == pytest.approx(latency_ms(done, TRUTH))


def test_a_depthwise_convolution_leaves_most_of_the_array_unused() -> None:
    full, grouped, depthwise = (convolution(groups) for groups in (1, 4, 128))
    spent = [work_of(graph, graph.operators).array_macs for graph in (full, grouped, depthwise)]
    assert spent[0] == full.macs
    assert spent[1] == full.macs
    assert spent[2] == depthwise.macs * ARRAY < full.macs


def test_the_constants_behind_exact_latencies_are_found() -> None:
    found = fit_edgetpu(rows())
    assert found["cache_bytes"] == pytest.approx(TRUTH["cache_bytes"], rel=0.15)
    assert all(abs(log(found[key] / TRUTH[key])) < 0.1 for key in PRIOR)


def test_the_fit_is_the_same_every_time_and_for_every_order() -> None:
    assert fit_edgetpu(rows()) == fit_edgetpu(rows())
    turned = fit_edgetpu(rows()[::-1])
    assert turned == pytest.approx(fit_edgetpu(rows()))


def test_without_measurements_the_constants_are_the_prior() -> None:
    found = fit_edgetpu([])
    assert {key: found[key] for key in PRIOR} == pytest.approx(PRIOR)


def test_one_network_moves_the_constants_and_does_not_run_away_with_them() -> None:
    found = fit_edgetpu([row("slow", "slow", 1.0, 1.0, 200.0)])
    assert latency_ms(work(1.0, 1.0), PRIOR | {"cache_bytes": 6e6}) < latency_ms(work(1.0, 1.0), found) < 200


def test_a_network_that_nothing_explains_moves_the_others_little() -> None:
    odd = [*rows(), row("odd", "odd", 1.0, 3.0, 60.0)]
    found = fit_edgetpu(odd)
    assert all(abs(log(latency_ms(each.work, found) / each.latency_ms)) < 0.25 for each in rows())


def test_no_family_takes_part_in_its_own_prediction() -> None:
    """Doubling the latencies of one family changes its errors and not its predictions."""
    before = leave_one_family_out(rows())
    changed = [replace(each, latency_ms=2 * each.latency_ms) if each.family == "family 1" else each for each in rows()]
    after = leave_one_family_out(changed)
    for one, two in zip(before, after, strict=True):
        assert (one.predicted_ms == two.predicted_ms) == (one.row.family == "family 1")


def test_shuffled_latencies_leave_no_skill() -> None:
    honest = errors_of(leave_one_family_out(rows()), 2.0)
    values = [each.latency_ms for each in rows()]
    turned = [replace(each, latency_ms=value) for each, value in zip(rows(), values[7:] + values[:7], strict=True)]
    assert errors_of(leave_one_family_out(turned), 2.0).mean > 5 * honest.mean


def test_errors_name_the_worst_network() -> None:
    found = [
        HeldOut(row=row(name, name, 1.0, 1.0, 10.0), predicted_ms=predicted)
        for name, predicted in (("right", 10.0), ("near", 11.0), ("high", 19.0), ("low", 3.0))
    ]
    errors = errors_of(found, 2.0)
    assert (errors.worst, errors.worst_ratio, errors.count) == ("low", 0.3, 4)
    assert errors.median == pytest.approx(0.4)
    assert errors.mean == pytest.approx(0.425)
    assert errors.within == 0.75


FAMILIES = {"mobilenet": "mobilenet", "resnet": "resnet", "vgg": "vgg", "inception": "inception",
            "efficientnet_edgetpu": "efficientnet-edgetpu"}  # fmt: skip
LEAVES_THE_END_TO_THE_CPU = ("ssd", "deeplab")
KNOWN_MISSES = ("densenet", "inception_resnet")
COLUMNS = {"rpi4": "desktop-xeon+coral-usb", "coral-dev-board": "coral-dev-board"}
"""Profile to the column of the published table that its accelerator's facts were fitted to."""


def published(device: str) -> list[tuple[Row, OpGraph]]:
    """Networks of the published table that map whole, whose layers are known and which the model can follow."""
    found = []
    with (PUBLISHED / "measurements.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            model = line["model"]
            wanted = (line["source_id"], line["device_id"], line["exec_unit"]) == (
                "coral-benchmarks",
                device,
                "edgetpu",
            )
            table = PUBLISHED / "workloads" / f"tf-{model}.json"
            aside = any(word in model for word in (*LEAVES_THE_END_TO_THE_CPU, *KNOWN_MISSES))
            if not wanted or aside or not table.is_file():
                continue
            graph = at_precision(read_workload(table), "int8")
            family = next(family for word, family in FAMILIES.items() if word in model)
            done = work_of(graph, graph.operators)
            found.append((Row(name=model, family=family, work=done, latency_ms=float(line["latency_ms"])), graph))
    return found


@pytest.mark.parametrize("device", COLUMNS.values())
def test_published_networks_are_met_with_their_family_held_out(device: str) -> None:
    found = leave_one_family_out([one for one, _ in published(device)])
    errors = errors_of(found, FACTOR)
    assert errors.count >= 8
    assert errors.within == 1.0
    assert errors.mean < 0.15


@pytest.mark.parametrize("profile", COLUMNS)
def test_the_facts_of_a_profile_are_those_of_the_fit(profile: str) -> None:
    found = fit_edgetpu([one for one, _ in published(COLUMNS[profile])])
    (accelerator,) = load_profile(PUBLISHED.parent / f"{profile}.toml").accelerators
    stated = accelerator_facts(accelerator)
    assert {key: stated[key] for key in found} == pytest.approx(found, rel=0.01)


def test_published_networks_that_map_on_the_device_map_here() -> None:
    verdicts = {one.name: simulate(graph, TRUTH).rejections for one, graph in published("coral-dev-board")}
    assert {name: refused for name, refused in verdicts.items() if refused} == {}


@settings(max_examples=20)
@given(factor=st.floats(0.5, 2.0))
def test_a_fit_follows_a_device_that_is_slower_as_a_whole(factor: float) -> None:
    slower = fit_edgetpu([replace(each, latency_ms=each.latency_ms * factor) for each in rows()])
    predicted = latency_ms(rows()[6].work, slower)
    assert predicted == pytest.approx(factor * rows()[6].latency_ms, rel=0.15)


def test_graphs_with_latencies_give_the_facts_that_a_simulation_takes() -> None:
    found = facts_of([(convolution(1), 2.0), (convolution(128), 2.1)])
    assert set(found) == {"t0_ms", "macs_per_s", "link_bytes_per_s", "cache_bytes"}
    assert PRIOR["t0_ms"] < found["t0_ms"] < 2.1
