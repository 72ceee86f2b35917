"""Estimates: a type of their own, so that none can be printed as a measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A median and the ends of a 90 % interval, in the unit that the field holding it names."""

    p50: float
    lo90: float
    hi90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is predicted for one graph on one device.

    Attributes:
        kind: `estimated` for a processor that the graph's runtime would use, `simulated` for an accelerator that
            is only imitated here.
        energy_mj: Energy of one inference including the board's idle power, or None when no power is known.
        energy_above_idle_mj: The same less the idle power, or None when idle is not known by the same meter.
        energy_basis: Method of the energy, what it covers, and what is missing.
        threads: Threads that the estimate assumes on the device.
        basis: Method and source in a line, such as `physical prior`.
        in_domain: Whether the method may be trusted for this graph; `reasons` says why not.
        flash_bytes: Program memory of a microcontroller that weights and code take, else None.
        fits: Whether it fits the device's memory: `fits`, `does not fit` or `uncertain`.
        unmodelled: Operators that the method knows nothing about; they widen the interval.
        precision: Arithmetic of most multiply-accumulates.
        pair_factor90: 90 % factor of the ratio to another estimate of this device and kernel family; `gain_factor90`
            that to one of another precision.
        accelerator: Name of the accelerator and whether it is an option, for simulated estimates.
        kernel_family: Kernels that are assumed to compute; `basis` says whether they are calibrated on the device.
            "" for simulated estimates, and in records that do not have it.
    """

    kind: Literal["estimated", "simulated"]
    latency_ms: Interval
    peak_memory_bytes: Interval
    energy_mj: Interval | None
    energy_above_idle_mj: Interval | None
    threads: int
    basis: str
    in_domain: bool
    reasons: tuple[str, ...] = ()
    fits: Literal["fits", "does not fit", "uncertain"] = "uncertain"
    unmodelled: tuple[str, ...] = ()
    accelerator: str = ""
    energy_basis: str = ""
    flash_bytes: Interval | None = None
    precision: str = "fp32"
    pair_factor90: float = 3.0
    gain_factor90: float = 3.0
    kernel_family: str = ""
