"""An opened session, seen from the run: its process and what was read from it so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.process.worker import Worker, first_to_answer
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

    def ask_to_prepare(self) -> None:
        """Ask the child to import the runtime, without waiting."""
        plugins = [asdict(p) for p in self.subject.plugins]
        self.worker.send("prepare", plugins=plugins, backend=self.subject.backend)

    def ask_to_score(self) -> None:
        """Ask for the outputs on the test split, without waiting."""
        folder, outputs = str(self.subject.model_folder), str(self.scratch_outputs)
        self.worker.send("score", model_folder=folder, outputs=outputs)

    @property
    def scratch_outputs(self) -> Path:
        """Where outputs are written before they are complete."""
        return self.subject.outputs.with_suffix(f".{self.worker.pid}")

    def open(self, threads: int) -> None:
        """Open the variant and run it once."""
        self.facts |= self.worker.request(
            "open",
            path=str(self.subject.path),
            model_folder=str(self.subject.model_folder),
            threads=threads,
            options=dict(self.subject.options),
        )

    def warm(self, calls: int) -> None:
        """Warm up until steady; `calls` per sample, or 0 to calibrate."""
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
        self.facts["peak_rss_bytes"] = reply["peak_rss_bytes"]

    def finish(self) -> None:
        """Close the session and end the process."""
        self.worker.request("close")
        self.worker.kill()  # its session is closed; waiting for an interpreter to tidy up would only take time

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


def prepare_all(subjects: Sequence[Subject], settings: MeasureSettings) -> Iterator[Opened | tuple[Subject, Failure]]:
    """Start a process for each subject and import its runtime there, a few at a time; yield each as it is ready.

    Importing is not timed, so it may overlap; opening and everything after it may not.
    """
    waiting = list(subjects)
    pending: list[Opened] = []
    while waiting or pending:
        while waiting and len(pending) < settings.lanes:
            subject = waiting.pop(0)
            worker = Worker(settings.limits, subject.environment(settings.threads))
            pending.append(Opened(subject=subject, worker=worker))
            pending[-1].ask_to_prepare()
        opened = pending.pop(first_to_answer([o.worker for o in pending]))
        try:
            opened.facts |= opened.worker.receive()
        except HarnessError as error:
            yield opened.subject, failure_of(opened, "open", error)
        else:
            yield opened


def failure_of(opened: Opened, stage: str, error: HarnessError) -> Failure:
    """A failure of this session; its process is ended."""
    opened.worker.kill()
    return Failure(stage=stage, plugin=opened.subject.provider, error=error.message, hint=error.hint)
