"""The noise of a run in words: the verdict, where the noise comes from, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.measure.noise import BELIEVED, COARSE, MOST_PROCESSES, Cause, Conditions, Noise, judge
from harness.report.row import BASELINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.record import Measurement, Record

GOVERNOR = "processor clock governor: "
"""How the note of environment.json begins that names the governor."""

FIXED = frozenset({"performance", "userspace"})
"""Governors that keep the clock where it is (Linux kernel documentation, admin-guide/pm/cpufreq)."""

BUDGETS_S = (60, 120, 300, 600, 1200, 3600)
"""Budgets that are advised: the first that is long enough."""

PROCESS_S = 2.0
"""What a fresh process costs besides its samples, about: importing, opening, warming up and settling."""

QUESTION = "Is this machine quiet enough to believe a difference of 3 %?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to do, and the command that does it, where one does."""

    text: str
    command: str = ""

    @property
    def line(self) -> str:
        """Both on one line."""
        return f"{self.text}: {self.command}" if self.command else f"{self.text}."


def judge_run(records: Sequence[Record], environment: Mapping[str, Any]) -> Noise | None:
    """The noise of everything that was timed; what several profiles share counts once."""
    cells: dict[str, Measurement] = {}
    baselines: dict[str, str] = {}
    models = {record.model for record in records}
    for record in records:
        if record.measurement is None:
            continue
        of_model = f" of {record.model}" if len(models) > 1 else ""
        name = f"{record.recipe} in {record.backend}{of_model}"
        cells.setdefault(name, record.measurement)
        if record.recipe != BASELINE:
            baselines[name] = f"{BASELINE} in {record.backend}{of_model}"
    return judge(cells, baselines, _conditions(environment))


def headline(noise: Noise) -> str:
    """`usable: differences of 10 % can be believed, of 3 % not; …`: the answer with the figure that decides."""
    if noise.resolution is None:
        return f"{noise.verdict}: too few samples for an interval"
    compared = noise.resolutions[0].compared
    what = "comparisons with a baseline" if compared else "latencies"
    told = f"the smallest difference that is told is {percent(noise.resolution)} (median of {_known(noise):,} {what})"
    if noise.verdict == "quiet":
        return f"quiet: differences of {_round(BELIEVED)} can be believed; {told}"
    if noise.verdict == "unknown":
        return f"unknown: {Cause.ONE_PROCESS.value}; within it {told}"
    if noise.verdict == "noisy":
        return f"noisy: not even differences of {_round(COARSE)} can be believed; {told}"
    if noise.resolution > BELIEVED:
        return f"usable: differences of {_round(COARSE)} can be believed, of {_round(BELIEVED)} not; {told}"
    return f"usable: {told}, but {noise.causes[0].value}"


def facts(noise: Noise) -> tuple[str, ...]:
    """The figures behind the verdict, a line each."""
    return tuple(_facts(noise))


def advice(noise: Noise) -> tuple[Advice, ...]:
    """What to do, what helps most first; nothing for a quiet run."""
    return tuple(_advice(noise))


def percent(share: float) -> str:
    """`0.26 %`, `7.0 %`, `47 %`: two digits."""
    points = abs(share) * 100
    return f"{points:.{0 if points >= 9.95 else 1 if points >= 0.995 else 2}f} %"


def _known(noise: Noise) -> int:
    return sum(found.share is not None for found in noise.resolutions)


def _round(share: float) -> str:
    return f"{share * 100:.0f} %"


def _conditions(environment: Mapping[str, Any]) -> Conditions:
    load, cores = environment.get("load_average"), environment.get("cores")
    notes = [str(note) for note in environment.get("notes") or ()]
    governors = [note.removeprefix(GOVERNOR) for note in notes if note.startswith(GOVERNOR)]
    return Conditions(
        load_average=float(load) if isinstance(load, int | float) else None,
        cores=cores if isinstance(cores, int) else None,
        clock="unknown" if not governors else "fixed" if governors[0] in FIXED else "free",
    )


def _facts(noise: Noise) -> Iterable[str]:
    if noise.between is not None and noise.within is not None and noise.explained is not None:
        yield (
            f"Fresh processes of one variant differ by {percent(noise.between)} (standard deviation); samples within"
            f" one by {percent(noise.within)}, which explains {percent(noise.explained)}."
        )
    elif noise.within is not None:
        yield f"Samples within one process differ by {percent(noise.within)} (standard deviation)."
    if noise.drift is not None:
        way = "slower" if noise.drift > 0 else "faster"
        yield f"The baseline was {percent(noise.drift)} {way} in the last third of a process than in its first."
    yield f"{percent(noise.outliers)} of the samples are slow outliers."
    if noise.unsettled:
        yield f"Threads were still busy before a sample in {percent(noise.unsettled)} of the processes."
    if noise.budget_stops:
        yield f"Timing ended at its budget in {noise.budget_stops:,} of {noise.cells:,} cells, before it was precise."
    conditions = noise.conditions
    if conditions.load_average is not None and conditions.cores is not None:
        cores = "core" if conditions.cores == 1 else "cores"
        yield f"Load when the run began: {conditions.load_average:g} on {conditions.cores} {cores}."
    if conditions.clock != "fixed":
        free = "was free to change" if conditions.clock == "free" else "could not be read"
        yield f"The processor's clock {free}."


def _advice(noise: Noise) -> Iterable[Advice]:
    causes = set(noise.causes)
    if causes & {Cause.LOAD, Cause.OUTLIERS, Cause.UNSETTLED}:
        yield Advice(text="Close other programs before the run")
    if Cause.PROCESSES in causes and noise.processes > 1 and noise.processes_needed is None:
        told = f"even {MOST_PROCESSES} processes would not tell {_round(BELIEVED)} as it is"
        yield Advice(text=f"The machine has to become quieter: {told}")
    if causes & {Cause.ONE_PROCESS, Cause.PROCESSES, Cause.SAMPLES}:
        yield Advice(text="Time for longer and in more fresh processes", command=_command(noise))
    if noise.conditions.clock == "free" and Cause.CLOCK in causes:
        yield Advice(text="Fix the processor's clock", command="sudo cpupower frequency-set --governor performance")
    elif Cause.CLOCK in causes:
        yield Advice(
            text="The clock cannot be fixed from here, as in most virtual machines; a machine of its own is quieter"
        )


def _command(noise: Noise) -> str:
    """The run again, with as many processes and as much time as its spread asks for."""
    if noise.processes < 2:
        processes = 3
    elif Cause.PROCESSES in noise.causes:
        processes = noise.processes_needed or min(2 * noise.processes, MOST_PROCESSES)
    else:
        processes = noise.processes
    longer = processes / noise.processes
    if Cause.SAMPLES in noise.causes and noise.resolution:
        # An interval narrows with the root of the number of samples.
        longer = max(longer, (noise.resolution / BELIEVED) ** 2)
    enough_s = longer * (noise.timed_ns / 1e9 + noise.opened * PROCESS_S)
    budget_s = next((budget for budget in BUDGETS_S if budget >= enough_s), BUDGETS_S[-1])
    return f"bench run --plan plan.toml --processes {processes} --budget-s {budget_s}"
