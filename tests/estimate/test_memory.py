"""Peak memory of a process: its parts, its interval, published peaks, and the verdict."""

from __future__ import annotations

import csv
from functools import cache
from math import log
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from harness import OpGraph
from harness.estimate.fusion import fuse
from harness.estimate.interval import Interval
from harness.estimate.memory import MemoryPlan, fits, peak, plan
from harness.estimate.memory_families import FAMILIES, UNKNOWN
from harness.estimate.precision import at_precision
from harness.profile import MIB
from harness.workload import read_workload

PUBLISHED = Path(__file__).parents[2] / "profiles" / "published"
STARTED_MB = 5.0
"""What a program holds that has just started: the logs give growth since then (an assumption, as in the table)."""


def test_weights_count_once_however_often_they_are_read(builder: Any) -> None:
    b = builder((1, 64))
    weight = b.constant("w", (64, 64))
    for _ in range(3):
        b.add("fully_connected", (1, 64), weight, macs=64 * 64)
    graph = b.build()
    assert plan(graph, fuse(graph), threads=1).weights_bytes == 64 * 64 * 4


def test_the_interval_holds_the_lower_bound_and_is_wider_for_an_unknown_runtime(mobilenets: Any) -> None:
    graph = mobilenets["fp32"]
    planned = plan(graph, fuse(graph), threads=4)
    known, unknown = peak(planned, "mlas"), peak(planned, "somebody-elses")
    assert planned.weights_bytes + planned.live_bytes < known.lo90 < known.p50 < known.hi90
    assert unknown.hi90 / unknown.lo90 > known.hi90 / known.lo90


def test_integer_weights_take_a_quarter(mobilenets: Any) -> None:
    planned = {p: plan(mobilenets[p], fuse(mobilenets[p]), threads=1) for p in ("fp32", "int8")}
    assert planned["int8"].weights_bytes == pytest.approx(planned["fp32"].weights_bytes / 4, rel=0.01)
    assert planned["int8"].arena_bytes == pytest.approx(planned["fp32"].arena_bytes / 4, rel=0.01)


@pytest.mark.parametrize(("family", "threads", "pixels"), [("mlas", 1, 8), ("mlas", 4, 32), ("tflite-ruy", 4, 64)])
def test_a_convolution_unrolls_a_row_a_thread_or_the_image(
    builder: Any, family: str, threads: int, pixels: int
) -> None:
    b = builder((1, 4, 8, 8))
    b.conv(16, 3)
    b.conv(16, 1)
    graph = b.build()
    planned = plan(graph, fuse(graph, family), threads=threads, family=family)
    assert planned.workspace_bytes == pixels * 3 * 3 * 4 * 4


def test_depthwise_convolutions_and_packed_kernels_unroll_nothing(builder: Any) -> None:
    b = builder((1, 4, 8, 8))
    b.conv(4, 3, groups=4)
    depthwise = b.build()
    b.conv(16, 3)
    assert plan(depthwise, fuse(depthwise), threads=4, family="tflite-ruy").workspace_bytes == 0
    assert plan(b.build(), fuse(b.build()), threads=4, family="tflite-xnnpack").workspace_bytes == 0


def test_what_detection_reads_is_held_outside_the_arena_as_float(builder: Any) -> None:
    b = builder((1, 4, 16, 16), "int8")
    b.add("reduce", (1, 4, 4, 4))
    b.add("detection", (1, 10))
    graph = b.build()
    planned = plan(graph, fuse(graph, "tflite-xnnpack"), threads=1, family="tflite-xnnpack")
    assert planned.detection_bytes == 4 * 4 * 4 * 4
    assert planned.arena_bytes == 4 * 16 * 16, "the image alone"


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_each_part_makes_the_peak_larger_and_keeps_its_order(family: str) -> None:
    small = MemoryPlan(weights_bytes=MIB, live_bytes=MIB, arena_bytes=MIB, workspace_bytes=0)
    large = MemoryPlan(weights_bytes=9 * MIB, live_bytes=9 * MIB, arena_bytes=10 * MIB, workspace_bytes=MIB)
    for planned in (small, large):
        found = peak(planned, family)
        assert 0 <= found.lo90 < found.p50 < found.hi90
    assert peak(large, family).p50 > peak(small, family).p50


def test_the_table_of_families_is_in_order_and_names_its_sources() -> None:
    for habits in (*FAMILIES.values(), UNKNOWN):
        for span in (habits.base_mib, habits.copies, habits.arena, habits.detection):
            assert list(span) == sorted(span)
        assert habits.source


def published_peaks() -> dict[tuple[str, str, str], float]:
    """Device, model and precision: the median growth over threads and runs in MiB, as the logs print it."""
    with (PUBLISHED / "measurements.csv").open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["memory_mb"] and row["framework"] == "tflite-xnnpack"]
    found: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        found.setdefault((row["device_id"], row["model"], row["precision"]), []).append(float(row["memory_mb"]))
    return {key: sorted(values)[len(values) // 2] for key, values in found.items()}


@pytest.fixture(scope="module")
def compared() -> dict[tuple[str, str, str], tuple[float, Interval]]:
    found, estimated = {}, {}
    for (device, model, precision), grown in published_peaks().items():
        packed = not (device == "visionfive2" and precision == "int8")  # no int8 kernels for RISC-V in that version
        key = model, precision, "tflite-xnnpack" if packed else "tflite-ruy"
        if key not in estimated:
            estimated[key] = estimate_of(*key)
        found[device, model, precision] = ((grown + STARTED_MB) * MIB, estimated[key])
    return found


@cache
def network(model: str) -> OpGraph:
    return read_workload(PUBLISHED / "workloads" / f"tf-{model}.json")


def estimate_of(model: str, precision: str, family: str) -> Interval:
    graph = at_precision(network(model), precision)
    return peak(plan(graph, fuse(graph, family), threads=1, family=family), family)


def test_nine_in_ten_published_peaks_lie_in_the_interval(compared: dict[Any, tuple[float, Interval]]) -> None:
    inside = [estimated.lo90 <= measured <= estimated.hi90 for measured, estimated in compared.values()]
    assert len(inside) >= 36
    assert mean(inside) >= 0.9


def test_published_peaks_are_met_within_a_tenth(compared: dict[Any, tuple[float, Interval]]) -> None:
    errors = [abs(log(estimated.p50 / measured)) for measured, estimated in compared.values()]
    assert mean(errors) < 0.05
    assert max(errors) < 0.10


def test_the_interval_says_more_than_nothing(compared: dict[Any, tuple[float, Interval]]) -> None:
    assert all(estimated.hi90 / estimated.lo90 < 2.5 for _, estimated in compared.values())


@pytest.mark.parametrize(
    ("available", "verdict"),
    [(301, "fits"), (300, "fits"), (200, "uncertain"), (100, "uncertain"), (99, "does not fit")],
)
def test_the_verdict_is_uncertain_while_the_interval_straddles(available: int, verdict: str) -> None:
    assert fits(Interval(p50=200, lo90=100, hi90=300), available) == verdict
