"""`bench profiles`: the devices that estimates are made for, and what is known of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.completion import complete_profile
from harness.cli.listing import print_json, print_table
from harness.cli.options import before_the_command, block_option, json_option, load_plugins, plugin_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.host import Host
    from harness.profile import DeviceProfile


class Profiles(click.Group):
    """Lists its commands in the order of their use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order in which they were added."""
        return list(self.commands)


@click.group(cls=Profiles, invoke_without_command=True)
@json_option
@click.pass_context
def profiles(ctx: click.Context, *, as_json: bool) -> None:
    """Show the devices that estimates are made for.

    Without a command it lists them.
    """
    if ctx.invoked_subcommand is None:
        plugins = {name: before_the_command(ctx, name) for name in ("sources", "block")}
        ctx.invoke(list_, as_json=as_json, **plugins)
    elif as_json:
        raise click.UsageError(f"--json goes behind the command: bench profiles {ctx.invoked_subcommand} --json", ctx)


@click.command("list")
@json_option
@plugin_option
@block_option
def list_(*, as_json: bool, sources: tuple[str, ...] = (), block: tuple[str, ...] = ()) -> None:
    """List the devices."""
    from dataclasses import asdict

    known = _known(load_plugins(sources, block))
    if as_json:
        print_json([asdict(p) for p in known.values()])
        return
    rows = [{"profile": p.name, "device": p.title, "what": p.summary} for p in known.values()]
    print_table([*rows, {"profile": "host", "device": "this machine", "what": "detected when it is asked for"}])


@click.command()
@click.argument("name", shell_complete=complete_profile)
@json_option
@plugin_option
@block_option
def show(*, name: str, as_json: bool, sources: tuple[str, ...], block: tuple[str, ...]) -> None:
    """Show every number of a device with its unit, source and date.

    NAME is a profile, a TOML file, or host, this machine.
    """
    from dataclasses import asdict

    from harness.cli.profile_view import print_profile
    from harness.kernel_choice import kernels_of_backends
    from harness.profile_file import resolve_profile

    host = load_plugins(sources, block)
    profile = resolve_profile(name, _known(host))
    backends, families = kernels_of_backends(profile, host), _families(profile, host)
    if as_json:
        print_json({**asdict(profile), "backends": [asdict(each) for each in backends], "kernel_families": families})
        return
    print_profile(profile, backends, families)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail when a file would change.")
def fit(*, check: bool) -> None:
    """Fit every coefficient to the published measurements again.

    Rewrites kernel-families/*.toml and the calibrations at the end of each profile. The same measurements give the same
    bytes.
    """
    from harness.errors import UsageError
    from harness.estimate.fit_files import write_fit
    from harness.estimate.fitting import fit_all
    from harness.estimate.published import published_data

    changed = write_fit(fit_all(published_data()), dry=check)
    for path in changed:
        click.echo(f"{'would change' if check else 'written'}: {path}")
    if check and changed:
        raise UsageError(f"{len(changed)} files are not what the fit gives.", hint="Write them: bench profiles fit")
    if not changed:
        click.echo("Every file is what the fit gives.")


@click.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Markdown file to write.")
def validate(*, output: Path | None) -> None:
    """Back-test the estimates on the published measurements.

    Every row is predicted with its model family and its processor hidden, beside FLOPs and a roofline. Writes
    docs/estimates.md in a source tree, or the file that --output names.
    """
    from harness.estimate.validation import validation
    from harness.estimate.validation_text import as_markdown, as_terminal, report_path

    host = load_plugins(*(before_the_command(click.get_current_context(), name) for name in ("sources", "block")))
    found = validation([item.contribution for item in host.backends if item.contribution.fit])
    click.echo(as_terminal(found))
    path = output or report_path()
    if path is None:
        return
    path.write_text(as_markdown(found), encoding="utf-8")
    click.echo(f"\nWritten: {path}")


for command in (list_, show, fit, validate):
    profiles.add_command(command)


def _known(host: Host) -> Mapping[str, DeviceProfile]:
    from harness.profile_file import builtin_folder, load_profiles

    return load_profiles([builtin_folder(), *host.profile_folders])


def _families(profile: DeviceProfile, host: Host) -> Sequence[Mapping[str, Any]]:
    """What is known of each kernel family on a device: one line for each precision and number of threads measured."""
    from harness.kernel_choice import known_families

    lines: list[Mapping[str, Any]] = []
    for family in known_families(profile, host):
        known = [each for each in profile.calibrations if each.kernel_family == family]
        lines += [
            {
                "family": family, "state": "calibrated", "precision": each.precision, "threads": each.threads,
                "rows": each.rows, "models": each.models, "error_percent": each.error_percent, "source": each.source,
            }
            for each in known
        ]  # fmt: skip
        if not known:
            lines.append({"family": family, "state": "uncalibrated"})
    return lines
