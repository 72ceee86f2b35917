"""Energy of sessions by a real meter, in a phase of its own after timing, so that reading it disturbs no time.

The meter covers the whole machine or a part of it, idle power included. So idle is read first, while all sessions are
open and quiet, and taken off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import HarnessError, one_line
from harness.measure.opened import failure_of
from harness.record import EnergyReading, Failure

if TYPE_CHECKING:
    from harness.contributions import Counter, Meter
    from harness.host import Host
    from harness.measure.opened import Opened

IDLE_S = 1.0
"""How long idle is read: a thousand steps of a RAPL counter, twenty samples of a sensor."""

BLOCKS = 3
"""Readings of each session, so that a record shows how far they agree."""

BLOCK_NS = 1_000_000_000
"""Length of a block. Asking the child for it takes some 0.2 ms, which weighs 0.02 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """The clock of the phase; tests inject their own."""

    now_ns: Callable[[], int] = time.monotonic_ns
    sleep_s: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """What a counter rose by, over how long."""

    uj: int
    ns: int


def choose_meter(host: Host) -> tuple[Meter | None, str]:
    """The first meter by name that is available here, and a line on what energy is measured by, or why it is not."""
    reasons = []
    for item in host.meters:
        availability = item.contribution.available()
        if availability.ok:
            return item.contribution, f"energy is measured here by {item.name}: {item.contribution.scope}"
        advice = f" ({availability.install})" if availability.install else ""
        reasons.append(f"{item.name}: {availability.reason}{advice}")
    why = "; ".join(reasons) or "no plugin brings a meter"
    return None, f"energy is estimated, never measured here: {why}"


def read_energy(
    opened: Sequence[Opened], meter: Meter, wall: Wall | None = None
) -> tuple[dict[str, EnergyReading], dict[str, Failure]]:
    """Run each session for some seconds and read what that takes.

    A meter that fails ends the phase; the sessions that it read nothing of have its words instead.

    Returns:
        By session name the readings, and the failures of sessions that died on the way.
    """
    wall = wall or Wall()
    readings: dict[str, EnergyReading] = {}
    failures: dict[str, Failure] = {}
    counter: Counter | None = None
    try:
        counter = meter.open()
        idle = _span(counter, wall, lambda: wall.sleep_s(IDLE_S))
        for session in opened:
            read = _read(session, counter, wall)
            if isinstance(read, Failure):
                failures[session.subject.name] = read
            else:
                readings[session.subject.name] = _reading(meter, idle, read)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything; it becomes data
        nothing = EnergyReading(meter=meter.name, scope=meter.scope, problem=f"the meter failed: {one_line(error)}")
        for session in opened:
            if session.subject.name not in failures:
                readings.setdefault(session.subject.name, nothing)
    finally:
        if counter is not None:
            with suppress(Exception):  # what was read is read
                counter.close()
    return readings, failures


def _read(session: Opened, counter: Counter, wall: Wall) -> list[tuple[_Span, int]] | Failure:
    """Blocks of one session with how many inferences each held; afterwards its threads are waited for."""
    blocks = []
    for _ in range(BLOCKS):
        done: list[int | HarnessError] = []

        def work(done: list[int | HarnessError] = done) -> None:
            try:
                done.append(session.run(BLOCK_NS))
            except HarnessError as error:
                done.append(error)

        span = _span(counter, wall, work)
        (inferences,) = done
        if isinstance(inferences, HarnessError):
            return failure_of(session, "measure", inferences)
        blocks.append((span, inferences))
    try:
        session.rest()
    except HarnessError as error:
        return failure_of(session, "measure", error)
    return blocks


def _span(counter: Counter, wall: Wall, work: Callable[[], None]) -> _Span:
    started_ns, before_uj = wall.now_ns(), counter.read_uj()
    work()
    ended_ns, after_uj = wall.now_ns(), counter.read_uj()
    return _Span(uj=after_uj - before_uj, ns=ended_ns - started_ns)


def _reading(meter: Meter, idle: _Span, blocks: Sequence[tuple[_Span, int]]) -> EnergyReading:
    return EnergyReading(
        meter=meter.name,
        scope=meter.scope,
        idle_uj=idle.uj,
        idle_ns=idle.ns,
        energy_uj=tuple(span.uj for span, _ in blocks),
        duration_ns=tuple(span.ns for span, _ in blocks),
        inferences=tuple(inferences for _, inferences in blocks),
    )
