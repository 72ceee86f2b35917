"""Two runs as their folders would say: one model, a baseline and a variant in one backend, everything changeable."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.compare.run import Run
from harness.estimate.interval import Estimate, Interval
from harness.record import Failure, Measurement, ProcessReading, Quality, Record, Variant

ENVIRONMENT = {
    "cpu": "Cortex-A72", "isa": "aarch64", "cores": 4, "memory_bytes": 4_000_000_000, "os": "Linux 6.1.21-v8+",
    "python": "3.11.7", "bench": "0.1.0", "threads": 2, "machine": "0123456789ab", "load_average": 0.1,
    "versions": {"runtime": "1.0"},
}  # fmt: skip

PLAN = {"seed": 0, "data": "", "robustness": False}

READING = ProcessReading(
    load_ns=1, first_run_ns=1, settle_ns=0, settled=True, samples=0, warmup=0, steady=True, opened_alone=True,
    baseline_rss_bytes=50_000_000, peak_rss_bytes=80_000_000,
)  # fmt: skip


def make_measurement(ms: float = 2.0, *, seed: int, processes: int = 12, memory_mb: float = 30.0) -> Measurement:
    """Latencies with 2 % between processes and 1 % within."""
    rng, rounds = np.random.default_rng(seed), 9
    luck = 0.02 * rng.standard_normal((processes, 1)) + 0.01 * rng.standard_normal((processes, rounds))
    peaks = [round(50e6 + 1e6 * (memory_mb + 0.05 * rng.standard_normal())) for _ in range(processes)]
    return Measurement(
        threads=2, threads_reported=2, calls_per_sample=1, rounds=tuple(range(rounds)) * processes, warmup_ns=(),
        latency_ns=tuple(int(ns) for ns in (ms * 1e6 * np.exp(luck)).ravel()), load_ns=1, first_run_ns=1,
        baseline_rss_bytes=50_000_000, peak_rss_bytes=max(peaks), stopped="precise", group="g",
        processes=tuple(replace(READING, samples=rounds, peak_rss_bytes=peak) for peak in peaks),
    )  # fmt: skip


def make_quality(wrong: Iterable[int] = range(20), n: int = 1000, **changes: Any) -> Quality:
    """1,000 rows of which these are wrong."""
    right = np.ones(n, bool)
    right[list(wrong)] = False
    made = Quality(
        metric="top1", value=float(right.mean()), lo95=0.9, hi95=1.0, n=n, agreement=1.0, agreement_n=n,
        reference="baseline in runtime", data="rows", right=np.packbits(right).tobytes().hex(),
    )  # fmt: skip
    return replace(made, **changes)


def make_record(recipe: str = "baseline", *, seed: int = 0, ms: float = 2.0, **changes: Any) -> Record:
    interval = Interval(p50=5.0, lo90=4.0, hi90=6.0)
    made = Record(
        schema=1, run="run", cell=recipe, model="net", recipe=recipe, backend="runtime", backend_options={},
        profile="board", outcome="measured",
        variant=Variant(
            format="f", sha256=f"sha of {recipe}", size_bytes=100_000, download_bytes=90_000, parameters=1,
            nonzero_parameters=None, macs=1, int8_macs_share=0.0, cached=False, lineage=(),
        ),
        measurement=make_measurement(ms, seed=seed), quality=make_quality(),
        estimate=Estimate(
            kind="estimated", latency_ms=interval, peak_memory_bytes=interval, energy_mj=None,
            energy_above_idle_mj=None, threads=4, basis="prior", in_domain=True,
        ),
        versions={"runtime": "1.0"},
    )  # fmt: skip
    return replace(made, **changes)


def make_failed(record: Record, error: str = "the kernel said no") -> Record:
    failure = Failure(stage="open", plugin="p", error=error, hint="")
    return replace(
        record, outcome="failed", measurement=None, variant=None, quality=None, estimate=None, failure=failure
    )


def make_run(name: str, *records: Record, plan: dict[str, Any] | None = None, **environment: Any) -> Run:
    return Run(
        name=name, records=records, environment={**ENVIRONMENT, **environment}, plan=PLAN if plan is None else plan
    )


@pytest.fixture
def make() -> dict[str, Callable[..., Any]]:
    """Makers of runs and their parts."""
    return {
        "run": make_run, "record": make_record, "measurement": make_measurement, "quality": make_quality,
        "failed": make_failed,
    }  # fmt: skip


@pytest.fixture
def twins() -> Callable[..., tuple[Run, Run]]:
    """Two runs of a baseline and the variant `small`, alike but for noise and what is said of the second's `small`."""

    def call(*, drift: float = 1.0, ms: float = 1.0, **changes: Any) -> tuple[Run, Run]:
        before = make_run("a", make_record(seed=1), make_record("small", seed=2, ms=1.0))
        second = make_record("small", seed=12, ms=ms * drift)
        return before, make_run("b", make_record(seed=11, ms=2.0 * drift), replace(second, **changes))

    return call
