"""Scoring: outputs of a variant in a backend on the test split, a few processes at a time, cached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.build.cache import discard
from harness.digest import digest_of
from harness.errors import HarnessError
from harness.measure.opened import Opened, failure_of, kept, open_all, prepare_all
from harness.process.worker import first_to_answer
from harness.record import Failure

if TYPE_CHECKING:
    from harness.measure.subject import MeasureSettings, Subject


def outputs_key(
    variant_sha256: str, model_key: str, backend: Sequence[Any], cpu: str, corruptions: Sequence[str] = ()
) -> str:
    """What decides the outputs: the file, the rows, the runtime with its options and version, and the processor.

    The processor takes part because one int8 file gives different numbers on processors with and without
    dot-product instructions.
    """
    return digest_of([variant_sha256, model_key, list(backend), cpu, *corruptions])


def score_apart(subjects: Sequence[Subject], settings: MeasureSettings) -> dict[str, Failure]:
    """Score subjects that are not timed, in processes of their own; returns what failed."""
    wanted = [s for s in subjects if not s.outputs.is_file()]
    failures: dict[str, Failure] = {}
    prepared = list(kept(prepare_all(wanted, settings), failures))
    ready = list(kept(open_all(prepared, settings.threads, settings.lanes), failures))
    failures |= score_opened(ready, settings.lanes)
    for opened in ready:
        opened.worker.kill()
    return failures


def score_opened(opened: Sequence[Opened], lanes: int) -> dict[str, Failure]:
    """Score open sessions whose outputs are not there yet, a few at a time; returns what failed.

    Nothing is timed, so sessions may overlap.
    """
    waiting = [o for o in opened if not o.subject.outputs.is_file()]
    pending: list[Opened] = []
    failures: dict[str, Failure] = {}
    while waiting or pending:
        while waiting and len(pending) < lanes:
            pending.append(waiting.pop(0))
            pending[-1].subject.outputs.parent.mkdir(parents=True, exist_ok=True)
            pending[-1].ask_to_score()
        session = pending.pop(first_to_answer([o.worker for o in pending]))
        scratch = session.scratch_outputs
        try:
            session.worker.receive()
            scratch.rename(session.subject.outputs)
        except HarnessError as error:
            discard(scratch)
            failures[session.subject.name] = failure_of(session, "quality", error)
    return failures
