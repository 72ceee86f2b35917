"""Every hook, in the order in which a run calls them.

A hook is a module-level function in a plugin, marked with `harness.hookimpl`, that returns or yields contributions.
It is called once when the host loads plugins. Yielding nothing is fine. A hook that raises, or yields something
else than what its specification says, is recorded against the plugin and shown by `bench plugins`; what it had
yielded before is dropped, and every other plugin goes on. Names must match `[a-z][a-z0-9-]*`. All hooks exist since
API version 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pluggy

from harness.contributions import (
    Backend,
    Converter,
    GraphReader,
    GraphWriter,
    Implementation,
    Meter,
    ModelSource,
    ReportFormat,
    Technique,
    Trainer,
)

PROJECT = "harness"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def harness_models() -> Iterable[ModelSource]:
    """Model sources: they turn a reference such as `zoo:har-watch` into a network with its data."""
    raise NotImplementedError


@hookspec
def harness_techniques() -> Iterable[Technique]:
    """Optimisations by name, with their options; one owner a name."""
    raise NotImplementedError


@hookspec
def harness_implementations() -> Iterable[Implementation]:
    """How a technique is done on a format; any plugin may add a format to anybody's technique."""
    raise NotImplementedError


@hookspec
def harness_trainers() -> Iterable[Trainer]:
    """Trainers of live objects, one a framework; the host takes the first by name that is available."""
    raise NotImplementedError


@hookspec
def harness_converters() -> Iterable[Converter]:
    """Ways from one format to another; the host finds the cheapest faithful chain."""
    raise NotImplementedError


@hookspec
def harness_graph_readers() -> Iterable[GraphReader]:
    """Readers that turn a file into an `OpGraph`; one a format."""
    raise NotImplementedError


@hookspec
def harness_graph_writers() -> Iterable[GraphWriter]:
    """Writers that turn an `OpGraph` into a file with random weights, to profile a machine with; one a format."""
    raise NotImplementedError


@hookspec
def harness_backends() -> Iterable[Backend]:
    """Runtimes that open variants."""
    raise NotImplementedError


@hookspec
def harness_meters() -> Iterable[Meter]:
    """Energy counters of this machine; the host takes the first by name that is available."""
    raise NotImplementedError


@hookspec
def harness_profiles() -> Iterable[Path]:
    """Folders of TOML files, each a device profile."""
    raise NotImplementedError


@hookspec
def harness_report_formats() -> Iterable[ReportFormat]:
    """Ways to write a report, saved as `report<suffix>` beside the host's own by `bench run` and `bench report`.

    A format that raises, or whose file another one writes, costs that file and a warning; the others are written and
    the exit code stays what it is.
    """
    raise NotImplementedError
