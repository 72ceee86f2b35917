"""Completion: what a shell is told of a line that is half typed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

START = "import sys; from harness.cli import main; main()"


@pytest.fixture
def complete(tmp_path, cache) -> Callable[..., list[str]]:
    """What bash is offered for words of which the last is half typed."""

    def call(*words: str, shell: str = "bash") -> list[str]:
        line = " ".join(["bench", *words])
        at = words[-1] if shell == "fish" else str(len(words))
        done = subprocess.run(
            [sys.executable, "-c", START],
            env={**os.environ, "_BENCH_COMPLETE": f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": at},
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.splitlines()

    return call


def test_commands_and_options_complete(complete):
    assert complete("hist") == ["plain,history"]
    assert complete("export", "--for") == ["plain,--format"]


def test_names_of_plugins_and_profiles_complete(complete):
    assert complete("run", "--backend", "onn") == ["plain,onnxruntime"]
    assert complete("run", "--profile", "rpi-z") == ["plain,rpi-zero-2w"]
    assert complete("estimate", "--profile", "hos") == ["plain,host"]
    assert complete("profiles", "show", "rpi-z") == ["plain,rpi-zero-2w"]
    assert complete("techniques", "int8-st") == ["plain,int8-static"]


def test_the_technique_at_the_end_of_a_recipe_completes(complete):
    assert complete("run", "--recipe", "base") == ["plain,baseline"]
    assert complete("run", "--recipe", "fp1") == ["plain,fp16"]
    assert complete("run", "--recipe", "'prune-magnitude(amount=0.5)+int8-st") == [
        "plain,prune-magnitude(amount=0.5)+int8-static"
    ]
    assert complete("run", "--recipe", "fp16+base") == [""]


@pytest.mark.parametrize("words", [("zoo", ":", "res"), ("zoo:res",)], ids=["cut at the colon", "whole"])
def test_a_reference_completes_whether_bash_cuts_it_or_not(complete, words):
    expected = "resnet-8" if len(words) > 1 else "zoo:resnet-8"
    assert complete("run", "--model", *words) == [f"plain,{expected}"]


def test_a_reference_completes_behind_an_equals_sign(complete):
    assert complete("run", "--model", "=", "zoo", ":", "res") == ["plain,resnet-8"]
    assert "plain,har-watch" in complete("run", "--model", "zoo", ":")


def test_a_model_that_is_not_listed_completes_as_a_file(complete):
    assert complete("run", "--model", "net.on") == ["file,net.on"]


def test_run_folders_complete_with_the_newest_first_and_else_folders(complete, tmp_path):
    for name in ("2026-01-01T12-00-00-rpi4", "2026-01-02T12-00-00-rpi4"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "records.jsonl").touch()
    newest = ["plain,runs/2026-01-02T12-00-00-rpi4", "plain,runs/2026-01-01T12-00-00-rpi4"]
    for words in (("report",), ("export",), ("history",), ("run", "--resume")):
        assert complete(*words, "ru") == newest
    assert complete("report", "elsewh") == ["dir,elsewh"]


def test_the_plugins_that_the_line_names_take_part(complete, toy):
    assert complete("run", "--plugin", toy, "--backend", "toy") == ["plain,toy-numpy"]
    assert complete("run", "--block", "onnxruntime", "--backend", "onn") == [""]


def test_a_plugin_that_is_not_there_breaks_no_completion(complete):
    assert complete("run", "--plugin", "no/such.py", "--backend", "onn") == ["plain,onnxruntime"]


def test_the_other_shells_complete_too(complete):
    assert complete("run", "--profile", "rpi-z", shell="zsh") == ["plain", "rpi-zero-2w", "_"]
    assert complete("run", "--model", "zoo:res", shell="fish") == ["plain,zoo:resnet-8"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_names_the_command_and_how_to_install_it_is_told_apart(invoke, shell):
    done = invoke("completion", shell)
    assert done.exit_code == 0
    assert f"_BENCH_COMPLETE={shell}_complete" in done.stdout
    assert done.stderr.startswith("To have it in every new shell: ")
    assert done.stderr.count("\n") == 1


def test_bash_takes_the_script_and_completes_with_it(invoke, tmp_path):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    (tmp_path / "script").write_text(invoke("completion", "bash").stdout, encoding="utf-8")
    bench = tmp_path / "bench"
    bench.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{START}"\n', encoding="utf-8")
    bench.chmod(0o755)
    typed = "COMP_WORDS=(bench run --model zoo : res); COMP_CWORD=5"
    code = f'source "{tmp_path}/script"; {typed}; _bench_completion bench; echo "${{COMPREPLY[@]}}"'
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [bash, "--norc", "-c", code], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("resnet-8\n", "")


def test_a_shell_that_is_not_known_is_said(invoke):
    done = invoke("completion", "tcsh")
    assert done.exit_code == 2
    assert "tcsh" in done.stderr


def test_the_help_imports_nothing_for_completion():
    heavy = ("duckdb", "harness.loading", "pyperf")
    code = f"import sys; import harness.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout == "[]\n"
