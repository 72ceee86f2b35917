"""What `bench compare` and `bench check` share: options, the two runs, and where pages go."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.terminal import terminal_width

if TYPE_CHECKING:
    from harness.compare.comparison import Comparison
    from harness.compare.page import Block

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

alpha_option: Decorator = click.option(
    "--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True,
    metavar="SHARE",
    help="Chance of calling a change significant, in any cell of a metric, where there is none.",
)  # fmt: skip
allow_unlike_option: Decorator = click.option(
    "--allow-unlike", multiple=True, metavar="NAMES",
    help="Compare although these differ, separated by commas: machine, identity, threads, data, seed, bench. The output"
    " says so.",
)  # fmt: skip
markdown_option: Decorator = click.option(
    "--markdown", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Also write Markdown, short enough for a comment on a pull request.",
)  # fmt: skip


def compare_folders(before: Path, after: Path, alpha: float, allow_unlike: Sequence[str]) -> Comparison:
    """Compare the runs of two folders."""
    from harness.compare.comparison import compare
    from harness.compare.run import read_run

    allowed = [name.strip() for text in allow_unlike for name in text.split(",") if name.strip()]
    return compare(read_run(before), read_run(after), alpha, allowed)


def show_page(page: Sequence[Block], markdown: Path | None, *, quiet: bool) -> None:
    """Print a page, unless JSON is printed instead, and write it as Markdown where that was asked for."""
    from harness.compare.markdown import render_markdown
    from harness.compare.text import render_text

    if markdown:
        write_file(markdown, render_markdown(page))
    if not quiet:
        encoding = sys.stdout.encoding or "utf-8"
        click.echo(render_text(page, terminal_width()).encode(encoding, "replace").decode(encoding), nl=False)


def write_file(path: Path, text: str) -> None:
    """Write a file that the user named.

    Raises:
        UsageError: It cannot be written.
    """
    from harness.errors import UsageError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.", hint="Name a file in a folder that exists."
        ) from None
