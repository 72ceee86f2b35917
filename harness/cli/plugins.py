"""`bench plugins`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli.listing import print_json, print_table, print_text
from harness.cli.options import block_option, json_option, plugin_option

if TYPE_CHECKING:
    from harness.host import Host, Plugin


@click.command()
@click.option("--verbose", "-v", is_flag=True, help="Versions, import times, and tracebacks of broken plugins.")
@json_option
@plugin_option
@block_option
def plugins(*, verbose: bool, as_json: bool, sources: tuple[str, ...], block: tuple[str, ...]) -> None:
    """Show each plugin, what it adds, and what is wrong with it.

    A plugin is ready, unavailable (with the command that installs what it needs), blocked, partly broken or broken.
    """
    from harness.host import load_host

    host = load_host(sources=sources, block=block)
    rows = [_row(host, plugin) for plugin in host.plugins]
    clashes = _clashes(host)
    if as_json:
        print_json({"plugins": rows, "clashes": clashes})
        return
    columns = ("plugin", "status", "distribution", *(("import_ms",) if verbose else ()), "contributes", "problem")
    shown = [{c: "\n".join(r[c]) if isinstance(r[c], list) else r[c] for c in columns} for r in rows]
    if not any(r["problem"] for r in rows):
        shown = [{k: v for k, v in row.items() if k != "problem"} for row in shown]
    print_table(shown)
    for kind, name, providers in clashes:
        text = f"The {kind} {name!r} is provided by {' and '.join(providers)}: asking for it fails; block one."
        click.echo()
        print_text(text)
    if verbose:
        for failure in host.failures:
            click.echo(f"\n{failure.plugin}, {failure.stage}:\n{failure.trace}", err=True)


def _row(host: Host, plugin: Plugin) -> dict[str, Any]:
    contributions = [f"{noun}: {', '.join(names)}" for noun, names in contributions_of(host, plugin.name).items()]
    problems = [f"{f.stage}: {f.error}" for f in host.failures_of(plugin.name)]
    status, missing = _status(host, plugin)
    return {
        "plugin": plugin.name,
        "status": status,
        "distribution": f"{plugin.distribution} {plugin.version}".strip(),
        "import_ms": round(plugin.import_ms, 1),
        "contributes": contributions,
        "problem": problems + missing,
    }


def contributions_of(host: Host, plugin: str) -> dict[str, list[str]]:
    """Names of what a plugin contributes, by kind; kinds that it does not contribute to are left out."""
    registries = (
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
    found = {noun: [r.name for r in items if r.plugin == plugin] for noun, items in registries}
    return {noun: names for noun, names in found.items() if names}


def _status(host: Host, plugin: Plugin) -> tuple[str, list[str]]:
    if plugin.status != "ready":
        return plugin.status, []
    usable = [*host.backends, *host.models, *host.implementations, *host.trainers, *host.converters]
    meters = [m for m in host.meters if m.plugin == plugin.name]
    if not any(m.contribution.available().ok for m in meters):  # a machine has one at most: one that works is enough
        usable += meters
    missing = []
    for item in usable:
        if item.plugin != plugin.name:
            continue
        availability = item.contribution.available()
        if not availability.ok:
            bring = "run" if item in meters else "install it with"
            advice = f"; {bring}: {availability.install}" if availability.install else ""
            missing.append(f"{availability.reason}{advice}")
    return ("unavailable", sorted(set(missing))) if missing else ("ready", [])


def _clashes(host: Host) -> list[tuple[str, str, tuple[str, ...]]]:
    registries = (
        host.models, host.techniques, host.trainers, host.graph_readers, host.graph_writers, host.backends, host.meters,
        host.report_formats,
    )  # fmt: skip
    return [(r.noun, name, providers) for r in registries for name, providers in r.clashes().items()]
