"""Times the graphs of a sweep in one backend: one process, rounds in random order, the median that a run reports."""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from harness.errors import ChildError, HarnessError
from harness.process.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from harness.contributions import Backend
    from harness.graph import OpGraph
    from harness.host import Host
    from harness.process.limits import Limits
    from harness.registry import Registered

WARM_NS = 60_000_000
"""Longest warm-up of a graph; each visit has untimed calls of its own."""

OPENING = 0.6
"""Share of the time for opening, when each graph has its first turn; what is not open by then is left out."""

MOST_ROUNDS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A graph of the sweep with the file that was written of it."""

    graph: OpGraph
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSettings:
    """How to time a sweep: `budget_s` is for one backend and precision, starting its process included."""

    threads: int
    seed: int
    budget_s: float
    limits: Limits


@dataclass(slots=True)
class Swept:
    """What came of it: samples by the graph's name, and why others have none."""

    latency_ns: dict[str, list[int]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    left_out: int = 0

    def median_ms(self) -> Mapping[str, float]:
        """Median latency of each graph."""
        return {name: median(taken) / 1e6 for name, taken in self.latency_ns.items() if taken}


def time_sweep(
    files: Sequence[Written],
    backend: Registered[Backend],
    host: Host,
    settings: SweepSettings,
    say: Callable[[str], None],
) -> Swept:
    """Open as many graphs as time allows, first ones first, and go round them in random order until the time is up.

    Raises:
        HarnessError: The process died, or the runtime cannot be imported.
    """
    started = time.monotonic()
    swept = Swept()
    environment = backend.contribution.environment(settings.threads)
    with Worker(settings.limits, environment) as worker:
        plugins = [asdict(p) for p in host.plugin_sources(backend.plugin)]
        worker.request("sweep_prepare", plugins=plugins, backend=backend.name)
        numbers = _open(files, worker, settings, swept, started)
        say(f"{backend.name}: {len(numbers)} graphs open after {time.monotonic() - started:.0f} s")
        _visit(numbers, worker, settings, swept, started)
        worker.kill()  # nothing is left to be asked; waiting for an interpreter to tidy up would only take time
    return swept


def _open(
    files: Sequence[Written], worker: Worker, settings: SweepSettings, swept: Swept, started: float
) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for place, file in enumerate(files):
        if time.monotonic() - started > OPENING * settings.budget_s and place:
            swept.left_out = len(files) - place
            break
        graph = file.graph
        try:
            reply = worker.request(
                "sweep_open",
                path=str(file.path),
                inputs=list(graph.inputs),
                shapes=[list(graph.tensors[name].shape) for name in graph.inputs],
                threads=settings.threads,
                budget_ns=WARM_NS,
            )
        except ChildError:
            raise
        except HarnessError as error:  # one graph that a runtime does not take is no reason to measure none
            swept.failures[graph.name] = error.message
            continue
        numbers[graph.name] = reply["number"]
        swept.latency_ns[graph.name] = reply["latency_ns"]
    return numbers


def _visit(numbers: Mapping[str, int], worker: Worker, settings: SweepSettings, swept: Swept, started: float) -> None:
    order, turn = random.Random(settings.seed), list(numbers)
    for _ in range(MOST_ROUNDS):
        order.shuffle(turn)
        for name in turn:
            if time.monotonic() - started > settings.budget_s:
                return
            swept.latency_ns[name] += worker.request("sweep_visit", number=numbers[name])["latency_ns"]
