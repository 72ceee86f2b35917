"""The plugins that were loaded, what they contribute, and what went wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.contributions import (
    Backend,
    Converter,
    GraphReader,
    GraphWriter,
    Implementation,
    Meter,
    ModelSource,
    Technique,
    Trainer,
)
from harness.contributions import ReportFormat as ReportFormatContribution
from harness.errors import UsageError
from harness.plugin_file import absolute, is_plugin_file, short
from harness.registry import Registered, Registry

GIVEN = "given with --plugin"
"""Stands for the distribution of a plugin that was named for one command and is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSource:
    """Where a plugin comes from, as a child process needs it: no installed metadata is searched there."""

    name: str
    target: str
    distribution: str
    version: str


def provider_of(name: str, distribution: str, version: str) -> str:
    """Who brought something, as messages name it: `plugin (distribution version)`."""
    return f"{name} ({f'{distribution} {version}'.strip()})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginFailure:
    """What a plugin did wrong, and where: `import`, `api`, `register`, or the name of a hook.

    Attributes:
        place: File and line of the plugin that it came from, or "" where it came from none.
    """

    plugin: str
    stage: str
    error: str
    trace: str = ""
    place: str = ""

    def __str__(self) -> str:
        return f"{self.stage}: {self.error}{f' ({self.place})' if self.place else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A plugin that was found, whatever became of it.

    Attributes:
        target: The module, or the absolute path of the one file.
        origin: File of the module, once it was imported.
        api: Plugin API that it states in `HARNESS_API`, or None where it states none.
    """

    name: str
    target: str
    distribution: str
    version: str
    status: str
    import_ms: float = 0.0
    origin: str = ""
    api: int | None = None

    @property
    def given(self) -> bool:
        """Whether it was named for this command, not found installed."""
        return self.distribution == GIVEN

    @property
    def provider(self) -> str:
        """Name, distribution and version in a line."""
        return provider_of(self.name, self.distribution, self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """All that the plugins contribute, and all that went wrong with them.

    Attributes:
        late: What went wrong after loading, where the host went on without the plugin's answer; it grows.
    """

    plugins: tuple[Plugin, ...]
    failures: tuple[PluginFailure, ...]
    models: Registry[ModelSource]
    techniques: Registry[Technique]
    implementations: tuple[Registered[Implementation], ...]
    trainers: Registry[Trainer]
    converters: tuple[Registered[Converter], ...]
    graph_readers: Registry[GraphReader]
    graph_writers: Registry[GraphWriter]
    backends: Registry[Backend]
    meters: Registry[Meter]
    profile_folders: tuple[Path, ...]
    report_formats: Registry[ReportFormatContribution]
    late: list[PluginFailure] = field(default_factory=list)

    def plugin_sources(self, *names: str) -> tuple[PluginSource, ...]:
        """What a child needs to load plugins that this host has loaded: those named, or all that work."""
        return tuple(
            PluginSource(name=p.name, target=p.target, distribution=p.distribution, version=p.version)
            for p in self.plugins
            if p.status in {"ready", "partly broken"} and (not names or p.name in names)
        )

    def failures_of(self, plugin: str) -> tuple[PluginFailure, ...]:
        """What one plugin did wrong."""
        return tuple(f for f in self.failures if f.plugin == plugin)

    def check_given(self, *sources: str) -> None:
        """Installed plugins that are broken stop nothing; one that was named for this command is wanted.

        Args:
            sources: The plugins to look at, or none for all that were given by hand.

        Raises:
            UsageError: One of them is broken.
        """
        wanted = [absolute(source) for source in sources]
        for plugin in self.plugins:
            failures = self.failures_of(plugin.name) if plugin.given else ()
            if failures and (not sources or plugin.target in wanted):
                source = short(Path(plugin.target)) if is_plugin_file(plugin.target) else plugin.target
                message = f"the plugin {source} is broken: {failures[0]}"
                raise UsageError(message, hint=f"Details: bench plugins --verbose --plugin {source}")
