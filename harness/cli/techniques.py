"""`bench techniques`."""

from __future__ import annotations

from typing import Any

import click

from harness.cli.listing import print_json, print_table, print_text
from harness.cli.options import block_option, json_option, plugin_option


@click.command()
@json_option
@plugin_option
@block_option
def techniques(*, as_json: bool, sources: tuple[str, ...], block: tuple[str, ...]) -> None:
    """Show the techniques that recipes are made of."""
    from harness.host import load_host
    from harness.options import as_mapping

    host = load_host(sources=sources, block=block)
    rows: list[dict[str, Any]] = []
    for item in host.techniques:
        technique = item.contribution
        formats = sorted(i.contribution.format for i in host.implementations if i.contribution.technique == item.name)
        rows.append(
            {
                "technique": item.name,
                "on": ", ".join(dict.fromkeys(formats)) or "nothing here",
                "options": as_mapping(technique.options()),
                "summary": technique.summary,
                "needs": sorted(technique.needs_with(technique.options())),
                "source": technique.source,
                "provider": item.provider,
            }
        )
    if as_json:
        print_json(rows)
        return
    for row in rows:
        row["options"] = "\n".join(f"{k}={v}" for k, v in row["options"].items()) or "–"
    print_table([{k: row[k] for k in ("technique", "on", "options", "summary")} for row in rows])
    click.echo()
    print_text("A recipe chains them: prune-magnitude(amount=0.5)+int8-static")
