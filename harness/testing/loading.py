"""Loads a plugin that is tested: by itself, or among those that are installed."""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from harness.host import GIVEN, Host
from harness.loading import GROUP, load_given, load_host
from harness.plugin_file import absolute, is_plugin_file, load_plugin_file, plugin_name


def name_of(plugin: str) -> str:
    """The name that the host has for a plugin: that of its entry point where it is installed.

    Args:
        plugin: An importable module, or the path of a .py file.
    """
    for entry in entry_points(group=GROUP):
        if plugin in (entry.value, entry.module):
            return entry.name
    return plugin_name(plugin)


@cache
def load_alone(plugin: str) -> Host:
    """A host of this plugin and no other."""
    return load_given([{"name": name_of(plugin), "target": absolute(plugin), "distribution": GIVEN, "version": ""}])


def load_among(*plugins: str) -> Host:
    """A host of these plugins and all that are installed, or those of them that BENCH_PLUGINS names."""
    return _load_among(tuple(dict.fromkeys(plugins)), os.environ.get("BENCH_PLUGINS"))


@cache
def _load_among(plugins: tuple[str, ...], allowed: str | None) -> Host:
    installed = {entry.name for entry in entry_points(group=GROUP)}
    names = {plugin: name_of(plugin) for plugin in plugins}
    allow = None if allowed is None else {*filter(None, allowed.split(",")), *names.values()}
    return load_host(sources=[plugin for plugin, name in names.items() if name not in installed], allow=allow)


@cache
def module_of(plugin: str) -> Any:
    """The plugin's own object, without the host's guard around what it contributes."""
    if is_plugin_file(plugin):
        return load_plugin_file(absolute(plugin))
    return EntryPoint(name="", value=plugin, group=GROUP).load()


def unguarded(plugin: str, hook: str, name: str) -> Any:
    """A contribution as the plugin yields it: the host's guard would answer in its place when it raises."""
    return next(item for item in getattr(module_of(plugin), hook)() if item.name == name)
