"""How a run was measured: machine, versions, threads, processes, noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from harness.report.noise import judge_run

if TYPE_CHECKING:
    from harness.measure.noise import Noise
    from harness.record import Measurement, Record

MACHINE = ("cpu", "isa", "cores", "memory_bytes", "os", "load_average", "python", "bench", "time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Smallest and largest of a count."""

    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendTiming:
    """How one backend behaved while it was timed.

    Attributes:
        threads_reported: What the runtime says it uses; empty when it cannot be read back.
        settle_ns: Median time its threads stayed busy after a sample.
        unsettled: Processes whose threads were not quiet before every sample.
        unsteady: Processes whose warm-up ended because its budget was spent.
    """

    backend: str
    cells: int
    processes: int
    threads_reported: tuple[int, ...]
    settle_ns: float
    unsettled: int
    unsteady: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """How it was measured.

    Attributes:
        machine: Facts of the machine by name, in order; what is unknown is left out.
        versions: Distribution to version, or to several versions when records differ.
        threads: Thread budgets that backends were given.
        processes: Fresh processes of a cell; `samples` and `calls` (inferences timed together) likewise.
        stopped: How often timing ended as `precise` and as `budget`.
        noise: How quiet the machine was; None when nothing was timed.
    """

    machine: tuple[tuple[str, Any], ...]
    versions: tuple[tuple[str, str], ...]
    threads: tuple[int, ...]
    cells: int
    processes: Span | None
    samples: Span | None
    calls: Span | None
    stopped: tuple[tuple[str, int], ...]
    noise: Noise | None
    backends: tuple[BackendTiming, ...]
    notes: tuple[str, ...]


def describe_method(records: Sequence[Record], environment: Mapping[str, Any]) -> Method:
    """Collect what the records and the run's environment say; every key of the environment may be missing."""
    timed = _timed(records)
    measurements = [measurement for _, measurement in timed]
    return Method(
        machine=tuple((key, environment[key]) for key in MACHINE if environment.get(key) not in (None, "")),
        versions=_versions(records, environment),
        threads=_threads(measurements, environment),
        cells=len(timed),
        processes=_span(len(found.processes) for found in measurements),
        samples=_span(len(found.latency_ns) for found in measurements),
        calls=_span(found.calls_per_sample for found in measurements),
        stopped=tuple(sorted(Counter(found.stopped for found in measurements).items(), reverse=True)),
        noise=judge_run(records, environment),
        backends=_backends(timed),
        notes=tuple(str(note) for note in environment.get("notes") or ()),
    )


def _timed(records: Sequence[Record]) -> list[tuple[str, Measurement]]:
    """Backend and measurement of every timed cell; cells of two profiles that share a measurement count once."""
    found = {
        (record.model, record.recipe, record.backend, record.measurement.group): record.measurement
        for record in records
        if record.measurement and record.measurement.latency_ns
    }
    return [(backend, measurement) for (_, _, backend, _), measurement in found.items()]


def _versions(records: Sequence[Record], environment: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    found: dict[str, set[str]] = {}
    stated = environment.get("versions")
    for versions in (stated if isinstance(stated, Mapping) else {}, *(record.versions for record in records)):
        for name, version in versions.items():
            found.setdefault(str(name), set()).add(str(version))
    return tuple((name, ", ".join(sorted(versions))) for name, versions in sorted(found.items()))


def _threads(measurements: Sequence[Measurement], environment: Mapping[str, Any]) -> tuple[int, ...]:
    found = {measurement.threads for measurement in measurements}
    stated = environment.get("threads")
    return tuple(sorted(found or ({stated} if isinstance(stated, int) else set())))


def _backends(timed: Sequence[tuple[str, Measurement]]) -> tuple[BackendTiming, ...]:
    by_backend: dict[str, list[Measurement]] = {}
    for backend, measurement in timed:
        by_backend.setdefault(backend, []).append(measurement)
    return tuple(_backend(backend, found) for backend, found in sorted(by_backend.items()))


def _backend(backend: str, measurements: Sequence[Measurement]) -> BackendTiming:
    processes = [process for found in measurements for process in found.processes]
    reported = {found.threads_reported for found in measurements if found.threads_reported is not None}
    return BackendTiming(
        backend=backend,
        cells=len(measurements),
        processes=len(processes),
        threads_reported=tuple(sorted(reported)),
        settle_ns=median(process.settle_ns for process in processes) if processes else 0.0,
        unsettled=sum(not process.settled for process in processes),
        unsteady=sum(not process.steady for process in processes),
    )


def _span(counts: Iterable[int]) -> Span | None:
    found = list(counts)
    return Span(least=min(found), most=max(found)) if found else None
