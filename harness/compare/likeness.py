"""Whether two runs may be compared at all: the same machine, threads, data, seed and bench."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.compare.run import Run

ASPECTS = ("machine", "identity", "threads", "data", "seed", "bench")
"""What must be alike, and what may be allowed to differ by name; `machine` includes `identity`."""

MEMORY_ALIKE = 0.02
"""Share by which the memory that a system reports may differ: kernels reserve differently."""

BUSY_SHARE = 0.5
"""Load for each core at the start above which something else was running."""

FACTS = {"cpu": "processor", "isa": "instruction set", "cores": "cores"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlike:
    """A fact that must be alike and is not.

    Attributes:
        aspect: One of `ASPECTS`.
        fact: What differs, for a reader.
        before, after: What the two runs say.
    """

    aspect: str
    fact: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.fact}: {self.before} and {self.after}"


def find_unlike(before: Run, after: Run) -> tuple[Unlike, ...]:
    """What must be alike in two runs and is not."""
    return tuple(
        Unlike(aspect=aspect, fact=fact, before=str(left), after=str(right))
        for aspect, fact, left, right in (*_machine(before.environment, after.environment), *_method(before, after))
        if left != right
    )


def refuse_unlike(unlike: Sequence[Unlike], allowed: Sequence[str]) -> None:
    """Refuse what is not allowed to differ.

    Raises:
        UsageError: Something differs that is not allowed to, or there is no such aspect.
    """
    for name in allowed:
        if name not in ASPECTS:
            raise UsageError(f"there is no aspect {name!r} to allow.", hint=f"Known: {', '.join(ASPECTS)}.")
    fine = {*allowed, *(("identity",) if "machine" in allowed else ())}
    refused = [found for found in unlike if found.aspect not in fine]
    if refused:
        names = list(dict.fromkeys(found.aspect for found in unlike))
        hint = f"Compare runs that are alike, or answer for the difference with --allow-unlike {','.join(names)}"
        raise UsageError(f"the runs are unlike: {'; '.join(map(str, refused))}.", hint=hint)


def remarks(before: Run, after: Run) -> tuple[str, ...]:
    """What differs and may well be what is compared, and what a reader must know of the two machines."""
    return tuple(_remarks(before, after))


def _machine(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, Any]]:
    if not before or not after:
        # Unequal even where both are missing: nothing then says that the machines are alike.
        yield "machine", "environment.json", "there" if before else "missing", "there" if after else "not there"
        return
    for key, fact in FACTS.items():
        yield "machine", fact, before.get(key, "unknown"), after.get(key, "unknown")
    yield "machine", "system", _kernel(before), _kernel(after)
    memory = [environment.get("memory_bytes") or 0 for environment in (before, after)]
    if abs(memory[0] - memory[1]) > MEMORY_ALIKE * max(memory):
        yield "machine", "memory in bytes", memory[0], memory[1]
    if before.get("machine") and after.get("machine"):
        yield "identity", "identity of the machine", before["machine"], after["machine"]


def _kernel(environment: Mapping[str, Any]) -> str:
    """Name and major version of the system: `Linux 6.18.4` is `Linux 6`."""
    name, _, release = str(environment.get("os", "unknown")).partition(" ")
    return f"{name} {release.partition('.')[0]}".strip()


def _method(before: Run, after: Run) -> Iterator[tuple[str, str, Any, Any]]:
    yield "threads", "threads", _threads(before), _threads(after)
    if "seed" in before.plan and "seed" in after.plan:
        yield "seed", "seed", before.plan["seed"], after.plan["seed"]
    yield "bench", "version of bench", _version(before), _version(after)
    data = _data(before), _data(after)
    for model in data[0]:
        if model in data[1]:
            yield "data", f"data of {model}", data[0][model], data[1][model]


def _threads(run: Run) -> str:
    timed = {record.measurement.threads for record in run.records if record.measurement}
    return " or ".join(map(str, sorted(timed))) or str(run.environment.get("threads", "unknown"))


def _version(run: Run) -> str:
    return str(run.environment.get("bench") or "unknown")


def _data(run: Run) -> dict[str, str]:
    """Name and rows of the data that each model was scored on."""
    found: dict[str, tuple[set[str], int]] = {}
    for record in run.records:
        if record.quality:
            names, rows = found.get(record.model, (set(), 0))
            rows = max(rows, record.quality.n, record.quality.agreement_n)
            found[record.model] = {*names, record.quality.data}, rows
    return {model: f"{' or '.join(sorted(names))} ({rows:,} rows)" for model, (names, rows) in found.items()}


def _remarks(before: Run, after: Run) -> Iterator[str]:
    left, right = _versions(before), _versions(after)
    for name in sorted({*left} & {*right}):
        if left[name] != right[name]:
            yield f"{name} {left[name]} before, {right[name]} after"
    plans = before.plan, after.plan
    for key in ("max_accuracy_drop", "goal_tries", "robustness"):
        if plans[0].get(key) != plans[1].get(key):
            yield f"{key} = {plans[0].get(key)} before, {plans[1].get(key)} after"
    if not (before.environment.get("machine") and after.environment.get("machine")):
        yield "a run does not say which machine it ran on: that both are one rests on its processor, memory and system"
    for run in (before, after):
        if not run.plan:
            yield f"{run.name} has no plan.toml: its seed is not known"
        load, cores = run.environment.get("load_average"), run.environment.get("cores")
        if isinstance(load, int | float) and isinstance(cores, int) and load > BUSY_SHARE * cores:
            yield f"{run.name} began with a load of {load:g} on {cores} cores: something else was running"


def _versions(run: Run) -> dict[str, str]:
    """Versions of the runtimes and of Python."""
    stated = run.environment.get("versions")
    found: dict[str, set[str]] = {}
    for versions in (stated if isinstance(stated, Mapping) else {}, *(record.versions for record in run.records)):
        for name, version in versions.items():
            found.setdefault(str(name), set()).add(str(version))
    if run.environment.get("python"):
        found["Python"] = {str(run.environment["python"])}
    return {name: " or ".join(sorted(versions)) for name, versions in found.items()}
