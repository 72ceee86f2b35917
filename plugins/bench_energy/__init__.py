"""Energy meters of this machine: processor counters (RAPL), a Raspberry Pi 5's power chip, INA sensors of a Jetson.

Counters are read as they are. A sensor that tells power only is sampled by a thread while a meter is open, and its
readings are integrated; nothing is sampled while no meter is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench_energy.machine import THIS_MACHINE, Machine
from harness import Meter, hookimpl

HARNESS_API = 1


@hookimpl
def harness_meters() -> Iterator[Meter]:
    """Meters of this machine."""
    yield from meters(THIS_MACHINE)


def meters(machine: Machine) -> Iterator[Meter]:
    """Every kind of meter, whether the machine has it or not."""
    from bench_energy import ina, pmic, rapl

    yield Meter(
        name="rapl-package",
        summary="Energy counters of the processor packages (Intel and AMD RAPL).",
        available=partial(rapl.available, machine, rapl.PACKAGE),
        open=partial(rapl.open_counter, machine, rapl.PACKAGE),
        scope="processor packages: cores, caches and what else is on the chip; neither memory nor the board",
    )
    yield Meter(
        name="rapl-psys",
        summary="Energy counter of the whole platform (RAPL psys), on the Intel laptops that have it.",
        available=partial(rapl.available, machine, rapl.PLATFORM),
        open=partial(rapl.open_counter, machine, rapl.PLATFORM),
        scope="the platform as its maker wired it: processor, and as a rule memory and display",
    )
    yield Meter(
        name="pmic-rails",
        summary="Rails of a Raspberry Pi 5's power chip, sampled and integrated.",
        available=partial(pmic.available, machine),
        open=partial(pmic.open_counter, machine),
        scope="the 12 rails of the power chip; neither its own losses nor what hangs on 5 V: USB, HATs, fan",
    )
    yield Meter(
        name="ina-rails",
        summary="INA219 and INA3221 sensors, such as a Jetson's, sampled and integrated.",
        available=partial(ina.available, machine),
        open=partial(ina.open_counter, machine),
        scope="the module's input where a sensor sits there; else the sum of the rails that have one, which misses"
        " rails without and counts twice what one of them feeds to another",
    )
