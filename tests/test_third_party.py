"""Somebody else's packages, installed by pip into an environment that has nothing but the core."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
BROKEN = ("import-error", "bad-hook", "raising-hook", "late-error", "wrong-type", "name-clash")
FRAMEWORKS = ("torch", "onnx", "onnxruntime", "openvino", "nncf", "sklearn", "scipy", "PIL")
BUILT_IN = ("edgetpu", "onnx", "onnxruntime", "openvino", "prune", "quantize", "torch", "zoo")

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a virtual environment that inherits nothing, and in it the core and the third parties."""
    folder = tmp_path_factory.mktemp("third-party")
    # A copy, since a build may leave files behind.
    for name in ("toy", *BROKEN):
        shutil.copytree(ROOT / "tests" / "data" / "plugins" / name, folder / "packages" / name)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    packages = [str(folder / "packages" / name) for name in ("toy", *BROKEN)]
    pip = [str(folder / "venv" / "bin" / "pip"), "--quiet", "--disable-pip-version-check", "install"]
    done = subprocess.run([*pip, str(ROOT), *packages], capture_output=True, text=True, check=False, env=_environment())
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def bench(place: Path) -> Call:
    """Run the installed command."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(place / "venv" / "bin" / "bench"), *arguments],
            cwd=place,
            env=_environment() | {"BENCH_CACHE": str(place / "cache"), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return call


def _environment() -> dict[str, str]:
    """This process's environment without what would lead Python into the source tree or another environment."""
    return {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}}


@pytest.fixture(scope="module")
def listed(bench: Call) -> dict[str, Any]:
    """What `bench plugins --json` says: plugins by name, and clashes."""
    done = bench("plugins", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {"plugins": {p["plugin"]: p for p in found["plugins"]}, "clashes": found["clashes"]}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_environment_has_no_framework(place: Path, framework: str) -> None:
    command = [str(place / "venv" / "bin" / "python"), "-c", f"import {framework}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place, env=_environment())
    assert done.returncode == 1
    assert f"No module named '{framework}'" in done.stderr


def test_the_wheel_holds_every_module_of_the_source_tree(place: Path) -> None:
    (installed,) = (place / "venv" / "lib").glob("python*/site-packages")
    for source in (ROOT / "harness", *(ROOT / "plugins").glob("bench_*")):
        files = [f.relative_to(source.parent) for f in source.rglob("*") if f.is_file() and f.suffix != ".pyc"]
        assert [str(f) for f in files if not (installed / f).is_file()] == []
    shipped = [f.relative_to(ROOT / "profiles") for f in (ROOT / "profiles").rglob("*") if f.is_file()]
    assert [str(f) for f in shipped if not (installed / "harness" / "profiles" / f).is_file()] == []


# --- what `bench plugins` says


def test_a_third_party_s_plugin_is_ready(listed: dict[str, Any]) -> None:
    toy = listed["plugins"]["toy"]
    assert toy["status"] == "ready"
    assert toy["distribution"] == "bench-toy 1.2.3"
    assert "backend: toy-numpy" in toy["contributes"]


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("import-error", "broken", "import: ModuleNotFoundError: No module named 'a_module_that_nobody_has'"),
        ("bad-hook", "broken", "register: PluginValidationError: unknown hook 'harness_backend'"),
        ("raising-hook", "partly broken", "harness_backends: ValueError: no backend today"),
        ("late-error", "partly broken", "harness_techniques: KeyError: 'the second technique'"),
        ("wrong-type", "partly broken", "harness_backends yielded {'name': 'not-a-backend'} of type dict"),
    ],
)
def test_a_broken_plugin_is_named_with_its_failure(listed: dict[str, Any], name: str, status: str, said: str) -> None:
    plugin = listed["plugins"][name]
    assert plugin["status"] == status
    assert plugin["distribution"] == f"bench-{name} 0.1"
    assert any(said in problem for problem in plugin["problem"])


def test_a_clash_of_names_names_both_providers(listed: dict[str, Any]) -> None:
    providers = ["name-clash (bench-name-clash 0.1)", "toy (bench-toy 1.2.3)"]
    assert listed["clashes"] == [["technique", "toy-round", providers]]


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_plugin_without_its_framework_says_what_to_install(listed: dict[str, Any], name: str) -> None:
    plugin = listed["plugins"][name]
    assert plugin["status"] == "unavailable"
    assert plugin["problem"]
    assert all("pip install" in problem and "edge-bench[" in problem for problem in plugin["problem"])


def test_the_doctor_names_the_broken_plugins_and_ends_with_1(bench: Call) -> None:
    done = bench("doctor", "--json")
    assert done.returncode == 1
    broken = {f["what"] for f in json.loads(done.stdout) if f["state"] == "broken"}
    assert broken == {f"plugin {name}" for name in BROKEN if name != "name-clash"}


# --- what a run does


RUN = ("run", "--model", "toy:linear", "--profile", "rpi4", "--budget-s", "2", "--json")


def test_a_run_measures_a_third_party_s_technique_in_a_third_party_s_backend(bench: Call) -> None:
    done = bench(*RUN, "--recipe", "toy-round(decimals=2)", "--backend", "toy-numpy", "--block", "name-clash")
    assert done.returncode == 0, done.stderr
    records = {r["recipe"]: r for r in json.loads(done.stdout)}
    assert set(records) == {"baseline", "toy-round(decimals=2)"}
    for record in records.values():
        assert record["outcome"] == "measured"
        assert record["backend"] == "toy-numpy"
        assert len(record["measurement"]["processes"]) == 3
        assert record["quality"]["value"] > 0.9
        assert record["estimate"]["latency_ms"]["p50"] > 0
    steps = records["toy-round(decimals=2)"]["variant"]["lineage"]
    assert [(s["kind"], s["plugin"]) for s in steps][-1] == ("technique", "toy (bench-toy 1.2.3)")


def test_a_clashing_name_fails_when_it_is_asked_for(bench: Call, place: Path) -> None:
    before = sorted((place / "runs").glob("*"))
    done = bench(*RUN, "--recipe", "toy-round", "--backend", "toy-numpy")
    assert done.returncode == 2
    assert "toy-round" in done.stderr
    assert "name-clash (bench-name-clash 0.1) and toy (bench-toy 1.2.3)" in done.stderr
    assert "--block name-clash" in done.stderr
    assert sorted((place / "runs").glob("*")) == before


def test_a_clashing_name_stops_nothing_else(bench: Call) -> None:
    done = bench(*RUN, "--recipe", "baseline", "--backend", "toy-numpy")
    assert done.returncode == 0, done.stderr
    assert [(r["recipe"], r["outcome"]) for r in json.loads(done.stdout)] == [("baseline", "measured")]


def test_a_backend_without_its_framework_is_skipped_with_the_command_that_installs_it(bench: Call) -> None:
    done = bench(*RUN, "--recipe", "baseline", "--backend", "toy-numpy", "--backend", "torch")
    assert done.returncode == 0, done.stderr
    records = {r["backend"]: r for r in json.loads(done.stdout)}
    assert records["toy-numpy"]["outcome"] == "measured"
    assert records["torch"]["outcome"] == "skipped"
    assert records["torch"]["failure"]["reason"] == "BACKEND_UNAVAILABLE"
    assert "pip install 'edge-bench[torch]'" in records["torch"]["failure"]["hint"]
