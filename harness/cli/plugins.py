"""`bench plugins`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli.listing import print_json, print_table, print_text
from harness.cli.options import block_option, json_option, look_at_plugins, plugin_option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.host import Host, Plugin
    from harness.registry import Registered


@click.command()
@click.argument("name", required=False)
@click.option("--verbose", "-v", is_flag=True,
              help="Of each plugin also its file, API, import time, and what is here of what it adds.")  # fmt: skip
@json_option
@plugin_option
@block_option
def plugins(
    *, name: str | None, verbose: bool, as_json: bool, sources: tuple[str, ...], block: tuple[str, ...]
) -> None:
    """Show each plugin, what it adds, and what is wrong with it; or the plugin NAME in full.

    A plugin is ready, unavailable (with the command that installs what it needs), blocked, partly broken or broken.
    One that was given with --plugin is listed beside the installed ones.
    """
    from harness import API_VERSION

    host = look_at_plugins(sources, block)
    facts = [plugin_facts(host, plugin) for plugin in _chosen(host, name)]
    clashes = _clashes(host)
    if as_json:
        print_json({"api_version": API_VERSION, "plugins": facts, "clashes": clashes})
        return
    if name or verbose:
        from harness.cli.plugin_view import print_plugin

        for number, plugin in enumerate(facts):
            if number:
                click.echo()
            print_plugin(plugin, summaries=bool(name))
    else:
        _print_table(facts)
    for kind, clashing, providers in clashes:
        text = f"The {kind} {clashing!r} is provided by {' and '.join(providers)}: asking for it fails; block one."
        click.echo()
        print_text(text)


def _chosen(host: Host, name: str | None) -> tuple[Plugin, ...]:
    from harness.errors import UnknownNameError
    from harness.registry import near_miss

    found = tuple(plugin for plugin in host.plugins if name in (None, plugin.name))
    if not found and name:
        hint = f"{near_miss(name, [p.name for p in host.plugins])}List what there is with: bench plugins"
        raise UnknownNameError(f"no plugin is named {name!r}.", hint=hint)
    return found


def _print_table(facts: list[dict[str, Any]]) -> None:
    columns = ("plugin", "status", "distribution", "contributes", "problem")
    shown = [{c: "\n".join(f[c]) if isinstance(f[c], list) else f[c] for c in columns} for f in facts]
    for row, fact in zip(shown, facts, strict=True):
        if fact["given"]:
            row["distribution"] = f"{row['distribution']}\n{fact['target']}"
    if not any(f["problem"] for f in facts):
        shown = [{k: v for k, v in row.items() if k != "problem"} for row in shown]
    print_table(shown)


def plugin_facts(host: Host, plugin: Plugin) -> dict[str, Any]:
    """All that is known of a plugin.

    Returns:
        Among others `contributes`, its contributions as text by kind; `contributions`, each with its availability; and
        `problem`, what is wrong as text.
    """
    parts = [_part(noun, item) for noun, items in _items_of(host, plugin.name).items() for item in items]
    missing = [] if plugin.status != "ready" else _missing(parts)
    return {
        "plugin": plugin.name,
        "status": "unavailable" if missing else plugin.status,
        "distribution": f"{plugin.distribution} {plugin.version}".strip(),
        "given": plugin.given,
        "target": plugin.target,
        "path": plugin.origin or (plugin.target if plugin.given else ""),
        "api": plugin.api,
        "import_ms": round(plugin.import_ms, 1),
        "contributes": [f"{noun}: {', '.join(names)}" for noun, names in contributions_of(host, plugin.name).items()],
        "contributions": parts,
        "problem": [str(f) for f in host.failures_of(plugin.name)] + missing,
        "failures": [
            {"stage": f.stage, "error": f.error, "place": f.place, "trace": f.trace}
            for f in host.failures_of(plugin.name)
        ],
    }


def contributions_of(host: Host, plugin: str) -> dict[str, list[str]]:
    """Names of what a plugin contributes, by kind; kinds that it does not contribute to are left out."""
    return {noun: [item.name for item in items] for noun, items in _items_of(host, plugin).items()}


def _items_of(host: Host, plugin: str) -> Mapping[str, list[Registered[Any]]]:
    registries: tuple[tuple[str, Any], ...] = (
        ("model source", host.models),
        ("technique", host.techniques),
        ("implementation", host.implementations),
        ("trainer", host.trainers),
        ("converter", host.converters),
        ("graph reader", host.graph_readers),
        ("graph writer", host.graph_writers),
        ("backend", host.backends),
        ("meter", host.meters),
        ("report format", host.report_formats),
    )
    found = {noun: [r for r in items if r.plugin == plugin] for noun, items in registries}
    return {noun: items for noun, items in found.items() if items}


def _part(noun: str, item: Registered[Any]) -> dict[str, Any]:
    """A contribution, and whether it can work here; one that needs nothing always can."""
    available = getattr(item.contribution, "available", None)
    found = available() if available else None
    return {
        "kind": noun,
        "name": item.name,
        "summary": getattr(item.contribution, "summary", ""),
        "available": found is None or found.ok,
        "reason": found.reason if found else "",
        "install": found.install if found else "",
    }


def _missing(parts: list[dict[str, Any]]) -> list[str]:
    """Why a plugin is not ready: a machine has one meter at most, so that one of them is enough."""
    meters = [part for part in parts if part["kind"] == "meter"]
    excused = meters if any(part["available"] for part in meters) else []
    missing = [part for part in parts if not part["available"] and part not in excused]
    return sorted({f"{part['reason']}{_advice(part)}" for part in missing})


def _advice(part: Mapping[str, Any]) -> str:
    bring = "run" if part["kind"] == "meter" else "install it with"
    return f"; {bring}: {part['install']}" if part["install"] else ""


def _clashes(host: Host) -> list[tuple[str, str, tuple[str, ...]]]:
    registries: tuple[Any, ...] = (
        host.models, host.techniques, host.trainers, host.graph_readers, host.graph_writers, host.backends, host.meters,
        host.report_formats,
    )  # fmt: skip
    return [(r.noun, name, providers) for r in registries for name, providers in r.clashes().items()]
