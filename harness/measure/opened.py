"""An opened session, seen from the run: its process and what was read from it so far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.process.worker import Worker
from harness.record import Failure, ProcessReading

if TYPE_CHECKING:
    from harness.measure.subject import MeasureSettings, Subject

WARM_BUDGET_NS = 1_500_000_000


@dataclass(slots=True)
class Opened:
    """One session in one fresh process."""

    subject: Subject
    worker: Worker
    facts: dict[str, Any] = field(default_factory=dict)
    latency_ns: list[int] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    settle_ns: list[int] = field(default_factory=list)
    settled: bool = True

    def open(self, settings: MeasureSettings, calls: int) -> None:
        """Open the variant and warm it up; `calls` per sample, or 0 to calibrate."""
        self.facts |= self.worker.request(
            "open",
            path=str(self.subject.path),
            model_folder=str(self.subject.model_folder),
            threads=settings.threads,
            options=dict(self.subject.options),
        )
        warm = self.worker.request("warm", calls=calls, budget_ns=WARM_BUDGET_NS)
        self.settle_ns.append(warm.pop("settle_ns"))
        self.settled &= warm.pop("settled")
        self.facts |= warm

    def visit(self, number: int) -> None:
        """Take this session's turn in a round."""
        reply = self.worker.request("visit")
        self.latency_ns += reply["latency_ns"]
        self.rounds += [number] * len(reply["latency_ns"])
        self.settle_ns.append(reply["settle_ns"])
        self.settled &= reply["settled"]

    def finish(self) -> None:
        """Read the peak of memory and end the process."""
        self.facts |= self.worker.request("close")
        self.worker.close()

    def reading(self) -> ProcessReading:
        """What this process contributed."""
        return ProcessReading(
            load_ns=self.facts["load_ns"],
            first_run_ns=self.facts["first_run_ns"],
            settle_ns=int(median(self.settle_ns)),
            settled=self.settled,
            samples=len(self.latency_ns),
            warmup=len(self.facts["warmup_ns"]),
            steady=self.facts["steady"],
            baseline_rss_bytes=self.facts["baseline_rss_bytes"],
            peak_rss_bytes=self.facts["peak_rss_bytes"],
        )


def prepare_all(subjects: Iterable[Subject], settings: MeasureSettings) -> Iterator[Opened | tuple[Subject, Failure]]:
    """Start a process for each subject and import its runtime there, a few at a time, in order.

    Importing is not timed, so it may overlap; opening and everything after it may not.
    """
    pending: list[Opened] = []
    for subject in subjects:
        if len(pending) >= settings.lanes:
            yield _prepared(pending.pop(0))
        worker = Worker(settings.limits, subject.environment(settings.threads))
        worker.send("prepare", plugins=subject.plugins, sources=subject.sources, backend=subject.backend)
        pending.append(Opened(subject=subject, worker=worker))
    for opened in pending:
        yield _prepared(opened)


def _prepared(opened: Opened) -> Opened | tuple[Subject, Failure]:
    try:
        opened.facts |= opened.worker.receive()
    except HarnessError as error:
        return opened.subject, failure_of(opened, "open", error)
    return opened


def failure_of(opened: Opened, stage: str, error: HarnessError) -> Failure:
    """A failure of this session; its process is ended."""
    opened.worker.kill()
    return Failure(stage=stage, plugin=opened.subject.provider, error=error.message, hint=error.hint)
