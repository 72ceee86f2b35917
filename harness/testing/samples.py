"""Samples for tests: records of a run in which everything happened, and small graphs."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.estimate.interval import Estimate, Interval
from harness.graph import Operator, OpGraph, Tensor
from harness.measure.statistics import wilson
from harness.record import (
    SCHEMA,
    Failure,
    LineageStep,
    Measurement,
    ProcessReading,
    Quality,
    Record,
    SkipReason,
    Variant,
)
from harness.why.reason import Cause, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

HOSTILE = '<script>alert("it\'s not escaped")</script>'
"""A name that is markup."""

TERMINAL = "\x1b[2J\x1b]0;title\x07wipe | `code` *bold* [link](http://example.org)"
"""A name that clears a terminal, and breaks a table or a line of Markdown."""

PROCESSES, SAMPLES = 3, 12


def sample_records(*, model: str = "small-net", recipe: str = "round(decimals=2)") -> tuple[Record, ...]:
    """Records of two models on one profile: measured, simulated, skipped and failed.

    Args:
        model: Name of the first model.
        recipe: Of every model, the recipe beside the baseline that works.
    """
    found: list[Record] = []
    for number, name in enumerate((model, "large-net")):
        ms = 0.4 * 30**number
        found += [
            _measured(name, "baseline", "fast-runtime", ms),
            _measured(name, recipe, "fast-runtime", ms * 0.6),
            _measured(name, "baseline", "slow-runtime", ms * 3),
            _measured(name, recipe, "slow-runtime", ms * 3.1),
            _simulated(name, recipe, ms),
            _missing(name, "baseline", "skipped", _not_mappable()),
            _missing(name, "broken", "failed", _crashed()),
        ]
    return tuple(found)


def sample_environment() -> Mapping[str, Any]:
    """What `environment.json` says of the machine of these records."""
    return {
        "cpu": "A processor at 2.50 GHz", "cores": 2, "memory_bytes": 8_000_000_000, "os": "Linux 6.1 x86_64",
        "python": "3.12.1", "bench": "0.1.0", "threads": 2, "time": "2026-01-01T12:00:00+00:00",
        "versions": {"fast-runtime": "1.2.3"}, "notes": ["clocks could not be read: they may have changed"],
    }  # fmt: skip


def small_network() -> OpGraph:
    """A graph that every writer should know: convolution, activation, pool over everything, linear layer."""
    tensors = (
        Tensor(name="x", shape=(1, 3, 8, 8), precision="fp32"),
        Tensor(name="conv.weight", shape=(16, 3, 3, 3), precision="fp32", constant=True),
        Tensor(name="conv.bias", shape=(16,), precision="fp32", constant=True),
        Tensor(name="conv", shape=(1, 16, 8, 8), precision="fp32"),
        Tensor(name="relu", shape=(1, 16, 8, 8), precision="fp32"),
        Tensor(name="pool", shape=(1, 16, 1, 1), precision="fp32"),
        Tensor(name="flat", shape=(1, 16), precision="fp32"),
        Tensor(name="head.weight", shape=(4, 16), precision="fp32", constant=True),
        Tensor(name="head.bias", shape=(4,), precision="fp32", constant=True),
        Tensor(name="y", shape=(1, 4), precision="fp32"),
    )
    window: dict[str, int | tuple[int, ...]] = {
        "kernel": (3, 3),
        "stride": (1, 1),
        "dilation": (1, 1),
        "pads": (1, 1, 1, 1),
        "groups": 1,
    }
    operators = (
        Operator(name="conv", kind="conv", inputs=("x", "conv.weight", "conv.bias"), outputs=("conv",),
                 precision="fp32", macs=16 * 3 * 3 * 3 * 8 * 8, attributes=window),
        Operator(name="relu", kind="relu", inputs=("conv",), outputs=("relu",), precision="fp32"),
        Operator(name="pool", kind="global_pool", inputs=("relu",), outputs=("pool",), precision="fp32"),
        Operator(name="flat", kind="reshape", inputs=("pool",), outputs=("flat",), precision="fp32"),
        Operator(name="head", kind="fully_connected", inputs=("flat", "head.weight", "head.bias"), outputs=("y",),
                 precision="fp32", macs=4 * 16),
    )  # fmt: skip
    return OpGraph(
        name="small", inputs=("x",), outputs=("y",), tensors={t.name: t for t in tensors}, operators=operators,
        parameters=16 * 27 + 16 + 64 + 4,
    )  # fmt: skip


def strange_network() -> OpGraph:
    """A graph whose only operator nobody knows: shapes and kinds do not say what it computes."""
    x, y = (Tensor(name=name, shape=(1, 4), precision="fp32") for name in "xy")
    operator = Operator(name="what", kind="unknown", inputs=("x",), outputs=("y",), precision="fp32", source="What")
    return OpGraph(
        name="strange", inputs=("x",), outputs=("y",), tensors={"x": x, "y": y}, operators=(operator,), parameters=0
    )


def _measured(model: str, recipe: str, backend: str, ms: float) -> Record:
    return Record(
        schema=SCHEMA, run="20260101-120000-board", cell=f"{model}/{recipe}/{backend}", model=model, recipe=recipe,
        backend=backend, backend_options={}, profile="board", outcome="measured", variant=_variant(recipe),
        measurement=_measurement(ms), estimate=_estimate(ms * 9), quality=_quality(recipe),
        versions={backend: "1.2.3"}, why=() if recipe == "baseline" else (_reason(),),
    )  # fmt: skip


def _simulated(model: str, recipe: str, ms: float) -> Record:
    estimate = replace(_estimate(ms / 5), kind="simulated", basis="roofline of the chip", accelerator="chip (option)")
    return replace(
        _measured(model, recipe, "chip", ms), outcome="simulated", measurement=None, estimate=estimate, why=()
    )


def _missing(model: str, recipe: str, outcome: Any, failure: Failure) -> Record:
    backend = "chip" if outcome == "skipped" else "fast-runtime"
    found = _measured(model, recipe, backend, 1.0)
    return replace(
        found, outcome=outcome, variant=None, measurement=None, estimate=None, quality=None, failure=failure, why=()
    )


def _not_mappable() -> Failure:
    reason = SkipReason.NOT_MAPPABLE
    return Failure(
        stage="build", plugin="chip (chips 2.0)", reason=reason.name, error=f"{reason.value}: 3 × NOT_QUANTISED (conv)",
        hint="quantise it first",
    )  # fmt: skip


def _crashed() -> Failure:
    return Failure(
        stage="open", plugin="fast-runtime (fast 1.2.3)", error="the process was ended by SIGSEGV.",
        hint="Its last words: <tag> & 'quotes' | pipe",
    )  # fmt: skip


def _reason() -> Reason:
    text = "2 of 5 operators stayed in float; they take 61 % of the time."
    return Reason(cause=Cause.FLOAT_LEFT, where="host", basis="measured", share=0.61, text=text)


def _variant(recipe: str) -> Variant:
    steps = [
        LineageStep(
            kind="source", name="nets:small", plugin="nets (nets 1.0)", format="module", size_bytes=66_000, seconds=0.8
        ),
        LineageStep(
            kind="converter", name="module → file", plugin="nets (nets 1.0)", format="file", size_bytes=66_100,
            seconds=2.5,
        ),
    ]  # fmt: skip
    if recipe != "baseline":
        steps.append(
            LineageStep(
                kind="technique", name=recipe, plugin="rounding (rounding 0.3)", format="file", size_bytes=33_000,
                seconds=1.2, notes=("1 layer left in float: its input is not calibrated",), parameters=16_390,
                macs=1_470_000, accuracy=0.86, accuracy_n=400,
            )
        )  # fmt: skip
    return Variant(
        format="file", sha256=format(random.Random(recipe).getrandbits(256), "064x"),
        size_bytes=66_100 if recipe == "baseline" else 33_000, download_bytes=31_000, parameters=16_390,
        nonzero_parameters=16_390, macs=1_470_000, int8_macs_share=0.0 if recipe == "baseline" else 0.98, cached=False,
        lineage=tuple(steps),
    )  # fmt: skip


def _measurement(ms: float) -> Measurement:
    draw = random.Random(round(ms * 1e6))
    latency: list[int] = []
    for _ in range(PROCESSES):
        scale_ns = ms * 1e6 * draw.lognormvariate(0, 0.01)
        latency += [round(scale_ns * draw.lognormvariate(0, 0.01)) for _ in range(SAMPLES)]
    reading = ProcessReading(
        load_ns=21_000_000, first_run_ns=round(ms * 4e6), settle_ns=1_900_000, settled=True, samples=SAMPLES, warmup=0,
        steady=True, baseline_rss_bytes=61_000_000, peak_rss_bytes=88_400_000, opened_alone=True,
    )  # fmt: skip
    return Measurement(
        threads=2, threads_reported=2, calls_per_sample=8, latency_ns=tuple(latency),
        rounds=tuple(n for _ in range(PROCESSES) for n in range(SAMPLES)), warmup_ns=(), load_ns=21_000_000,
        first_run_ns=round(ms * 4e6), baseline_rss_bytes=61_000_000, peak_rss_bytes=88_400_000, stopped="precise",
        group="g1", processes=(reading,) * PROCESSES,
    )  # fmt: skip


def _estimate(ms: float) -> Estimate:
    def around(p50: float, factor: float = 2.0) -> Interval:
        return Interval(p50=p50, lo90=p50 / factor, hi90=p50 * factor)

    return Estimate(
        kind="estimated", latency_ms=around(ms), peak_memory_bytes=around(24e6, 1.4), energy_mj=around(ms * 4.1),
        energy_above_idle_mj=around(ms * 1.6), threads=4, basis="physical prior", in_domain=True, fits="fits",
        energy_basis="active power of the board", kernel_family="fast",
    )  # fmt: skip


def _quality(recipe: str) -> Quality:
    right, n = (352 if recipe == "baseline" else 348), 400
    lo, hi = wilson(right, n)
    return Quality(
        metric="top1", value=right / n, lo95=lo, hi95=hi, n=n, agreement=1.0 if recipe == "baseline" else 0.985,
        agreement_n=n, reference="baseline in fast-runtime", data="sample rows (400 of a test split)",
        max_abs_error=0.0004,
    )  # fmt: skip
