"""`bench new-plugin`: what it writes can be installed, passes its own tests, and takes part in a run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from harness.cli import bench as command_line
from harness.scaffold import KINDS

ROOT = Path(__file__).parents[1]
NAMES = {kind: f"my-{kind}" for kind in KINDS}

Call = Callable[..., subprocess.CompletedProcess[str]]


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(command_line, ["new-plugin", *map(str, arguments)])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A plugin of every kind."""
    folder = tmp_path_factory.mktemp("new-plugins")
    for kind, name in NAMES.items():
        done = invoke(name, "--kind", kind, "--out", folder)
        assert done.exit_code == 0, done.output
    return {kind: folder / f"bench-{name}" for kind, name in NAMES.items()}


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what would lead Python into the source tree or another environment."""
    own = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "BENCH_PLUGINS"}
    return {k: v for k, v in os.environ.items() if k not in own} | more


def run(*command: object, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


# --- what it writes


def test_it_says_what_to_do_next(tmp_path: Path) -> None:
    done = invoke("my-thing", "--kind", "report", "--out", tmp_path)
    folder = tmp_path / "bench-my-thing"
    commands = [line.partition("#")[0].strip() for line in done.output.splitlines() if line.startswith("  ")]
    assert commands == [f"pip install -e '{folder}[test]'", f"pytest {folder}", "bench plugins"]


@pytest.mark.parametrize("kind", KINDS)
def test_it_writes_a_package_with_tests_and_a_readme(written: dict[str, Path], kind: str) -> None:
    folder = written[kind]
    package = f"bench_my_{kind}"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    wanted = {
        "pyproject.toml",
        "README.md",
        f"{package}/__init__.py",
        f"{package}/py.typed",
        f"tests/test_{package}.py",
    }
    assert wanted <= files
    assert not [path for path in files if "PACKAGE" in path or path.endswith(".jinja")]


@pytest.mark.parametrize("kind", KINDS)
def test_no_word_of_a_template_is_left(written: dict[str, Path], kind: str) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in written[kind].rglob("*") if path.is_file())
    assert not re.search(r"\{\{|\{%|\{#", text)


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_writes_is_well_kept(written: dict[str, Path], kind: str, tmp_path: Path) -> None:
    ruff = (sys.executable, "-m", "ruff")
    style = ("--isolated", "--no-cache", "--line-length", "120", ".")
    rules = ("--select", "A,ARG,B,C4,D1,E,F,I,N,NPY,PERF,PIE,PT,RET,RUF,SIM,UP,W", "--ignore", "D107,PT011")
    checked = run(*ruff, "check", *rules, "--per-file-ignores", "tests/*:D", *style, cwd=written[kind])
    assert checked.returncode == 0, checked.stdout
    assert run(*ruff, "format", "--check", *style, cwd=written[kind]).returncode == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_commands_of_its_readme_exist(written: dict[str, Path], kind: str) -> None:
    text = (written[kind] / "README.md").read_text(encoding="utf-8")
    lines = [line for body in re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M) for line in body.splitlines()]
    typed = [words for line in lines if "bench" in (words := shlex.split(line, comments=True))]
    assert typed
    for words in typed:
        name, *rest = words[words.index("bench") + 1 :]
        command: click.Command = command_line.commands[name]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, words


# --- what it refuses


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("My_Thing", "my-thing"),
        ("my--thing", "my-thing"),
        ("thing-", "thing"),
        ("3d", "d"),
        ("../up", "up"),
        ("", "my-plugin"),
        ("bench-thing", "Leave it out: thing"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_one_that_can(name: str, hint: str, tmp_path: Path) -> None:
    done = invoke(name, "--kind", "model", "--out", tmp_path)
    assert done.exit_code == 2
    assert done.output.splitlines()[1].endswith(hint)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "bench-thing" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine", encoding="utf-8")
    done = invoke("thing", "--kind", "model", "--out", tmp_path)
    assert done.exit_code == 2
    assert f"{mine.parent} is there already" in done.output
    assert [path.name for path in mine.parent.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("onnxruntime", "report", "a plugin named 'onnxruntime' is installed (edge-bench"),
        ("int8-static", "technique", "the technique 'int8-static' is there already, from quantize"),
        ("rapl-package", "meter", "the meter 'rapl-package' is there already, from energy"),
    ],
)
def test_a_name_that_is_taken_is_told_with_who_has_it(name: str, kind: str, said: str, tmp_path: Path) -> None:
    done = invoke(name, "--kind", kind, "--out", tmp_path)
    assert done.exit_code == 2
    assert said in done.output
    assert "bench plugins" in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = invoke("thing", "--kind", "model", "--out", tmp_path / "file")
    assert done.exit_code == 2
    assert "cannot be written" in done.output
    assert "--out FOLDER" in done.output


# --- what a stranger does with it


@pytest.fixture(scope="module")
def place(written: dict[str, Path]) -> Path:
    """The plugins' folder, with a virtual environment beside them: the core, and what the plugins ask for."""
    folder = written["model"].parent
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    pip = (folder / "venv" / "bin" / "pip", "--quiet", "--disable-pip-version-check", "install", "--no-compile")
    plugins = [word for path in written.values() for word in ("-e", f"{path}[test]")]
    # one build environment for all five, this one, is a matter of seconds
    for command in ((ROOT, "hatchling", "editables"), ("--no-build-isolation", *plugins)):
        done = run(*pip, *command, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def bench(place: Path, written: dict[str, Path]) -> Call:
    """Run the installed command; the meter has a recorded battery."""
    recorded = written["meter"] / "tests" / "recorded" / "power_now"

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        own = {"BENCH_CACHE": str(place / "cache"), "BENCH_MY_METER_FILE": str(recorded), "COLUMNS": "200"}
        return run(place / "venv" / "bin" / "bench", *arguments, cwd=place, **own)

    return call


@pytest.fixture(scope="module")
def records(bench: Call, place: Path) -> list[dict[str, Any]]:
    """Records of a run in which all five take part."""
    done = bench(
        *("run", "--model", "my-model:spirals", "--backend", "my-backend", "--backend", "onnxruntime"),
        *("--recipe", "baseline", "--recipe", "my-technique(fraction_bits=3)"),
        *("--profile", "rpi4", "--budget-s", "2", "--out", "run", "--json"),
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_its_tests_pass_as_they_are_without_the_other_four(place: Path, written: dict[str, Path], kind: str) -> None:
    allowed = f"onnx,onnxruntime,{NAMES[kind]}"
    pytest_command = (place / "venv" / "bin" / "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    done = run(*pytest_command, written[kind], cwd=place, BENCH_PLUGINS=allowed)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


def test_all_are_ready(bench: Call) -> None:
    done = bench("plugins", "--json")
    plugins = {p["plugin"]: p for p in json.loads(done.stdout)["plugins"]}
    for name in NAMES.values():
        assert plugins[name]["status"] == "ready", plugins[name]
        assert plugins[name]["distribution"] == f"bench-{name} 0.1.0"


def test_a_meter_without_its_file_is_unavailable_and_says_what_to_do(place: Path) -> None:
    done = run(place / "venv" / "bin" / "bench", "plugins", "--json", cwd=place)
    found = next(p for p in json.loads(done.stdout)["plugins"] if p["plugin"] == "my-meter")
    if found["status"] == "unavailable":  # a laptop on its battery has one
        assert "BENCH_MY_METER_FILE" in found["problem"][0]


def test_a_run_has_rows_of_the_model(records: list[dict[str, Any]]) -> None:
    assert {r["model"] for r in records} == {"my-model:spirals"}
    assert {r["outcome"] for r in records} == {"measured"}
    assert all(r["quality"]["value"] > 0.9 for r in records if r["recipe"] == "baseline")


def test_a_run_measures_the_backend_which_answers_as_another_does(records: list[dict[str, Any]]) -> None:
    quality = {r["backend"]: r["quality"]["value"] for r in records if r["recipe"] == "baseline"}
    assert set(quality) == {"my-backend", "onnxruntime"}
    assert quality["my-backend"] == pytest.approx(quality["onnxruntime"], abs=0.005)


def test_a_run_builds_with_the_technique_and_what_it_makes_compresses_better(records: list[dict[str, Any]]) -> None:
    variants = {r["recipe"]: r["variant"] for r in records}
    changed = variants["my-technique(fraction_bits=3)"]
    assert changed["lineage"][-1]["plugin"] == "my-technique (bench-my-technique 0.1.0)"
    assert changed["download_bytes"] < 0.7 * variants["baseline"]["download_bytes"]


def test_a_run_reads_the_meter(records: list[dict[str, Any]]) -> None:
    for record in records:
        energy = record["measurement"]["energy"]
        assert energy["meter"] == "my-meter"
        assert energy["problem"] == ""
        power_w = sum(energy["energy_uj"]) / sum(energy["duration_ns"]) * 1e3
        assert power_w == pytest.approx(6.47, rel=0.1)


def test_a_run_writes_the_report(records: list[dict[str, Any]], place: Path) -> None:
    text = (place / "run" / "report.tex").read_text(encoding="utf-8")
    assert r"\begin{tabular}" in text
    assert {r["model"] for r in records} == {"my-model:spirals"}
    assert all(r["recipe"].replace("_", r"\_") in text for r in records)
