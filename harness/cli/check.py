"""`bench check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.comparison import (
    allow_unlike_option,
    alpha_option,
    compare_folders,
    markdown_option,
    show_page,
    write_file,
)
from harness.cli.completion import complete_run
from harness.cli.listing import print_json
from harness.cli.options import json_option

if TYPE_CHECKING:
    from harness.compare.check import Thresholds

ZERO_OR_MORE = click.FloatRange(min=0)

REGRESSION = 1
"""Exit code of a check that failed."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False), shell_complete=complete_run)
@click.option("--against", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="BASE",
              shell_complete=complete_run, help="Folder of the run that RUN must not be worse than.")  # fmt: skip
@alpha_option
@click.option("--latency", type=ZERO_OR_MORE, default=3.0, show_default=True, metavar="PERCENT",
              help="Change of latency that passes, even where it is significant.")  # fmt: skip
@click.option("--latency-ms", type=ZERO_OR_MORE, default=0.002, show_default=True, metavar="MS",
              help="The same in milliseconds; the larger of the two counts.")  # fmt: skip
@click.option("--drift", type=ZERO_OR_MORE, default=15.0, show_default=True, metavar="PERCENT",
              help="Change of latency that passes where no baseline of the same run cancels what the machine did"
              " between the runs.")  # fmt: skip
@click.option("--memory", type=ZERO_OR_MORE, default=5.0, show_default=True, metavar="PERCENT",
              help="Change of memory that passes.")  # fmt: skip
@click.option("--memory-mb", type=ZERO_OR_MORE, default=1.0, show_default=True, metavar="MB",
              help="The same in 10^6 bytes; the larger of the two counts.")  # fmt: skip
@click.option("--size", type=ZERO_OR_MORE, default=1.0, show_default=True, metavar="PERCENT",
              help="Change of a file's size that passes, and of its size after gzip.")  # fmt: skip
@click.option("--accuracy", type=ZERO_OR_MORE, default=0.5, show_default=True, metavar="POINTS",
              help="Drop of accuracy that passes, even where it is significant.")  # fmt: skip
@click.option("--must-see", type=ZERO_OR_MORE, default=10.0, show_default=True, metavar="PERCENT",
              help="A check that noise keeps from seeing a change of this size is inconclusive.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Exit with 1 when the check is inconclusive.")
@click.option("--allow-missing", is_flag=True, help="Rows of BASE that RUN does not have are no regression.")
@allow_unlike_option
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Also write JUnit XML, a test case for each metric of each cell.")  # fmt: skip
@markdown_option
@json_option
@click.pass_context
def check(ctx: click.Context, /, **given: Any) -> None:
    """Check that RUN is not worse than BASE, by more than noise and by more than matters.

    A row that is missing or failed is a regression, too. Exits with 1 when there is a regression, with 2 when the
    runs are unlike or cannot be read.
    """
    from dataclasses import asdict

    from harness.compare.check import check as check_comparison
    from harness.compare.junit import render_junit
    from harness.compare.page import check_page

    thresholds = _thresholds(given)
    comparison = compare_folders(given["against"], given["run"], given["alpha"], given["allow_unlike"])
    found = check_comparison(comparison, thresholds)
    if given["junit"]:
        write_file(given["junit"], render_junit(found, strict=given["strict"]))
    show_page(check_page(comparison, found, thresholds), given["markdown"], quiet=given["as_json"])
    if given["as_json"]:
        print_json({"check": asdict(found), "thresholds": asdict(thresholds), "comparison": asdict(comparison)})
    if found.status == "inconclusive":
        click.echo(
            "Warning: the check is inconclusive: give both runs more --processes, or a quieter machine.", err=True
        )
    if found.status == "regression" or (found.status == "inconclusive" and given["strict"]):
        ctx.exit(REGRESSION)


def _thresholds(given: dict[str, Any]) -> Thresholds:
    from harness.compare.check import Thresholds

    return Thresholds(
        latency_share=given["latency"] / 100,
        latency_ns=given["latency_ms"] * 1e6,
        drift_share=given["drift"] / 100,
        memory_share=given["memory"] / 100,
        memory_bytes=given["memory_mb"] * 1e6,
        size_share=given["size"] / 100,
        accuracy_share=given["accuracy"] / 100,
        must_see_share=given["must_see"] / 100,
        missing_allowed=given["allow_missing"],
    )
