"""Networks with real data: two from packages, so that a first run needs nothing from outside, and more beside them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from bench_zoo.catalogue import entries, missing_distributions
from bench_zoo.packaged import INSTALL
from harness import AVAILABLE, ArtifactError, Availability, ModelInfo, ModelSource, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness import Model

HARNESS_API = 1
PREFIX = "zoo:"
EVERYBODY = ("torch", "numpy")
"""Packages that no network can do without; what else one needs, its own `check` says."""


@hookimpl
def harness_models() -> Iterable[ModelSource]:
    """The zoo."""
    yield ModelSource(
        name="zoo",
        summary="networks with real data from packages",
        claims=lambda ref: ref.startswith(PREFIX),
        format="module",
        list_models=list_models,
        load=load,
        identity=identity,
        available=available,
        check=check,
        default=("zoo:har-watch", "zoo:efficientnet-lite0"),
        requires=tuple(dict.fromkeys(name for entry in entries().values() for name in entry.distributions)),
    )


def list_models() -> Iterable[ModelInfo]:
    """All networks, and for each whether its packages and files are here."""
    return [entry.line() for entry in entries().values()]


def available() -> Availability:
    """Whether the packages that every network needs are installed."""
    missing = missing_distributions(EVERYBODY)
    if not missing:
        return AVAILABLE
    return Availability(ok=False, reason=f"not installed: {', '.join(missing)}", install=INSTALL)


def identity(ref: str) -> str | None:
    """Content identity of a network and its data, or None for a reference that the zoo does not know."""
    entry = entries().get(ref)
    return entry.identity() if entry else None


def load(ref: str, cache: Path, seed: int) -> Model:  # noqa: ARG001 -- the zoo's seeds are fixed, so that results compare
    """Load a network by its reference.

    Raises:
        ArtifactError: The zoo has no such network, or a package or file is missing or not the pinned one.
    """
    check(ref)
    return entries()[ref].load(cache)


def check(ref: str) -> None:
    """Raise ArtifactError when the zoo has no such network, or not what it needs."""
    known = entries()
    if ref not in known:
        near = get_close_matches(ref, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"It has {', '.join(known)}."
        raise ArtifactError(f"The zoo has no network {ref.removeprefix(PREFIX)!r}.", hint=hint)
    known[ref].require()
