"""`bench models`."""

from __future__ import annotations

import click

from harness.cli.listing import print_json, print_table, print_text
from harness.cli.options import block_option, json_option, load_plugins, plugin_option


@click.command()
@json_option
@plugin_option
@block_option
def models(*, as_json: bool, sources: tuple[str, ...], block: tuple[str, ...]) -> None:
    """Show the models there are, and how to name your own."""
    from dataclasses import asdict

    host = load_plugins(sources, block)
    infos = [info for source in host.models for info in source.contribution.list_models()]
    if as_json:
        print_json([asdict(info) for info in infos])
        return
    print_table(
        [
            {
                "model": i.ref,
                "task": i.task,
                "licence": i.licence,
                "what": i.summary if i.available else f"{i.summary}. Not here: {i.reason}",
            }
            for i in infos
        ]
    )
    click.echo("\nYour own:")
    for source in host.models:
        if not list(source.contribution.list_models()):
            print_text(source.contribution.summary, indent="  ")
