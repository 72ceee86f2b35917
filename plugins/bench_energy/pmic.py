"""Raspberry Pi 5: its power chip tells volts and amperes of each rail, by `vcgencmd pmic_read_adc`.

A line is `VDD_CORE_A current(7)=1.11625000A` or `VDD_CORE_V volt(15)=0.74944980V`; a rail's power is the product of its
two. `EXT5V_V` and `BATT_V` have a voltage only: what is drawn from 5 V without passing the chip is not seen.
"""

from __future__ import annotations

import re

from bench_energy.integral import Integral
from bench_energy.machine import Machine
from harness import AVAILABLE, Availability

COMMAND = ("vcgencmd", "pmic_read_adc")

_LINE = re.compile(r"^\s*(\w+)_([AV])\s+(?:current|volt)\(\d+\)=([\d.]+)[AV]\s*$", re.MULTILINE)


def power_w(printed: str) -> float:
    """Sum over the rails of volts times amperes.

    Raises:
        OSError: No rail has both.
    """
    amperes, volts = ({m[1]: float(m[3]) for m in _LINE.finditer(printed) if m[2] == unit} for unit in "AV")
    rails = amperes.keys() & volts.keys()
    if not rails:
        said = printed.strip().splitlines()
        raise OSError(f"{' '.join(COMMAND)} tells no rail: {said[0][:80] if said else 'it prints nothing'}")
    return sum(amperes[rail] * volts[rail] for rail in sorted(rails))


def available(machine: Machine) -> Availability:
    """Whether the command is there and tells rails: a Raspberry Pi 4 has the command and no such chip."""
    try:
        power_w(machine.run(COMMAND))
    except FileNotFoundError:
        return Availability(ok=False, reason="there is no vcgencmd: this is no Raspberry Pi, or not its system")
    except OSError as error:
        denied = "vcio" in str(error) or "VCHI" in str(error)  # its device, by two generations of it
        install = "sudo usermod -aG video $USER, then log in again" if denied else ""
        return Availability(ok=False, reason=str(error), install=install)
    return AVAILABLE


def open_counter(machine: Machine) -> Integral:
    """Start sampling the sum of the rails."""
    return Integral(lambda: power_w(machine.run(COMMAND)), machine)
