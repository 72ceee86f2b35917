"""The record: one cell of a run (model × recipe × backend × profile), measured or missing with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from harness.estimate.interval import Estimate
from harness.operator_time import OperatorTime
from harness.why.reason import Reason

SCHEMA = 1
"""Version of a line of records.jsonl. 1: first."""


class SkipReason(StrEnum):
    """Why a cell was not run: the closed list."""

    NO_IMPLEMENTATION = "no implementation of the technique for a format that the backend reads"
    NO_CONVERTER = "no chain of converters to a format that the backend reads"
    BACKEND_UNAVAILABLE = "the backend is not available here"
    NEEDS_DATA = "the technique needs data that the model does not have"
    NO_ACCELERATOR = "the profile has no accelerator of the kind that the backend drives"
    NOT_MAPPABLE = "the accelerator's compiler would refuse the graph"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageStep:
    """One step from model to variant.

    Attributes:
        kind: `source`, `technique` or `converter`.
        name: The technique with its options, or `module → onnx`.
        plugin: Who did it, as `plugin distribution version`.
        format: Format after the step.
        size_bytes: Size of the file after the step; of a live object the size it would be saved in, where that is
            known, else None.
        seconds: How long the step took when it was done (not when it came from the cache).
        notes: What the plugin had to say: fallbacks, layers left in float, losses, what was tried for a goal.
        parameters, macs: Of what came out, where somebody counted them; converters change neither.
        accuracy: Share of the labelled validation rows that what came out has right, 0 to 1, or None. What a test
            split says of the finished variant stands in its `Quality`.
        accuracy_n: How many rows that is.
    """

    kind: Literal["source", "technique", "converter"]
    name: str
    plugin: str
    format: str
    size_bytes: int | None
    seconds: float
    notes: tuple[str, ...] = ()
    parameters: int | None = None
    macs: int | None = None
    accuracy: float | None = None
    accuracy_n: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The file that a recipe made.

    Attributes:
        sha256: Of canonical content, not of container bytes.
        size_bytes: Size of the file or files.
        download_bytes: Size after gzip, which is where unstructured zeros show.
        parameters: Number of parameters, zeros included.
        nonzero_parameters: Number of parameters that are not exactly zero, where the reader counted them.
        macs: Multiply-accumulates of one inference (conv, deconv, linear, matmul).
        int8_macs_share: Share of them that run in int8 arithmetic, 0 to 1.
        cached: Whether the file came from the cache.
        lineage: Steps in order.
    """

    format: str
    sha256: str
    size_bytes: int
    download_bytes: int
    parameters: int
    nonzero_parameters: int | None
    macs: int
    int8_macs_share: float
    cached: bool
    lineage: tuple[LineageStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessReading:
    """What one fresh process contributed to a measurement.

    Attributes:
        load_ns: Opening the variant, the runtime already imported.
        first_run_ns: The first inference.
        settle_ns: How long the runtime's threads kept the processor busy after a sample, median.
        settled: Whether they became quiet before every sample of this process.
        samples: How many entries of `latency_ns` are its own, in order.
        warmup: How many entries of `warmup_ns` are its own, in order.
        steady: Whether warm-up ended because times were steady, not because its budget was spent.
        baseline_rss_bytes: Resident memory with the runtime imported and nothing opened.
        peak_rss_bytes: High-water mark of resident memory since then.
        opened_alone: Whether nothing else was opened at the same time, so that `load_ns` and `first_run_ns` count.
    """

    load_ns: int
    first_run_ns: int
    settle_ns: int
    settled: bool
    samples: int
    warmup: int
    steady: bool
    baseline_rss_bytes: int
    peak_rss_bytes: int
    opened_alone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyReading:
    """What a real meter of this machine read while a session ran, after it was timed; raw values.

    Attributes:
        scope: What the meter covers.
        idle_uj, idle_ns: What it rose by over a quiet interval just before, and how long that was.
        energy_uj, duration_ns, inferences: The same of each block, and how many inferences ran in it.
        problem: Why nothing was read; all else is empty then.
    """

    meter: str
    scope: str
    idle_uj: int = 0
    idle_ns: int = 0
    energy_uj: tuple[int, ...] = ()
    duration_ns: tuple[int, ...] = ()
    inferences: tuple[int, ...] = ()
    problem: str = ""

    @property
    def idle_w(self) -> float | None:
        """Power of the quiet machine."""
        return self.idle_uj * 1e3 / self.idle_ns if self.idle_ns else None

    @property
    def total_mj(self) -> float | None:
        """Energy of one inference with all that the meter covers: the whole of the blocks over all inferences."""
        return sum(self.energy_uj) / 1e3 / sum(self.inferences) if sum(self.inferences) else None

    @property
    def above_idle_mj(self) -> float | None:
        """The same less what the quiet machine would have taken in that time."""
        if self.total_mj is None or self.idle_w is None:
            return None
        return self.total_mj - self.idle_w * sum(self.duration_ns) / 1e6 / sum(self.inferences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was timed and read on this machine: raw values, no summary.

    Attributes:
        threads: The thread budget that every backend was given.
        threads_reported: What the runtime says it uses, or None when it cannot be read back.
        calls_per_sample: Inferences timed together to rise above the clock's resolution.
        latency_ns: Time of one inference, one entry per sample (sample time / calls), process after process.
        rounds: For each entry of `latency_ns` the interleaved round it was taken in; equal numbers in one group
            were taken next to each other in time.
        warmup_ns: The same before times were steady.
        load_ns: Median over the processes that opened alone.
        first_run_ns: The same.
        baseline_rss_bytes: Median over processes.
        peak_rss_bytes: Largest over processes.
        stopped: `precise` when the interval was narrow enough, `budget` when time was up.
        group: Cells of one group were timed interleaved with each other.
        processes: One reading per fresh process.
        energy: What a meter read of the first process; None without a meter, and environment.json says why.
        operators: Where the time of one inference goes, by the runtime's own profiler, run after everything was timed
            and once for a variant, runtime, processor and number of threads; empty when it has none.
        operators_problem: Why they could not be read, else "".
        notes: What the backend says of what its runtime made of the variant, and of what these figures hold.
        also_imports: A module that the process held besides the runtime and that a device does without, so that
            `baseline_rss_bytes`, `peak_rss_bytes`, `load_ns` and `first_run_ns` are not comparable; "" for none.
    """

    threads: int
    threads_reported: int | None
    calls_per_sample: int
    latency_ns: tuple[int, ...]
    rounds: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    load_ns: int
    first_run_ns: int
    baseline_rss_bytes: int
    peak_rss_bytes: int
    stopped: Literal["precise", "budget"]
    group: str
    processes: tuple[ProcessReading, ...]
    energy: EnergyReading | None = None
    operators: tuple[OperatorTime, ...] = ()
    operators_problem: str = ""
    notes: tuple[str, ...] = ()
    also_imports: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorruptedQuality:
    """How right the variant is on corrupted inputs.

    Attributes:
        corruption: Its name, such as `noise`.
        value: The metric on the corrupted rows, 0 to 1; None without labels.
        lo95, hi95: Ends of the Wilson 95 % interval of `value`.
        n: Rows.
        drop: The reference's value under the same corruption less this one's, None without either.
        drop_lo95, drop_hi95: Ends of its paired 95 % interval.
        agreement: Share of rows whose arg-max equals that of the reference under the same corruption.
    """

    corruption: str
    value: float | None
    lo95: float | None
    hi95: float | None
    n: int
    drop: float | None = None
    drop_lo95: float | None = None
    drop_hi95: float | None = None
    agreement: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """How far the outputs are from those of the framework that the network was written in.

    Attributes:
        reference: What they are compared with, such as `baseline in torch`.
        largest: Largest absolute difference over the whole test split, divided by the largest absolute output of the
            reference, taken for each output of the model and the largest kept; None where one of the two is not finite
            and the other is.
        tolerance: What is allowed of it, or None where the recipe computes in integers and accuracy alone can tell.
    """

    reference: str
    largest: float | None
    tolerance: float | None

    @property
    def agrees(self) -> bool | None:
        """Whether it is within the tolerance; None where there is none."""
        if self.tolerance is None:
            return None
        return self.largest is not None and self.largest <= self.tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How right the variant is.

    Attributes:
        metric: `top1`, or `agreement` when the data has no labels.
        value: The metric on the test split, 0 to 1; None without labels.
        lo95, hi95: Ends of the Wilson 95 % interval of `value`.
        n: Rows with a label.
        agreement: Share of rows whose arg-max equals that of the baseline, 0 to 1.
        agreement_n: Rows that agreement was taken over.
        reference: What agreement refers to, for example `baseline in onnxruntime`.
        data: Name of the data.
        note: What a reader must know, such as random inputs or a test set too small to claim accuracy from.
        max_abs_error: Largest absolute difference of an output from the reference.
        agreement_lo95, agreement_hi95: Ends of the 95 % interval of `agreement`.
        kl_mean: Mean Kullback-Leibler divergence of the softmax of the outputs from that of the reference, nats.
        drop: The reference's value less this one's over the same rows; negative where this is better.
        drop_lo95, drop_hi95: Ends of its paired 95 % interval.
        robustness: The same under corrupted inputs; empty unless asked for.
        right: Which of the labelled rows, in order, are right: bits from the highest of the first byte on, as hex
            digits; "" without labels. Two records over the same data are compared row by row with it.
        deviation: From the framework's own outputs; None for these themselves, and where none are comparable.
    """

    metric: str
    value: float | None
    lo95: float | None
    hi95: float | None
    n: int
    agreement: float | None
    agreement_n: int
    reference: str
    data: str
    note: str = ""
    max_abs_error: float | None = None
    agreement_lo95: float | None = None
    agreement_hi95: float | None = None
    kl_mean: float | None = None
    drop: float | None = None
    drop_lo95: float | None = None
    drop_hi95: float | None = None
    robustness: tuple[CorruptedQuality, ...] = ()
    right: str = ""
    deviation: Deviation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a cell is missing.

    Attributes:
        stage: `plan`, `build`, `open`, `measure`, `quality`, `estimate`.
        plugin: Who was at work, as `plugin distribution version`.
        error: What happened, with the value; for a skipped cell a `SkipReason` and its particulars.
        hint: What to do next.
        reason: Name of the `SkipReason` for a skipped cell, else "".
    """

    stage: str
    plugin: str
    error: str
    hint: str
    reason: str = ""


Outcome = Literal["measured", "simulated", "skipped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of records.jsonl.

    `outcome` is `measured` (timed on this machine), `simulated` (an accelerator imitated, numbers computed on this
    processor, never timed), `skipped` or `failed`. A cell whose quality could not be scored is `failed` at stage
    `quality`, and keeps its measurement where it had one.

    `why` says what keeps the variant from being faster than the baseline of its backend, here and on the device; it
    may say so of one that is faster.
    """

    schema: int
    run: str
    cell: str
    model: str
    recipe: str
    backend: str
    backend_options: Mapping[str, Any]
    profile: str
    outcome: Outcome
    variant: Variant | None = None
    measurement: Measurement | None = None
    estimate: Estimate | None = None
    quality: Quality | None = None
    failure: Failure | None = None
    why: tuple[Reason, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
