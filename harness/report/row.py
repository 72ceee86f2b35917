"""One line of a comparison: the numbers of a cell that was measured or simulated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.measure.statistics import LatencySummary, RatioSummary, ratio, summarise
from harness.report.deviation import differs, remark

if TYPE_CHECKING:
    from harness.estimate.interval import Estimate
    from harness.operator_time import OperatorTime
    from harness.record import EnergyReading, Measurement, Quality, Record, Variant
    from harness.why.reason import Reason

BASELINE = "baseline"

Verdict = Literal["faster", "slower", "no difference shown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Time of the baseline of the same backend divided by that of the row, and what that shows."""

    summary: RatioSummary
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A cell with its numbers, none of them formatted.

    Attributes:
        backend: The backend with the options that were changed, for example `torch(compile=true)`.
        kind: `measured` was timed on this machine; `simulated` was never timed and has no `host`.
        baseline: Whether this is the model without optimisation.
        pareto: Whether no other row of the section has less latency at no less quality, or the reverse.
        host: Latency on this machine.
        speed: Against the baseline of the same backend, both measured here; None for the baseline itself.
        host_memory_bytes: Peak resident memory less what the process held with only the runtime loaded.
        host_energy: What a meter of this machine read, None without one.
        estimate: What is predicted for the profile.
        threads: The thread budget, and `threads_reported` what the runtime says it uses, where that can be read back.
        base_memory_bytes: What the process held with only the runtime loaded.
        also_imports: What it held besides, that a device does without; memory and start-up are not comparable then.
        runtime_notes: What the backend says of what its runtime made of the variant.
        notes: What a reader must know of this row alone.
        why: What keeps it from being faster than the baseline of its backend, here and on the device.
        operators: Where its time goes here, by the runtime's own profiler; empty when it has none.
    """

    recipe: str
    backend: str
    kind: Literal["measured", "simulated"]
    baseline: bool
    pareto: bool = False
    host: LatencySummary | None
    speed: Speed | None
    host_memory_bytes: int | None
    load_ns: int | None
    first_run_ns: int | None
    host_energy: EnergyReading | None = None
    estimate: Estimate | None
    quality: Quality | None
    variant: Variant | None
    notes: tuple[str, ...]
    threads: int | None = None
    threads_reported: int | None = None
    base_memory_bytes: int | None = None
    also_imports: str = ""
    runtime_notes: tuple[str, ...] = ()
    why: tuple[Reason, ...] = ()
    operators: tuple[OperatorTime, ...] = ()


def build_rows(records: Sequence[Record]) -> tuple[Row, ...]:
    """Rows of the records of one model and profile, in their order; those skipped or failed give none."""
    done = [record for record in records if record.outcome in ("measured", "simulated")]
    baselines = {
        record.backend: record.measurement
        for record in done
        if record.recipe == BASELINE and safe_summary(record.measurement)
    }
    return tuple(_row(record, baselines.get(record.backend)) for record in done)


def safe_summary(measurement: Measurement | None) -> LatencySummary | None:
    """Summary of a measurement, or None when there is none or it holds no usable samples."""
    if measurement is None:
        return None
    try:
        return summarise(measurement)
    except ValueError:
        return None


def _row(record: Record, baseline: Measurement | None) -> Row:
    timed = record.measurement if record.outcome == "measured" else None
    host = safe_summary(timed)
    return Row(
        recipe=record.recipe,
        backend=record.backend,
        kind="simulated" if record.outcome == "simulated" else "measured",
        baseline=record.recipe == BASELINE,
        host=host,
        speed=_speed(baseline, timed) if host and record.recipe != BASELINE else None,
        host_memory_bytes=_above_runtime(timed),
        load_ns=timed.load_ns if timed else None,
        first_run_ns=timed.first_run_ns if timed else None,
        host_energy=timed.energy if timed else None,
        estimate=record.estimate,
        quality=record.quality,
        variant=record.variant,
        notes=tuple(_notes(record, timed, host)),
        threads=timed.threads if timed else None,
        threads_reported=timed.threads_reported if timed else None,
        base_memory_bytes=timed.baseline_rss_bytes if timed else None,
        also_imports=timed.also_imports if timed else "",
        runtime_notes=timed.notes if timed else (),
        why=record.why,
        operators=timed.operators if timed else (),
    )


def _speed(baseline: Measurement | None, variant: Measurement | None) -> Speed | None:
    if variant is None or baseline is None:
        return None
    summary = ratio(baseline, variant)
    verdict: Verdict = "no difference shown"
    if summary.significant:
        verdict = "faster" if summary.ratio > 1 else "slower"
    return Speed(summary=summary, verdict=verdict)


def _above_runtime(measurement: Measurement | None) -> int | None:
    """Largest peak less the median of what the processes held with only the runtime loaded."""
    if measurement is None:
        return None
    return max(measurement.peak_rss_bytes - measurement.baseline_rss_bytes, 0) or None


def _notes(record: Record, timed: Measurement | None, host: LatencySummary | None) -> Iterable[str]:
    quality, estimate = record.quality, record.estimate
    if quality and quality.deviation and differs(quality.deviation):
        yield remark(quality.deviation)
    if timed:
        yield from _timing_notes(timed, host)
    if estimate:
        yield from _estimate_notes(estimate)
    if quality and quality.note:
        yield quality.note


def _timing_notes(timed: Measurement, host: LatencySummary | None) -> Iterable[str]:
    if host is None:
        yield "its samples cannot be read: measure it again"
    elif host.processes == 1:
        yield "timed in one process only: the interval knows nothing of the spread between processes"
    if timed.threads_reported not in (None, timed.threads):
        several = "" if timed.threads_reported == 1 else "s"
        yield f"the runtime reports {timed.threads_reported} thread{several}, the budget was {timed.threads}"
    if timed.also_imports:
        yield (
            f"its process holds {timed.also_imports} besides the runtime, which a device does without: base memory and"
            " start-up are not comparable with those of other runtimes"
        )
    if timed.stopped == "budget":
        yield "timing stopped at its budget, before the interval was as narrow as asked for"
    if timed.energy:
        yield _energy_note(timed.energy)
    if timed.operators_problem:
        yield f"the times of its operators could not be read: {timed.operators_problem}"


def _energy_note(reading: EnergyReading) -> str:
    if reading.problem:
        return f"no energy was measured by {reading.meter}: {reading.problem}"
    return f"host energy is measured by {reading.meter}, which covers {reading.scope}; idle is {reading.idle_w:.3g} W"


def _estimate_notes(estimate: Estimate) -> Iterable[str]:
    if estimate.accelerator:
        yield f"simulated on {estimate.accelerator}"
    if not estimate.in_domain:
        why = "; ".join(estimate.reasons) or "no reason given"
        yield f"outside what the estimate may be trusted for: {why}"
    if estimate.unmodelled:
        yield f"operators that the estimate knows nothing of: {', '.join(estimate.unmodelled)}"
    if estimate.fits == "does not fit":
        yield "does not fit the memory of the device"
    elif estimate.fits == "uncertain":
        yield "it is uncertain whether this fits the memory of the device"
