"""Runs a variant in a backend of the host, for checks that compare what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.build.services import Services
from harness.contributions import LIVE, SessionOptions
from harness.recipe import Recipe
from harness.route import NoRoute, find_route
from harness.testing.context import specs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.build_context import BuildContext
    from harness.contributions import Backend, Converter
    from harness.host import Host
    from harness.model import Array


def run_file(backend: Backend, path: Path, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Outputs of a file for inputs of batch 1, in one thread."""
    import numpy as np

    backend.prepare()
    options = SessionOptions(threads=1, options=backend.options(), inputs=specs_of(inputs))
    session = backend.open(path, options)
    try:
        session.bind(inputs)()
        return tuple(np.array(output) for output in session.outputs())
    finally:
        session.close()


def backends_for(host: Host, fmt: str) -> Sequence[Backend]:
    """Backends that run files of a format here, by name."""
    found = (b.contribution for b in host.backends if fmt in b.contribution.reads)
    return [b for b in found if not b.accelerator and b.available().ok]


def way_to_a_backend(host: Host, fmt: str) -> tuple[Backend, tuple[Converter, ...]] | None:
    """A backend for a format and the converters that lead to what it reads, the cheapest; None when there is no way."""
    found = []
    for item in host.backends:
        backend = item.contribution
        if backend.accelerator or not backend.available().ok:
            continue
        route = find_route(host, fmt, Recipe(steps=()), backend.reads)
        if not isinstance(route, NoRoute):
            by_name = {(c.name, c.plugin): c.contribution for c in host.converters}
            found.append((backend, tuple(by_name[step.name, step.plugin] for step in route)))
    return min(found, key=lambda way: sum(converter.cost for converter in way[1]), default=None)


def outputs_of(host: Host, value: Any, fmt: str, context: BuildContext) -> tuple[Array, ...] | None:
    """Outputs of a file or live object for the context's example; None when nothing here can run it."""
    if fmt == LIVE:
        trainer = Services(host, context.workdir, context).trainer()
        return None if trainer is None else (trainer.predict(value, context.example),)
    backend = next(iter(backends_for(host, fmt)), None)
    return None if backend is None else run_file(backend, Path(value), context.example)
