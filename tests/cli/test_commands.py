"""What each command promises to whoever types it, and to whoever reads its output with a program."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

Bench = Callable[..., CompletedProcess[str]]

LISTINGS = ("profiles", "plugins", "techniques", "models", "doctor", "cache")
NARROW = 60


@pytest.fixture
def cwd(tmp_path: Path, bench: Bench) -> Path:
    """The folder in which `bench` runs."""
    return tmp_path / "cwd"


@pytest.fixture
def small(toy: str) -> list[str]:
    """Arguments of a run that takes two seconds."""
    return ["run", "--plugin", toy, "--model", "toy:linear", "--recipe", "toy-round", "--profile", "rpi4",
            "--processes", "1", "--budget-s", "0.2", "--backend", "toy-numpy"]  # fmt: skip


def document(done: CompletedProcess[str], code: int = 0) -> Any:
    """Standard output as JSON, of a command that ended as expected."""
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


# --- listings


def test_plugins_tell_status_and_contributions(bench, toy):
    listed = document(bench("plugins", "--plugin", toy, "--json"))
    by_name = {p["plugin"]: p for p in listed["plugins"]}
    assert {"edgetpu", "onnx", "onnxruntime", "openvino", "prune", "quantize", "torch", "zoo"} <= set(by_name)
    meterless = by_name.pop("energy")  # not every machine has a meter
    assert meterless["status"] == "ready" or all(meterless["problem"])
    assert {p["status"] for p in by_name.values()} == {"ready"}
    assert by_name["bench_toy"]["contributes"][-1] == "backend: toy-numpy"
    assert by_name["torch"]["distribution"].startswith("edge-bench ")
    assert listed["clashes"] == []


def test_a_blocked_plugin_is_listed_and_contributes_nothing(bench, toy):
    listed = document(bench("plugins", "--plugin", toy, "--block", "bench_toy", "--json"))
    blocked = next(p for p in listed["plugins"] if p["plugin"] == "bench_toy")
    assert (blocked["status"], blocked["contributes"]) == ("blocked", [])


def test_profiles_give_every_number_a_source(bench):
    listed = {p["name"]: p for p in document(bench("profiles", "--json"))}
    assert {"rpi4", "rpi5", "rpi-zero-2w", "coral-dev-board"} <= set(listed)
    clock = listed["rpi4"]["clusters"][0]["clock"]
    assert clock["value"] == pytest.approx(1.5)
    assert clock["unit"] == "GHz"
    assert clock["source"]
    assert clock["date"]


def test_models_tell_task_and_licence(bench):
    listed = {m["ref"]: m for m in document(bench("models", "--json"))}
    assert {"zoo:har-watch", "zoo:efficientnet-lite0"} <= set(listed)
    assert all(m["task"] and m["licence"] for m in listed.values())
    assert all(listed[ref]["available"] for ref in ("zoo:har-watch", "zoo:efficientnet-lite0"))
    assert all(m["available"] or m["reason"] for m in listed.values())


def test_models_say_how_to_name_your_own(bench):
    told = bench("models").stdout
    assert "an ONNX file, by its path" in told
    assert "package.module:factory" in told


def test_techniques_tell_options_and_where_they_work(bench):
    listed = {t["technique"]: t for t in document(bench("techniques", "--json"))}
    assert {"fp16", "int8-dynamic", "int8-static", "prune-magnitude"} <= set(listed)
    assert listed["int8-static"]["options"]["method"] == "minmax"
    assert "onnx" in listed["int8-static"]["on"]
    assert listed["int8-static"]["needs"] == ["calibration"]


def test_the_cache_tells_its_place_and_is_cleared(bench, small, cache):
    assert bench(*small).returncode == 0
    full = document(bench("cache", "--json"))
    assert full["path"] == str(cache)
    assert full["size_bytes"] > 0
    assert document(bench("cache", "--clear", "--json"))["cleared_bytes"] == full["size_bytes"]
    assert document(bench("cache", "--json"))["size_bytes"] == 0


def test_the_doctor_tells_state_and_advice(bench, cache):
    found = {f["what"]: f for f in document(bench("doctor", "--json"))}
    assert {"cache", "clock", "load", "memory", "backend torch", "backend onnxruntime"} <= set(found)
    assert {f["state"] for f in found.values()} <= {"fine", "note"}
    assert found["cache"]["advice"] == str(cache)


def test_the_doctor_says_what_is_missing_without_plugins(bench):
    found = document(bench("doctor", "--json", BENCH_PLUGINS=""))
    assert not [f for f in found if f["state"] == "broken"]


@pytest.mark.parametrize("command", [name for name in LISTINGS if name != "cache"])  # a path is never broken
def test_a_listing_fits_a_narrow_terminal(bench, command):
    done = bench(command, COLUMNS=str(NARROW))
    assert done.returncode == 0
    assert [line for line in done.stdout.splitlines() if len(line) > NARROW] == []


def test_a_narrow_terminal_breaks_no_name_that_is_to_be_typed(bench):
    assert "zoo:efficientnet-lite0 " in bench("models", COLUMNS=str(NARROW)).stdout
    assert "coral-dev-board " in bench("profiles", COLUMNS=str(NARROW)).stdout


@pytest.mark.parametrize("command", LISTINGS)
def test_a_listing_that_is_piped_has_no_colour(bench, command):
    assert "\x1b" not in bench(command, TERM="xterm-256color").stdout


# --- run


def test_a_dry_run_shows_every_cell_and_writes_nothing(bench, small, cwd, cache):
    done = bench(*small, "--profile", "rpi5", "--dry-run")
    assert done.returncode == 0
    assert "toy-round" in done.stdout
    assert "2 cells × 2 profile(s): rpi4, rpi5" in done.stdout
    assert not list(cwd.iterdir())
    assert not cache.exists()


def test_a_dry_run_as_json_holds_the_plan_and_the_steps(bench, small, cwd):
    planned = document(bench(*small, "--backend", "torch", "--dry-run", "--json"))
    assert planned["plan"]["models"] == ["toy:linear"]
    assert planned["plan"]["recipes"] == ["baseline", "toy-round"]
    steps = {(c["recipe"], c["backend"]): c["steps"] for c in planned["cells"]}
    assert steps["toy-round", "toy-numpy"] == "toy-round"
    assert "the backend reads pt2" in steps["baseline", "torch"]
    assert not list(cwd.iterdir())


def test_a_plan_file_and_options_say_the_same(bench, small, cwd, toy):
    plan = 'models = ["toy:linear"]\nrecipes = ["toy-round"]\nbackends = ["toy-numpy"]\nseed = 7\n'
    (cwd / "plan.toml").write_text(f'{plan}plugins = ["{toy}"]\n', encoding="utf-8")
    planned = document(bench("run", "--plan", "plan.toml", "--seed", "8", "--dry-run", "--json"))
    given = document(bench(*small, "--profile", "host", "--seed", "8", "--dry-run", "--json"))
    assert planned["plan"]["seed"] == 8
    assert planned["cells"] == given["cells"]


def test_a_run_as_json_prints_records_and_its_progress_goes_to_standard_error(bench, small, cwd):
    done = bench(*small, "--out", "here", "--json")
    records = document(done)
    assert [(r["recipe"], r["outcome"]) for r in records] == [("baseline", "measured"), ("toy-round", "measured")]
    lines = (cwd / "here" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == records
    assert "Run folder: here" in done.stderr
    assert "measuring toy:linear" in done.stderr
    assert {p.name for p in (cwd / "here").iterdir()} >= {"plan.toml", "environment.json", "report.md", "report.html"}


def test_a_run_prints_a_table_and_the_path_of_its_report(bench, small, cwd):
    done = bench(*small)
    assert done.returncode == 0
    assert "toy:linear on rpi4" in done.stdout
    assert "\x1b" not in done.stdout
    path = cwd / done.stdout.split("Report: ")[1].splitlines()[0]
    assert path.is_file()
    assert path.parent.name.endswith("-rpi4")
    assert path.parent.parent == cwd / "runs"


def test_a_failed_row_makes_exit_code_1_and_is_in_the_report(bench, small, faults, cwd):
    done = bench(*small, "--plugin", faults, "--backend", "exit", "--out", "here")
    assert done.returncode == 1
    assert "status 7" in done.stdout
    assert "2 measured, 2 failed" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_skipped_row_is_no_failure(bench, small):
    records = document(bench(*small, "--recipe", "fp16", "--json"))
    assert [r["outcome"] for r in records] == ["measured", "measured", "skipped"]


def test_a_report_is_rendered_again_from_records_alone(bench, small, cwd, tmp_path):
    first = bench(*small, "--out", "here")
    files = ("report.md", "report.html")
    before = {name: (cwd / "here" / name).read_bytes() for name in files}
    for path in (cwd / "here").iterdir():
        if path.name not in {"records.jsonl", "environment.json"}:
            path.unlink()
    shutil.rmtree(tmp_path / "cache")
    again = bench("report", "here", BENCH_PLUGINS="")
    assert again.returncode == 0
    assert again.stdout == first.stdout
    assert {name: (cwd / "here" / name).read_bytes() for name in files} == before


def test_a_resumed_run_of_which_nothing_is_left_to_do_says_the_same(bench, small, cwd):
    first = bench(*small, "--out", "here")
    again = bench("run", "--resume", "here")
    assert again.returncode == 0
    assert again.stdout == first.stdout


# --- the command itself


def test_help_names_every_command(bench):
    told = bench("--help").stdout
    assert all(f"  {name} " in told for name in ("run", "report", *LISTINGS))


def test_the_version_is_the_distribution_s(bench):
    from importlib.metadata import version

    assert bench("--version").stdout.strip().endswith(version("edge-bench"))
