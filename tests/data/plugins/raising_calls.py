"""Everything that the host itself asks of a plugin raises, or answers nonsense."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness

HARNESS_API = 1


def _raise(*_: Any) -> Any:
    raise ZeroDivisionError("not today")


@harness.hookimpl
def harness_models() -> Iterator[harness.ModelSource]:
    yield _source("unsure", claims=_raise, list_models=_raise)
    yield _source("odd-list", claims=lambda ref: False, list_models=lambda: ["odd:net"])
    yield _source("unchecked", claims=lambda ref: ref.startswith("unchecked:"), check=_raise)
    yield _source("nameless", claims=lambda ref: ref.startswith("nameless:"), identity=lambda ref: 7)


def _source(name: str, **given: Any) -> harness.ModelSource:
    usual: dict[str, Any] = {"list_models": tuple, "identity": lambda ref: ref}
    return harness.ModelSource(name=name, summary="", format="toy", load=_load, **{**usual, **given})


def _load(ref: str, cache: Path, seed: int) -> harness.Model:
    raise harness.ArtifactError("it is never loaded")


@harness.hookimpl
def harness_techniques() -> Iterator[harness.Technique]:
    yield harness.Technique(name="needy", summary="Cannot say what it needs.", stage="artifact", needs=_raise)
    yield harness.Technique(name="vague", summary="Needs one thing.", stage="artifact", needs=lambda options: "labels")  # type: ignore[arg-type,return-value]


@harness.hookimpl
def harness_implementations() -> Iterator[harness.Implementation]:
    for technique in ("needy", "vague"):
        yield harness.Implementation(technique=technique, format="toy", apply=_raise)


@harness.hookimpl
def harness_backends() -> Iterator[harness.Backend]:
    for name, environment in (("poisoned", _raise), ("blank", lambda threads: None)):
        yield harness.Backend(
            name=name,
            summary="",
            reads=("toy",),
            prepare=_raise,
            open=_raise,
            environment=environment,  # type: ignore[arg-type]
        )
