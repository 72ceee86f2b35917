"""Times of a variant's operators, kept beside its outputs: they say where the time goes, and that does not change."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from harness.build.cache import discard
from harness.operator_time import OperatorTime

if TYPE_CHECKING:
    from pathlib import Path

    from harness.measure.subject import Subject


def operator_file(subject: Subject, threads: int) -> Path:
    """Where a subject's operator times belong: keyed as its outputs are, and by the threads."""
    return subject.outputs.with_suffix(f".operators-{threads}.json")


def read_operators(path: Path) -> tuple[OperatorTime, ...] | None:
    """Operator times that were kept, or None where there are none; a damaged file is dropped."""
    if not path.is_file():
        return None
    try:
        return tuple(OperatorTime(**operator) for operator in json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        discard(path)
        return None


def write_operators(path: Path, operators: Sequence[OperatorTime]) -> None:
    """Keep operator times; a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps([asdict(operator) for operator in operators]), encoding="utf-8")
    draft.replace(path)
