"""One line for each sample: the raw times, process after process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.export.column import Column, Value, rows
from harness.export.stored_run import timings

if TYPE_CHECKING:
    from harness.export.stored_run import StoredCell, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample.

    Attributes:
        process: Number of the fresh process, from 0.
        round: The interleaved round it was taken in; None for warm-up.
        latency_ns: Of one inference.
    """

    timing: Timing
    process: int
    warmup: bool
    round: int | None
    latency_ns: int


SAMPLE_COLUMNS: tuple[Column[Sample], ...] = (
    Column(name="run_folder", type="text", kind="run", meaning="folder of the run, as it was given",
           read=lambda s: str(s.timing.cell.run.folder)),
    Column(name="run", type="text", kind="run", meaning="name of the run", read=lambda s: s.timing.cell.record.run),
    Column(name="cell", type="text", kind="cell", meaning="the first record that holds the measurement",
           read=lambda s: s.timing.cell.record.cell),
    Column(name="model", type="text", kind="cell", meaning="reference of the model",
           read=lambda s: s.timing.cell.record.model),
    Column(name="recipe", type="text", kind="cell", meaning="techniques in their order",
           read=lambda s: s.timing.cell.record.recipe),
    Column(name="backend", type="text", kind="cell", meaning="runtime, with the options that were changed",
           read=lambda s: s.timing.cell.record.backend),
    Column(name="group", type="text", kind="cell", meaning="cells of one group were timed in the same rounds",
           read=lambda s: s.timing.measurement.group),
    Column(name="process", type="integer", kind="measured", meaning="the fresh process, from 0",
           read=lambda s: s.process),
    Column(name="warmup", type="flag", kind="measured", meaning="whether it came before times were steady; such a"
           " sample counts in no summary", read=lambda s: s.warmup),
    Column(name="round", type="integer", kind="measured", meaning="the interleaved round; none in warm-up",
           read=lambda s: s.round),
    Column(name="calls", type="integer", kind="measured", meaning="inferences timed together",
           read=lambda s: s.timing.measurement.calls_per_sample),
    Column(name="measured_latency_ns", type="integer", kind="measured", meaning="time of one inference",
           read=lambda s: s.latency_ns),
)  # fmt: skip
"""Every column of the table of samples, in order."""


def sample_rows(cells: tuple[StoredCell, ...]) -> list[dict[str, Value]]:
    """The samples of a run, each measurement once, as `SAMPLE_COLUMNS` describe them."""
    return rows(SAMPLE_COLUMNS, (sample for timing in timings(cells) for sample in _samples(timing)))


def _samples(timing: Timing) -> Iterator[Sample]:
    """Warm-up and samples of one process after the other."""
    measurement, start, warm = timing.measurement, 0, 0
    for number, process in enumerate(measurement.processes):
        for ns in measurement.warmup_ns[warm : warm + process.warmup]:
            yield Sample(timing=timing, process=number, warmup=True, round=None, latency_ns=ns)
        for at in range(start, start + process.samples):
            ns, round_ = measurement.latency_ns[at], measurement.rounds[at]
            yield Sample(timing=timing, process=number, warmup=False, round=round_, latency_ns=ns)
        start, warm = start + process.samples, warm + process.warmup
