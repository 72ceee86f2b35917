"""Which kernels an estimate assumes on a device: those that were asked for, or a sensible choice with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import UnknownNameError, UsageError
from harness.estimate.family import FAMILIES
from harness.prediction import accelerator_of
from harness.registry import near_miss

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.contributions import Backend
    from harness.host import Host
    from harness.profile import DeviceProfile
    from harness.registry import Registered


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """The kernels that an estimate assumes.

    Attributes:
        family: A kernel family, or the kind of an accelerator.
        why: Why these.
        backend: The backend that drives the accelerator, or None for a processor's kernels.
    """

    family: str
    why: str
    backend: Registered[Backend] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendKernels:
    """What a backend's work is done by on a device.

    Attributes:
        installed: Whether the runtime can be used on this machine.
        family: The kernel family that an estimate assumes; "" where there is none and so no estimate.
        named_by: `profile`, `backend`, or `calibration` for a stand-in: the first family that the device is calibrated
            for, where nobody names the backend's own.
        calibrated: Precisions in which that family was measured on the device.
    """

    backend: str
    installed: bool
    family: str
    named_by: str
    calibrated: tuple[str, ...]


def kernels_of_backends(profile: DeviceProfile, host: Host) -> tuple[BackendKernels, ...]:
    """The kernels of every loaded backend that computes on a processor, and of those that the profile names besides."""
    loaded = {item.name: item.contribution for item in host.backends}
    names = dict.fromkeys((*(name for name, each in loaded.items() if not each.accelerator), *profile.kernels))
    return tuple(_kernels_of(name, loaded.get(name), profile) for name in names)


def _kernels_of(name: str, backend: Backend | None, profile: DeviceProfile) -> BackendKernels:
    known = backend.kernel_family if backend else {}
    family, named_by = profile.kernel_family(name, known), "profile" if profile.kernels.get(name) else "backend"
    if family is None and known and profile.calibrations:
        family, named_by = profile.calibrations[0].kernel_family, "calibration"
    measured = (each.precision for each in profile.calibrations if each.kernel_family == family)
    return BackendKernels(
        backend=name,
        installed=backend is not None and backend.available().ok,
        family=family or "",
        named_by=named_by if family else "",
        calibrated=tuple(dict.fromkeys(measured)),
    )


def choose_kernels(name: str | None, profile: DeviceProfile, host: Host, suffix: str = "") -> Kernels:
    """The kernels of that name, or where none is given the first that are calibrated on the device.

    Those of a backend that runs such files come before others, calibrated or not. Without a calibrated family the
    choice falls on that of an installed backend, then on any that is known.

    Args:
        suffix: How the name of the file ends that is to be estimated, lower case with the dot; "" for any.

    Raises:
        UnknownNameError: No backend and no profile knows the name.
        UsageError: The device lacks the accelerator, or no family is known for it at all.
    """
    if name is None:
        return _of_format(suffix, profile, host) or _default(profile, host)
    accelerated = {item.contribution.accelerator: item for item in host.backends if item.contribution.accelerator}
    if name in accelerated:
        return _accelerated(accelerated[name], profile, host)
    known = known_families(profile, host)
    if name not in known:
        names = ", ".join((*known, *accelerated))
        hint = f"{near_miss(name, (*known, *accelerated))}Known: {names or 'none'}"
        raise UnknownNameError(f"no kernel family is named {name!r}.", hint=hint)
    return Kernels(family=name, why="as asked for")


def known_families(profile: DeviceProfile, host: Host) -> tuple[str, ...]:
    """Kernel families: those that the device's profile names, those that backends bring for it, all described ones."""
    return tuple(dict.fromkeys((*_own_families(profile, host), *FAMILIES)))


def _of_format(suffix: str, profile: DeviceProfile, host: Host) -> Kernels | None:
    """The kernels of a backend that runs files of one format and of no other that a backend of this device runs: who
    has such a file has chosen the runtime."""
    formats = {item.name for item in host.graph_readers if suffix in item.contribution.suffixes}
    able = [(item, family) for item, family in _brought(profile, host) if formats & {*item.contribution.reads}]
    families = {family for _, family in able}
    if len(families) != 1:
        return None
    return Kernels(family=families.pop(), why=f"that of {able[0][0].name}, which runs {suffix} files")


def _default(profile: DeviceProfile, host: Host) -> Kernels:
    for each in profile.calibrations:
        return Kernels(family=each.kernel_family, why=f"the first that is calibrated on {profile.name}")
    brought = list(_brought(profile, host))
    for item, family in brought:
        if item.contribution.available().ok:
            why = f"none is calibrated on {profile.name}; it is that of the installed backend {item.name}"
            return Kernels(family=family, why=why)
    for family in _own_families(profile, host):
        why = f"none is calibrated on {profile.name} and no backend for {profile.isa} is installed; the first known"
        return Kernels(family=family, why=why)
    hint = "Name one with --kernels, or load a plugin with a backend for it."
    raise UsageError(f"no kernel family is known for {profile.name} ({profile.isa}).", hint=hint)


def _own_families(profile: DeviceProfile, host: Host) -> tuple[str, ...]:
    powered = profile.power.active if profile.power else ()
    calibrated = (each.kernel_family for each in profile.calibrations)
    brought = (family for _, family in _brought(profile, host))
    named = [*calibrated, *(a.family for a in powered), *brought, *profile.kernels.values()]
    return tuple(dict.fromkeys(named))


def _brought(profile: DeviceProfile, host: Host) -> Iterator[tuple[Registered[Backend], str]]:
    for item in host.backends:
        family = profile.kernel_family(item.name, item.contribution.kernel_family)
        if family:
            yield item, family


def _accelerated(item: Registered[Backend], profile: DeviceProfile, host: Host) -> Kernels:
    kind = item.contribution.accelerator
    if accelerator_of(item, profile) is None:
        raise UsageError(
            f"the profile {profile.name} has no {kind}, neither on the board nor as an option.",
            hint="Choose a profile that has one: bench profiles list",
        )
    return Kernels(family=kind, why="as asked for", backend=host.backends.get(item.name))
