"""RAM and flash of microcontrollers, against ST's model zoo."""

from __future__ import annotations

import csv
import re
from math import log
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from harness.estimate.fusion import fuse
from harness.estimate.interval import Interval
from harness.estimate.microcontroller import FIRMWARE, MicrocontrollerMemory, fits_on, microcontroller_memory
from harness.estimate.precision import at_precision
from harness.workload import read_workload

PUBLISHED = Path(__file__).parents[2] / "profiles" / "published"
KIB = 1024


def memory(graph: Any, family: str = "x-cube-ai") -> MicrocontrollerMemory:
    return microcontroller_memory(graph, fuse(graph, family), family)


def published() -> list[dict[str, str]]:
    with (PUBLISHED / "measurements.csv").open(encoding="utf-8", newline="") as lines:
        return [
            row
            for row in csv.DictReader(lines)
            if row["device_id"] == "stm32h747i-disco" and row["memory_mb"]
            if (PUBLISHED / "workloads" / f"tf-{row['model']}.json").is_file()
        ]


def stated(row: dict[str, str], what: str) -> float:
    found = re.search(rf"Total {what} ([\d.]+) KiB", row["note"])
    assert found is not None, row["note"]
    return float(found[1]) * KIB


@pytest.fixture(scope="module")
def compared() -> dict[str, list[tuple[float, Interval]]]:
    """RAM of every row; flash where the row's classes are those of the layer table (ImageNet)."""
    found: dict[str, list[tuple[float, Interval]]] = {"RAM": [], "Flash": []}
    for row in published():
        graph = at_precision(read_workload(PUBLISHED / "workloads" / f"tf-{row['model']}.json"), "int8")
        estimated = memory(graph)
        found["RAM"].append((stated(row, "RAM"), estimated.ram_bytes))
        if row["note"].startswith("ImageNet"):
            found["Flash"].append((stated(row, "Flash"), estimated.flash_bytes))
    return found


@pytest.mark.parametrize(("what", "rows", "error"), [("RAM", 10, 0.13), ("Flash", 6, 0.02)])
def test_published_figures_lie_in_the_interval_and_near_its_median(
    compared: dict[str, list[tuple[float, Interval]]], what: str, rows: int, error: float
) -> None:
    pairs = compared[what]
    assert len(pairs) >= rows
    assert mean(found.lo90 <= measured <= found.hi90 for measured, found in pairs) >= 0.9
    assert mean(abs(log(found.p50 / measured)) for measured, found in pairs) < error


@pytest.mark.parametrize("family", sorted(FIRMWARE))
def test_flash_holds_the_weights_and_code_and_ram_the_live_tensors(mobilenets: Any, family: str) -> None:
    graph = mobilenets["int8"]
    found = memory(graph, family)
    assert found.flash_bytes.lo90 > 3_400_000
    for each in (found.ram_bytes, found.flash_bytes):
        assert 0 < each.lo90 < each.p50 < each.hi90
    assert found.ram_bytes.hi90 < found.flash_bytes.lo90


def test_a_float_network_takes_four_times_the_flash(mobilenets: Any) -> None:
    small, large = (memory(mobilenets[p]).flash_bytes.p50 for p in ("int8", "fp32"))
    assert 3.5 < large / small < 4.0


def test_the_image_is_held_in_the_precision_of_the_network(builder: Any) -> None:
    b = builder((1, 3, 64, 64))
    b.conv(4)
    b.add("relu")
    graph = b.build()
    taken = memory(at_precision(graph, "int8")).ram_bytes
    plain = memory(graph).ram_bytes
    fixed = 16.4 * KIB
    assert (plain.p50 - fixed) / (taken.p50 - fixed) == pytest.approx(4, rel=0.01)


def test_the_structures_of_an_interpreter_grow_with_the_graph(builder: Any) -> None:
    few, many = builder((1, 4, 8, 8), "int8"), builder((1, 4, 8, 8), "int8")
    few.conv(4)
    for _ in range(20):
        many.conv(4)
    short, long = (memory(b.build(), "tflite-micro").ram_bytes for b in (few, many))
    assert long.p50 - short.p50 > 19 * (2 * 12 + 32)


@pytest.mark.parametrize(
    ("ram", "flash", "verdict"),
    [
        (0.5, 0.5, "fits"),
        (2, 0.5, "does not fit"),
        (0.5, 2, "does not fit"),
        (1, 0.5, "uncertain"),
        (0.5, 1, "uncertain"),
    ],
)
def test_both_ram_and_flash_must_suffice(profiles: Any, ram: float, flash: float, verdict: str) -> None:
    profile = profiles["stm32-nucleo-l4r5zi"]
    room = {"ram": profile.available_bytes, "flash": profile.memory.flash.value * KIB}
    needed = MicrocontrollerMemory(
        ram_bytes=around(ram * room["ram"]), flash_bytes=around(flash * room["flash"]),
    )  # fmt: skip
    assert fits_on(needed, profile) == verdict


def test_without_a_stated_flash_nothing_is_promised(profiles: Any) -> None:
    assert profiles["rpi4"].memory.flash is None
    assert fits_on(MicrocontrollerMemory(ram_bytes=around(1), flash_bytes=around(1)), profiles["rpi4"]) == "uncertain"


def around(middle: float) -> Interval:
    return Interval(p50=middle, lo90=middle / 1.3, hi90=middle * 1.3)
