"""Predictions: a variant's graph seen through a profile, by the host's estimator or by an accelerator's own model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.errors import one_line
from harness.estimate.estimator import estimate
from harness.estimate.interval import Estimate
from harness.profile import accelerator_facts
from harness.record import Failure, SkipReason

if TYPE_CHECKING:
    from harness.contributions import Backend, Simulation
    from harness.graph import OpGraph
    from harness.profile import Accelerator, DeviceProfile
    from harness.registry import Registered


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A profile, and the threads that an estimate assumes on it; None for what is faster there, see `estimate`."""

    profile: DeviceProfile
    threads: int | None


def predict(graph: OpGraph, backend: Registered[Backend], device: Device) -> Estimate | Failure:
    """Estimate a variant on a device, or simulate it on the device's accelerator.

    Returns:
        The estimate, or a failure: a skip reason when the device has no such accelerator or its compiler would
        refuse the graph, a plain failure when neither the backend nor the device names kernels for its instruction
        set, or the simulation itself fails.
    """
    contribution = backend.contribution
    if contribution.accelerator:
        return _simulate(graph, backend, device)
    device = replace(device, threads=threads_of(contribution, device))
    family = device.profile.kernel_family(backend.name, contribution.kernel_family)
    if family is None and contribution.kernel_family and device.profile.calibrations:
        return _by_own_kernels(graph, backend.name, device)
    if family is None:
        known = ", ".join(sorted(contribution.kernel_family)) or "none"
        return Failure(
            stage="estimate",
            plugin=backend.provider,
            error=f"{backend.name} names no kernel family for {device.profile.isa}; it names {known}",
            hint="No estimate can be made for this device; the measurement of this machine stands. A line"
            f' `{backend.name} = "…"` below [kernels] in a profile of your own would name a family.',
        )
    return estimate(graph, device.profile, kernel_family=family, threads=device.threads)


def threads_of(backend: Backend, device: Device) -> int | None:
    """Threads that an estimate assumes of a backend on a device; None for what is faster there."""
    if not backend.most_threads:
        return device.threads
    return min(backend.most_threads, device.threads or device.profile.fast_cores)


def _by_own_kernels(graph: OpGraph, backend: str, device: Device) -> Estimate:
    """Of a backend for other devices: the graph in the kernels that this one is calibrated for; the basis says so."""
    profile = device.profile
    family = profile.calibrations[0].kernel_family
    found = estimate(graph, profile, kernel_family=family, threads=device.threads)
    return replace(found, basis=f"{backend} has no kernels for {profile.isa}; as {family} would run it: {found.basis}")


def accelerator_of(backend: Registered[Backend], profile: DeviceProfile) -> Accelerator | None:
    """The accelerator that a backend would drive on a device, one that is fitted before one that is an option."""
    kind = backend.contribution.accelerator
    found = [a for a in profile.accelerators if a.kind == kind]
    return min(found, key=lambda a: a.optional) if found else None


def no_accelerator(backend: Registered[Backend], profile: DeviceProfile) -> Failure:
    """The record of a backend whose accelerator the device does not have."""
    return Failure(
        stage="plan",
        plugin=backend.provider,
        error=f"{SkipReason.NO_ACCELERATOR}: {profile.name} has no {backend.contribution.accelerator}",
        hint="Choose a profile that has one: bench profiles",
        reason=SkipReason.NO_ACCELERATOR.name,
    )


def simulation_of(graph: OpGraph, backend: Registered[Backend], profile: DeviceProfile) -> Simulation | Failure:
    """What a backend says of a graph on the device's accelerator; a graph that is refused is a simulation too."""
    accelerator = accelerator_of(backend, profile)
    simulate = backend.contribution.simulate
    if accelerator is None:
        return no_accelerator(backend, profile)
    if simulate is None:
        return _broken(backend, "it drives an accelerator and brings no simulation of it")
    try:
        return simulate(graph, accelerator_facts(accelerator))
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything; it becomes data
        return _broken(backend, f"its simulation failed: {one_line(error)}")


def _simulate(graph: OpGraph, backend: Registered[Backend], device: Device) -> Estimate | Failure:
    simulation = simulation_of(graph, backend, device.profile)
    if isinstance(simulation, Failure):
        return simulation
    accelerator = accelerator_of(backend, device.profile)
    if accelerator is None or simulation.latency_ms is None:
        return _refused(backend, simulation)
    on_device = estimate(graph, device.profile, kernel_family=backend.contribution.accelerator, threads=1)
    option = " (an option, not part of the board)" if accelerator.optional else ""
    return replace(
        on_device,
        kind="simulated",
        latency_ms=simulation.latency_ms,
        energy_mj=simulation.energy_mj,
        energy_above_idle_mj=None,
        energy_basis="the accelerator alone, without the board" if simulation.energy_mj else "its power is not known",
        basis=simulation.basis,
        in_domain=True,
        reasons=(),
        unmodelled=(),
        accelerator=f"{accelerator.name}{option}",
        kernel_family="",
    )


def _broken(backend: Registered[Backend], error: str) -> Failure:
    hint = f"Tell the author of {backend.provider}."
    return Failure(stage="estimate", plugin=backend.provider, error=f"{backend.name}: {error}", hint=hint)


def _refused(backend: Registered[Backend], simulation: Simulation) -> Failure:
    rejections = simulation.rejections
    count: dict[str, int] = {}
    for rejection in rejections:
        count[rejection.code] = count.get(rejection.code, 0) + 1
    codes = ", ".join(f"{code} × {n}" for code, n in count.items())
    first = rejections[0] if rejections else None
    example = f"; first: {first.operator}: {first.detail}" if first else ""
    return Failure(
        stage="plan",
        plugin=backend.provider,
        error=f"{SkipReason.NOT_MAPPABLE}: {codes}{example}; {simulation.basis}",
        hint="Only fully integer graphs map; quantise with int8-static.",
        reason=SkipReason.NOT_MAPPABLE.name,
    )
