"""Variants: the jobs of all cells of a run, shared where they are the same, and what came of each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.build.builder import Built, build_all
from harness.build.job import Aim, Job, ModelInput, jobs_of
from harness.build.remaining import remaining
from harness.digest import digest_of, installed_version, source_digest, tree_sha256
from harness.environment import DISTRIBUTION
from harness.errors import HarnessError
from harness.process.worker import Worker
from harness.record import Failure
from harness.route import NoRoute

if TYPE_CHECKING:
    from harness.build.builder import BuildSettings, Result
    from harness.contributions import ModelSource
    from harness.host import Host
    from harness.plan import Cell, Plan
    from harness.progress import Progress
    from harness.registry import Registered


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltVariant:
    """A cell's variant, and the model that it was made from."""

    model: ModelInput
    built: Built


@dataclass(slots=True)
class _Jobs:
    by_key: dict[str, Job] = field(default_factory=dict)
    last_of: dict[str, str] = field(default_factory=dict)


def build_variants(
    cells: Sequence[Cell], host: Host, plan: Plan, settings: BuildSettings, progress: Progress
) -> Mapping[str, BuiltVariant | Failure]:
    """Build the variant of every cell; results are keyed by the cell's name."""
    outcome: dict[str, BuiltVariant | Failure] = {}
    jobs = _Jobs()
    identities: dict[str, str] = {}
    goal = None if plan.max_accuracy_drop is None else {"max_drop": plan.max_accuracy_drop, "tries": plan.goal_tries}
    for model in dict.fromkeys(c.model for c in cells):
        of_model = [c for c in cells if c.model == model]
        try:
            given = _model_input(of_model[0], host, plan, settings)
        except HarnessError as error:
            outcome |= {c.name: _failure(c, error) for c in of_model}
            continue
        aims: dict[str, Aim] = {}
        for cell in of_model:
            try:
                references = _references(cell, host, plan, settings, identities)
            except HarnessError as error:
                outcome[cell.name] = _failure(cell, error)
            else:
                aims[cell.name] = Aim(cost=cell.cost, goal=goal, references=references)
        _add_jobs(host, given, [c for c in of_model if c.name in aims], aims, jobs)
    results = _run(jobs, plan, settings, progress)
    for name, key in jobs.last_of.items():
        result = results[key]
        model_input = jobs.by_key[key].model
        outcome[name] = BuiltVariant(model=model_input, built=result) if isinstance(result, Built) else result
    return outcome


def _failure(cell: Cell, error: HarnessError) -> Failure:
    return Failure(stage="build", plugin=cell.source.provider, error=error.message, hint=error.hint)


def _run(jobs: _Jobs, plan: Plan, settings: BuildSettings, progress: Progress) -> Mapping[str, Result]:
    progress.stage("building", len(jobs.by_key), then=f"measuring, budget {plan.budget_s:g} s")
    rest = remaining(jobs.by_key.values(), settings.lanes)
    results = {}

    def started(job: Job) -> None:
        rest.start(job)
        progress.say(job.label(), rest.left())

    for job, result in build_all(jobs.by_key.values(), settings, started):
        results[job.key] = result
        progress.step(f"{job.label()}: {_became(result, rest.end(job))}", rest.left())
    return results


def _became(result: Result, seconds: float | None) -> str:
    if isinstance(result, Failure):
        return f"failed: {result.error}"
    return "from the cache" if seconds is None else f"built in {seconds:.1f} s"


def _add_jobs(host: Host, given: ModelInput, cells: Sequence[Cell], aims: Mapping[str, Aim], jobs: _Jobs) -> None:
    """Add the jobs of a model's cells; the one that loads the plain model goes first and writes its folder."""
    first = ""
    for cell in sorted(cells, key=lambda c: not c.baseline):
        if isinstance(cell.route, NoRoute):
            continue
        chain = jobs_of(host, given, cell.route, aims[cell.name])
        for job in chain:
            first = first or job.key
            known = jobs.by_key.get(job.key)
            after = "" if job.parent or job.key == first else first
            wanted = job.read_graph or (known is not None and known.read_graph)
            jobs.by_key[job.key] = replace(job, after=after, read_graph=wanted)
        jobs.last_of[cell.name] = chain[-1].key


def _model_input(cell: Cell, host: Host, plan: Plan, settings: BuildSettings) -> ModelInput:
    source = cell.source
    availability = source.contribution.available()
    if not availability.ok:
        hint = f"Install it with: {availability.install}" if availability.install else ""
        raise HarnessError(f"{cell.model}: {availability.reason}", hint=hint)
    identity = _identity(source, cell.model, plan, settings)
    data_identity = tree_sha256(Path(plan.data)) if plan.data else ""
    origin = next((p.origin for p in host.plugins if p.name == source.plugin), "")
    versions = {name: installed_version(name) for name in source.contribution.requires}
    host_version = installed_version(DISTRIBUTION)  # which divides data and writes the model folder
    key = digest_of([cell.model, identity, data_identity, plan.seed, versions, source_digest(origin), host_version])
    return ModelInput(
        ref=cell.model,
        source=source.name,
        plugin=source.plugin,
        provider=source.provider,
        format=source.contribution.format,
        identity=identity,
        data=plan.data,
        data_identity=data_identity,
        seed=plan.seed,
        key=key,
    )


def _references(
    cell: Cell, host: Host, plan: Plan, settings: BuildSettings, identities: dict[str, str]
) -> Mapping[str, str]:
    """Identity of every further model that a technique of the cell takes part with; each is told once."""
    steps = () if isinstance(cell.route, NoRoute) else cell.route
    wanted = tuple(dict.fromkeys(ref for step in steps for ref in step.references))
    for ref in wanted:
        if ref not in identities:
            source = next(s for s in host.models if s.contribution.claims(ref))
            identities[ref] = _identity(source, ref, plan, settings)
    return {ref: identities[ref] for ref in wanted}


def _identity(source: Registered[ModelSource], ref: str, plan: Plan, settings: BuildSettings) -> str:
    """Identity of a model's content; where only loading tells, it is loaded once."""
    return source.contribution.identity(ref) or _identify(source, ref, plan, settings)


def _identify(source: Registered[ModelSource], ref: str, plan: Plan, settings: BuildSettings) -> str:
    with Worker(settings.limits) as worker:
        reply = worker.request(
            "identify",
            plugins=[asdict(p) for p in settings.plugins],
            source=source.name,
            ref=ref,
            cache=str(settings.cache.sources()),
            seed=plan.seed,
        )
    return str(reply["identity"])
