"""`bench calibrate`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.listing import print_table
from harness.cli.options import block_option, load_plugins, plugin_option


@click.command()
@click.option("--backend", "backends", multiple=True, metavar="NAME",
              help="Runtime to profile (bench plugins). Repeatable.  [default: all that can be]")  # fmt: skip
@click.option("--threads", type=click.IntRange(min=1), default=None, metavar="N",
              help="Threads of every runtime.  [default: one for each processor, as bench run]")  # fmt: skip
@click.option("--name", default="this-machine", show_default=True, metavar="NAME",
              help="Name of the profile: lower-case letters, digits and '-'.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default=None, metavar="FILE",
              help="Where the profile goes.  [default: NAME.toml in this folder]")  # fmt: skip
@click.option("--budget-s", type=click.FloatRange(min=5), default=155.0, show_default=True, metavar="SECONDS",
              help="Time for all of it; less leaves graphs out.")  # fmt: skip
@plugin_option
@block_option
def calibrate(
    *, backends: tuple[str, ...], threads: int | None, name: str, output: Path | None, budget_s: float, **given: object
) -> None:
    """Profile this machine, so that estimates for it rest on its own measurements.

    Times small graphs in each runtime, in float and in 8 bits, and fits what each kind of kernel costs. Writes a
    profile. Leave the machine alone meanwhile.
    """
    from harness.calibrate.calibration import Request
    from harness.calibrate.calibration import calibrate as profile_machine
    from harness.calibrate.write import write_profile
    from harness.contributions import NAME
    from harness.environment import usable_cores
    from harness.errors import UsageError
    from harness.profile_file import HOST

    path = output or Path(f"{name}.toml")
    if not NAME.match(name) or name == HOST:
        raise UsageError(f"a profile cannot be named {name!r}.", hint=f"Use a-z, 0-9 and '-'; {HOST} is taken.")
    if path.suffix != ".toml" or not path.parent.is_dir():
        raise UsageError(f"the profile cannot be written to {path}.", hint="Give a .toml file in a folder that exists.")
    host = load_plugins(given["sources"], given["block"])  # type: ignore[arg-type]
    request = Request(name=name, backends=backends, threads=threads or usable_cores(), budget_s=budget_s)
    profile = profile_machine(request, host, lambda text: click.echo(text, err=True))
    write_profile(profile, path)
    print_table([
        {
            "kernels": each.family,
            "precision": each.precision,
            "graphs": int(each.graphs.value),
            "mean error": f"{each.error.value:.1f} %",
            "90 % within": f"×/÷ {each.factor90.value:.2f}",
            "launch": f"{each.launch.value:.1f} µs" if each.launch else "",
        }
        for each in profile.profiled
    ])  # fmt: skip
    click.echo(f"\nWrote {path}. Estimate beside measurement: bench run --profile {path}")
