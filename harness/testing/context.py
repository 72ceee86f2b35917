"""A real `BuildContext`, with the host's own services behind it, for what a technique or converter is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.build.services import Services
from harness.build_context import BuildContext
from harness.contributions import LIVE
from harness.model import SPLITS, Data, Split, TensorSpec
from harness.testing.loading import load_among

if TYPE_CHECKING:
    from harness.graph import OpGraph
    from harness.host import Host
    from harness.model import Array

MS_PER_MAC = 1e-6
"""What an imaginary device takes for a multiply-accumulate: a cost that falls with work is all that a test needs."""


def build_context(
    folder: Path,
    *,
    host: Host | None = None,
    example: tuple[Array, ...] = (),
    data: Data | Split | None = None,
    note: Callable[[str], None] | None = None,
    fmt: str = LIVE,
) -> BuildContext:
    """What the host gives to a technique or converter: data, training, scores, counts and graphs that work.

    Change anything else of it with `dataclasses.replace`, such as `seed`, `cost` or `original`.

    Args:
        folder: Gets an empty work folder `work` and a folder `cache`; made where it is missing.
        host: Whose trainer, converters, readers and backends serve; all that are installed, unless given.
        example: One array per model input, batch 1; the first row of `data` unless given.
        data: The task's data; rows alone stand for all four splits.
        note: Takes a line for the lineage; nobody listens unless given.
        fmt: The format of what the step yields, which `score` is then asked about.
    """
    given = _as_data(data)
    if not example and isinstance(data, Split):
        example = tuple(x[:1] for x in data.inputs)
    workdir, cache = folder / "work", folder / "cache"
    workdir.mkdir(parents=True)
    cache.mkdir()
    bare = BuildContext(
        workdir=workdir,
        seed=0,
        threads=1,
        data=given,
        example=example,
        inputs=specs_of(example),
        outputs=("output",),
        note=note or _unheard,
    )
    return Services(host or load_among(), cache, bare).context_in(workdir, fmt)


def specs_of(arrays: tuple[Array, ...]) -> tuple[TensorSpec, ...]:
    """Specs of inputs by an example of each; the batch is free."""
    one = len(arrays) == 1
    return tuple(
        TensorSpec(name="input" if one else f"input_{i}", shape=(None, *x.shape[1:]), dtype=x.dtype.name)
        for i, x in enumerate(arrays)
    )


def cost_of(graph: OpGraph) -> float:
    """Latency in ms of a graph on an imaginary device whose time is its arithmetic alone."""
    return graph.macs * MS_PER_MAC


def with_cost(context: BuildContext) -> BuildContext:
    """The same context, for a technique that needs `cost`."""
    return replace(context, cost=cost_of)


def _as_data(data: Data | Split | None) -> Data | None:
    if not isinstance(data, Split):
        return data
    return Data(name="sample", sha256="sample", metric="top1", splits={name: lambda: data for name in SPLITS})


def _unheard(_line: str) -> None:
    return None
