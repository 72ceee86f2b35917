"""What `bench estimate` asks: one file on one device, answered by an estimate, a simulation or a refusal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.calibrate.model import calibration_of
from harness.errors import UnsupportedError, UsageError
from harness.estimate.derived import BatteryUse, battery_life
from harness.estimate.estimator import estimate, per_operator
from harness.estimate.precision import at_precision
from harness.estimate.statement import Question, Refusal, Statement, precision_of
from harness.graph_file import read_graph_file
from harness.prediction import Device, predict, simulation_of
from harness.record import Failure

if TYPE_CHECKING:
    from pathlib import Path

    from harness.contributions import Backend
    from harness.estimate.derived import Battery
    from harness.estimate.statement import Answer
    from harness.graph import OpGraph
    from harness.host import Host
    from harness.kernel_choice import Kernels
    from harness.profile import DeviceProfile
    from harness.registry import Registered


@dataclass(frozen=True, slots=True, kw_only=True)
class Enquiry:
    """What is to be known.

    Attributes:
        precision: To compute in, or None for what the file says.
        threads: Threads, or None for what is faster: one on each fast core, or a single one.
        battery: What feeds the device, or None when nobody asks how long it lasts.
    """

    profile: DeviceProfile
    kernels: Kernels
    precision: str | None = None
    threads: int | None = None
    battery: Battery | None = None


def check_threads(threads: int | None, profile: DeviceProfile) -> tuple[str, ...]:
    """Refuse threads that the device has no cores for, rather than counting fewer, and note what slow cores do.

    Raises:
        UsageError: Less than one, or more than there are cores.
    """
    cores = sum(int(cluster.count.value) for cluster in profile.clusters)
    if threads is None or 1 <= threads <= profile.fast_cores:
        return ()
    hint = f"Give 1 to {cores}, or leave --threads out for what is fastest." if cores > 1 else "It has one core."
    if threads < 1:
        raise UsageError(f"threads = {threads} makes no sense.", hint=hint)
    if threads > cores:
        what = " and ".join(f"{cluster.count.value:g} {cluster.core}" for cluster in profile.clusters)
        raise UsageError(
            f"threads = {threads} is more than the {cores} cores ({what}) of {profile.name}.",
            hint=f"{hint} More threads than cores help nothing.",
        )
    return (f"{threads} threads reach beyond the {profile.fast_cores} fast cores; the slow ones hold the others up",)


def answer(path: Path, enquiry: Enquiry, host: Host) -> Answer:
    """Read a file and answer for it.

    Raises:
        HarnessError: The file cannot be read, contradicts the precision, or the simulation is broken.
    """
    graph = read_graph_file(path, host)
    if enquiry.precision is not None:
        graph = at_precision(graph, enquiry.precision)
    question = Question(
        file=str(path),
        graph=graph,
        profile=enquiry.profile,
        precision=precision_of(graph),
        kernels=enquiry.kernels.family,
        why=enquiry.kernels.why,
    )
    if enquiry.kernels.backend is not None:
        found = _simulated(question, enquiry.kernels.backend, enquiry.threads)
        return _fed(found, enquiry.battery) if isinstance(found, Statement) else found
    family, threads = enquiry.kernels.family, enquiry.threads
    estimated = estimate(graph, enquiry.profile, kernel_family=family, threads=threads)
    found = Statement(
        question=question,
        estimate=estimated,
        costs=per_operator(graph, enquiry.profile, kernel_family=family, threads=estimated.threads),
        notes=(*check_threads(threads, enquiry.profile), *_chosen(enquiry, graph, estimated.threads)),
    )
    return _fed(found, enquiry.battery)


def _chosen(enquiry: Enquiry, graph: OpGraph, threads: int) -> tuple[str, ...]:
    """A note where nobody asked for fewer threads than the device has fast cores: they are faster, or were timed."""
    profile = enquiry.profile
    if enquiry.threads is not None or threads == profile.fast_cores:
        return ()
    own, all_cores = (
        calibration_of(graph, profile.profiled, kernel_family=enquiry.kernels.family, threads=each)
        for each in (threads, profile.fast_cores)
    )
    if own is not None and all_cores is None:
        return (f"{threads} thread: that is what {profile.name} was timed on",)
    return (f"{threads} thread: waking {profile.fast_cores} would take longer than they save",)


def _fed(statement: Statement, battery: Battery | None) -> Statement:
    """The statement with how long a battery lasts; a note says why where that cannot be told."""
    if battery is None:
        return statement
    energy, power = statement.estimate.energy_mj, statement.question.profile.power
    if energy is None or power is None or power.idle is None:
        lacking = "energy is estimated" if energy is None else "idle power is published"
        note = f"no battery life: no {lacking} for {statement.question.profile.name}"
        return replace(statement, notes=(*statement.notes, note))
    use = BatteryUse(
        battery_wh=battery.capacity_wh,
        energy_mj=energy,
        latency_ms=statement.estimate.latency_ms.p50,
        inferences_per_hour=battery.inferences_per_hour,
        waiting_w=power.idle.value,
    )
    return replace(statement, battery=battery_life(use))


def _simulated(question: Question, backend: Registered[Backend], threads: int | None) -> Answer:
    """By the accelerator's own model, which brings the numbers of the whole and none for single kernels."""
    notes = (f"--threads {threads} is set aside: the accelerator computes, not the cores",) if threads else ()
    simulation = simulation_of(question.graph, backend, question.profile)
    if not isinstance(simulation, Failure) and simulation.latency_ms is None:
        return Refusal(question=question, simulation=simulation, notes=notes)
    found = predict(question.graph, backend, Device(profile=question.profile, threads=None))
    if isinstance(found, Failure):
        raise UnsupportedError(found.error, hint=found.hint)
    return Statement(question=question, estimate=found, costs=(), notes=notes)
