"""Noise: is this machine quiet enough to believe a difference of 3 %? Answered from the raw samples of a run.

The figure that decides is the smallest difference that the run's own comparisons can tell: half the 95 % interval of a
variant's ratio to its baseline. It holds whatever the noise comes from. The other figures say where it comes from, and
so what to do; those that an interval does not show keep a run from being called quiet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, Literal

from harness.measure.statistics import process_logs, ratio, student_t, summarise

if TYPE_CHECKING:
    from harness.record import Measurement

BELIEVED = 0.03
"""The difference in question, which is also the half width that `--precision` asks for by default."""

COARSE = 0.10
"""Above this not even large gains are safe. pyperf calls a result unstable from a standard deviation of 10 % of the
mean on (`pyperf check`, version 2.10)."""

DRIFT = 0.03
"""Most that a baseline's latency may move while one process is timed: as much as the difference in question. Ratios are
paired by round, where drift cancels; latencies are not."""

RARE = 0.05
"""Share of slow outliers, or of processes that never became quiet, up to which they are accidents: one in twenty."""

FENCE = 1.5
"""A slow outlier lies further above the upper quartile than this many interquartile ranges (J. W. Tukey, Exploratory
Data Analysis, 1977, section 2D; as `pyperf stats` counts them), and more than `BELIEVED` above the median."""

NORMAL_IQR = 1.349
"""Interquartile range of the normal distribution in standard deviations."""

MEDIAN_ERROR = math.sqrt(math.pi / 2)
"""Standard error of a median over that of a mean, for the normal distribution (H. A. David, H. N. Nagaraja, Order
Statistics, 3rd ed., 2003, section 10.3)."""

MOST_PROCESSES = 30
"""As many fresh processes are advised at most; where more were needed the machine has to become quieter."""

BUSY = 0.5
"""Load average, as a share of the cores, from which other work was running when a run began."""

FEWEST_FOR_THIRDS = 6
"""Samples of a process below which its first and last third say nothing."""

Verdict = Literal["quiet", "usable", "noisy", "unknown"]


class Cause(StrEnum):
    """Where noise comes from: the closed list."""

    ONE_PROCESS = "each variant was timed in one process only, so that the spread between processes is not known"
    PROCESSES = "fresh processes of one variant differ by more than the samples within them explain"
    SAMPLES = "the samples within a process scatter, and are few for that"
    DRIFT = "latency drifted while it was timed"
    OUTLIERS = "single samples were much slower than the others"
    UNSETTLED = "threads of a runtime were still busy when the next was timed"
    LOAD = "other work was running when the run began"
    CLOCK = "the processor's clock was not fixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What is known of the machine besides the samples.

    Attributes:
        load_average: Of one minute, when the run began.
        clock: `fixed` where the governor keeps it at its maximum, `free` where it does not, else `unknown`.
    """

    load_average: float | None = None
    cores: int | None = None
    clock: Literal["fixed", "free", "unknown"] = "unknown"

    @property
    def busy(self) -> bool:
        """Whether other work was running when the run began."""
        return self.load_average is not None and self.load_average > BUSY * (self.cores or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The smallest difference that one comparison can tell.

    Attributes:
        name: Name of the cell that is compared with its baseline, or of a cell by itself.
        share: Half width of the 95 % interval, 0.03 is 3 %; None with too few samples for one.
        compared: Whether it is that of the ratio to the baseline; else that of the latency itself.
    """

    name: str
    share: float | None
    compared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How noisy a run was. Shares: 0.01 is 1 %.

    Attributes:
        verdict: `quiet`: differences of 3 % can be told in most comparisons, and nothing else speaks against it.
            `usable`: those of 10 %. `noisy`: not even those. `unknown`: one process a cell, or too few samples.
        resolution: Median of `resolutions`, None without any.
        resolutions: One for each comparison with a baseline; without any, one for each cell.
        between: Standard deviation between fresh processes of a cell, median over cells; None with one process.
        within: The same between samples of a process, robust (interquartile range / 1.349), median over processes.
        explained: What of `between` the scatter within processes explains: the standard error of a process's median.
        drift: Last third of a baseline's samples against the first within a process, median over processes, signed.
        outliers: Share of samples that are slow outliers of their process.
        unsettled: Share of processes whose threads were not quiet before every sample.
        budget_stops: Cells whose timing ended because the budget was spent, of `cells`.
        processes: Fewest fresh processes of a cell; `opened` those of all cells together.
        processes_needed: Fresh processes with which the median comparison would tell 3 %; None where that cannot be
            said or more than `MOST_PROCESSES` were needed.
        timed_ns: Time that all samples took together.
        causes: Where the noise comes from, most likely first; empty for a quiet run.
    """

    verdict: Verdict
    resolution: float | None
    resolutions: tuple[Resolution, ...]
    between: float | None
    within: float | None
    explained: float | None
    drift: float | None
    outliers: float
    unsettled: float
    budget_stops: int
    cells: int
    processes: int
    opened: int
    processes_needed: int | None
    timed_ns: int
    conditions: Conditions
    causes: tuple[Cause, ...]


def judge(
    cells: Mapping[str, Measurement], baselines: Mapping[str, str], conditions: Conditions | None = None
) -> Noise | None:
    """Say how noisy a run was, or None when nothing was timed.

    Args:
        cells: Measurements by the name of their cell; those without readable samples are left out.
        baselines: Name of a cell to that of the baseline it is compared with; a baseline has none.
        conditions: What else is known of the machine.
    """
    logs = {name: found for name, cell in cells.items() if (found := _readable(cell))}
    if not logs:
        return None
    conditions = conditions or Conditions()
    resolutions = tuple(_resolutions(cells, baselines, logs))
    resolution = _median(found.share for found in resolutions if found.share is not None)
    processes = min(len(found) for found in logs.values())
    summaries = [summarise(cells[name]) for name in logs]
    everywhere = [cells[name] for name in logs]
    readings = [process for cell in everywhere for process in cell.processes]
    watched = [logs[name] for name in dict.fromkeys(baselines.values()) if name in logs] or list(logs.values())
    every = [process for found in logs.values() for process in found]
    noise = Noise(
        verdict="unknown",
        resolution=resolution,
        resolutions=resolutions,
        between=_median(found.between_process_sd for found in summaries if found.between_process_sd is not None),
        within=_median(_robust_sd(process) for process in every if len(process) > 2),
        explained=_median(map(_median_error, (process for process in every if len(process) > 2))),
        drift=_median(drift for found in watched for process in found if (drift := _drift(process)) is not None),
        outliers=sum(map(_outliers, every)) / sum(map(len, every)),
        unsettled=sum(not process.settled for process in readings) / len(readings),
        budget_stops=sum(cell.stopped == "budget" for cell in everywhere),
        cells=len(logs),
        processes=processes,
        opened=len(readings),
        processes_needed=_processes_needed(resolution, processes),
        timed_ns=sum(sum(cell.latency_ns) * cell.calls_per_sample for cell in everywhere),
        conditions=conditions,
        causes=(),
    )
    return _with_verdict(noise)


def _readable(cell: Measurement) -> list[list[float]]:
    """Logarithms of ns of each process that has samples, in the order in which they were taken; else nothing."""
    try:
        return process_logs(cell)
    except ValueError:
        return []


def _resolutions(
    cells: Mapping[str, Measurement], baselines: Mapping[str, str], readable: Mapping[str, object]
) -> Iterable[Resolution]:
    """Of every comparison with a baseline; where there is none, of every cell by itself."""
    pairs = [(name, base) for name, base in baselines.items() if name in readable and base in readable]
    for name, base in pairs:
        found = ratio(cells[base], cells[name])
        yield Resolution(name=name, share=_half(found.lo95, found.hi95), compared=True)
    if not pairs:
        for name in readable:
            summary = summarise(cells[name])
            yield Resolution(name=name, share=_half(summary.lo95_ns, summary.hi95_ns), compared=False)


def _half(lo: float | None, hi: float | None) -> float | None:
    """Half of an interval that is symmetric in logarithms, as a share of its middle."""
    return None if lo is None or hi is None else math.sqrt(hi / lo) - 1


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return median(found) if found else None


def _robust_sd(logs: Sequence[float]) -> float:
    low, high = _quartiles(logs)
    return (high - low) / NORMAL_IQR


def _median_error(logs: Sequence[float]) -> float:
    """Standard error of the median of one process."""
    return MEDIAN_ERROR * _robust_sd(logs) / math.sqrt(len(logs))


def _drift(logs: Sequence[float]) -> float | None:
    """Last third of the samples against the first; they are in the order in which they were taken."""
    if len(logs) < FEWEST_FOR_THIRDS:
        return None
    third = len(logs) // 3
    return math.expm1(median(logs[-third:]) - median(logs[:third]))


def _outliers(logs: Sequence[float]) -> int:
    low, high = _quartiles(logs)
    fence = max(high + FENCE * (high - low), median(logs) + math.log1p(BELIEVED))
    return sum(value > fence for value in logs)


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Medians of the lower and of the upper half: Tukey's hinges, the middle value belonging to both."""
    ordered, half = sorted(values), (len(values) + 1) // 2
    return median(ordered[:half]), median(ordered[-half:])


def _processes_needed(resolution: float | None, processes: int) -> int | None:
    """Fewest processes whose interval, with the same spread, would be as narrow as the difference in question."""
    if resolution is None or processes < 2:
        return None
    spread = math.log1p(resolution) * math.sqrt(processes) / student_t(processes - 1)
    for count in range(2, MOST_PROCESSES + 1):
        if student_t(count - 1) * spread / math.sqrt(count) <= math.log1p(BELIEVED):
            return count
    return None


def _with_verdict(noise: Noise) -> Noise:
    doubts = _doubts(noise)
    if noise.resolution is not None and noise.resolution > COARSE:
        verdict: Verdict = "noisy"
    elif noise.resolution is None or noise.processes < 2:
        verdict = "unknown"
    elif noise.resolution > BELIEVED or doubts:
        verdict = "usable"
    else:
        verdict = "quiet"
    return replace(noise, verdict=verdict, causes=() if verdict == "quiet" else tuple(_causes(noise, doubts)))


def _doubts(noise: Noise) -> list[Cause]:
    """What an interval does not show, and keeps a run from being called quiet."""
    found = []
    if noise.processes < 2:
        found.append(Cause.ONE_PROCESS)
    if noise.drift is not None and abs(noise.drift) > DRIFT:
        found.append(Cause.DRIFT)
    if noise.outliers > RARE:
        found.append(Cause.OUTLIERS)
    if noise.unsettled > RARE:
        found.append(Cause.UNSETTLED)
    return found


def _causes(noise: Noise, doubts: Sequence[Cause]) -> Iterable[Cause]:
    coarse = noise.resolution is None or noise.resolution > BELIEVED
    if coarse and noise.between is not None and noise.between > (noise.explained or 0.0):
        yield Cause.PROCESSES
    elif coarse:
        yield Cause.SAMPLES
    yield from doubts
    if noise.conditions.busy:
        yield Cause.LOAD
    if noise.conditions.clock != "fixed":
        yield Cause.CLOCK
