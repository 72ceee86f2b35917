"""The runner: walks a plan from models to records, turning every failure into a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.build.builder import BuildSettings
from harness.build.cache import open_cache
from harness.build.variants import build_variants
from harness.cost import cost_model
from harness.detect import detect
from harness.environment import describe_environment, usable_cores
from harness.errors import ConfigurationError, UsageError
from harness.examination import Examiner
from harness.host import Host
from harness.loading import load_host
from harness.measure.energy import choose_meter
from harness.measure.subject import MeasureSettings
from harness.plan import Cell, Plan, complete, expand, read_plan, write_plan
from harness.prediction import accelerator_of, no_accelerator
from harness.process.limits import Limits
from harness.profile import DeviceProfile
from harness.profile_file import builtin_folder, load_profiles, resolve_profile
from harness.progress import Silent
from harness.record import SkipReason
from harness.route import NoRoute
from harness.rows import Rows, skip
from harness.run_folder import PLAN, RecordLog, create_run_folder, read_records
from harness.why.cpu import cpu_facts

if TYPE_CHECKING:
    from harness.progress import Progress
    from harness.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A plan with every name in it looked up."""

    plan: Plan
    host: Host
    cells: tuple[Cell, ...]
    profiles: tuple[DeviceProfile, ...]


def run(
    plan: Plan, *, host: Host | None = None, out: Path | None = None, progress: Progress | None = None
) -> tuple[Record, ...]:
    """Run a plan and return its records, in the order of the plan.

    Args:
        host: Loaded plugins; loaded here when not given.
        out: Run folder; `runs/<time>-<profiles>/` below the current folder when not given.
        progress: Told what happens; silent when not given.

    Raises:
        HarnessError: The plan or its output folder cannot be used; nothing was written then.
    """
    prepared = prepare(plan, host)
    open_cache().check()
    folder = out or default_folder(prepared.plan)
    used = {name for cell in prepared.cells for name in cell.backend.contribution.requires}
    _, energy = choose_meter(prepared.host)
    environment = describe_environment(used, prepared.plan.threads, [energy])
    create_run_folder(folder, write_plan(prepared.plan), environment)
    return _run_into(folder, prepared, progress or Silent())


def resume(folder: Path, *, host: Host | None = None, progress: Progress | None = None) -> tuple[Record, ...]:
    """Continue a run that was stopped; finished records are kept as they are.

    Args:
        host: Loaded plugins of the run; loaded here when not given.

    Raises:
        HarnessError: The folder holds no run, or a plugin that its plan names is gone or broken.
    """
    plan = planned(folder)
    prepared = prepare(plan, host or planned_host(plan, folder))
    open_cache().check()
    return _run_into(folder, prepared, progress or Silent())


def planned(folder: Path) -> Plan:
    """The plan of a run.

    Raises:
        HarnessError: The folder holds no run, or the plan cannot be read.
    """
    if not (folder / PLAN).is_file():
        hint = "Give the folder of a run, such as runs/2026-01-31T12-00-00-rpi4."
        raise ConfigurationError(f"{folder} holds no {PLAN}, so there is no run to continue.", hint=hint)
    return read_plan(folder / PLAN)


def planned_host(plan: Plan, folder: Path) -> Host:
    """The plugins that a run was planned with.

    Raises:
        UsageError: One that the plan names is gone or broken.
    """
    host = load_host(sources=plan.plugins, block=plan.block)
    try:
        host.check_given()
    except UsageError as error:
        hint = f"Put it back, or change `plugins` in {folder / PLAN}."
        raise UsageError(error.message, hint=hint) from None
    return host


def default_folder(plan: Plan) -> Path:
    """`runs/<time>-<profiles>` below the current folder, a name that is not taken."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    names = "-".join(Path(p).stem for p in plan.profiles)[:60]
    folder = Path("runs") / f"{stamp}-{names}"
    number = 2
    while folder.exists():
        folder = Path("runs") / f"{stamp}-{names}-{number}"
        number += 1
    return folder


def prepare(plan: Plan, host: Host | None) -> Prepared:
    """Fill a plan in and look every name in it up; nothing is written.

    Raises:
        HarnessError: A name that nobody provides, a number that makes no sense, a file that is not there.
    """
    host = host or load_host(sources=plan.plugins, block=plan.block)
    plan = complete(plan, host)
    known = load_profiles([builtin_folder(), *host.profile_folders])
    profiles = tuple(resolve_profile(text, known) for text in plan.profiles)
    for profile, text in zip(profiles, plan.profiles, strict=True):
        twice = [other for found, other in zip(profiles, plan.profiles, strict=True) if found.name == profile.name]
        if twice != [text]:
            hint = "Give one of them another name: a report tells profiles apart by it."
            raise UsageError(f"the profiles {' and '.join(twice)} are both named {profile.name!r}.", hint=hint)
    cells = tuple(_with_cost(cell, profiles[0]) for cell in expand(plan, host))
    return Prepared(plan=plan, host=host, cells=cells, profiles=profiles)


def _with_cost(cell: Cell, profile: DeviceProfile) -> Cell:
    """A cell whose techniques ask what a graph costs is told for the first profile of the run."""
    if isinstance(cell.route, NoRoute) or not any(step.cost for step in cell.route):
        return cell
    return replace(cell, cost=cost_model(profile, cell.backend.contribution))


def _run_into(folder: Path, prepared: Prepared, progress: Progress) -> tuple[Record, ...]:
    """Run what is not finished yet, appending records to the folder."""
    with RecordLog(folder) as log:
        progress.opened(folder)
        rows = Rows(plan=prepared.plan, run=folder.resolve().name, log=log)
        rows.finished = {record.cell: record for record in read_records(folder)}
        cells = [c for c in prepared.cells if not all(rows.has(c, p) for p in prepared.profiles)]
        cells = [c for c in cells if not _skip_early(c, rows, prepared.profiles)]
        if cells:
            _run_cells(cells, rows, prepared, progress)
    order = [rows.identity(c, p) for p in prepared.profiles for c in prepared.cells]
    return tuple(rows.finished[identity] for identity in order)


def _run_cells(cells: Sequence[Cell], rows: Rows, prepared: Prepared, progress: Progress) -> None:
    settings = _build_settings(prepared)
    built = build_variants(cells, prepared.host, prepared.plan, settings, progress)
    models = list(dict.fromkeys(c.model for c in cells))
    examiner = Examiner(
        rows=rows,
        profiles=prepared.profiles,
        cache=settings.cache,
        host=prepared.host,
        settings=_measure_settings(prepared, len(models)),
        cpu=cpu_facts(detect()),
        progress=progress,
    )
    for number, model in enumerate(models, start=1):
        later = len(models) - number
        then = f"{later} more model{'s' * (later > 1)}" if later else ""
        examiner.examine([c for c in cells if c.model == model], built, then)


def _skip_early(cell: Cell, rows: Rows, profiles: Sequence[DeviceProfile]) -> bool:
    """Write the rows of a cell that are known to be impossible before anything is built."""
    availability = cell.backend.contribution.available()
    if not availability.ok:
        hint = f"Install it with: {availability.install}" if availability.install else ""
        rows.missing(cell, skip(cell, SkipReason.BACKEND_UNAVAILABLE, availability.reason, hint), profiles)
        return True
    if isinstance(cell.route, NoRoute):
        rows.missing(cell, skip(cell, cell.route.reason, cell.route.detail, cell.route.hint), profiles)
        return True
    if not cell.backend.contribution.accelerator:
        return False
    without = [p for p in profiles if accelerator_of(cell.backend, p) is None]
    for profile in without:
        rows.missing(cell, no_accelerator(cell.backend, profile), [profile])
    return len(without) == len(profiles)


def _limits(plan: Plan) -> Limits:
    megabytes = plan.memory_limit_mb
    return Limits(answer_s=plan.timeout_s, memory_bytes=megabytes * 10**6 if megabytes else None)


def _build_settings(prepared: Prepared) -> BuildSettings:
    cores = usable_cores()
    lanes = min(4, cores)
    return BuildSettings(
        cache=open_cache(),
        lanes=lanes,
        threads=max(1, cores // lanes),
        limits=_limits(prepared.plan),
        plugins=prepared.host.plugin_sources(),
    )


def _measure_settings(prepared: Prepared, models: int) -> MeasureSettings:
    plan = prepared.plan
    meter, _ = choose_meter(prepared.host)
    return MeasureSettings(
        threads=plan.threads,
        seed=plan.seed,
        budget_s=plan.budget_s / models,
        processes=plan.processes,
        precision=plan.precision,
        limits=_limits(plan),
        lanes=min(4, usable_cores()),
        meter=meter,
    )
