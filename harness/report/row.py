"""One line of a comparison: the numbers of a cell that was measured or simulated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.measure.statistics import LatencySummary, RatioSummary, ratio, summarise

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
    if timed and host is None:
        yield "its samples cannot be read: measure it again"
    if host and host.processes == 1:
        yield "timed in one process only: the interval knows nothing of the spread between processes"
    if timed and timed.threads_reported not in (None, timed.threads):
        yield f"the runtime reports {timed.threads_reported} threads, the budget was {timed.threads}"
    if timed and timed.stopped == "budget":
        yield "timing stopped at its budget, before the interval was as narrow as asked for"
    if timed and timed.energy:
        yield _energy_note(timed.energy)
    if timed and timed.operators_problem:
        yield f"the times of its operators could not be read: {timed.operators_problem}"
    estimate = record.estimate
    if estimate:
        yield from _estimate_notes(estimate)
    if record.quality and record.quality.note:
        yield record.quality.note


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
