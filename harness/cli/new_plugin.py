"""`bench new-plugin`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.scaffold import KINDS

if TYPE_CHECKING:
    from harness.host import Host
    from harness.registry import Registry


@click.command("new-plugin")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What the plugin adds.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FOLDER", default=Path(),
              help="Folder to write bench-NAME into.  [default: this one]")  # fmt: skip
def new_plugin(name: str, kind: str, out: Path) -> None:
    """Write a plugin of your own, which works at once: a package with tests.

    Makes the folder bench-NAME with the plugin, tests that inherit from the conformance kit, and a README
    that says what to change.
    """
    from importlib.metadata import version

    from harness.environment import DISTRIBUTION
    from harness.loading import load_host
    from harness.scaffold import Scaffold, check_name, write

    check_name(name)
    scaffold = Scaffold(kind=kind, name=name, requires=f"{DISTRIBUTION}>={version(DISTRIBUTION)}")
    _refuse_clash(scaffold.package, name, kind, load_host())
    folder = out / scaffold.distribution
    files = write(scaffold, folder)
    click.echo(f"{folder}: a {kind} that works, in {len(files)} files. Next:")
    for command, why in _next(folder):
        click.echo(f"  {command:<{max(len(c) for c, _ in _next(folder))}}  # {why}")


def _next(folder: Path) -> tuple[tuple[str, str], ...]:
    from shlex import quote

    path = str(folder) if folder.is_absolute() or folder.parts[0] == ".." else f"./{folder}"
    return (
        (f"pip install -e {quote(f'{path}[test]')}", "loaded from there, as you edit it"),
        (f"pytest {quote(path)}", "its tests pass as they are"),
        ("bench plugins", f"lists it; what to try and to change: {folder / 'README.md'}"),
    )


def _refuse_clash(package: str, name: str, kind: str, host: Host) -> None:
    """Raise UsageError when an installed plugin, or what it adds, has the name already."""
    from harness.errors import UsageError

    hint = "Take another name; what there is: bench plugins"
    for plugin in host.plugins:
        if plugin.name == name or plugin.target == package:
            version = f"{plugin.distribution} {plugin.version}".strip()
            raise UsageError(f"a plugin named {name!r} is installed ({version}).", hint=hint)
    registry = _registry(host, kind)
    for item in registry:
        if item.name == name:
            raise UsageError(f"the {registry.noun} {name!r} is there already, from {item.provider}.", hint=hint)


def _registry(host: Host, kind: str) -> Registry[Any]:
    registries: dict[str, Registry[Any]] = {
        "backend": host.backends,
        "technique": host.techniques,
        "model": host.models,
        "report": host.report_formats,
        "meter": host.meters,
    }
    return registries[kind]
