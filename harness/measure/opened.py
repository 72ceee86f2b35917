"""An opened session, seen from the run: its process and what was read from it so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.measure.subject import Subject
from harness.operator_time import OperatorTime
from harness.process.worker import Worker, first_to_answer
from harness.record import Failure, ProcessReading

if TYPE_CHECKING:
    from harness.measure.subject import MeasureSettings
    from harness.process.limits import Limits

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
        self.worker.send("score", model_folder=folder, outputs=outputs, corruptions=self.subject.corruptions)

    @property
    def scratch_outputs(self) -> Path:
        """Where outputs are written before they are complete."""
        return self.subject.outputs.with_suffix(f".{self.worker.pid}")

    def ask_to_open(self, threads: int) -> None:
        """Ask the child to open the variant and run it once, without waiting."""
        self.worker.send("open", **self._opening(threads))

    def operators(self, threads: int) -> tuple[OperatorTime, ...]:
        """Time of each operator by the runtime's own profiler; empty when it has none."""
        found = self.worker.request("operators", **self._opening(threads))["operators"] or ()
        return tuple(OperatorTime(**operator) for operator in found)

    def notes(self, threads: int) -> tuple[str, ...]:
        """What the runtime makes of the variant; empty when its backend has nothing to say."""
        return tuple(self.worker.request("notes", **self._opening(threads))["notes"])

    def _opening(self, threads: int) -> dict[str, Any]:
        return {
            "path": str(self.subject.path),
            "model_folder": str(self.subject.model_folder),
            "threads": threads,
            "options": dict(self.subject.options),
        }

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

    def run(self, duration_ns: int) -> int:
        """Run for so long without timing single calls; tell how many inferences that was."""
        return int(self.worker.request("run", duration_ns=duration_ns)["inferences"])

    def rest(self) -> None:
        """Wait until the runtime's threads are quiet."""
        self.worker.request("rest")

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
            opened_alone=self.facts["opened_alone"],
        )


Ready = Opened | tuple[Subject, Failure]


def prepare_all(subjects: Sequence[Subject], settings: MeasureSettings) -> Iterator[Ready]:
    """Start a process for each subject and import its runtime there, a few at a time; yield each as it is ready.

    Importing is not timed, so it may overlap.
    """
    starts = []
    for subject in subjects:
        try:
            environment = subject.environment(settings.threads)
        except HarnessError as error:
            yield subject, Failure(stage="open", plugin=subject.provider, error=error.message, hint=error.hint)
        else:
            starts.append(partial(_start, subject, settings.limits, environment))
    yield from _overlapped(starts, settings.lanes)


def _start(subject: Subject, limits: Limits, environment: Mapping[str, str]) -> Opened:
    opened = Opened(subject=subject, worker=Worker(limits, environment))
    opened.ask_to_prepare()
    return opened


def open_all(sessions: Sequence[Opened], threads: int, lanes: int) -> Iterator[Ready]:
    """Open prepared sessions; yield each as it is open. With one lane, loading and first run can be read from it."""

    def start(session: Opened) -> Opened:
        session.facts["opened_alone"] = lanes == 1
        session.ask_to_open(threads)
        return session

    yield from _overlapped([partial(start, session) for session in sessions], lanes)


def kept(items: Iterable[Ready], failures: dict[str, Failure]) -> Iterator[Opened]:
    """Pass on the sessions that are ready, and put what failed into `failures`."""
    for item in items:
        if isinstance(item, tuple):
            failures[item[0].name] = item[1]
        else:
            yield item


def _overlapped(starts: Sequence[Callable[[], Opened]], lanes: int) -> Iterator[Ready]:
    waiting = list(starts)
    pending: list[Opened] = []
    while waiting or pending:
        while waiting and len(pending) < lanes:
            pending.append(waiting.pop(0)())
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
