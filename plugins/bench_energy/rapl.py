"""RAPL: cumulative energy counters that the kernel shows below /sys/class/powercap.

A zone is a folder `intel-rapl:0` with `name`, `energy_uj` and `max_energy_range_uj`; subzones `intel-rapl:0:0` are
parts of it. AMD's processors show the same names (Linux, Documentation/power/powercap/powercap.rst and
drivers/powercap/intel_rapl_msr.c). `intel-rapl-mmio:0` is the same package by another way and is not counted twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench_energy.machine import Machine
from harness import AVAILABLE, Availability

POWERCAP = "sys/class/powercap"

PACKAGE = "package"
PLATFORM = "psys"

FIX = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"
"""Readable by everybody until the next start. Root alone may read it since Linux 5.10, because another user's secrets
can be told from it (CVE-2020-8694)."""

_ZONE = re.compile(r"intel-rapl:\d+\Z")


@dataclass(slots=True)
class Unwrapped:
    """Microjoules since the first reading of a counter that starts again from 0 after `largest_uj`.

    Right while it is read at least once a wrap; a package of 15 W wraps after some five hours.
    """

    read: Callable[[], int]
    largest_uj: int
    last_uj: int = field(init=False)
    total_uj: int = 0

    def __post_init__(self) -> None:
        self.last_uj = self.read()

    def read_uj(self) -> int:
        """Microjoules since it was opened."""
        now = self.read()
        passed = now - self.last_uj
        self.total_uj += passed if passed >= 0 else passed + self.largest_uj + 1
        self.last_uj = now
        return self.total_uj


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """Several zones read as one counter."""

    counters: tuple[Unwrapped, ...]

    def read_uj(self) -> int:
        """Microjoules of all zones since they were opened."""
        return sum(each.read_uj() for each in self.counters)

    def close(self) -> None:
        """Nothing is held."""


def zones(machine: Machine, kind: str) -> tuple[Path, ...]:
    """Folders of the zones of one kind: `package` for every socket, or `psys`."""
    folder = machine.root / POWERCAP
    if not folder.is_dir():
        return ()
    found = sorted(path for path in folder.iterdir() if _ZONE.match(path.name))
    return tuple(path for path in found if machine.read(path / "name").split("-")[0] == kind)


def available(machine: Machine, kind: str) -> Availability:
    """Whether there are such zones and they can be read."""
    found = zones(machine, kind)
    if not found:
        return Availability(ok=False, reason=f"the system shows no RAPL zone {kind!r} below /{POWERCAP}")
    for zone in found:
        try:
            int(machine.read(zone / "energy_uj"))
        except PermissionError:
            reason = f"/{POWERCAP}/{zone.name}/energy_uj is readable by root alone"
            return Availability(ok=False, reason=reason, install=FIX)
        except (OSError, ValueError) as error:
            return Availability(ok=False, reason=f"/{POWERCAP}/{zone.name}/energy_uj cannot be read: {error}")
    return AVAILABLE


def open_counter(machine: Machine, kind: str) -> Zones:
    """Start counting from 0."""

    def reader(zone: Path) -> Callable[[], int]:
        return lambda: int(machine.read(zone / "energy_uj"))

    return Zones(
        counters=tuple(
            Unwrapped(reader(zone), int(machine.read(zone / "max_energy_range_uj"))) for zone in zones(machine, kind)
        )
    )
