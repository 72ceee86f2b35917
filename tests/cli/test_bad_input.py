"""Bad input: one clear message with what to do next, no traceback, nothing half-written."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from harness.profile_file import builtin_folder

Bench = Callable[..., CompletedProcess[str]]

FILES = {
    "torn-plan.toml": "models = [",
    "unknown-key.toml": 'recipe = ["fp16"]',
    "wrong-type.toml": 'threads = "many"',
    "torn-profile.toml": "name = [",
    "profile-without-cores.toml": 'name = "board"',
    "empty.onnx": "",
    "a-file": "",
    "broken_plugin.py": "import a_module_that_nobody_has",
}


@pytest.fixture
def cwd(tmp_path: Path, bench: Bench) -> Path:
    """The folder in which `bench` runs, with bad files in it."""
    folder = tmp_path / "cwd"
    for name, content in FILES.items():
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "a-folder").mkdir()
    return folder


@pytest.fixture
def refused(bench: Bench, cwd: Path, toy: str) -> Callable[..., str]:
    """Run with the toy plugin, see that it is refused as bad input is, and hand out the message."""

    def call(*arguments: str, **environment: str) -> str:
        before = everything_below(cwd)
        done = bench("run", *arguments, **environment)
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert sum(line.startswith("Error: ") for line in done.stderr.splitlines()) == 1
        assert len(done.stderr.splitlines()) <= 4, done.stderr
        assert everything_below(cwd) == before
        return done.stderr

    return call


def everything_below(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["--model", "zoo:har-wach"], "no network 'har-wach'", "Did you mean zoo:har-watch?"),
        (["--model", "nonsense"], "no model 'nonsense'", "package.module:factory"),
        (["--model", "nobody.onnx"], "nobody.onnx: no such file", "Give the path"),
        (["--model", "empty.onnx"], "empty.onnx: the file is empty", "Export the model again"),
        (["--model", "nobody.py:make"], "no file nobody.py", "current folder"),
        (["--model", "nobody_has_this:make"], "no module 'nobody_has_this'", "Run bench in the folder"),
        (["--recipe", "toy-rund"], "no technique is named 'toy-rund'", "Did you mean 'toy-round'?"),
        (["--recipe", "toy-round(decimal=1)"], "no option 'decimal'", "Did you mean 'decimals'?"),
        (["--recipe", "toy-round(decimals='x')"], "decimals = 'x' is not allowed", "valid integer"),
        (["--recipe", "toy-round(decimals=)"], "the value '' in", "as in TOML"),
        (["--recipe", "toy round"], "'toy round' in the recipe", "name(option=value)"),
        (["--recipe", "int8-static+prune-magnitude"], "cannot work", "works is: prune-magnitude+int8-static"),
        (["--backend", "toy-nump"], "no backend is named 'toy-nump'", "Did you mean 'toy-numpy'?"),
        (["--backend", "toy-numpy(fast=true)"], "no option 'fast'", "It has: none"),
        (["--profile", "rpi5x"], "no profile is named 'rpi5x'", "Did you mean 'rpi5'?"),
        (["--profile", "nonsense"], "no profile is named 'nonsense'", "Known: "),
        (["--profile", "nobody.toml"], "nobody.toml cannot be read", "path of a TOML file"),
        (["--profile", "torn-profile.toml"], "torn-profile.toml is not TOML", "at that place"),
        (["--profile", "profile-without-cores.toml"], "is missing", "profiles/README.md"),
        (["--plan", "nobody.toml"], "nobody.toml cannot be read", "Give a TOML file"),
        (["--plan", "torn-plan.toml"], "torn-plan.toml is not TOML", "Mend that line"),
        (["--plan", "unknown-key.toml"], "unknown key 'recipe'", "Did you mean 'recipes'?"),
        (["--plan", "wrong-type.toml"], "threads = 'many' is not allowed", "valid integer"),
        (["--data", "nobody"], "no data at nobody", "a folder with one sub-folder"),
        (["--data", "a-file"], "neither a folder nor an .npz file", "a folder with one sub-folder"),
        (["--plugin", "nobody.py"], "no plugin file nobody.py", "bench plugins --verbose"),
        (["--plugin", "broken_plugin.py"], "a_module_that_nobody_has", "bench plugins --verbose"),
        (["--threads", "-1"], "threads = -1 makes no sense", "0 for all processors"),
        (["--threads", "many"], "'many' is not a valid integer", "bench run --help"),
        (["--budget-s", "0"], "budget-s = 0.0 makes no sense", "more than 0"),
        (["--budget-s", "inf"], "budget-s = inf makes no sense", "more than 0"),
        (["--precision", "nan"], "precision = nan makes no sense", "between 0 and 1"),
        (["--processes", "0"], "processes = 0 makes no sense", "1 or more"),
        (["--seed", "-1"], "seed = -1 makes no sense", "0 to 4294967295"),
        (["--timeout", "-1"], "timeout = -1.0 makes no sense", "more than 0"),
        (["--memory-limit", "-1"], "memory-limit = -1 makes no sense", "megabytes"),
        (["--modle", "x"], "No such option '--modle'", "--model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_used_is_refused_with_one_message_and_a_hint(refused, toy, arguments, said, hint):
    good = ["--plugin", toy, "--model", "toy:linear", "--recipe", "toy-round", "--backend", "toy-numpy"]
    message = refused(*good, "--profile", "rpi4", *arguments)
    assert said in message
    assert hint in message


@pytest.mark.parametrize("arguments", [["--profile", "rpi5x"], ["--model", "nobody.onnx"], ["--recipe", "toy-rund"]])
def test_a_dry_run_refuses_what_a_run_refuses(refused, toy, arguments):
    assert refused("--plugin", toy, "--backend", "toy-numpy", *arguments, "--dry-run")


def test_two_profiles_of_one_name_are_refused(refused, toy, cwd):
    (cwd / "mine.toml").write_text((builtin_folder() / "rpi4.toml").read_text(encoding="utf-8"), encoding="utf-8")
    message = refused("--plugin", toy, "--model", "toy:linear", "--profile", "rpi4", "--profile", "mine.toml")
    assert "rpi4 and mine.toml are both named 'rpi4'" in message


# --- where a run is written


@pytest.mark.parametrize("out", ["a-file", "a-file/below"])
def test_an_output_folder_that_cannot_be_written_is_refused(refused, toy, out):
    message = refused("--plugin", toy, "--model", "toy:linear", "--backend", "toy-numpy", "--out", out)
    assert f"the run folder {out} cannot be written" in message
    assert "--out" in message


def test_a_cache_that_cannot_be_written_is_refused(refused, toy, cwd):
    place = str(cwd / "a-file")
    message = refused("--plugin", toy, "--model", "toy:linear", "--backend", "toy-numpy", BENCH_CACHE=place)
    assert f"the cache {place} cannot be written" in message
    assert "BENCH_CACHE" in message


def test_a_folder_that_holds_a_run_is_not_written_over(refused, toy, cwd):
    (cwd / "old").mkdir()
    (cwd / "old" / "records.jsonl").write_text("", encoding="utf-8")
    message = refused("--plugin", toy, "--model", "toy:linear", "--backend", "toy-numpy", "--out", "old")
    assert "holds a run already" in message
    assert "--resume old" in message


# --- resuming


@pytest.mark.parametrize("folder", ["nobody", "a-folder", "a-file"])
def test_resuming_what_is_no_run_is_refused(refused, folder):
    message = refused("--resume", folder)
    assert f"{folder} holds no plan.toml" in message
    assert "Give the folder of a run" in message


@pytest.mark.parametrize("option", [["--threads", "1"], ["--model", "toy:linear"], ["--dry-run"], ["--out", "other"]])
def test_resuming_with_other_options_is_refused(refused, option):
    message = refused("--resume", "a-folder", *option)
    assert f"{option[0]} does not go with --resume" in message


@pytest.mark.parametrize("folder", ["nobody", "a-folder"])
def test_reporting_what_is_no_run_is_refused(bench, cwd, folder):
    done = bench("report", folder)
    assert done.returncode == 2
    assert f"{folder} holds no records.jsonl" in done.stderr
    assert everything_below(cwd / "a-folder") == {}


# --- what only loading tells: every row fails with the same clear message


def failures(done: CompletedProcess[str]) -> set[tuple[str, str]]:
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    records = json.loads(done.stdout)
    assert {r["outcome"] for r in records} == {"failed"}
    return {(r["failure"]["error"], r["failure"]["hint"]) for r in records}


@pytest.mark.parametrize("content", [b"\x08\x07\x12\x99no protobuf", b"\xff" * 300, b"PK\x03\x04"])
def test_a_corrupt_onnx_file_fails_each_row_with_one_message(bench, cwd, cache, content):
    (cwd / "net.onnx").write_bytes(content)
    backends = ("--backend", "onnxruntime", "--backend", "openvino")
    found = failures(bench("run", "--model", "net.onnx", "--recipe", "fp16", "--profile", "rpi4", *backends, "--json"))
    ((error, hint),) = found
    assert error.startswith("net.onnx: ")
    assert "Export the model again" in hint
    assert list((cache / "models").glob("*")) + list((cache / "variants").glob("*")) == []
    assert list((cache / "scratch").glob("*")) == []


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros((10, 3), np.float32)}, "x has shape (10, 3); the model's input x expects (rows, 2)"),
        ({"inputs": np.zeros((10, 2), np.float32)}, "has no x; it holds inputs"),
        ({"x": np.zeros((10, 2), np.float32), "y": np.eye(10, dtype=np.int64)}, "y has shape (10, 10)"),
        ({"x": np.zeros((10, 2), np.uint8)}, "x is uint8; the model's input x expects float32"),
    ],
    ids=["shape", "key", "labels", "type"],
)
def test_data_that_does_not_fit_the_model_fails_each_row_with_one_message(bench, cwd, toy, arrays, said):
    np.savez(cwd / "data.npz", **arrays)
    good = ["--plugin", toy, "--model", "toy:linear", "--recipe", "toy-round", "--backend", "toy-numpy"]
    found = failures(bench("run", *good, "--profile", "rpi4", "--data", "data.npz", "--json"))
    ((error, hint),) = found
    assert said in error
    assert hint


def test_a_damaged_archive_fails_each_row_with_one_message(bench, cwd, toy):
    with zipfile.ZipFile(cwd / "data.npz", "w") as archive:
        archive.writestr("x.npy", b"no array")
    good = ["--plugin", toy, "--model", "toy:linear", "--recipe", "toy-round", "--backend", "toy-numpy"]
    ((error, hint),) = failures(bench("run", *good, "--profile", "rpi4", "--data", "data.npz", "--json"))
    assert "cannot be read as an archive" in error
    assert "numpy.savez" in hint
