"""`bench compare`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.comparison import allow_unlike_option, alpha_option, compare_folders, markdown_option, show_page
from harness.cli.completion import complete_run
from harness.cli.listing import print_json
from harness.cli.options import json_option


@click.command()
@click.argument("run_a", type=click.Path(path_type=Path, file_okay=False), shell_complete=complete_run)
@click.argument("run_b", type=click.Path(path_type=Path, file_okay=False), shell_complete=complete_run)
@alpha_option
@allow_unlike_option
@markdown_option
@json_option
def compare(
    *, run_a: Path, run_b: Path, alpha: float, allow_unlike: tuple[str, ...], markdown: Path | None, as_json: bool
) -> None:
    """Say what changed from RUN_A to RUN_B, and what of it is more than noise.

    Cells are matched by model, recipe, backend and profile. Latency is compared over that of the baseline of the
    same run, in which the machine's drift cancels, and by itself; memory by process, sizes exactly, accuracy row
    by row. Runs of unlike machines, threads, data, seeds or versions of bench are refused.
    """
    from dataclasses import asdict

    from harness.compare.page import comparison_page

    found = compare_folders(run_a, run_b, alpha, allow_unlike)
    show_page(comparison_page(found), markdown, quiet=as_json)
    if as_json:
        print_json(asdict(found))
