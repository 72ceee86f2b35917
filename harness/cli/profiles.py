"""`bench profiles`."""

from __future__ import annotations

import click

from harness.cli.listing import print_json, print_table
from harness.cli.options import json_option


@click.command()
@json_option
def profiles(*, as_json: bool) -> None:
    """Show the devices that estimates are made for."""
    from dataclasses import asdict

    from harness.host import load_host
    from harness.profile_file import builtin_folder, load_profiles

    known = load_profiles([builtin_folder(), *load_host().profile_folders])
    if as_json:
        print_json([asdict(p) for p in known.values()])
        return
    rows = [{"profile": p.name, "device": p.title, "what": p.summary} for p in known.values()]
    print_table([*rows, {"profile": "host", "device": "this machine", "what": "detected when it is asked for"}])
