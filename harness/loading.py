"""Finds, loads, checks and asks plugins, one by one, and keeps every failure as data.

pluggy isolates nothing by itself: one failing import stops all loading, one raising hook discards everybody's
results, and a hook written as a generator fails after the call. So plugins are loaded one by one, asked one by one,
and their answers are consumed inside the `try`.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from harness import API_VERSION, contributions, hookspecs
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
from harness.errors import HarnessError, PluginError, UsageError
from harness.guard import Owner, checked, guarded
from harness.host import GIVEN, Host, Plugin, PluginFailure, provider_of
from harness.plugin_file import absolute, is_plugin_file, load_plugin_file, plugin_name, raised_at
from harness.registry import Registered, Registry

GROUP = "harness.plugins"

YIELDS: dict[str, type] = {
    "harness_models": ModelSource,
    "harness_techniques": Technique,
    "harness_implementations": Implementation,
    "harness_trainers": Trainer,
    "harness_converters": Converter,
    "harness_graph_readers": GraphReader,
    "harness_graph_writers": GraphWriter,
    "harness_backends": Backend,
    "harness_meters": Meter,
    "harness_profiles": Path,
    "harness_report_formats": ReportFormatContribution,
}
"""Every hook and the type that it yields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    name: str
    target: str
    distribution: str
    version: str
    entry_point: EntryPoint | None = None

    def load(self) -> Any:
        if self.entry_point is not None:
            return self.entry_point.load()
        if is_plugin_file(self.target):
            return load_plugin_file(self.target)
        if EntryPoint.pattern.match(self.target) is None:
            hint = f"Give a file that ends in .py; of a package: {Path(self.target) / '__init__.py'}"
            raise UsageError(f"{self.target} is neither the name of a module nor a plugin file.", hint=hint)
        return EntryPoint(name="", value=self.target, group=GROUP).load()

    @property
    def provider(self) -> str:
        return provider_of(self.name, self.distribution, self.version)


@dataclass(slots=True)
class _Loading:
    manager: pluggy.PluginManager
    plugins: list[Plugin] = field(default_factory=list)
    failures: list[PluginFailure] = field(default_factory=list)
    late: list[PluginFailure] = field(default_factory=list)
    active: dict[str, Any] = field(default_factory=dict)
    by_name: dict[str, _Candidate] = field(default_factory=dict)

    def fail(self, plugin: str, stage: str, error: BaseException) -> None:
        self.failures.append(self._failure(plugin, stage, error))

    def fail_late(self, plugin: str, stage: str, error: BaseException) -> None:
        failure = self._failure(plugin, stage, error)
        if failure not in self.late:
            self.late.append(failure)

    def owner(self, candidate: _Candidate) -> Owner:
        return Owner(
            plugin=candidate.name,
            provider=candidate.provider,
            origin=self._origin(candidate.name),
            tell=lambda stage, error: self.fail_late(candidate.name, stage, error),
        )

    def _failure(self, plugin: str, stage: str, error: BaseException) -> PluginFailure:
        kind = "" if isinstance(error, HarnessError) else f"{type(error).__name__}: "
        said = error.msg if isinstance(error, SyntaxError) else error  # its text repeats the place
        text = f"{kind}{said}".strip().rstrip(":")
        trace = "".join(traceback.format_exception(error))
        place = "" if isinstance(error, HarnessError) else raised_at(error, self._origin(plugin))
        return PluginFailure(plugin=plugin, stage=stage, error=text, trace=trace, place=place)

    def _origin(self, plugin: str) -> str:
        target = self.by_name[plugin].target
        given = target if is_plugin_file(target) else ""
        return getattr(self.active.get(plugin), "__file__", None) or given


def load_host(
    *, sources: Sequence[str] = (), allow: Collection[str] | None = None, block: Collection[str] = ()
) -> Host:
    """Find and load plugins.

    Args:
        sources: Importable module names or `.py` files loaded as plugins besides the installed ones. Nothing is
            loaded from the current folder that is not named here.
        allow: Names of the plugins to load, or None for all. The environment variable BENCH_PLUGINS, a
            comma-separated list, means the same; empty means none.
        block: Names never to import.
    """
    if allow is None and "BENCH_PLUGINS" in os.environ:
        allow = [n for n in os.environ["BENCH_PLUGINS"].split(",") if n]
    candidates = _candidates(sources)
    return _load_all(
        candidates, {c.name for c in candidates if c.name not in block and (allow is None or c.name in allow)}
    )


def load_given(sources: Iterable[Mapping[str, str]]) -> Host:
    """Load exactly the plugins that a host named with `plugin_sources`; for child processes."""
    given = [
        _Candidate(name=s["name"], target=s["target"], distribution=s["distribution"], version=s["version"])
        for s in sources
    ]
    return _load_all(given, {c.name for c in given})


def _load_all(candidates: Sequence[_Candidate], wanted: Collection[str]) -> Host:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    loading = _Loading(manager)
    for candidate in candidates:
        _load(loading, candidate, wanted=candidate.name in wanted)
    found = {hook: list(_ask_all(loading, hook, kind)) for hook, kind in YIELDS.items()}
    return _host(loading, found)


def _candidates(sources: Sequence[str]) -> list[_Candidate]:
    found: list[_Candidate] = []
    seen: set[str] = set()
    for ep in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        distribution = ep.dist.metadata["Name"] if ep.dist else "unknown distribution"
        version = ep.dist.version if ep.dist else ""
        name = ep.name if ep.name not in seen else f"{ep.name}@{distribution}"
        seen.add(name)
        found.append(_Candidate(name=name, target=ep.value, distribution=distribution, version=version, entry_point=ep))
    for source in dict.fromkeys(absolute(s) for s in sources):
        if source in {c.target for c in found}:  # an installed one, named once more
            continue
        names = (plugin_name(source), Path(source).name, source)
        name = next(n for n in names if n not in seen)
        seen.add(name)
        found.append(_Candidate(name=name, target=source, distribution=GIVEN, version=""))
    return found


def _load(loading: _Loading, candidate: _Candidate, *, wanted: bool) -> None:
    loading.by_name[candidate.name] = candidate
    status, origin, api, import_ms = "blocked", "", None, 0.0
    if wanted:
        started = time.perf_counter()
        status = "ready"
        try:
            module = candidate.load()
            origin = getattr(module, "__file__", None) or ""
            api = getattr(module, "HARNESS_API", None)
            _check_api(candidate, api)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything; it becomes data
            loading.fail(candidate.name, "import", error)
            status = "broken"
        else:
            if not _register(loading, candidate, module):
                status = "broken"
        import_ms = (time.perf_counter() - started) * 1e3
    loading.plugins.append(
        Plugin(
            name=candidate.name,
            target=candidate.target,
            distribution=candidate.distribution,
            version=candidate.version,
            status=status,
            import_ms=import_ms,
            origin=origin,
            api=api,
        )
    )


def _check_api(candidate: _Candidate, stated: Any) -> None:
    if stated not in (None, API_VERSION):
        raise PluginError(
            f"it is written for plugin API {stated}, this is {API_VERSION}.",
            hint=f"Install a version of {candidate.distribution} for API {API_VERSION}.",
        )


def _register(loading: _Loading, candidate: _Candidate, module: Any) -> bool:
    manager = loading.manager
    try:
        manager.register(module, name=candidate.name)
        manager.check_pending()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - see above
        loading.fail(candidate.name, "register", error)
        if manager.has_plugin(candidate.name):
            manager.unregister(name=candidate.name)
        return False
    loading.active[candidate.name] = module
    return True


def _ask_all(loading: _Loading, hook: str, kind: type) -> Iterable[Registered[Any]]:
    for name, module in sorted(loading.active.items()):
        others = [m for m in loading.active.values() if m is not module]
        call = loading.manager.subset_hook_caller(hook, others)
        candidate = loading.by_name[name]
        try:
            owner = loading.owner(candidate)
            items = [guarded(checked(hook, kind, item), owner) for result in call() for item in result]
        except (Exception, SystemExit) as error:  # noqa: BLE001 - see above
            loading.fail(name, hook, error)
            continue
        for item in items:
            yield Registered(
                name=_name_of(item),
                contribution=item,
                plugin=name,
                distribution=candidate.distribution,
                version=candidate.version,
            )


def _name_of(item: Any) -> str:
    if isinstance(item, contributions.Implementation):
        return f"{item.technique}@{item.format}"
    if isinstance(item, contributions.Converter):
        return f"{item.source} → {item.target}"
    if isinstance(item, contributions.GraphReader | contributions.GraphWriter):
        return item.format
    return str(getattr(item, "name", item))


def _host(loading: _Loading, found: dict[str, list[Registered[Any]]]) -> Host:
    broken = {f.plugin for f in loading.failures}
    plugins = [
        p if p.name not in broken else replace(p, status="partly broken" if p.name in loading.active else "broken")
        for p in loading.plugins
    ]
    return Host(
        plugins=tuple(plugins),
        failures=tuple(loading.failures),
        models=Registry("model source", "bench models", found["harness_models"]),
        techniques=Registry("technique", "bench techniques", found["harness_techniques"]),
        implementations=tuple(found["harness_implementations"]),
        trainers=Registry("trainer", "bench plugins", found["harness_trainers"]),
        converters=tuple(found["harness_converters"]),
        graph_readers=Registry("graph reader", "bench plugins", found["harness_graph_readers"]),
        graph_writers=Registry("graph writer", "bench plugins", found["harness_graph_writers"]),
        backends=Registry("backend", "bench plugins", found["harness_backends"]),
        meters=Registry("meter", "bench plugins", found["harness_meters"]),
        profile_folders=tuple(r.contribution for r in found["harness_profiles"]),
        report_formats=Registry("report format", "bench plugins", found["harness_report_formats"]),
        late=loading.late,
    )
