"""`bench report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.completion import complete_run
from harness.cli.options import block_option, look_at_plugins, plugin_option, warn

if TYPE_CHECKING:
    from harness.cli.report_files import Formats

ABOVE_ZERO = click.FloatRange(min=0, min_open=True)


@click.command()
@click.argument("run", type=click.Path(path_type=Path, file_okay=False), shell_complete=complete_run)
@click.option("--max-accuracy-drop", type=click.FloatRange(min=0, max=100, max_open=True), metavar="POINTS",
              help="Most that the recommended variant may lose of the best baseline's accuracy, in points."
              "  [default: that of the run's plan, else 1]")  # fmt: skip
@click.option("--max-latency-ms", type=ABOVE_ZERO, metavar="MS",
              help="Most that one inference may take on the device.")  # fmt: skip
@click.option("--max-memory-mb", type=ABOVE_ZERO, metavar="MB",
              help="Most memory at its peak, 10^6 bytes.")  # fmt: skip
@click.option("--max-download-mb", type=ABOVE_ZERO, metavar="MB",
              help="Largest download, after gzip, 10^6 bytes.")  # fmt: skip
@click.option("--max-energy-mj", type=ABOVE_ZERO, metavar="MJ",
              help="Most energy of one inference, idle power included, millijoules.")  # fmt: skip
@plugin_option
@block_option
def report(
    *,
    run: Path,
    max_accuracy_drop: float | None,
    max_latency_ms: float | None,
    max_memory_mb: float | None,
    max_download_mb: float | None,
    max_energy_mj: float | None,
    **plugins: tuple[str, ...],
) -> None:
    """Write the report of the folder RUN again, from its records.

    With goals it recommends the fastest variant that meets them all, or names the one that comes nearest and
    says by how much it misses. The middle of an estimate decides; where its interval reaches beyond a goal, that
    is said.
    """
    from harness.cli.outcome import show
    from harness.report.goals import Goals, planned_goals
    from harness.run_folder import read_environment, read_records

    records = read_records(run)
    planned = planned_goals(run).max_accuracy_drop
    goals = Goals(
        max_accuracy_drop=planned if max_accuracy_drop is None else max_accuracy_drop,
        max_latency_ms=max_latency_ms,
        max_memory_bytes=_bytes(max_memory_mb),
        max_download_bytes=_bytes(max_download_mb),
        max_energy_mj=max_energy_mj,
    )
    show(run, records, read_environment(run), goals, _formats(run, plugins["sources"], plugins["block"]))


def _formats(run: Path, sources: tuple[str, ...], block: tuple[str, ...]) -> Formats:
    """Formats of the installed plugins, of those given here, and of those that the run was planned with.

    Records alone are enough for a report, so a plugin of the plan that is gone is no more than a warning.
    """
    from harness.errors import HarnessError
    from harness.plan import Plan, read_plan
    from harness.run_folder import PLAN

    try:
        plan = read_plan(run / PLAN)
    except HarnessError:
        plan = Plan()
    host = look_at_plugins((*sources, *plan.plugins), (*block, *plan.block))
    if sources:
        host.check_given(*sources)
    try:
        host.check_given()
    except HarnessError as error:
        warn(f"{error.message} The run was planned with it; what it adds to the report is left out.")
    return host.report_formats


def _bytes(megabytes: float | None) -> float | None:
    return None if megabytes is None else megabytes * 1e6
