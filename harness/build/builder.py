"""The builder: runs jobs in build processes, a few at a time, each result cached."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.build.cache import discard
from harness.build.model_folder import ModelFolder, read_model_folder
from harness.errors import HarnessError
from harness.process.worker import RemoteError, Worker, kill_all
from harness.record import Failure, LineageStep, SkipReason

if TYPE_CHECKING:
    from harness.build.cache import Cache
    from harness.build.job import Job
    from harness.host import PluginSource
    from harness.process.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A file that a job made, or that the cache held.

    Attributes:
        path: The file or folder.
        graph: Path of its `graph.json`, or None when no reader knows the format.
        lineage: Steps from the model to this file.
    """

    key: str
    path: Path
    format: str
    sha256: str
    size_bytes: int
    download_bytes: int
    lineage: tuple[LineageStep, ...]
    graph: Path | None
    cached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """How to build: lanes at a time, threads of each, limits, and the plugins that a build process loads."""

    cache: Cache
    lanes: int
    threads: int
    limits: Limits
    plugins: tuple[PluginSource, ...]


Result = Built | Failure


def build_all(
    jobs: Iterable[Job], settings: BuildSettings, started: Callable[[Job], None]
) -> Iterator[tuple[Job, Result]]:
    """Run jobs as soon as what they wait for is there; yield each with its file or its failure as it ends.

    A job whose parent failed fails with the parent's failure.
    """
    waiting = {job.key: job for job in jobs}
    results: dict[str, Result] = {}
    running: dict[Future[Result], Job] = {}
    with ThreadPoolExecutor(max_workers=settings.lanes, thread_name_prefix="build") as pool:
        try:
            while waiting or running:
                for job in [j for j in waiting.values() if _ready(j, results)]:
                    del waiting[job.key]
                    running[pool.submit(_one, job, results.get(job.parent), settings, started)] = job
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    job = running.pop(future)
                    results[job.key] = future.result()
                    yield job, results[job.key]
        except BaseException:  # interrupted: do not wait for jobs that nobody wants any more
            pool.shutdown(wait=False, cancel_futures=True)
            kill_all()
            raise


def _ready(job: Job, results: Mapping[str, Result]) -> bool:
    return all(key in results for key in (job.parent, job.after) if key)


def _one(job: Job, parent: Result | None, settings: BuildSettings, started: Callable[[Job], None]) -> Result:
    if isinstance(parent, Failure):
        return parent
    model_folder = _model_folder(job, settings)
    cached = _cached(job, parent, settings) if model_folder else None
    if cached:
        return cached
    lacking = _lacking(job, model_folder) if model_folder else None
    if lacking:
        return lacking
    started(job)
    try:
        return _build(job, parent, settings)
    except RemoteError as error:
        return Failure(stage="build", plugin=error.plugin or _provider(job), error=error.message, hint=error.hint)
    except HarnessError as error:
        return Failure(stage="build", plugin=_provider(job), error=f"{job.label()}: {error.message}", hint=error.hint)


DAMAGED = (OSError, ValueError, KeyError, TypeError)
"""What reading an entry raises that a full disk or a power cut has spoilt."""


def _model_folder(job: Job, settings: BuildSettings) -> ModelFolder | None:
    """The job's model folder, or None when it has to be made."""
    folder = settings.cache.entry("models", job.model.key)
    try:
        return read_model_folder(folder)
    except DAMAGED:
        discard(folder)
        return None


def _cached(job: Job, parent: Built | None, settings: BuildSettings) -> Built | None:
    """What the cache holds for a job; an entry that cannot be used is dropped."""
    folder = settings.cache.entry("variants", job.key)
    try:
        built = _read(folder, job, parent)
    except DAMAGED:
        built = None
    if built and built.path.exists() and (built.graph or not job.read_graph):
        return built
    discard(folder)
    return None


def _lacking(job: Job, model: ModelFolder) -> Failure | None:
    """A failure when a step needs data that the model is known not to have."""
    for step in job.steps:
        missing = [need for need in step.needs if need not in model.has]
        if missing:
            return Failure(
                stage="build",
                plugin=step.provider,
                error=f"{SkipReason.NEEDS_DATA}: {step.label} needs {' and '.join(missing)}",
                hint="Give data with --data: a folder of pictures (a sub-folder per class) or an .npz with x and y.",
                reason=SkipReason.NEEDS_DATA.name,
            )
    return None


def _provider(job: Job) -> str:
    return job.steps[-1].provider if job.steps else job.model.provider


def _build(job: Job, parent: Built | None, settings: BuildSettings) -> Built:
    cache = settings.cache
    scratch = cache.scratch()
    model_folder = cache.entry("models", job.model.key)
    model_scratch = None if parent or (model_folder / "model.json").is_file() else cache.scratch()
    try:
        with Worker(settings.limits, {"OMP_NUM_THREADS": str(settings.threads)}) as worker:
            facts = worker.request("build", **_message(job, parent, settings), workdir=str(scratch),
                                   model_folder=str(model_folder),
                                   write_model_folder=str(model_scratch) if model_scratch else "")  # fmt: skip
        facts["parent"] = job.parent
        (scratch / "node.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        if model_scratch:
            cache.commit(model_scratch, "models", job.model.key)
        folder = cache.commit(scratch, "variants", job.key)
    finally:
        discard(scratch)
        if model_scratch:
            discard(model_scratch)
    return _read(folder, job, parent, cached=False)


def _message(job: Job, parent: Built | None, settings: BuildSettings) -> dict[str, Any]:
    return {
        "plugins": [asdict(p) for p in settings.plugins],
        "cache": str(settings.cache.sources()),
        "source": job.model.source,
        "ref": job.model.ref,
        "data": job.model.data,
        "seed": job.model.seed,
        "threads": settings.threads,
        "parent": {"path": str(parent.path), "format": parent.format, "sha256": parent.sha256} if parent else None,
        "steps": [asdict(step) for step in job.steps],
        "read_graph": job.read_graph,
        "cost": asdict(job.aim.cost) if job.aim.cost else None,
        "goal": job.aim.goal,
        "reference": _reference(parent) if parent else None,
    }


def _reference(parent: Built) -> dict[str, Any] | None:
    """Accuracy of the model as it was loaded, where it was judged."""
    source = parent.lineage[0] if parent.lineage else None
    if source is None or source.accuracy is None:
        return None
    return {"accuracy": source.accuracy, "accuracy_n": source.accuracy_n}


def _read(folder: Path, job: Job, parent: Result | None, *, cached: bool = True) -> Built:
    facts = json.loads((folder / "node.json").read_text(encoding="utf-8"))
    own = tuple(LineageStep(**{**step, "notes": tuple(step["notes"])}) for step in facts["lineage"])
    before = parent.lineage if isinstance(parent, Built) else ()
    graph = folder / "graph.json"
    return Built(
        key=job.key,
        path=folder / facts["path"],
        format=facts["format"],
        sha256=facts["sha256"],
        size_bytes=facts["size_bytes"],
        download_bytes=facts["download_bytes"],
        lineage=before + own,
        graph=graph if graph.is_file() else None,
        cached=cached,
    )
