"""`bench completion`, and the values that a shell completes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.host import Host

VARIABLE = "_BENCH_COMPLETE"

INSTALL = {
    "bash": "echo 'eval \"$(bench completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'eval \"$(bench completion zsh)\"' >> ~/.zshrc",
    "fish": "bench completion fish > ~/.config/fish/completions/bench.fish",
}
"""What makes completion last, for each shell."""


@add_completion_class
class ColonBashComplete(BashComplete):
    """Click's, for bash that cuts words at a colon and at `=`, and puts in what follows the last colon alone."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self._typed = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor and the one at it, put together again."""
        before, current = super().get_completion_args()
        words: list[str] = []
        for word in [*before, current]:
            if words and (word == ":" or words[-1].endswith(":")):
                words[-1] += word
            elif word == "=" and words and words[-1].startswith("--"):
                continue
            else:
                words.append(word)
        *args, incomplete = [*words, ""] if current == "=" else words
        self._typed = incomplete[: incomplete.rfind(":") + 1] if incomplete != current else ""
        return args, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """What bash is to put in behind the last colon."""
        return f"{item.type},{str(item.value).removeprefix(self._typed)}"


@click.command()
@click.argument("shell", type=click.Choice(sorted(INSTALL)))
def completion(*, shell: str) -> None:
    """Print what makes SHELL complete commands, options and names of bench.

    How to install it is told on standard error.
    """
    kind = get_completion_class(shell)
    root = click.get_current_context().find_root()
    assert kind is not None, shell
    click.echo(kind(root.command, {}, "bench", VARIABLE).source())
    click.echo(f"To have it in every new shell: {INSTALL[shell]}", err=True)


def complete_model(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """References of the models that are listed, and files."""
    sources = _host(ctx).models
    known = [info.ref for source in sources for info in source.contribution.list_models() if info.available]
    return _matching(known, incomplete) or [CompletionItem(incomplete, type="file")]


def complete_recipe(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The technique at the end of a recipe."""
    from harness.recipe import BASELINE

    before, plus, last = incomplete.rpartition("+")
    names = {item.name: item.contribution.summary for item in _host(ctx).techniques}
    found = {**names, **({} if plus else {BASELINE: "the model as it is"})}
    return [CompletionItem(f"{before}{plus}{n}", help=text) for n, text in found.items() if n.startswith(last)]


def complete_technique(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of techniques."""
    found = [(item.name, item.contribution.summary) for item in _host(ctx).techniques]
    return [CompletionItem(name, help=text) for name, text in found if name.startswith(incomplete)]


def complete_backend(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of backends."""
    return _matching(_host(ctx).backends.names(), incomplete)


def complete_profile(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of profiles, which are those of their files, `host`, and files."""
    from harness.profile_file import HOST, builtin_folder

    folders = [builtin_folder(), *_host(ctx).profile_folders]
    known = sorted(path.stem for folder in folders for path in folder.glob("*.toml"))
    return _matching([*known, HOST], incomplete) or [CompletionItem(incomplete, type="file")]


def complete_run(_ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Run folders beside what has been typed and, before anything is, in `runs`; else folders."""
    from pathlib import Path

    from harness.run_folder import RECORDS

    typed = Path(incomplete)
    beside = typed if incomplete.endswith("/") else typed.parent
    folders = {path.parent for place in (beside, Path("runs")) for path in place.glob(f"*/{RECORDS}")}
    known = sorted((str(folder) for folder in folders), reverse=True)
    return _matching(known, incomplete) or [CompletionItem(incomplete, type="dir")]


def _matching(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _host(ctx: click.Context) -> Host:
    """The plugins, with those that the line names so far where they can be loaded."""
    from harness.errors import HarnessError
    from harness.loading import load_host

    try:
        return load_host(sources=ctx.params.get("sources") or (), block=ctx.params.get("block") or ())
    except HarnessError:
        return load_host()
