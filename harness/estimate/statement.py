"""An estimate with all that was asked for and assumed: what is printed of it, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.estimate.derived import Emission, emission
from harness.estimate.ratio import Ratio, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.contributions import Rejection, Simulation
    from harness.estimate.derived import BatteryLife
    from harness.estimate.interval import Estimate
    from harness.estimate.latency import KernelCost
    from harness.graph import OpGraph
    from harness.profile import DeviceProfile

MIXED = "mixed"
"""Stands for the precision of a graph that computes in several."""

ALMOST_ALL = 0.99
"""Share of the multiply-accumulates in one precision from which a graph counts as being in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: a graph, on a device, in some kernels.

    Attributes:
        file: As the user named it.
        precision: What the graph computes in, `mixed` where that is not one.
        kernels: Kernel family, or kind of accelerator.
        why: Why these kernels.
    """

    file: str
    graph: OpGraph
    profile: DeviceProfile
    precision: str
    kernels: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The answer.

    Attributes:
        costs: Cost of each kernel in execution order; none where only the whole is simulated.
        notes: What else was assumed or set aside.
        battery: How long a battery lasts, where that was asked and can be told.
    """

    question: Question
    estimate: Estimate
    costs: tuple[KernelCost, ...]
    notes: tuple[str, ...] = ()
    battery: BatteryLife | None = None

    @property
    def emission(self) -> Emission | None:
        """What a million inferences cause by the electricity they take, None where no energy is known."""
        return emission(self.estimate.energy_mj) if self.estimate.energy_mj else None

    @property
    def arithmetic(self) -> str:
        """What most multiply-accumulates are done in on the device, whatever the graph says."""
        macs: dict[str, int] = {}
        for each in self.costs:
            macs[each.arithmetic] = macs.get(each.arithmetic, 0) + each.macs
        return max(macs, key=lambda name: macs[name], default=self.question.precision)

    @property
    def outside_ms(self) -> float:
        """Time of an inference that belongs to no kernel: calling the runtime."""
        return self.estimate.latency_ms.p50 - sum(each.total_ms for each in self.costs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The answer where an accelerator's compiler would refuse the graph: no numbers, but why."""

    question: Question
    simulation: Simulation
    notes: tuple[str, ...] = ()


Answer = Statement | Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A kernel, and the share that it has in the time of an inference, 0 to 1."""

    cost: KernelCost
    share: float


def precision_of(graph: OpGraph) -> str:
    """What nearly all multiply-accumulates of a graph are done in, or all operators of one that has none."""
    counted: dict[str, int] = {}
    for op in graph.operators:
        counted[op.precision] = counted.get(op.precision, 0) + (op.macs if graph.macs else 1)
    most = max(counted, key=lambda name: counted[name], default="fp32")
    return most if counted.get(most, 1) >= ALMOST_ALL * sum(counted.values()) else MIXED


def shares(statement: Statement) -> tuple[Share, ...]:
    """Kernels with their shares, dearest first."""
    total = statement.estimate.latency_ms.p50
    ordered = sorted(statement.costs, key=lambda each: -each.total_ms)
    return tuple(Share(cost=each, share=each.total_ms / total) for each in ordered)


def refusals(refusal: Refusal) -> dict[str, tuple[Rejection, ...]]:
    """Rejected operators by the code of their rejection."""
    found: dict[str, tuple[Rejection, ...]] = {}
    for each in refusal.simulation.rejections:
        found[each.code] = (*found.get(each.code, ()), each)
    return found


def document(answer: Answer) -> dict[str, Any]:
    """An answer for a program: plain values, each with its unit in its name."""
    asked = answer.question
    return {
        "file": asked.file,
        "model": asked.graph.name,
        "profile": asked.profile.name,
        "kernels": asked.kernels,
        "kernels_reason": asked.why,
        "precision": asked.precision,
        "macs": asked.graph.macs,
        "parameters": asked.graph.parameters,
        "available_memory_bytes": asked.profile.available_bytes,
        "notes": list(answer.notes),
        **(_refused(answer) if isinstance(answer, Refusal) else _stated(answer)),
    }


def documents(answers: Sequence[Answer]) -> dict[str, Any]:
    """One document: that of a single answer, or several in a list."""
    if len(answers) == 1:
        return document(answers[0])
    return {
        "estimates": [document(each) for each in answers],
        "ratios": [
            {
                "file": each.file,
                "over": each.over,
                "latency": asdict(each.ratio.interval),
                "verdict": each.ratio.verdict,
            }
            for each in comparisons(answers)
        ],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The latency of one file over that of another, on one device with one kernel family."""

    file: str
    over: str
    ratio: Ratio


def comparisons(answers: Sequence[Answer]) -> tuple[Comparison, ...]:
    """Every further file against the first; nothing where the first or the other was refused or only simulated."""
    first, *others = answers
    if not isinstance(first, Statement) or first.estimate.kind != "estimated":
        return ()
    return tuple(
        Comparison(file=each.question.file, over=first.question.file, ratio=ratio(each.estimate, over=first.estimate))
        for each in others
        if isinstance(each, Statement)
    )


def _stated(statement: Statement) -> dict[str, Any]:
    found = statement.estimate
    return {
        "kind": found.kind,
        "arithmetic": statement.arithmetic,
        "threads": found.threads,
        "accelerator": found.accelerator,
        "latency_ms": asdict(found.latency_ms),
        "peak_memory_bytes": asdict(found.peak_memory_bytes),
        "flash_bytes": asdict(found.flash_bytes) if found.flash_bytes else None,
        "energy_mj": asdict(found.energy_mj) if found.energy_mj else None,
        "energy_above_idle_mj": asdict(found.energy_above_idle_mj) if found.energy_above_idle_mj else None,
        "energy_scope": found.energy_basis,
        "emission": asdict(statement.emission) if statement.emission else None,
        "battery": asdict(statement.battery) if statement.battery else None,
        "basis": found.basis,
        "in_domain": found.in_domain,
        "reasons": list(found.reasons),
        "unmodelled": list(found.unmodelled),
        "fits": found.fits,
        "operators": [_operator(each) for each in shares(statement)],
        "outside_operators_ms": statement.outside_ms if statement.costs else None,
    }


def _refused(refusal: Refusal) -> dict[str, Any]:
    """The keys of a statement, without numbers."""
    return {
        "kind": "refused",
        "latency_ms": None,
        "peak_memory_bytes": None,
        "energy_mj": None,
        "basis": refusal.simulation.basis,
        "in_domain": False,
        "reasons": [f"{code} × {len(found)}" for code, found in refusals(refusal).items()],
        "unmodelled": [],
        "rejections": [asdict(each) for each in refusal.simulation.rejections],
    }


def _operator(each: Share) -> dict[str, Any]:
    cost = each.cost
    return {
        "name": cost.name,
        "kind": cost.kind,
        "fused": list(cost.fused),
        "class": str(cost.kernel_class),
        "arithmetic": cost.arithmetic,
        "macs": cost.macs,
        "activation_bytes": cost.activation_bytes,
        "weight_bytes": cost.weight_bytes,
        "latency_ms": cost.total_ms,
        "share": each.share,
    }
