"""INA sensors: chips that tell volts and amperes of a supply rail, as on the Jetson boards.

Two layouts are read. Current kernels (Linux, Documentation/hwmon/ina3221.rst and hwmon/ina2xx.rst) have a folder
`/sys/class/hwmon/hwmonN` with `name`, and by channel `inN_label`, `inN_input` in millivolts and `currN_input` in
milliamperes, or `powerN_input` in microwatts. NVIDIA's kernels before that have
`/sys/bus/i2c/drivers/ina3221x/<address>/iio:deviceM` with `rail_name_N` and `in_powerN_input` in milliwatts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench_energy.integral import Integral
from bench_energy.machine import Machine
from harness import AVAILABLE, Availability

HWMON = "sys/class/hwmon"
IIO = "sys/bus/i2c/drivers/ina3221x"

CHANNELS = {"ina3221": (1, 2, 3), "ina219": (1,), "ina226": (1,), "ina230": (1,), "ina231": (1,)}
"""Channels that measure a supply, by chip; an INA3221's `in4` to `in7` are drops over its shunts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """One supply rail that a sensor sits on."""

    name: str
    power_w: Callable[[], float]

    @property
    def is_input(self) -> bool:
        """Whether all that the module draws passes it: `VDD_IN`, `POM_5V_IN`."""
        return self.name.upper().endswith("_IN")


def rails(machine: Machine) -> tuple[Rail, ...]:
    """Every rail with a sensor, in the order of the chips and channels."""
    return (*_hwmon(machine), *_iio(machine))


def counted(found: tuple[Rail, ...]) -> tuple[Rail, ...]:
    """The rails that are added: the input alone where a sensor sits there, else all."""
    return tuple(rail for rail in found if rail.is_input)[:1] or found


def available(machine: Machine) -> Availability:
    """Whether there is a rail and it can be read."""
    found = rails(machine)
    if not found:
        return Availability(ok=False, reason=f"no INA sensor is shown below /{HWMON} or /{IIO}")
    try:
        _sum_w(counted(found))
    except PermissionError as error:
        install = f"sudo chmod a+r {error.filename}" if error.filename else "sudo chmod a+r on its files"
        return Availability(ok=False, reason=f"an INA sensor is readable by root alone: {error}", install=install)
    except (OSError, ValueError) as error:
        return Availability(ok=False, reason=f"an INA sensor cannot be read: {error}")
    return AVAILABLE


def open_counter(machine: Machine) -> Integral:
    """Start sampling."""
    added = counted(rails(machine))
    return Integral(lambda: _sum_w(added), machine)


def _sum_w(added: tuple[Rail, ...]) -> float:
    return sum(rail.power_w() for rail in added)


def _hwmon(machine: Machine) -> Iterator[Rail]:
    for chip in _folders(machine.root / HWMON, "hwmon*"):
        name = _text(machine, chip / "name")
        for channel in CHANNELS.get(name, ()):
            if _text(machine, chip / f"in{channel}_enable") == "0":
                continue
            label = _text(machine, chip / f"in{channel}_label") or f"{name} channel {channel}"
            watts = _hwmon_power(machine, chip, channel)
            if watts and label != "NC":  # not connected
                yield Rail(name=label, power_w=watts)


def _hwmon_power(machine: Machine, chip: Path, channel: int) -> Callable[[], float] | None:
    microwatts = chip / f"power{channel}_input"
    millivolts, milliamperes = chip / f"in{channel}_input", chip / f"curr{channel}_input"
    if microwatts.exists():
        return lambda: int(machine.read(microwatts)) / 1e6
    if millivolts.exists() and milliamperes.exists():
        return lambda: int(machine.read(millivolts)) * int(machine.read(milliamperes)) / 1e6
    return None


def _iio(machine: Machine) -> Iterator[Rail]:
    for address in _folders(machine.root / IIO, "*-*"):
        for device in _folders(address, "iio*device*"):
            for milliwatts in sorted(device.glob("in_power*_input")):
                channel = milliwatts.name.removeprefix("in_power").removesuffix("_input")
                name = _text(machine, device / f"rail_name_{channel}") or f"{address.name} channel {channel}"
                if name != "NC":
                    yield Rail(name=name, power_w=partial(_milliwatts_w, machine, milliwatts))


def _milliwatts_w(machine: Machine, path: Path) -> float:
    return int(machine.read(path)) / 1e3


def _folders(parent: Path, pattern: str) -> list[Path]:
    return sorted(p for p in parent.glob(pattern) if p.is_dir()) if parent.is_dir() else []


def _text(machine: Machine, path: Path) -> str:
    try:
        return machine.read(path)
    except OSError:
        return ""
