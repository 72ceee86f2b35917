"""`bench check` as a build server calls it, on folders that a run has written."""

from __future__ import annotations

import builtins
import json

import pytest


def slower(row):
    row["measurement"]["latency_ns"] = [round(ns * 1.15) for ns in row["measurement"]["latency_ns"]]


def hungrier(row):
    for reading in row["measurement"]["processes"]:
        reading["peak_rss_bytes"] += 20_000_000


def larger(row):
    row["variant"]["size_bytes"] *= 2


def wronger(row):
    row["quality"]["right"] = "00" * 4 + row["quality"]["right"][8:]
    row["quality"]["value"] -= 0.3


def broken(row):
    failure = {"stage": "open", "plugin": "p", "error": "the kernel said no", "hint": "", "reason": ""}
    row |= {"outcome": "failed", "measurement": None, "failure": failure}


PLANTED = {
    "relative latency": slower, "memory": hungrier, "size": larger, "accuracy": wronger, "outcome": broken,
}  # fmt: skip


def test_two_runs_of_the_same_thing_pass(invoke, copy_run):
    done = invoke("check", copy_run("b", seed=2), "--against", copy_run("a", seed=1))
    assert done.exit_code == 0, done.output
    assert "bench check passed" in done.stdout
    assert "This check sees a change of latency of" in done.stdout


@pytest.mark.parametrize("metric", PLANTED)
def test_each_planted_regression_fails_by_its_name(invoke, copy_run, metric):
    worse = copy_run("b", seed=2, edit=PLANTED[metric])
    done = invoke("check", worse, "--against", copy_run("a", seed=1), "--json")
    assert done.exit_code == 1
    findings = json.loads(done.stdout)["check"]["findings"]
    assert {f["metric"] for f in findings if f["status"] == "regression"} == {metric}


def test_a_run_of_another_machine_is_refused_until_that_is_allowed(invoke, copy_run):
    base, other = copy_run("a", seed=1), copy_run("b", seed=2, cpu="Another CPU", machine="ffffffffffff")
    refused = invoke("check", other, "--against", base)
    assert refused.exit_code == 2
    assert "Another CPU" in refused.stderr
    assert "--allow-unlike machine" in refused.stderr
    assert refused.stdout == ""
    allowed = invoke("check", other, "--against", base, "--allow-unlike", "machine")
    assert allowed.exit_code == 0
    assert "UNLIKE RUNS" in allowed.stdout


def test_an_inconclusive_check_warns_and_fails_only_when_strict(invoke, copy_run):
    runs = copy_run("b", seed=2), "--against", copy_run("a", seed=1)
    lax = invoke("check", *runs, "--must-see", "0.1")
    assert lax.exit_code == 0
    assert "Warning: the check is inconclusive" in lax.stderr
    assert invoke("check", *runs, "--must-see", "0.1", "--strict").exit_code == 1


def test_a_floor_on_the_command_line_counts(invoke, copy_run):
    runs = copy_run("b", seed=2, edit=slower), "--against", copy_run("a", seed=1)
    assert invoke("check", *runs, "--latency", "30").exit_code == 0
    assert invoke("check", *runs, "--latency-ms", "1").exit_code == 0


def test_a_missing_row_fails_until_that_is_allowed(invoke, copy_run):
    base, run = copy_run("a", seed=1), copy_run("b", seed=2)
    lines = (run / "records.jsonl").read_text(encoding="utf-8").splitlines()
    (run / "records.jsonl").write_text(lines[0] + "\n", encoding="utf-8")
    assert invoke("check", run, "--against", base).exit_code == 1
    assert invoke("check", run, "--against", base, "--allow-missing").exit_code == 0


def test_junit_can_be_read_back(invoke, copy_run, tmp_path):
    junitparser = pytest.importorskip("junitparser")
    file = tmp_path / "check.xml"
    run = copy_run("b", seed=2, edit=slower)
    invoke("check", run, "--against", copy_run("a", seed=1), "--junit", file)
    (suite,) = junitparser.JUnitXml.fromfile(str(file))
    assert suite.failures == 1
    (failed,) = [case for case in suite if case.result]
    assert failed.name.endswith("relative latency")
    assert failed.classname == "toy:linear × toy-numpy"
    assert {case.name.rpartition(": ")[2] for case in suite} >= {"latency", "memory", "size", "accuracy"}


def test_what_is_inconclusive_is_skipped_in_junit_and_a_failure_when_strict(invoke, copy_run, tmp_path):
    junitparser = pytest.importorskip("junitparser")
    runs = copy_run("b", seed=2), "--against", copy_run("a", seed=1), "--must-see", "0.1"
    for options, expected in (((), (0, True)), (("--strict",), (1, False))):
        invoke("check", *runs, "--junit", tmp_path / "check.xml", *options)
        (suite,) = junitparser.JUnitXml.fromfile(str(tmp_path / "check.xml"))
        assert (suite.failures, bool(suite.skipped)) == expected


def test_without_the_library_junit_is_an_error_with_the_command_that_brings_it(invoke, copy_run, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **named):
        if name == "junitparser":
            raise ImportError(name)
        return real(name, *arguments, **named)

    runs = copy_run("b", seed=2), "--against", copy_run("a", seed=1)
    monkeypatch.setattr(builtins, "__import__", without)
    done = invoke("check", *runs, "--junit", tmp_path / "check.xml")
    assert done.exit_code == 2
    assert "pip install 'edge-bench[report]'" in done.stderr


def test_markdown_is_written_and_hostile_names_in_it_are_text(invoke, copy_run, tmp_path):
    def refuse(row):
        broken(row)
        row["failure"]["error"] = "<script>|`x`\n# h"

    file = tmp_path / "comment.md"
    base, run = copy_run("<b>|a", seed=1), copy_run("b", seed=2, edit=refuse)
    invoke("check", run, "--against", base, "--markdown", file)
    text = file.read_text(encoding="utf-8")
    assert text.startswith("## bench check failed")
    assert [markup for markup in ("<script>", "<b>", "\n# h") if markup in text] == []
    assert len(text) <= 65_536


@pytest.mark.parametrize("option", ["--markdown", "--junit"])
def test_a_file_that_cannot_be_written_is_an_error(invoke, copy_run, tmp_path, option):
    runs = copy_run("b", seed=2), "--against", copy_run("a", seed=1)
    done = invoke("check", *runs, option, tmp_path / "nowhere" / "file")
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--latency", "-1"), ("--alpha", "1")])
def test_wrong_use_exits_with_2(invoke, copy_run, arguments):
    runs = (copy_run("b", seed=2), *(("--against", copy_run("a", seed=1)) if arguments else ()))
    assert invoke("check", *runs, *arguments).exit_code == 2
