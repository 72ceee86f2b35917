"""How much longer the builds of a run take: each open job as long as those like it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import mean
from typing import TYPE_CHECKING

from harness.progress import Left

if TYPE_CHECKING:
    from harness.build.job import Job

Kind = tuple[str, ...]


@dataclass(slots=True)
class Remaining:
    """Keeps how long jobs took; what came out of the cache took no time and tells nothing.

    Attributes:
        lanes: Jobs that run at a time.
        clock: Seconds.
    """

    open: dict[str, Job]
    lanes: int
    clock: Callable[[], float] = time.monotonic
    _started: dict[str, float] = field(default_factory=dict)
    _taken: dict[Kind, list[float]] = field(default_factory=dict)

    def start(self, job: Job) -> None:
        """A job is being built."""
        self._started[job.key] = self.clock()

    def end(self, job: Job) -> float | None:
        """A job has its result; return the seconds it took, or None when nothing was built for it."""
        del self.open[job.key]
        started = self._started.pop(job.key, None)
        if started is None:
            return None
        taken = self.clock() - started
        for kind in _kinds(job):
            self._taken.setdefault(kind, []).append(taken)
        return taken

    def left(self) -> Left | None:
        """The time of all open jobs that others like them were timed for, shared by the lanes; None before any was."""
        now = self.clock()
        known, unknown = [], 0
        for job in list(self.open.values()):
            expected = self._expected(job)
            if expected is None:
                unknown += 1
            else:
                known.append(max(0.0, expected - (now - self._started.get(job.key, now))))
        if unknown and not known:
            return None
        plus = f"{unknown} step{'s' * (unknown > 1)} of a kind not timed yet" if unknown else ""
        return Left(seconds=max([sum(known) / self.lanes, *known]), plus=plus)

    def _expected(self, job: Job) -> float | None:
        """Mean time of finished jobs of the same steps: on the same model, else on another."""
        return next((mean(self._taken[kind]) for kind in _kinds(job) if kind in self._taken), None)


def remaining(jobs: Iterable[Job], lanes: int) -> Remaining:
    """Nothing is done of these jobs yet."""
    return Remaining(open={job.key: job for job in jobs}, lanes=lanes)


def _kinds(job: Job) -> tuple[Kind, Kind]:
    steps = tuple(step.name for step in job.steps)
    return (job.model.ref, *steps), ("", *steps)
