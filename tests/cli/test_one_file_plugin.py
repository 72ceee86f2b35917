"""One file as a plugin: named in front of any command or behind it, kept for a resumed run, refused when broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from click.testing import Result

Bench = Callable[..., CompletedProcess[str]]
Invoke = Callable[..., Result]

RUN = ("run", "--model", "toy:linear", "--recipe", "baseline", "--profile", "rpi4", "--backend", "toy-numpy",
       "--processes", "1", "--budget-s", "0.2")  # fmt: skip

SECOND = """
import harness


@harness.hookimpl
def harness_techniques():
    return [harness.Technique(name="second", summary="Does nothing.", stage="artifact")]
"""


@pytest.fixture
def second(tmp_path: Path) -> str:
    """Another plugin file."""
    path = tmp_path / "second.py"
    path.write_text(SECOND, encoding="utf-8")
    return str(path)


@pytest.fixture
def broken(tmp_path: Path) -> str:
    """A plugin file that raises."""
    path = tmp_path / "broken.py"
    path.write_text("import harness\n\nraise RuntimeError('out of order')\n", encoding="utf-8")
    return str(path)


# --- in front of the command


def names(done: Result) -> set[str]:
    assert done.exit_code == 0, done.output
    return {entry["technique"] for entry in json.loads(done.stdout)}


def test_a_plugin_named_before_the_command_joins_those_named_behind_it(invoke: Invoke, toy: str, second: str) -> None:
    assert {"toy-round", "second"} <= names(invoke("--plugin", toy, "techniques", "--plugin", second, "--json"))


def test_a_plugin_blocked_before_the_command_is_blocked(invoke: Invoke, toy: str) -> None:
    assert "toy-round" not in names(invoke("--plugin", toy, "--block", "bench_toy", "techniques", "--json"))


LOADING = [["models"], ["profiles"], ["profiles", "list"], ["plugins"], ["doctor"], ["run", "--dry-run"]]


@pytest.mark.parametrize("command", LOADING, ids=" ".join)
def test_every_command_that_loads_plugins_takes_it(
    invoke: Invoke, tmp_path: Path, toy: str, command: list[str]
) -> None:
    loaded = tmp_path / "loaded.py"
    loaded.write_text(f"open({str(tmp_path / 'mark')!r}, 'w').close()\n", encoding="utf-8")
    assert invoke("--plugin", toy, "--plugin", loaded, *command).exit_code == 0
    assert (tmp_path / "mark").exists()


def test_a_name_that_is_blocked_and_is_nobody_s_is_warned_of(invoke: Invoke, toy: str) -> None:
    done = invoke("--block", "bench_tov", "models", "--plugin", toy)
    assert done.exit_code == 0
    assert "Warning: --block bench_tov: there is no such plugin. Did you mean 'bench_toy'?" in done.stderr


# --- broken


@pytest.mark.parametrize(
    "command", [["models"], ["techniques"], ["profiles", "list"], ["run", "--dry-run"]], ids=" ".join
)
def test_a_broken_one_is_refused_with_file_and_line(invoke: Invoke, broken: str, command: list[str]) -> None:
    done = invoke("--plugin", broken, *command)
    assert done.exit_code == 2
    assert f"is broken: import: RuntimeError: out of order ({broken}, line 3)" in done.stderr
    assert "bench plugins --verbose --plugin" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["plugins"], ["doctor"]], ids=" ".join)
def test_a_broken_one_is_shown_by_the_commands_that_look_for_what_is_broken(
    invoke: Invoke, broken: str, command: list[str]
) -> None:
    done = invoke("--plugin", broken, *command, "--json")
    assert "out of order" in done.stdout
    assert f"{broken}, line 3" in done.stdout


def test_a_source_that_fails_to_list_its_models_is_warned_of_and_the_others_are_listed(
    invoke: Invoke, toy: str, plugins_folder: Path
) -> None:
    done = invoke("--plugin", plugins_folder / "raising_calls.py", "models", "--plugin", toy)
    assert done.exit_code == 0
    assert "toy:linear" in done.stdout
    assert "Warning: the plugin raising_calls (given with --plugin) was passed over: list_models: " in done.stderr
    assert done.stderr.count("ZeroDivisionError") == 1


def test_a_technique_that_fails_to_say_what_it_needs_stops_no_listing(invoke: Invoke, plugins_folder: Path) -> None:
    done = invoke("--plugin", plugins_folder / "raising_calls.py", "techniques", "--json")
    assert {"needy", "int8-static"} <= names(done)
    assert "Warning: needs of needy failed in the plugin raising_calls" in done.stderr


# --- a run, and the run resumed


def test_a_run_with_files_named_like_installed_modules_shadows_these_in_no_process(
    bench: Bench, tmp_path: Path, toy: str
) -> None:
    shutil.copy(toy, tmp_path / "numpy.py")
    (tmp_path / "json.py").write_text(SECOND, encoding="utf-8")
    named = ("--plugin", str(tmp_path / "numpy.py"), "--plugin", str(tmp_path / "json.py"))
    done = bench(*named, *RUN, "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    assert {r["outcome"] for r in json.loads(done.stdout)} == {"measured"}
    assert done.stderr == ""


def test_a_run_is_resumed_from_another_folder_and_told_when_the_file_is_gone(
    bench: Bench, tmp_path: Path, toy: str
) -> None:
    folder = tmp_path / "cwd"
    shutil.copy(toy, folder / "mine.py")
    first = bench("--plugin", "./mine.py", *RUN, "--out", "here")
    assert first.returncode == 0, first.stderr
    kept = (folder / "here" / "plan.toml").read_text(encoding="utf-8")
    assert f'plugins = ["{folder / "mine.py"}"]' in kept
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    moved = tmp_path / "elsewhere"
    gone = bench("run", "--resume", str(moved / "here"))
    assert gone.returncode == 2
    assert "there is no plugin file mine.py" in gone.stderr
    assert f"Put it back, or change `plugins` in {moved / 'here' / 'plan.toml'}." in gone.stderr
    shutil.copy(toy, folder / "mine.py")
    assert bench("run", "--resume", str(moved / "here")).stdout.replace(str(moved), "") == first.stdout.replace(
        "Report: here", "Report: /here"
    )


def test_resuming_with_another_plugin_is_refused(invoke: Invoke, tmp_path: Path, second: str) -> None:
    done = invoke("--plugin", second, "run", "--resume", tmp_path)
    assert done.exit_code == 2
    assert "--plugin does not go with --resume" in done.stderr
