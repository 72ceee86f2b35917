"""One flat line for each record, every quantity with its unit in the name of its column.

What was measured on this machine, what is estimated for a profile and what is simulated stand in columns of their own,
so that no query mixes them by accident.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

from harness.export.column import Column, Kind, Type, Value, rows
from harness.report.deviation import deviation_of, differs

if TYPE_CHECKING:
    from harness.export.stored_run import StoredCell

FEWEST_FOR_P90, FEWEST_FOR_P99 = 10, 100
"""Samples below which such a percentile would be the slowest sample and nothing else."""


def flat_rows(cells: tuple[StoredCell, ...]) -> list[dict[str, Value]]:
    """The records of a run in their order, as `COLUMNS` describe them."""
    return rows(COLUMNS, cells)


def _column(name: str, kind: Type, meaning: str, read: Any, of: Kind) -> Column[StoredCell]:
    return Column(name=name, type=kind, kind=of, meaning=meaning, read=read)


def _at(path: str) -> Callable[[StoredCell], Any]:
    """What lies behind dots, None as soon as something on the way is None."""
    steps = [attrgetter(step) for step in path.split(".")]

    def read(cell: StoredCell) -> Any:
        found: Any = cell
        for step in steps:
            if found is None:
                return None
            found = step(found)
        return found

    return read


def _fact(key: str) -> Callable[[StoredCell], Any]:
    return lambda cell: cell.run.environment.get(key)


def _json(path: str) -> Callable[[StoredCell], str]:
    read = _at(path)

    def text(cell: StoredCell) -> str:
        mapping: Mapping[str, Any] = read(cell)
        return json.dumps(dict(mapping), sort_keys=True, default=str) if mapping else ""

    return text


def _joined(path: str, separator: str = "; ") -> Callable[[StoredCell], str]:
    read = _at(path)
    return lambda cell: separator.join(read(cell) or ())


def _timed(path: str) -> Callable[[StoredCell], Any]:
    """A field of the measurement, where it counts as one."""
    read = _at(f"record.measurement.{path}")
    return lambda cell: read(cell) if cell.row and cell.row.host else None


def _percentile(share: float, fewest: int) -> Callable[[StoredCell], int | None]:
    """The nearest rank: type 1 of R. J. Hyndman, Y. Fan, Sample quantiles in packages, Am. Statistician 50 (1996)."""
    read = _timed("latency_ns")

    def percentile(cell: StoredCell) -> int | None:
        ordered = sorted(read(cell) or ())
        return ordered[math.ceil(share * len(ordered)) - 1] if len(ordered) >= fewest else None

    return percentile


def _predicted(path: str, of: Literal["estimated", "simulated"]) -> Callable[[StoredCell], Any]:
    """A field of the estimate, where it is of that kind."""
    read = _at(f"row.estimate.{path}")

    def value(cell: StoredCell) -> Any:
        estimate = cell.row.estimate if cell.row else None
        return read(cell) if estimate and estimate.kind == of else None

    return value


def _steps(cell: StoredCell) -> str:
    return " → ".join(step.name for step in cell.record.variant.lineage) if cell.record.variant else ""


def _agrees(cell: StoredCell) -> bool | None:
    found = deviation_of(cell.row) if cell.row else None
    return None if found is None or (found.agrees is None and not differs(found)) else not differs(found)


def _build_s(cell: StoredCell) -> float | None:
    return math.fsum(step.seconds for step in cell.record.variant.lineage) if cell.record.variant else None


RUN_COLUMNS = (
    _column("run_folder", "text", "folder of the run, as it was given", lambda cell: str(cell.run.folder), "run"),
    _column("run", "text", "name of the run", _at("record.run"), "run"),
    _column("time_utc", "time", "when the run began", _fact("time"), "run"),
    _column("bench", "text", "version of bench", _fact("bench"), "run"),
    _column("cpu", "text", "processor that it ran on", _fact("cpu"), "run"),
    _column("isa", "text", "its instruction set", _fact("isa"), "run"),
    _column("cores", "integer", "processors that the run could use", _fact("cores"), "run"),
    _column("machine_memory_bytes", "integer", "memory of the machine", _fact("memory_bytes"), "run"),
    _column("os", "text", "operating system", _fact("os"), "run"),
    _column("python", "text", "version of Python", _fact("python"), "run"),
    _column("load_average", "real", "processes that wanted to run when it began, over a minute",
            _fact("load_average"), "run"),
)  # fmt: skip
"""The same in every record of a run."""

_CELL = (
    _column("cell", "text", "identity of the record: the cell, the profile and what of the plan changes it",
            _at("record.cell"), "cell"),
    _column("model", "text", "reference of the model", _at("record.model"), "cell"),
    _column("recipe", "text", "techniques in their order; `baseline` is none", _at("record.recipe"), "cell"),
    _column("backend", "text", "runtime, with the options that were changed", _at("record.backend"), "cell"),
    _column("backend_options", "text", "all its options, as JSON", _json("record.backend_options"), "cell"),
    _column("profile", "text", "device of the estimate", _at("record.profile"), "cell"),
    _column("outcome", "text", "`measured`, `simulated`, `skipped` or `failed`", _at("record.outcome"), "cell"),
    _column("versions", "text", "versions of what the backend needs, as JSON", _json("record.versions"), "cell"),
)  # fmt: skip

_MEASURED = (
    _column("measured_latency_median_ns", "integer", "time of one inference: geometric mean of the processes' medians",
            _at("row.host.median_ns"), "measured"),
    _column("measured_latency_lo95_ns", "integer", "low end of its 95 % interval", _at("row.host.lo95_ns"), "measured"),
    _column("measured_latency_hi95_ns", "integer", "high end", _at("row.host.hi95_ns"), "measured"),
    _column("measured_latency_p90_ns", "integer", f"90th percentile of all samples, from {FEWEST_FOR_P90} samples on",
            _percentile(0.9, FEWEST_FOR_P90), "measured"),
    _column("measured_latency_p99_ns", "integer", f"99th percentile, from {FEWEST_FOR_P99} samples on",
            _percentile(0.99, FEWEST_FOR_P99), "measured"),
    _column("measured_process_spread", "real", "standard deviation of the logarithms of the processes' medians: 0.01 is"
            " 1 %", _at("row.host.between_process_sd"), "measured"),
    _column("measured_ratio", "real", "latency of the baseline of the same backend divided by this one: above 1 is"
            " faster", _at("row.speed.summary.ratio"), "measured"),
    _column("measured_ratio_lo95", "real", "low end of its 95 % interval", _at("row.speed.summary.lo95"), "measured"),
    _column("measured_ratio_hi95", "real", "high end", _at("row.speed.summary.hi95"), "measured"),
    _column("measured_verdict", "text", "`faster`, `slower` or `no difference shown`", _at("row.speed.verdict"),
            "measured"),
    _column("measured_processes", "integer", "fresh processes that were timed", _at("row.host.processes"), "measured"),
    _column("measured_samples", "integer", "samples in all of them", _at("row.host.samples"), "measured"),
    _column("measured_calls_per_sample", "integer", "inferences timed together", _timed("calls_per_sample"),
            "measured"),
    _column("measured_stopped", "text", "`precise`, or `budget` when time was up first", _timed("stopped"), "measured"),
    _column("measured_threads", "integer", "thread budget of every backend", _timed("threads"), "measured"),
    _column("measured_threads_reported", "integer", "threads that the runtime says it uses", _timed("threads_reported"),
            "measured"),
    _column("measured_memory_bytes", "integer", "peak resident memory above that of the runtime alone",
            _at("row.host_memory_bytes"), "measured"),
    _column("measured_peak_rss_bytes", "integer", "peak resident memory of the process", _timed("peak_rss_bytes"),
            "measured"),
    _column("measured_base_memory_bytes", "integer", "resident memory of the process with only the runtime loaded",
            _at("row.base_memory_bytes"), "measured"),
    _column("measured_load_ns", "integer", "opening the variant, the runtime already imported", _at("row.load_ns"),
            "measured"),
    _column("measured_first_run_ns", "integer", "the first inference", _at("row.first_run_ns"), "measured"),
    _column("measured_energy_total_mj", "real", "energy of one inference, with all that the meter covers",
            _at("row.host_energy.total_mj"), "measured"),
    _column("measured_energy_above_idle_mj", "real", "the same less what the quiet machine takes",
            _at("row.host_energy.above_idle_mj"), "measured"),
    _column("measured_energy_meter", "text", "the meter", _at("row.host_energy.meter"), "measured"),
    _column("measured_energy_scope", "text", "what it covers", _at("row.host_energy.scope"), "measured"),
)  # fmt: skip


def _prediction(of: Literal["estimated", "simulated"]) -> tuple[Column[StoredCell], ...]:
    """Columns of a prediction, of one kind alone."""

    def one(name: str, kind: Type, meaning: str, path: str) -> Column[StoredCell]:
        return _column(f"{of}_{name}", kind, meaning, _predicted(path, of), of)

    def interval(name: str, unit: str, kind: Type, meaning: str) -> tuple[Column[StoredCell], ...]:
        ends = (("p50", meaning), ("lo90", "low end of its 90 % interval"), ("hi90", "high end"))
        return tuple(one(f"{name}_{end}_{unit}", kind, text, f"{name}_{unit}.{end}") for end, text in ends)

    where = "on the profile's processor" if of == "estimated" else "on the profile's accelerator, imitated here"
    whose = (
        one("accelerator", "text", "the accelerator", "accelerator")
        if of == "simulated"
        else one("kernel_family", "text", "kernels that are assumed to compute", "kernel_family")
    )
    return (
        whose,
        *interval("latency", "ms", "real", f"time of one inference {where}: median"),
        *interval("peak_memory", "bytes", "integer", "peak memory: median"),
        *interval("flash", "bytes", "integer", "program memory of a microcontroller: median"),
        *interval("energy", "mj", "real", "energy of one inference with the board's idle power: median"),
        *interval("energy_above_idle", "mj", "real", "the same less idle power: median"),
        one("threads", "integer", "threads that are assumed", "threads"),
        one("precision", "text", "arithmetic of most multiply-accumulates", "precision"),
        one("in_domain", "flag", "whether the method may be trusted for this graph", "in_domain"),
        _column(f"{of}_doubts", "text", "why not", lambda cell: "; ".join(_predicted("reasons", of)(cell) or ()), of),
        one("fits", "text", "`fits`, `does not fit` or `uncertain`: the memory of the device", "fits"),
        one("basis", "text", "method and source", "basis"),
        one("energy_basis", "text", "method of the energy, and what it covers", "energy_basis"),
    )


_QUALITY = (
    _column("quality_metric", "text", "`top1`, or `agreement` where the data has no labels", _at("row.quality.metric"),
            "scored"),
    _column("quality_value", "real", "the metric on the test split, 0 to 1", _at("row.quality.value"), "scored"),
    _column("quality_lo95", "real", "low end of its 95 % interval", _at("row.quality.lo95"), "scored"),
    _column("quality_hi95", "real", "high end", _at("row.quality.hi95"), "scored"),
    _column("quality_n", "integer", "rows with a label", _at("row.quality.n"), "scored"),
    _column("quality_drop", "real", "the reference's value less this one's; negative is better",
            _at("row.quality.drop"), "scored"),
    _column("quality_drop_lo95", "real", "low end of its paired 95 % interval", _at("row.quality.drop_lo95"), "scored"),
    _column("quality_drop_hi95", "real", "high end", _at("row.quality.drop_hi95"), "scored"),
    _column("agreement", "real", "share of rows whose answer is that of the reference, 0 to 1",
            _at("row.quality.agreement"), "scored"),
    _column("agreement_lo95", "real", "low end of its 95 % interval", _at("row.quality.agreement_lo95"), "scored"),
    _column("agreement_hi95", "real", "high end", _at("row.quality.agreement_hi95"), "scored"),
    _column("agreement_n", "integer", "rows that agreement was taken over", _at("row.quality.agreement_n"), "scored"),
    _column("divergence_nats", "real", "mean Kullback-Leibler divergence from the reference",
            _at("row.quality.kl_mean"), "scored"),
    _column("max_abs_error", "real", "largest difference of an output from the reference",
            _at("row.quality.max_abs_error"), "scored"),
    _column("deviation", "real", "largest difference of an output from that of the framework, over its largest value",
            _at("row.quality.deviation.largest"), "scored"),
    _column("deviation_tolerance", "real", "what is allowed of it; none where accuracy alone can tell",
            _at("row.quality.deviation.tolerance"), "scored"),
    _column("deviation_agrees", "flag", "whether it is within that, and all outputs are finite", _agrees, "scored"),
    _column("deviation_reference", "text", "recipe and runtime that it was taken from",
            _at("row.quality.deviation.reference"), "scored"),
    _column("quality_reference", "text", "the reference", _at("row.quality.reference"), "scored"),
    _column("quality_data", "text", "the data", _at("row.quality.data"), "scored"),
)  # fmt: skip

_VARIANT = (
    _column("format", "text", "format of the variant", _at("record.variant.format"), "counted"),
    _column("sha256", "text", "hash of its content", _at("record.variant.sha256"), "counted"),
    _column("size_bytes", "integer", "size of its file or files", _at("record.variant.size_bytes"), "counted"),
    _column("download_bytes", "integer", "size after gzip", _at("record.variant.download_bytes"), "counted"),
    _column("parameters", "integer", "parameters, zeros included", _at("record.variant.parameters"), "counted"),
    _column("nonzero_parameters", "integer", "parameters that are not zero", _at("record.variant.nonzero_parameters"),
            "counted"),
    _column("macs", "integer", "multiply-accumulates of one inference", _at("record.variant.macs"), "counted"),
    _column("int8_macs_share", "real", "share of them in 8-bit integers, 0 to 1", _at("record.variant.int8_macs_share"),
            "counted"),
    _column("build_s", "real", "time that its steps took when they were done", _build_s, "counted"),
    _column("steps", "text", "how it was made", _steps, "counted"),
)  # fmt: skip

_WORDS = (
    _column("notes", "text", "what a reader must know of this line", _joined("row.notes"), "said"),
    _column("runtime_notes", "text", "what the backend says its runtime made of the variant",
            _joined("row.runtime_notes"), "said"),
    _column("also_imports", "text", "what the process held besides the runtime: memory and start-up are not comparable",
            _at("row.also_imports"), "said"),
    _column("why_not_faster", "text", "what keeps it from being faster than its baseline",
            lambda cell: " ".join(reason.text for reason in cell.record.why), "said"),
    _column("failure_stage", "text", "where it was skipped or failed", _at("record.failure.stage"), "said"),
    _column("failure_reason", "text", "name of the reason of a skipped cell", _at("record.failure.reason"), "said"),
    _column("failure_error", "text", "what happened", _at("record.failure.error"), "said"),
    _column("failure_hint", "text", "what to do next", _at("record.failure.hint"), "said"),
    _column("failure_plugin", "text", "who was at work", _at("record.failure.plugin"), "said"),
)  # fmt: skip

COLUMNS: tuple[Column[StoredCell], ...] = (
    *RUN_COLUMNS,
    *_CELL,
    *_MEASURED,
    *_prediction("estimated"),
    *_prediction("simulated"),
    *_QUALITY,
    *_VARIANT,
    *_WORDS,
)
"""Every column of the table of records, in order."""
