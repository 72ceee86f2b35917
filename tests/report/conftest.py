"""Records as a run leaves them: two models, five recipes, four backends, profile rpi4."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.estimate.interval import Estimate, Interval
from harness.measure.statistics import wilson
from harness.record import (
    Failure,
    LineageStep,
    Measurement,
    ProcessReading,
    Quality,
    Record,
    SkipReason,
    Variant,
)

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPES = ("baseline", "fp16", "int8-dynamic", "int8-static", "prune-magnitude(amount=0.5)")

# per model: parameters, MACs, host ms by backend, rpi4 ms, baseline accuracy, rows
MODELS: dict[str, dict[str, Any]] = {
    "efficientnet-lite0": {
        "parameters": 4_652_008, "macs": 407_000_000, "n": 20, "agreement_n": 60, "right": 17, "device_ms": 118.0,
        "host_ms": {"torch": 31.0, "onnxruntime": 11.2, "openvino": 9.4},
        "data": "foolbox samples (20 labelled, 60 in all)",
        "note": "20 labelled pictures are too few to claim an accuracy from",
    },
    "har-watch": {
        "parameters": 16_390, "macs": 1_470_000, "n": 2947, "agreement_n": 2947, "right": 2544, "device_ms": 0.92,
        "host_ms": {"torch": 0.61, "onnxruntime": 0.083, "openvino": 0.101},
        "data": "watch (test: persons 3, 6, 9)", "note": "",
    },
}  # fmt: skip
SPEED = dict(zip(RECIPES, (1.0, 1.02, 1.31, 0.48, 0.995), strict=True))
SIZE = dict(zip(RECIPES, (1.0, 0.5, 0.27, 0.28, 1.0), strict=True))
LOSS = dict(zip(RECIPES, (0, 0, 6, 9, 61), strict=True))


def make_interval(p50: float, factor: float = 2.0) -> Interval:
    return Interval(p50=p50, lo90=p50 / factor, hi90=p50 * factor)


def make_measurement(
    ms: float, *, seed: int = 0, processes: int = 3, spread: float = 0.008, **changes: Any
) -> Measurement:
    rng = random.Random(seed)
    latency: list[int] = []
    for _ in range(processes):
        scale = ms * 1e6 * rng.lognormvariate(0, spread)
        latency += [round(scale * rng.lognormvariate(0, 0.01)) for _ in range(15)]
    reading = ProcessReading(
        load_ns=21_000_000, first_run_ns=round(ms * 4e6), settle_ns=1_900_000, settled=True, samples=15, warmup=3,
        opened_alone=True, steady=True, baseline_rss_bytes=61_000_000, peak_rss_bytes=88_400_000,
    )  # fmt: skip
    made = Measurement(
        threads=2, threads_reported=2, calls_per_sample=8, latency_ns=tuple(latency),
        rounds=tuple(number for _ in range(processes) for number in range(15)), warmup_ns=(), load_ns=21_000_000,
        first_run_ns=round(ms * 4e6), baseline_rss_bytes=61_000_000, peak_rss_bytes=88_400_000, stopped="precise",
        group="g1", processes=(reading,) * processes,
    )  # fmt: skip
    return replace(made, **changes)


def make_estimate(ms: float, *, simulated: bool = False, **changes: Any) -> Estimate:
    made = Estimate(
        kind="simulated" if simulated else "estimated",
        latency_ms=make_interval(ms), peak_memory_bytes=make_interval(24e6, 1.4),
        energy_mj=make_interval(ms * 4.1, 2.4), energy_above_idle_mj=make_interval(ms * 1.6, 2.4), threads=4,
        basis="compiler rules and 4 TOPS peak (simulated)" if simulated else "physical prior", in_domain=True,
        fits="fits", accelerator="coral-usb (option)" if simulated else "",
    )  # fmt: skip
    return replace(made, **changes)


def make_quality(right: int, n: int, *, agreement: float = 1.0, agreement_n: int = 0, **changes: Any) -> Quality:
    lo, hi = wilson(right, n)
    made = Quality(
        metric="top1", value=right / n, lo95=lo, hi95=hi, n=n, agreement=agreement, agreement_n=agreement_n or n,
        reference="baseline in onnxruntime", data="watch (test: persons 3, 6, 9)", max_abs_error=0.0004,
    )  # fmt: skip
    return replace(made, **changes)


def make_unlabelled(agreement: float, agreement_n: int = 200) -> Quality:
    return Quality(
        metric="agreement", value=None, lo95=None, hi95=None, n=0, agreement=agreement, agreement_n=agreement_n,
        reference="baseline in onnxruntime", data="random inputs",
    )  # fmt: skip


def make_variant(
    recipe: str, kind: str = "onnx", *, size: int = 65_000, parameters: int = 16_390, macs: int = 1_470_000
) -> Variant:
    share = {"int8-static": 0.98, "int8-dynamic": 0.02}.get(recipe, 0.0)
    steps = [
        LineageStep(kind="source", name="zoo", plugin="zoo edge-bench 0.1.0", format="module", size_bytes=None,
                    seconds=0.8),
        LineageStep(kind="converter", name="module → onnx", plugin="torch edge-bench 0.1.0", format="onnx",
                    size_bytes=round(size / SIZE.get(recipe, 1)), seconds=7.1),
    ]  # fmt: skip
    if recipe != "baseline":
        notes = ("1 Gemm left in float: its input is not calibrated",) if recipe == "int8-static" else ()
        steps.append(LineageStep(kind="technique", name=recipe, plugin="quantize edge-bench 0.1.0", format="onnx",
                                 size_bytes=size, seconds=2.4, notes=notes))  # fmt: skip
    return Variant(
        format=kind, sha256=hashlib.sha256(f"{recipe}{kind}{size}".encode()).hexdigest(), size_bytes=size,
        download_bytes=round(size * (0.55 if recipe.startswith("prune") else 0.92)), parameters=parameters,
        nonzero_parameters=parameters // 2 if recipe.startswith("prune") else parameters, macs=macs,
        int8_macs_share=share, cached=False, lineage=tuple(steps),
    )  # fmt: skip


def make_record(**changes: Any) -> Record:
    made = Record(
        schema=1, run="20260101-120000-rpi4", cell="c1", model="har-watch", recipe="baseline", backend="onnxruntime",
        backend_options={}, profile="rpi4", outcome="measured", variant=make_variant("baseline"),
        measurement=make_measurement(0.083), estimate=make_estimate(0.92), quality=make_quality(2544, 2947),
        versions={"onnxruntime": "1.31.1"},
    )  # fmt: skip
    return replace(made, **changes)


def missing(record: Record, outcome: str, failure: Failure) -> Record:
    return replace(
        record, outcome=outcome, variant=None, measurement=None, estimate=None, quality=None, failure=failure
    )


def sample(model: str, recipe: str, backend: str) -> Record:
    facts = MODELS[model]
    seed = hash_seed(model, recipe, backend)
    share = facts["right"] - round(LOSS[recipe] * facts["n"] / 2947)
    quality = make_quality(
        share, facts["n"], agreement=1 - LOSS[recipe] / 1400, agreement_n=facts["agreement_n"], data=facts["data"],
        note=facts["note"],
    )  # fmt: skip
    record = make_record(
        cell=f"{seed:08x}", model=model, recipe=recipe, backend=backend, quality=quality,
        variant=make_variant(recipe, "pt2" if backend == "torch" else "onnx", parameters=facts["parameters"],
                             macs=facts["macs"], size=round(facts["parameters"] * 4.05 * SIZE[recipe])),
        versions={backend: {"torch": "2.13.0", "onnxruntime": "1.31.1", "openvino": "2026.3.0"}.get(backend, "0.1.0")},
    )  # fmt: skip
    if backend == "edgetpu":
        if recipe != "int8-static":
            return missing(record, "skipped", Failure(
                stage="build", plugin="edgetpu edge-bench 0.1.0", reason=SkipReason.NOT_MAPPABLE.name,
                error=f"{SkipReason.NOT_MAPPABLE.value}: {52 if model.startswith('eff') else 6} × NOT_QUANTISED (Conv)",
                hint="quantise it first: --recipe int8-static"))  # fmt: skip
        return replace(
            record, outcome="simulated", measurement=None,
            estimate=make_estimate(facts["device_ms"] * 0.11, simulated=True,
                                   basis="roofline of the accelerator, physical prior"),
        )  # fmt: skip
    if backend == "torch" and recipe in ("int8-dynamic", "int8-static", "fp16"):
        return missing(record, "skipped", Failure(
            stage="plan", plugin="quantize edge-bench 0.1.0",
            reason=SkipReason.NO_IMPLEMENTATION.name, error=SkipReason.NO_IMPLEMENTATION.value,
            hint="take it in a backend that reads onnx: --backend onnxruntime"))  # fmt: skip
    if (backend, recipe) == ("openvino", "int8-dynamic"):
        return missing(record, "failed", Failure(
            stage="open", plugin="openvino edge-bench 0.1.0",
            error="Check 'element_type.is_static()' failed at node DynamicQuantizeLinear_12",
            hint="run it in onnxruntime, or force the format: --recipe int8-dynamic@openvino-ir"))  # fmt: skip
    slow = 1.6 if (backend, recipe) == ("onnxruntime", "int8-dynamic") else 1.0
    return replace(
        record,
        measurement=make_measurement(facts["host_ms"][backend] * SPEED[recipe] * slow, seed=seed,
                                     threads_reported=None if backend == "torch" else 2),
        estimate=make_estimate(facts["device_ms"] * SPEED[recipe]),
    )  # fmt: skip


def hash_seed(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:4])


@pytest.fixture
def environment() -> dict[str, Any]:
    return {
        "cpu": "Intel Xeon at 2.50 GHz", "cores": 2, "memory_bytes": 8_334_000_000, "os": "Linux 6.1 x86_64",
        "python": "3.11.7", "bench": "0.1.0", "threads": 2, "time": "2026-01-01T12:00:00+00:00",
        "versions": {"torch": "2.13.0", "numpy": "2.4.6"},
        "notes": ["cpufreq not readable here: clocks may have changed while it ran"],
    }  # fmt: skip


@pytest.fixture
def records() -> list[Record]:
    return [
        sample(model, recipe, backend)
        for model in MODELS
        for recipe in RECIPES
        for backend in ("torch", "onnxruntime", "openvino", "edgetpu")
    ]


@pytest.fixture
def factory() -> dict[str, Callable[..., Any]]:
    """Makers of one record and its parts, every field of which can be changed by name."""
    return {
        "record": make_record, "measurement": make_measurement, "estimate": make_estimate, "quality": make_quality,
        "variant": make_variant, "missing": missing, "interval": make_interval, "unlabelled": make_unlabelled,
    }  # fmt: skip
