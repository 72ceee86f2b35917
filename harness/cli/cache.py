"""`bench cache`."""

from __future__ import annotations

import click

from harness.cli.listing import print_json, print_text
from harness.cli.options import json_option


@click.command()
@click.option("--clear", is_flag=True, help="Remove everything that was built, trained and scored.")
@json_option
def cache(*, clear: bool, as_json: bool) -> None:
    """Show where built variants are kept and how large that is."""
    from harness.build.cache import ENVIRONMENT, open_cache

    opened = open_cache()
    size = opened.size_bytes()
    if clear:
        opened.clear()
    if as_json:
        print_json(
            {"path": str(opened.root), "size_bytes": 0 if clear else size, "cleared_bytes": size if clear else 0}
        )
        return
    click.echo(f"{opened.root}   {size / 1e6:.1f} MB" + (" removed" if clear else ""))
    if not clear:
        print_text(f"Move it with the environment variable {ENVIRONMENT}; empty it with: bench cache --clear")
