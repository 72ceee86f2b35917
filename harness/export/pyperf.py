"""Measurements as a pyperf suite, so that its `compare_to`, `stats`, `hist` and `check` answer for a run.

One benchmark is one measurement, one of its runs a fresh process, one value a sample in seconds for one inference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigurationError, UsageError
from harness.export.column import moment
from harness.export.stored_run import timings

if TYPE_CHECKING:
    from pathlib import Path

    from harness.export.stored_run import StoredCell, Timing


def write_pyperf(cells: tuple[StoredCell, ...], path: Path) -> None:
    """Write what a run measured as a file of pyperf's; one that is there is replaced.

    Raises:
        UsageError: pyperf is not installed, or the run measured nothing.
        ConfigurationError: pyperf refuses what the run folder says.
    """
    try:
        import pyperf  # type: ignore[import-untyped]
    except ImportError:
        hint = "Install it with: pip install 'edge-bench[report]'"
        raise UsageError("this format needs pyperf, which is not installed.", hint=hint) from None
    try:
        benchmarks = [pyperf.Benchmark(list(_runs(timing, pyperf.Run))) for timing in timings(cells)]
    except ValueError as error:
        hint = "Restore its environment.json and records.jsonl from a backup."
        raise ConfigurationError(f"pyperf refuses this run: {error}.", hint=hint) from None
    if not benchmarks:
        hint = "Its report says why: bench report RUN"
        raise UsageError("nothing was measured in this run, so there is nothing to give to pyperf.", hint=hint)
    pyperf.BenchmarkSuite(benchmarks).dump(str(path), replace=True)


def _runs(timing: Timing, make: Callable[..., Any]) -> Iterator[Any]:
    """One run of pyperf's for each process that has samples."""
    measurement, start, warm = timing.measurement, 0, 0
    shared = _metadata(timing)
    for process in measurement.processes:
        samples = measurement.latency_ns[start : start + process.samples]
        warmups = measurement.warmup_ns[warm : warm + process.warmup]
        start, warm = start + process.samples, warm + process.warmup
        if samples:
            yield make(
                [_seconds(ns) for ns in samples],
                warmups=[(measurement.calls_per_sample, _seconds(ns)) for ns in warmups],
                metadata=_usable({**shared, "mem_max_rss": process.peak_rss_bytes}),
                collect_metadata=False,
            )


def _seconds(ns: int) -> float:
    """The clock counts whole nanoseconds: an inference that takes none takes less than one; pyperf knows no 0."""
    return max(ns, 1) / 1e9


def _metadata(timing: Timing) -> Mapping[str, Any]:
    """pyperf's names where it has one; a host name is not among the facts of a run."""
    facts, record = timing.cell.run.environment, timing.cell.record
    begun = moment(str(facts.get("time")))
    return {
        "name": timing.name,
        "unit": "second",
        "loops": timing.measurement.calls_per_sample,
        "date": begun.isoformat(" ", "seconds") if begun else None,
        "cpu_model_name": facts.get("cpu"),
        "cpu_count": facts.get("cores"),
        "platform": " ".join(str(facts[key]) for key in ("os", "isa") if facts.get(key)),
        "python_version": facts.get("python"),
        "load_avg_1min": facts.get("load_average"),
        "threads": timing.measurement.threads,
        "bench": facts.get("bench"),
        "run": record.run,
        "cell": record.cell,
        "variant_sha256": record.variant.sha256 if record.variant else "",
        **{f"{name}_version": version for name, version in record.versions.items()},
    }


def _usable(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """pyperf refuses empty values and line breaks."""
    lined = {key: " ".join(value.split()) if isinstance(value, str) else value for key, value in metadata.items()}
    return {
        key: value for key, value in lined.items() if value not in ("", None) and isinstance(value, str | int | float)
    }
