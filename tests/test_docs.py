"""The documents: what is generated is fresh, links lead somewhere, commands and options exist."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from harness import hookspecs
from harness.cli import bench
from harness.loading import YIELDS
from harness.plan import Plan

ROOT = Path(__file__).parents[1]
GENERATE = ROOT / "docs" / "generate.py"
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("profiles/*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def anchors(path: Path) -> set[str]:
    """Anchors as GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", read(path)), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shell_commands() -> list[str]:
    """Lines of the README's shell blocks, comments left out."""
    blocks = [body for language, body in FENCE.findall(read(ROOT / "README.md")) if language == "sh"]
    return [line for body in blocks for line in body.splitlines() if line.strip()]


def check(*, copy: Path | None = None) -> subprocess.CompletedProcess[str]:
    script = GENERATE if copy is None else copy / "docs" / "generate.py"
    return subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)


def test_what_is_generated_is_fresh() -> None:
    done = check()
    assert (done.returncode, done.stdout) == (0, "")


def test_a_stale_block_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "generate.py").write_text(read(GENERATE), encoding="utf-8")
    stale = "<!-- generated: hooks -->\nold\n<!-- end -->\n"
    (tmp_path / "README.md").write_text(stale, encoding="utf-8")
    done = check(copy=tmp_path)
    assert (done.returncode, done.stdout) == (1, "README.md is stale; run: make docs\n")
    assert read(tmp_path / "README.md") == stale


def test_generated_text_knows_nothing_of_this_machine() -> None:
    generated = "".join(
        body for path in DOCUMENTS for body in re.findall("<!-- generated:.*?<!-- end -->", read(path), re.S)
    )
    assert str(Path.home()) not in generated
    assert str(ROOT) not in generated
    assert not re.search(r"(?<!section )\b\d+\.\d+\.\d+", generated)  # versions of what is installed here


def test_every_hook_is_documented_and_specified_once() -> None:
    specified = {name for name, _ in inspect.getmembers(hookspecs, inspect.isfunction) if name.startswith("harness_")}
    table = re.findall(r"^\| `(harness_\w+)` \|", read(ROOT / "docs" / "architecture.md"), re.M)
    assert sorted(table) == sorted(specified) == sorted(YIELDS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for link in LINK.findall(FENCE.sub("", read(path))):
        if ":" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_commands_of_the_readme_exist() -> None:
    lines = shell_commands()
    assert {"make", "bench"} == {line.split()[0] for line in lines}
    targets = set(re.findall(r"^(\w+):", read(ROOT / "Makefile"), re.M))
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[0] == "make":
            assert words[1] in targets, line
            continue
        while words[1].startswith("-"):
            assert words[1] in {option for parameter in bench.params for option in parameter.opts}, line
            del words[1:3]
        command = bench.commands[words[1]]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words[2:] if word.startswith("-")} <= known, line


def every_command(name: str, command: click.Command) -> Iterator[str]:
    """Names of a command and of those behind it."""
    yield name
    for below, each in command.commands.items() if isinstance(command, click.Group) else ():
        yield from every_command(f"{name} {below}", each)


def test_every_command_has_a_help_page() -> None:
    pages = re.findall(r"^## (.+)$", read(ROOT / "docs" / "commands.md"), re.M)
    assert pages == list(every_command("bench", bench))


def test_help_pages_fit_80_columns() -> None:
    assert max(map(len, read(ROOT / "docs" / "commands.md").splitlines()[7:])) <= 80


def test_the_defaults_that_the_help_names_are_those_of_the_plan() -> None:
    plan = Plan()
    told = {
        option.name: found[1]
        for option in bench.commands["run"].params
        if isinstance(option, click.Option) and (found := re.search(r"\[default: ([\d.]+)\]", option.help or ""))
    }
    assert {name: float(value) for name, value in told.items()} == {
        name: float(getattr(plan, name))
        for name in ("seed", "budget_s", "processes", "precision", "timeout_s", "goal_tries")
    }


def test_the_readme_names_every_extra() -> None:
    import tomllib

    extras = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    named = set(re.findall(r"^\| `([\w-]+)` \| .* (?:MB|GB)", read(ROOT / "README.md"), re.M))
    assert set(extras) - {"test"} <= named


def test_decisions_are_dated() -> None:
    parts = read(ROOT / "docs" / "decisions.md").split("\n## ")[1:]
    assert len(parts) >= 13
    assert all(re.match(r".+\n\n\d{4}-\d\d-\d\d\. ", part) for part in parts)
