"""A run folder of eight records, of every outcome, on two profiles."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.estimate.interval import Estimate, Interval
from harness.export.stored_run import StoredCell, cells, read_run
from harness.record import (
    SCHEMA,
    Deviation,
    EnergyReading,
    Failure,
    LineageStep,
    Measurement,
    ProcessReading,
    Quality,
    Record,
    Variant,
)
from harness.run_folder import RecordLog, create_run_folder
from harness.why.reason import Cause, Reason

ENVIRONMENT = {
    "time": "2026-01-01T13:00:00+01:00", "bench": "0.1.0", "cpu": "Intel Xeon at 2.50 GHz", "isa": "x86_64",
    "cores": 2, "memory_bytes": 8_334_000_000, "os": "Linux 6.1", "python": "3.11.7", "threads": 2,
    "load_average": 0.25, "notes": [],
}  # fmt: skip


def measurement(ms: float, *, processes: int = 3, samples: int = 40) -> Measurement:
    rng = random.Random(f"{ms}")
    latency: list[int] = []
    for _ in range(processes):
        pace = ms * 1e6 * rng.lognormvariate(0, 0.01)
        latency += [round(pace * rng.lognormvariate(0, 0.02)) for _ in range(samples)]
    reading = ProcessReading(
        load_ns=21_000_000, first_run_ns=400_000, settle_ns=1_900_000, settled=True, samples=samples, warmup=2,
        steady=True, baseline_rss_bytes=61_000_000, peak_rss_bytes=88_000_000, opened_alone=True,
    )  # fmt: skip
    return Measurement(
        threads=2, threads_reported=2, calls_per_sample=8, latency_ns=tuple(latency),
        rounds=tuple(range(samples)) * processes, warmup_ns=(round(ms * 2e6),) * 2 * processes, load_ns=21_000_000,
        first_run_ns=400_000, baseline_rss_bytes=61_000_000, peak_rss_bytes=88_000_000, stopped="budget", group="g",
        processes=(reading,) * processes,
        energy=EnergyReading(meter="m", scope="package", idle_uj=1000, idle_ns=10**9, energy_uj=(5000,),
                             duration_ns=(10**9,), inferences=(10,)),
        notes=("a delegate takes 9 of 9 operators", "its own pool"), also_imports="frame_work",
    )  # fmt: skip


def interval(p50: float) -> Interval:
    return Interval(p50=p50, lo90=p50 / 2, hi90=p50 * 2)


def estimate(ms: float, **changes: Any) -> Estimate:
    made = Estimate(
        kind="estimated", latency_ms=interval(ms), peak_memory_bytes=interval(24e6), flash_bytes=interval(9e4),
        energy_mj=interval(ms * 4), energy_above_idle_mj=interval(ms * 2), threads=4, basis="physical prior",
        in_domain=False, reasons=("no such model was measured",), fits="fits", energy_basis="at the wall",
        kernel_family="quick",
    )  # fmt: skip
    return replace(made, **changes)


def record(cell: str, **changes: Any) -> Record:
    step = LineageStep(kind="source", name="net", plugin="p 1", format="onnx", size_bytes=9000, seconds=0.5)
    variant = Variant(
        format="onnx", sha256="ab" * 32, size_bytes=9000, download_bytes=8000, parameters=2000, nonzero_parameters=1990,
        macs=500_000, int8_macs_share=0.0, cached=False, lineage=(step, step),
    )  # fmt: skip
    quality = Quality(
        metric="top1", value=0.9, lo95=0.88, hi95=0.92, n=900, agreement=0.99, agreement_n=900, reference="baseline",
        data="watch", note="of three people", max_abs_error=0.01, agreement_lo95=0.98, agreement_hi95=1.0,
        kl_mean=0.001, drop=0.01, drop_lo95=0.0, drop_hi95=0.02,
        deviation=Deviation(reference="baseline in frame", largest=2e-4, tolerance=1e-3),
    )  # fmt: skip
    made = Record(
        schema=SCHEMA, run="here", cell=cell, model="net", recipe="baseline", backend="fast",
        backend_options={"spin": True}, profile="board", outcome="measured", variant=variant,
        measurement=measurement(2.0), estimate=estimate(9.0), quality=quality, versions={"fast": "1.2"},
    )  # fmt: skip
    return replace(made, **changes)


def every_kind() -> list[Record]:
    why = (Reason(cause=Cause.TOO_SMALL, where="host", basis="counted", share=None, text="It is too small."),)
    failure = Failure(stage="open", plugin="p 1", error="it broke", hint="mend it", reason="NO_CONVERTER")
    bare = {"variant": None, "measurement": None, "estimate": None, "quality": None}
    accelerated = estimate(1.0, kind="simulated", accelerator="a stick", basis="roofline")
    quicker = record("c2", recipe="round", measurement=measurement(1.0), why=why)
    return [
        record("c1"),
        quicker,
        record("c3", recipe="same", measurement=measurement(2.01)),
        record("c4", backend="stick", outcome="simulated", measurement=None, estimate=accelerated),
        record("c5", recipe="odd", outcome="failed", failure=failure, **bare),
        record("c6", recipe="late", outcome="failed", failure=replace(failure, stage="quality"), quality=None),
        record("d1", profile="phone", estimate=estimate(3.0)),
        replace(quicker, cell="d2", profile="phone", estimate=estimate(2.0)),
    ]


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Path]:
    """Write records as a run folder: `store("name", records, **facts of the environment)`."""

    def write(name: str = "here", records: list[Record] | None = None, **facts: Any) -> Path:
        folder = tmp_path / name
        create_run_folder(folder, "", {**ENVIRONMENT, **facts})
        with RecordLog(folder) as log:
            for item in every_kind() if records is None else records:
                log.append(item)
        return folder

    return write


@pytest.fixture
def make_record() -> Callable[..., Record]:
    return record


@pytest.fixture
def make_measurement() -> Callable[..., Measurement]:
    return measurement


@pytest.fixture
def stored(store: Callable[..., Path]) -> tuple[StoredCell, ...]:
    """The cells of that run."""
    return cells(read_run(store()))
