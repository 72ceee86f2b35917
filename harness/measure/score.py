"""Scoring: outputs of every variant in every backend on the test split, a few processes at a time, cached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.build.cache import Cache, discard
from harness.digest import digest_of
from harness.errors import HarnessError
from harness.measure.opened import Opened, failure_of
from harness.process.worker import Worker
from harness.record import Failure

if TYPE_CHECKING:
    from harness.measure.subject import MeasureSettings, Subject

Scored = Path | Failure


def score_key(subject: Subject, cpu: str) -> str:
    """What decides the outputs: the file, the runtime with its options and version, the rows, and the processor.

    The processor takes part because one int8 file gives different numbers on processors with and without
    dot-product instructions.
    """
    return digest_of([
        subject.variant_sha256, subject.backend, dict(subject.options), dict(subject.versions), subject.provider,
        subject.model_folder.name, cpu,
    ])  # fmt: skip


def score_all(
    subjects: Sequence[Subject], settings: MeasureSettings, cache: Cache, cpu: str, say: Callable[[str], None]
) -> Iterator[tuple[Subject, Scored]]:
    """Yield for each subject the .npz file of its outputs, or why there is none."""
    pending: list[tuple[Opened, Path]] = []
    for subject in subjects:
        target = cache.entry("scores", f"{score_key(subject, cpu)}.npz")
        if target.is_file():
            yield subject, target
            continue
        if len(pending) >= settings.lanes:
            yield _receive(*pending.pop(0), cache)
        say(f"scoring {subject.label}")
        pending.append((_send(subject, settings, target), target))
    for opened, target in pending:
        yield _receive(opened, target, cache)


def _send(subject: Subject, settings: MeasureSettings, target: Path) -> Opened:
    target.parent.mkdir(parents=True, exist_ok=True)
    # processes that run side by side share the processors; nothing is timed here
    threads = max(1, settings.threads // settings.lanes)
    worker = Worker(settings.limits, subject.environment(threads))
    folder = str(subject.model_folder)
    worker.send("prepare", plugins=subject.plugins, sources=subject.sources, backend=subject.backend)
    worker.send("open", path=str(subject.path), model_folder=folder, threads=threads,
                options=dict(subject.options))  # fmt: skip
    worker.send("score", model_folder=folder, outputs=str(target.with_suffix(f".{worker.pid}")))
    return Opened(subject=subject, worker=worker)


def _receive(opened: Opened, target: Path, cache: Cache) -> tuple[Subject, Scored]:
    scratch = target.with_suffix(f".{opened.worker.pid}")
    stage = "open"
    try:
        opened.worker.receive()
        opened.worker.receive()
        stage = "quality"
        opened.worker.receive()
    except HarnessError as error:
        discard(scratch)
        return opened.subject, failure_of(opened, stage, error)
    opened.worker.close()
    return opened.subject, cache.commit(scratch, "scores", target.name)
