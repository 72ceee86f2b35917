"""`bench techniques`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli.completion import complete_technique
from harness.cli.listing import print_json, print_table, print_text
from harness.cli.options import block_option, json_option, load_plugins, plugin_option, warn
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.contributions import Technique
    from harness.host import Host
    from harness.registry import Registered


@click.command()
@click.argument("name", required=False, shell_complete=complete_technique)
@json_option
@plugin_option
@block_option
def techniques(*, name: str | None, as_json: bool, sources: tuple[str, ...], block: tuple[str, ...]) -> None:
    """Show the techniques that recipes are made of, or one with all its options.

    NAME is a technique such as those that the list shows.
    """
    from harness.recipe import as_toml

    host = load_plugins(sources, block)
    chosen = [host.techniques.get(name)] if name else list(host.techniques)
    rows = [_row(host, item) for item in chosen]
    if as_json:
        print_json(rows)
    elif name:
        _show(rows[0], chosen[0].contribution)
    else:
        for row in rows:
            row["options"] = "\n".join(f"{k}={as_toml(v)}" for k, v in row["options"].items()) or "–"
        print_table([{k: row[k] for k in ("technique", "on", "options", "summary")} for row in rows])
        click.echo()
        print_text("A recipe chains them: prune-magnitude(amount=0.5)+int8-static")
        print_text("What an option means: bench techniques NAME")


def _row(host: Host, item: Registered[Technique]) -> dict[str, Any]:
    from harness.options import as_mapping

    technique = item.contribution
    formats = sorted(i.contribution.format for i in host.implementations if i.contribution.technique == item.name)
    return {
        "technique": item.name,
        "on": ", ".join(dict.fromkeys(formats)) or "nothing here",
        "stage": technique.stage,
        "options": as_mapping(technique.options()),
        "summary": technique.summary,
        "needs": _needs(technique),
        "source": technique.source,
        "provider": item.provider,
    }


def _needs(technique: Technique) -> list[str]:
    """What it needs with its default options; nothing where its plugin fails to tell, which stops no listing."""
    try:
        return sorted(technique.needs_with(technique.options()))
    except HarnessError as error:
        warn(error.message)
        return []


def _show(row: dict[str, Any], technique: Technique) -> None:
    from harness.options import describe_options

    print_text(f"{row['technique']}: {row['summary']}.")
    print_text(f"On {row['on']}; stage {row['stage']}; by {row['provider']}.")
    if row["needs"]:
        print_text(f"Needs {', '.join(row['needs'])}.")
    if row["source"]:
        print_text(f"Source: {row['source']}.")
    for option in describe_options(technique.options):
        click.echo(f"\n{option.name}={option.default}")
        print_text(option.text, indent="  ")
