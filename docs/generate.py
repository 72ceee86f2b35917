"""Writes the generated parts of README.md and docs: all between `<!-- generated: NAME -->` and `<!-- end -->`.

    python docs/generate.py            write them
    python docs/generate.py FILE...    only those of these files
    python docs/generate.py --check    write nothing; exit with 1 and name the files that are stale

What is generated depends on the project alone: plugins of other distributions, versions of frameworks, what is
installed here and how wide the terminal is do not show in it.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import inspect
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import hookspecs
from harness.cli import bench
from harness.cli.plugins import contributions_of
from harness.host import Host
from harness.loading import GROUP, YIELDS, load_host
from harness.options import describe_options
from harness.profile_file import builtin_folder, load_profiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[a-z-]+) -->\n).*?(?P<end>^<!-- end -->)", re.DOTALL | re.MULTILINE
)
WIDTH = 80
WORKLOADS = Path("profiles") / "published" / "workloads"
NCNN = ("--kernels", "ncnn", "--threads", 4)
"""Named, so that what is installed here does not decide."""


def documents() -> tuple[Path, ...]:
    """The files that may hold generated blocks."""
    return (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("plugins/*.md")))


def generate(text: str) -> str:
    """A document with its blocks made anew.

    Raises:
        KeyError: A block's name is none of `BLOCKS`.
    """

    def made(match: re.Match[str]) -> str:
        return f"{match['begin']}{BLOCKS[match['name']]().strip()}\n{match['end']}"

    return BLOCK.sub(made, text)


def own_host() -> Host:
    """The host with the plugins of this distribution and no others."""
    return load_host(allow={p.name for p in distribution("edge-bench").entry_points if p.group == GROUP})


def commands() -> str:
    """The commands, a line each."""
    rows = ((f"`bench {name}`", command.get_short_help_str(WIDTH)) for name, command in bench.commands.items())
    return table(("command", "what it does"), rows)


def help_pages() -> str:
    """The help page of every command."""
    return "\n\n".join(f"## {name}\n\n```text\n{page}\n```" for name, page in _help())


def hooks() -> str:
    """The hooks with what they yield, in the order of a run."""
    rows = []
    for name, kind in YIELDS.items():
        about = inspect.cleandoc(getattr(hookspecs, name).__doc__ or "").partition("\n\n")[0]
        yields = "folders of TOML files" if kind is Path else f"`{kind.__name__}`"
        rows.append((f"`{name}`", yields, " ".join(about.split())))
    return table(("hook", "yields", "what it is"), rows)


def plugins() -> str:
    """The built-in plugins and what each contributes."""
    host = own_host()
    rows = []
    for plugin in host.plugins:
        found = contributions_of(host, plugin.name)
        added = [f"{noun} {', '.join(f'`{name}`' for name in names)}" for noun, names in found.items()]
        rows.append((f"`{plugin.name}`", f"`plugins/{plugin.target}`", "; ".join(added)))
    return table(("plugin", "where", "adds"), rows)


def techniques() -> str:
    """The techniques with the formats they are done on and their options."""
    host = own_host()
    rows = []
    for item in host.techniques:
        technique = item.contribution
        formats = sorted({i.contribution.format for i in host.implementations if i.contribution.technique == item.name})
        needed = sorted(technique.needs_with(technique.options()))
        needs = f" Needs {' and '.join(needed)} data." if needed else ""
        done_on = ", ".join(f"`{name}`" for name in formats)
        rows.append(
            (f"`{item.name}`", f"{technique.summary}.{needs}", done_on, _options(technique.options), technique.source)
        )
    return table(("technique", "what it does", "on", "options", "source"), rows)


def technique_options() -> str:
    """Every technique's options with their meaning."""
    parts = []
    for item in own_host().techniques:
        technique = item.contribution
        rows = [(f"`{o.name}`", f"`{o.default}`", o.text) for o in describe_options(technique.options)]
        body = table(("option", "default", "what it means"), rows) if rows else "No options."
        parts.append(f"## {item.name}\n\n{technique.summary[:1].upper()}{technique.summary[1:]}. "
                     f"Source: {technique.source}.\n\n{body}")  # fmt: skip
    return "\n\n".join(parts)


def models() -> str:
    """The models that plugins list, and the sources for models of the user's own."""
    known, own = [], []
    for source in own_host().models:
        listed = list(source.contribution.list_models())
        for info in listed:
            facts = "; ".join(f"{key} {value}" for key, value in info.facts.items())
            known.append((f"`{info.ref}`", info.summary, info.task, facts, info.licence))
        if not listed:
            own.append(f"- {source.contribution.summary}")
    return "\n".join((table(("model", "what it does", "task", "facts", "licence"), known), "", "Your own:", "", *own))


def backends() -> str:
    """The runtimes with the formats they read and their options."""
    rows = []
    for item in own_host().backends:
        backend = item.contribution
        reads = ", ".join(f"`{name}`" for name in backend.reads)
        timed = f"simulated on a profile's `{backend.accelerator}`" if backend.accelerator else "timed here"
        rows.append((f"`{item.name}`", backend.summary, reads, _options(backend.options), timed))
    return table(("backend", "what it is", "reads", "options", "its latency is"), rows)


def profiles() -> str:
    """The devices that come with the project."""
    found = load_profiles([builtin_folder()]).values()
    rows = [(f"`{profile.name}`", profile.title, profile.summary) for profile in found]
    rows.append(("`host`", "this machine", "detected when it is asked for"))
    return table(("profile", "device", "what it has"), rows)


def estimate() -> str:
    """An estimate of one network, as it is printed."""
    return _printed("estimate", WORKLOADS / "ncnn-mobilenet_v2_1.0_224.json", "--profile", "rpi4", *NCNN, "--rows", 6)


def estimate_two() -> str:
    """Estimates of two networks, as they are printed."""
    files = (WORKLOADS / f"ncnn-{name}_1.0_224.json" for name in ("mobilenet_v2", "mobilenet_v3_large"))
    return _printed("estimate", *files, "--profile", "rpi4", *NCNN, "--rows", 1)


def prices() -> str:
    """The prior's prices of each kernel class."""
    from harness.estimate.latency import TARIFFS

    rows = [
        (kind.value, f"{t.price.mac:g}", f"{t.price.handled:g}", f"{t.price.traffic:g}", f"{t.price.weight:g}")
        for kind, t in TARIFFS.items()
    ]
    return table(("kernel", "a, slots a product", "b, slots for 4 bytes", "d, copies", "w, copies"), rows)


def families() -> str:
    """What each kernel family was fitted to, and how well held-out rows are predicted."""
    from harness.estimate.calibrated import fitted_families

    rows = [
        (
            family.family, precision, str(fit.rows), str(fit.processors), str(fit.models), f"{fit.error_percent:g} %",
            f"×/÷ {fit.factor90:.2f}", f"{fit.scaled_error_percent:g} %", f"×/÷ {fit.scaled_factor90:.2f}",
            f"×/÷ {fit.pair_factor90:.2f}", f"{100 * fit.overhead_share:.0f} %",
        )
        for family in fitted_families().values()
        for precision, fit in family.precisions.items()
    ]  # fmt: skip
    head = (
        "family",
        "precision",
        "rows",
        "processors",
        "models",
        "error",
        "90 %",
        "error, scaled",
        "90 %",
        "ratio 90 %",
        "launches, at most",
    )
    return table(head, rows)


def fusion_rules() -> str:
    """The rules of every family."""
    from harness.estimate.fusion_rules import RULES, rules_table

    return "\n".join(f"## {name or 'any other'}\n\n{rules_table(name)}" for name in RULES)


def hook_reference() -> str:
    """Every hook with its signature and docstring."""
    import api_reference

    return api_reference.hooks()


def contribution_reference() -> str:
    """What hooks yield, with every attribute."""
    import api_reference

    return api_reference.contributions(table)


def type_reference() -> str:
    """The other public names."""
    import api_reference

    return api_reference.others(table)


def inner_type_reference() -> str:
    """What public types have for attributes."""
    import api_reference

    return api_reference.inner(table)


def whole_backend() -> str:
    """A backend plugin as it is in the project, to the last line."""
    file = ROOT / "plugins" / "bench_tract" / "__init__.py"
    code = file.read_text(encoding="utf-8")
    count = len(code.splitlines())
    return (
        f"This is all of `{file.parent.relative_to(ROOT).as_posix()}`, {count} lines with their docstrings:\n\n"
        f"<!-- file: whole_backend.py -->\n```python\n{code}```"
    )


BLOCKS: dict[str, Callable[[], str]] = {
    "backends": backends,
    "commands": commands,
    "contribution-reference": contribution_reference,
    "estimate": estimate,
    "estimate-two": estimate_two,
    "families": families,
    "fusion-rules": fusion_rules,
    "help": help_pages,
    "hook-reference": hook_reference,
    "hooks": hooks,
    "inner-type-reference": inner_type_reference,
    "models": models,
    "plugins": plugins,
    "prices": prices,
    "technique-options": technique_options,
    "profiles": profiles,
    "techniques": techniques,
    "type-reference": type_reference,
    "whole-backend": whole_backend,
}
"""Name of a block to what makes its text."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _help() -> Iterator[tuple[str, str]]:
    for name, command in _commands("bench", bench):
        settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
        settings.setdefault("help_option_names", ["-h", "--help"])
        yield name, command.get_help(click.Context(command, info_name=name, **settings))


def _commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command, and those of a group behind it."""
    yield name, command
    for below, each in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _commands(f"{name} {below}", each)


def _printed(*arguments: object) -> str:
    """A command as it is typed in the project's folder, and what it prints."""
    from click.testing import CliRunner

    given = [str(ROOT / a) if isinstance(a, Path) else str(a) for a in arguments]
    done = CliRunner(env={"COLUMNS": str(WIDTH)}).invoke(bench, given, catch_exceptions=False)
    if done.exit_code:
        raise RuntimeError(done.stderr)
    typed = " ".join(a.as_posix() if isinstance(a, Path) else str(a) for a in arguments)
    return f"```text\n$ bench {typed}\n{done.stdout}```"


def _options(kind: type) -> str:
    return ", ".join(f"`{option.name}={option.default}`" for option in describe_options(kind)) or "–"


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 when a file is stale.")
def main(*, files: tuple[Path, ...], check: bool) -> None:
    """Write the generated parts of the documents, or of FILES alone."""
    stale = {}
    for path in files or documents():
        text = path.read_text(encoding="utf-8")
        if (made := generate(text)) != text:
            stale[path] = made
    for path, made in stale.items():
        if not check:
            path.write_text(made, encoding="utf-8")
        click.echo(f"{path.relative_to(ROOT)} {'is stale; run: make docs' if check else 'written'}")
    if check and stale:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
