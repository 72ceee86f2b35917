"""What is missing on this machine, and what of it disturbs a measurement."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from harness.build.cache import open_cache
from harness.environment import describe_environment, usable_cores
from harness.errors import UsageError
from harness.host import Host
from harness.measure.sampling import clock_resolution_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at: `fine`, `note`, `missing` or `broken`, and what to do."""

    what: str
    state: str
    advice: str


def diagnose(host: Host) -> tuple[Finding, ...]:
    """Look at plugins, cache, clock, processors, memory and load."""
    return (*_plugins(host), *_meters(host), _cache(), *_machine())


def _plugins(host: Host) -> Iterator[Finding]:
    if not host.plugins:
        yield Finding(what="plugins", state="missing", advice="pip install 'edge-bench[all]'")
    for failure in host.failures:
        advice = f"{failure}   Details: bench plugins {failure.plugin}"
        yield Finding(what=f"plugin {failure.plugin}", state="broken", advice=advice)
    for item in host.backends:
        availability = item.contribution.available()
        if availability.ok:
            yield Finding(what=f"backend {item.name}", state="fine", advice="")
        else:
            advice = f"{availability.reason}: {availability.install}"
            yield Finding(what=f"backend {item.name}", state="missing", advice=advice)


def _meters(host: Host) -> Iterator[Finding]:
    for item in host.meters:
        availability = item.contribution.available()
        if availability.ok:
            yield Finding(what=f"meter {item.name}", state="fine", advice=f"covers {item.contribution.scope}")
        else:
            advice = ": ".join(part for part in (availability.reason, availability.install) if part)
            state = "missing" if availability.install else "note"
            yield Finding(what=f"meter {item.name}", state=state, advice=advice)


def _cache() -> Finding:
    cache = open_cache()
    try:
        cache.check()
    except UsageError as error:
        return Finding(what="cache", state="broken", advice=str(error))
    return Finding(what="cache", state="fine", advice=str(cache.root))


def _machine() -> Iterator[Finding]:
    yield Finding(what="clock", state="fine", advice=f"steps of {clock_resolution_ns()} ns")
    cores = usable_cores()
    load = os.getloadavg()[0]
    if load > 0.25 * cores:
        advice = f"load average {load:.2f} on {cores} processors: stop what else runs, or expect wider intervals"
        yield Finding(what="load", state="note", advice=advice)
    else:
        yield Finding(what="load", state="fine", advice=f"{load:.2f} on {cores} processors")
    free = psutil.virtual_memory().available
    state = "fine" if free > 4e9 else "note"
    yield Finding(what="memory", state=state, advice=f"{free / 1e9:.1f} GB free; sessions that do not fit are grouped")
    for note in describe_environment((), cores)["notes"]:
        yield Finding(what="machine", state="note", advice=str(note))
