"""A group: sessions that stay open together and are timed in interleaved random rounds.

Drift of the machine (clock, neighbours, heat) hits all sessions of a round alike. Everything is opened anew in fresh
processes several times, because two processes of one model differ by more than the rounds within one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

import psutil

from harness.digest import digest_of
from harness.errors import HarnessError
from harness.measure.energy import read_energy
from harness.measure.opened import Opened, failure_of, kept, open_all, prepare_all
from harness.measure.operator_file import operator_file, read_operators, write_operators
from harness.measure.pace import Pace
from harness.measure.score import score_opened
from harness.measure.statistics import median_interval, summarise
from harness.measure.subject import MeasureSettings, Subject
from harness.operator_time import OperatorTime
from harness.process.worker import RemoteError
from harness.progress import Left, Progress
from harness.record import EnergyReading, Failure, Measurement

FEWEST_ROUNDS = 6
"""Rounds taken in each process whatever the budget: fewer give no interval of a median at 95 %."""

MOST_ROUNDS = 40

MOST_PROCESSES = 8

MEMORY_RESERVE = 0.10
"""Share of this machine's memory that stays free while sessions are open."""

Result = Measurement | Failure


@dataclass(slots=True)
class _Group:
    settings: MeasureSettings
    progress: Progress
    pace: Pace
    started: float
    known: frozenset[str]
    failures: dict[str, Failure] = field(default_factory=dict)
    readings: dict[str, list[Opened]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    energy: dict[str, EnergyReading] = field(default_factory=dict)
    operators: dict[str, tuple[OperatorTime, ...]] = field(default_factory=dict)
    operator_problems: dict[str, str] = field(default_factory=dict)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)


def measure(subjects: Sequence[Subject], settings: MeasureSettings, progress: Progress) -> dict[str, Result]:
    """Measure all subjects, in as few groups as memory allows, the baselines in each.

    Outputs on the test split that are not there yet are computed on the way, after the rounds of the first process.

    Returns:
        For each subject's name a measurement or a failure.
    """
    results: dict[str, Result] = {}
    baselines = [s for s in subjects if s.baseline]
    waiting = _in_turn(subjects, baselines)
    while waiting:
        pace = Pace(budget_s=settings.budget_s, processes=settings.processes, rounds=FEWEST_ROUNDS)
        group = _Group(
            settings=settings, progress=progress, pace=pace, started=time.monotonic(), known=frozenset(results)
        )
        deferred = _measure_group(group, waiting)
        for name, result in _results(group).items():
            results.setdefault(name, result)
        waiting = _in_turn(deferred, baselines)
    return results


def _in_turn(subjects: Sequence[Subject], baselines: Sequence[Subject]) -> list[Subject]:
    """Subjects runtime by runtime, each with its baseline before the others, whether it waits still or not."""
    turn: list[Subject] = []
    for runtime in dict.fromkeys(_runtime(s) for s in subjects):
        turn += [b for b in baselines if _runtime(b) == runtime]
        turn += [s for s in subjects if _runtime(s) == runtime and not s.baseline]
    return turn


def _runtime(subject: Subject) -> str:
    return digest_of([subject.backend, subject.options])


def _measure_group(group: _Group, subjects: Sequence[Subject]) -> list[Subject]:
    """Measure what fits into memory; return what does not."""
    taken: list[Subject] = list(subjects)
    deferred: list[Subject] = []
    process, enough = 0, False
    while taken and not enough:
        opened, left = _open(group, taken, process)
        deferred += left
        taken = [s for s in taken if s not in left]
        group.pace.more = f"{len(deferred)} variants that memory has no room for yet" if deferred else ""
        try:
            rounds = _rounds(group, opened, process)
            if process == 0:
                _energy(group, opened)
                _operators(group, opened)
                _notes(group, opened)
                _score(group, opened)
        finally:
            _close(group, opened)
        taken = [s for s in taken if s.name not in group.failures]
        process += 1
        enough = _enough(group, process)
        rest = Left(seconds=0.0) if enough and not deferred else group.pace.left()
        group.progress.step(f"process {process}: {_count(opened)}, {rounds} rounds", rest)
    return deferred


def _enough(group: _Group, processes: int) -> bool:
    """Whether what was measured is precise enough, or time is up."""
    if processes < group.settings.processes:
        return False
    spent = time.monotonic() - group.started
    another = spent / processes
    if processes >= MOST_PROCESSES or spent + another > group.settings.budget_s:
        return True
    return all(_precise(group, name) for name in group.readings)


def _open(group: _Group, subjects: Sequence[Subject], process: int) -> tuple[list[Opened], list[Subject]]:
    """Open every subject in a fresh process and warm it up; return what is ready and what memory had no room for.

    In the first process sessions are opened one by one, so that loading and first run are read undisturbed.
    """
    first = process == 0
    group.pace.begin(process)
    _say(group, f"process {process + 1}: starting {_count(subjects)}")
    place = {s.name: number for number, s in enumerate(subjects)}

    def in_order(sessions: Iterable[Opened]) -> list[Opened]:
        """As the subjects are, not as they became ready: baselines first, and rounds the same for the same seed."""
        return sorted(sessions, key=lambda o: place[o.subject.name])

    prepared = in_order(kept(prepare_all(subjects, group.settings), group.failures))
    ready: list[Opened] = []
    lanes = 1 if first else group.settings.lanes
    for session in kept(open_all(prepared, group.settings.threads, lanes), group.failures):
        ready.append(session)
        _say(group, f"process {process + 1}: opened {len(ready)} of {len(subjects)}, {session.subject.label}")
        rest = [p for p in prepared if p not in ready and p.subject.name not in group.failures]
        gain = len(ready) > 1 and any(o.subject.name not in group.known for o in ready)
        if first and rest and gain and not _memory_left(ready):
            for later in rest:
                later.worker.kill()
            return _warmed(group, in_order(ready)), [p.subject for p in rest]
    return _warmed(group, in_order(ready)), []


def _warmed(group: _Group, opened: Sequence[Opened]) -> list[Opened]:
    warm = []
    for session in opened:
        name = session.subject.name
        try:
            session.warm(group.calls.get(name, 0))
        except HarnessError as error:
            group.failures[name] = failure_of(session, "open", error)
            continue
        group.calls[name] = session.facts["calls"]
        warm.append(session)
    group.pace.opened()
    return warm


def _say(group: _Group, text: str) -> None:
    group.progress.say(text, group.pace.left())


def _count(sessions: Sequence[object]) -> str:
    return f"{len(sessions)} session{'s' * (len(sessions) != 1)}"


def _memory_left(ready: Sequence[Opened]) -> bool:
    memory = psutil.virtual_memory()
    largest = max(o.worker.rss_bytes() for o in ready)
    return int(memory.available) > memory.total * MEMORY_RESERVE + largest


def _rounds(group: _Group, opened: list[Opened], process: int) -> int:
    """Visit the sessions in random order until each is precise or this process's share of the time is spent.

    Returns:
        How many rounds were taken.
    """
    order = random.Random(f"{group.settings.seed}:{process}")
    left = max(1, group.settings.processes - process)
    until = time.monotonic() + max(0.0, group.started + group.settings.budget_s - time.monotonic()) / left
    for number in range(MOST_ROUNDS):
        alive = [o for o in opened if o.subject.name not in group.failures]
        turn = [o for o in alive if number < FEWEST_ROUNDS or o.subject.baseline or not _narrow(group, o)]
        if number >= FEWEST_ROUNDS and (time.monotonic() > until or all(o.subject.baseline for o in turn)):
            return number
        _say(group, f"process {process + 1}: round {number + 1}, {_count(turn)}")
        order.shuffle(turn)
        for session in turn:
            try:
                session.visit(process * MOST_ROUNDS + number)
            except HarnessError as error:
                group.failures[session.subject.name] = failure_of(session, "measure", error)
        group.pace.round_done()
    return MOST_ROUNDS


def _energy(group: _Group, opened: list[Opened]) -> None:
    """Read the energy of what is open: timing is over, and every session's threads are quiet."""
    if group.settings.meter is None:
        return
    _say(group, f"energy by {group.settings.meter.name}")
    alive = [o for o in opened if o.subject.name not in group.failures]
    readings, failures = read_energy(alive, group.settings.meter)
    group.energy |= readings
    group.failures |= failures


def _operators(group: _Group, opened: list[Opened]) -> None:
    """Read operator by operator where the time goes: one session after another, after everything was timed, and once
    for each variant and runtime.

    A runtime whose profiler fails loses this table and nothing else; a process that dies of it is a failure.
    """
    _say(group, "operators")
    for session in opened:
        name = session.subject.name
        if name in group.failures:
            continue
        path = operator_file(session.subject, group.settings.threads)
        known = read_operators(path)
        if known is not None:
            group.operators[name] = known
            continue
        try:
            group.operators[name] = session.operators(group.settings.threads)
            if group.operators[name]:
                write_operators(path, group.operators[name])
        except RemoteError as error:
            group.operator_problems[name] = error.message
        except HarnessError as error:
            group.failures[name] = failure_of(session, "measure", error)


def _notes(group: _Group, opened: list[Opened]) -> None:
    """Ask each backend what its runtime makes of the variant; not being told costs nothing but a line that says so."""
    for session in opened:
        name = session.subject.name
        if name in group.failures:
            continue
        try:
            group.notes[name] = session.notes(group.settings.threads)
        except RemoteError as error:
            group.notes[name] = (f"what the runtime made of this variant cannot be told: {error.message}",)
        except HarnessError as error:
            group.failures[name] = failure_of(session, "measure", error)


def _score(group: _Group, opened: list[Opened]) -> None:
    _say(group, "scoring")
    alive = [o for o in opened if o.subject.name not in group.failures]
    group.failures |= score_opened(alive, group.settings.lanes)


def _narrow(group: _Group, opened: Opened) -> bool:
    middle, low, high = median_interval(opened.latency_ns)
    return (high - low) / 2 <= group.settings.precision / 2 * middle


def _close(group: _Group, opened: list[Opened]) -> None:
    for session in opened:
        name = session.subject.name
        if name in group.failures:
            session.worker.kill()
            continue
        try:
            session.finish()
        except HarnessError as error:
            group.failures[name] = failure_of(session, "measure", error)
            continue
        group.readings.setdefault(name, []).append(session)


def _precise(group: _Group, name: str) -> bool:
    summary = summarise(_measurement(group, name, "budget", ""))
    if summary.lo95_ns is None or summary.hi95_ns is None:
        return False
    return (summary.hi95_ns - summary.lo95_ns) / 2 <= group.settings.precision * summary.median_ns


def _results(group: _Group) -> dict[str, Result]:
    identity = digest_of([sorted(group.readings), time.time_ns()])[:12]
    results: dict[str, Result] = dict(group.failures)
    for name in group.readings:
        if name not in group.failures:
            stopped = "precise" if _precise(group, name) else "budget"
            results[name] = _measurement(group, name, stopped, identity)
    return results


def _measurement(group: _Group, name: str, stopped: str, identity: str) -> Measurement:
    taken = group.readings[name]
    readings = tuple(o.reading() for o in taken)
    return Measurement(
        threads=group.settings.threads,
        threads_reported=taken[0].facts["threads"],
        calls_per_sample=group.calls[name],
        latency_ns=tuple(ns for o in taken for ns in o.latency_ns),
        rounds=tuple(r for o in taken for r in o.rounds),
        warmup_ns=tuple(ns for o in taken for ns in o.facts["warmup_ns"]),
        load_ns=int(median(r.load_ns for r in readings if r.opened_alone)),
        first_run_ns=int(median(r.first_run_ns for r in readings if r.opened_alone)),
        baseline_rss_bytes=int(median(r.baseline_rss_bytes for r in readings)),
        peak_rss_bytes=max(r.peak_rss_bytes for r in readings),
        stopped="precise" if stopped == "precise" else "budget",
        group=identity,
        processes=readings,
        energy=group.energy.get(name),
        operators=group.operators.get(name, ()),
        operators_problem=group.operator_problems.get(name, ""),
        notes=group.notes.get(name, ()),
        also_imports=taken[0].facts["also_imports"],
    )
