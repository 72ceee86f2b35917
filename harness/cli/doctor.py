"""`bench doctor`."""

from __future__ import annotations

import click

from harness.cli.listing import print_json, print_table
from harness.cli.options import block_option, json_option, look_at_plugins, plugin_option


@click.command()
@json_option
@plugin_option
@block_option
@click.pass_context
def doctor(ctx: click.Context, *, as_json: bool, sources: tuple[str, ...], block: tuple[str, ...]) -> None:
    """Say what is missing here and what disturbs a measurement.

    Every finding comes with what to do about it. Exits with 1 when something is broken.
    """
    from harness.diagnosis import diagnose

    findings = diagnose(look_at_plugins(sources, block))
    if as_json:
        print_json([{"what": f.what, "state": f.state, "advice": f.advice} for f in findings])
    else:
        print_table([{"what": f.what, "state": f.state, "advice": f.advice} for f in findings])
    if any(f.state == "broken" for f in findings):
        ctx.exit(1)
