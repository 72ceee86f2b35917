"""What an energy means for a battery and for the climate. The results carry their inputs: neither says much without."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UsageError
from harness.estimate.interval import Interval

WORLD_2023_G_PER_KWH = 480.0
"""Mean of the world's electricity in 2023, CO2 equivalent: Ember, Global Electricity
Review 2024. Ember counts the whole life cycle of fuels and power stations."""

WORLD_2023_SOURCE = "Ember, Global Electricity Review 2024: world mean of 2023"

MJ_PER_KWH = 3.6e9
MS_PER_HOUR = 3.6e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """A battery, and how often it has to serve an inference."""

    capacity_wh: float
    inferences_per_hour: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryUse:
    """How a device is run from a battery.

    Attributes:
        energy_mj: One inference, with all that the battery feeds meanwhile.
        latency_ms: How long that takes.
        waiting_w: Drawn between inferences: idle, or asleep where the device sleeps.
        usable_share: Share of the stated capacity that reaches the device: converter losses, cold, age.
    """

    battery_wh: float
    energy_mj: Interval
    latency_ms: float
    inferences_per_hour: float
    waiting_w: float
    usable_share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryLife:
    """How long a battery lasts; the interval is that of the energy, all else taken as given."""

    hours: Interval
    mean_w: Interval
    duty: float
    use: BatteryUse


def battery_life(use: BatteryUse) -> BatteryLife:
    """Hours that a battery lasts: its energy over the mean power of computing and waiting.

    Raises:
        UsageError: A number that makes no sense, or more inferences than fit into an hour.
    """
    for name in ("battery_wh", "latency_ms", "usable_share"):
        if getattr(use, name) <= 0:
            raise UsageError(f"{name} is {getattr(use, name)}.", hint="Give a number above 0.")
    if use.inferences_per_hour < 0 or use.waiting_w < 0 or use.usable_share > 1:
        raise UsageError(
            f"inferences_per_hour is {use.inferences_per_hour}, waiting_w is {use.waiting_w}, usable_share is"
            f" {use.usable_share}.",
            hint="The first two are not below 0, the last is not above 1.",
        )
    duty = use.inferences_per_hour * use.latency_ms / MS_PER_HOUR
    if duty > 1:
        most = int(MS_PER_HOUR / use.latency_ms)
        message = f"{use.inferences_per_hour:g} inferences of {use.latency_ms:g} ms do not fit into an hour."
        raise UsageError(message, hint=f"At most {most} do.")
    waiting = use.waiting_w * (1 - duty)
    at = {
        end: use.inferences_per_hour * getattr(use.energy_mj, end) / MS_PER_HOUR + waiting
        for end in ("p50", "lo90", "hi90")
    }
    if at["lo90"] <= 0:
        raise UsageError(
            "nothing is drawn, so the battery lasts for ever.", hint="Give inferences an hour, or a power in waiting."
        )
    energy_wh = use.battery_wh * use.usable_share
    hours = Interval(p50=energy_wh / at["p50"], lo90=energy_wh / at["hi90"], hi90=energy_wh / at["lo90"])
    return BatteryLife(hours=hours, mean_w=Interval(**at), duty=duty, use=use)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """Grams of CO2 equivalent that a million inferences cause by the electricity they take.

    Attributes:
        source: Where the intensity of the grid comes from.
    """

    g_per_million: Interval
    energy_mj: Interval
    grid_g_per_kwh: float
    source: str


def emission(
    energy_mj: Interval, grid_g_per_kwh: float = WORLD_2023_G_PER_KWH, source: str = WORLD_2023_SOURCE
) -> Emission:
    """Emission of a million inferences; making the device is not part of it.

    Raises:
        UsageError: The intensity is below 0, or another than the default is given without its source.
    """
    if grid_g_per_kwh < 0:
        raise UsageError(f"the grid's intensity is {grid_g_per_kwh} g/kWh.", hint="Give a number from 0.")
    if source == WORLD_2023_SOURCE and grid_g_per_kwh != WORLD_2023_G_PER_KWH:
        hint = "Say where it was read: without that nobody can judge it."
        raise UsageError(f"the grid's intensity of {grid_g_per_kwh} g/kWh has no source.", hint=hint)
    factor = 1e6 / MJ_PER_KWH * grid_g_per_kwh
    grams = Interval(p50=energy_mj.p50 * factor, lo90=energy_mj.lo90 * factor, hi90=energy_mj.hi90 * factor)
    return Emission(g_per_million=grams, energy_mj=energy_mj, grid_g_per_kwh=grid_g_per_kwh, source=source)
