"""`bench compare` on folders that a run has written."""

from __future__ import annotations

import json

import pytest


def slower(row):
    row["measurement"]["latency_ns"] = [round(ns * 1.15) for ns in row["measurement"]["latency_ns"]]


def test_a_slower_variant_is_named_with_its_change(invoke, copy_run):
    done = invoke("compare", copy_run("a", seed=1), copy_run("b", seed=2, edit=slower), columns=200)
    assert done.exit_code == 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("- toy-round") and "to baseline" in line]
    assert "slower" in line


def test_the_same_thing_twice_shows_nothing(invoke, copy_run):
    done = invoke("compare", copy_run("a", seed=1), copy_run("b", seed=2), "--alpha", "0.01")
    assert "What changed\n- nothing" in done.stdout
    assert "Significant at 1 %" in done.stdout


def test_json_holds_every_change(invoke, copy_run):
    found = json.loads(invoke("compare", copy_run("a", seed=1), copy_run("b", seed=2), "--json").stdout)
    assert [cell["recipe"] for cell in found["cells"]] == ["baseline", "toy-round"]
    assert {change["metric"] for change in found["cells"][1]["changes"]} == {
        "relative latency", "latency", "memory", "size", "download", "accuracy",
    }  # fmt: skip


@pytest.mark.parametrize("columns", [40, 80])
def test_a_narrow_terminal_is_enough(invoke, copy_run, columns):
    done = invoke("compare", copy_run("a", seed=1), copy_run("b", seed=2, edit=slower), columns=columns)
    words = [word for line in done.stdout.splitlines() if len(line) > columns for word in line.split()]
    assert all("/" in word for word in words if len(word) > columns)


def test_a_folder_without_a_run_is_an_error_with_what_to_give(invoke, copy_run, tmp_path):
    done = invoke("compare", copy_run("a", seed=1), tmp_path / "nothing")
    assert done.exit_code == 2
    assert "holds no records.jsonl" in done.stderr
    assert "Give the folder of a run" in done.stderr


def test_a_run_without_a_finished_row_is_an_error(invoke, copy_run):
    empty = copy_run("b", seed=2)
    (empty / "records.jsonl").write_text("", encoding="utf-8")
    done = invoke("compare", copy_run("a", seed=1), empty)
    assert done.exit_code == 2
    assert "bench run --resume" in done.stderr


def test_a_torn_plan_is_an_error(invoke, copy_run):
    torn = copy_run("b", seed=2)
    (torn / "plan.toml").write_text("models = [", encoding="utf-8")
    done = invoke("compare", copy_run("a", seed=1), torn)
    assert done.exit_code == 2
    assert "is not TOML" in done.stderr


def test_other_data_is_refused_by_its_name(invoke, copy_run):
    def elsewhere(row):
        row["quality"]["data"] = "other points"

    done = invoke("compare", copy_run("a", seed=1), copy_run("b", seed=2, edit=elsewhere))
    assert done.exit_code == 2
    assert "--allow-unlike data" in done.stderr
