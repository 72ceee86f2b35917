"""The command line. Every command module imports click and nothing heavy; the work is imported when it is done."""

from __future__ import annotations

import sys
from typing import Any

import click

from harness.cli.cache import cache
from harness.cli.calibrate import calibrate
from harness.cli.check import check
from harness.cli.compare import compare
from harness.cli.completion import completion
from harness.cli.doctor import doctor
from harness.cli.estimate import estimate
from harness.cli.export import export
from harness.cli.history import history
from harness.cli.models import models
from harness.cli.new_plugin import new_plugin
from harness.cli.options import block_option, plugin_option
from harness.cli.plugins import plugins
from harness.cli.profiles import profiles
from harness.cli.report import report
from harness.cli.run import run
from harness.cli.techniques import techniques
from harness.cli.terminal import printable
from harness.errors import HarnessError, UsageError

FINE, ROWS_FAILED, USAGE, INTERNAL = 0, 1, 2, 3
"""Exit codes: fine; some rows failed, or the run was interrupted; wrong use or unusable input; a defect of bench."""


class Bench(click.Group):
    """Turns our errors into messages, in one place, and lists commands in the order of their use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order in which they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what the user can act on becomes one message and exit code 2."""
        try:
            return super().invoke(ctx)
        except HarnessError as error:
            click.echo(f"Error: {printable(error.message)}", err=True)
            if error.hint:
                click.echo(f"  {printable(error.hint)}", err=True)
            if isinstance(error, UsageError) and ctx.invoked_subcommand:
                click.echo(f"  Help: bench {ctx.invoked_subcommand} --help", err=True)
            ctx.exit(USAGE)


@click.group(cls=Bench, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="edge-bench", prog_name="bench")
@plugin_option
@block_option
def bench(*, sources: tuple[str, ...], block: tuple[str, ...]) -> None:
    """Which optimisation, in which runtime, for which device?

    Runs optimised variants of neural networks, measures them here, estimates them on a device, and says how
    far each number can be trusted. A first run: bench run --profile rpi4
    """


for command in (
    run,
    estimate,
    calibrate,
    report,
    compare,
    check,
    export,
    history,
    plugins,
    new_plugin,
    profiles,
    models,
    techniques,
    cache,
    doctor,
    completion,
):
    bench.add_command(command)


def main() -> None:
    """Entry point. A defect of bench itself keeps its traceback and exits with 3."""
    try:
        sys.exit(bench.main(prog_name="bench", standalone_mode=False) or FINE)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(ROWS_FAILED)
    except BrokenPipeError:
        sys.exit(FINE)
    except Exception as error:  # noqa: BLE001 - the last handler there is
        import traceback

        traceback.print_exc()
        click.echo(f"\nThis is a defect of bench ({type(error).__name__}). Please report it with the lines above.",
                   err=True)  # fmt: skip
        sys.exit(INTERNAL)
