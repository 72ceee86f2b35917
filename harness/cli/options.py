"""Options that several commands share, and the plugins that they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from harness.host import Host

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _with_those_before(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """What was given here, after what was given to `bench` itself in front of the command."""
    return tuple(dict.fromkeys((*before_the_command(ctx, str(param.name)), *value)))


def before_the_command(ctx: click.Context, name: str) -> tuple[str, ...]:
    """What was given in front of the command: `bench --plugin FILE run …`."""
    root = ctx.find_root()
    return () if root is ctx else tuple(root.params.get(name) or ())


json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
plugin_option: Decorator = click.option(
    "--plugin", "sources", multiple=True, metavar="FILE", callback=_with_those_before,
    help="Load a plugin from a .py file or module. Repeatable.",
)  # fmt: skip
block_option: Decorator = click.option(
    "--block", multiple=True, metavar="NAME", callback=_with_those_before,
    help="Do not load this plugin. Repeatable.",
)  # fmt: skip


def load_plugins(sources: Iterable[str] = (), block: Iterable[str] = ()) -> Host:
    """The plugins that a command works with; what they do wrong later is told when it ends.

    Raises:
        UsageError: One that was given by hand is broken.
    """
    host = look_at_plugins(sources, block)
    host.check_given()
    return host


def look_at_plugins(sources: Iterable[str] = (), block: Iterable[str] = ()) -> Host:
    """As `load_plugins`, for commands that show what is broken."""
    from harness.loading import load_host
    from harness.registry import near_miss

    host = load_host(sources=tuple(sources), block=tuple(block))
    known = [plugin.name for plugin in host.plugins]
    for name in block:
        if name not in known:
            warn(f"--block {name}: there is no such plugin. {near_miss(name, known)}".rstrip())
    tell_when_done(host)
    return host


def tell_when_done(host: Host) -> None:
    """Warn of what plugins did wrong while the host went on without them, when the command ends."""
    click.get_current_context().call_on_close(lambda: _tell_late_failures(host))


def warn(text: str) -> None:
    """Print a warning to standard error."""
    from harness.cli.terminal import printable

    click.echo(f"Warning: {printable(text)}", err=True)


def _tell_late_failures(host: Host) -> None:
    for failure in host.late:
        plugin = next(p for p in host.plugins if p.name == failure.plugin)
        warn(f"the plugin {plugin.provider} was passed over: {failure}.")
