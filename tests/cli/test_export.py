"""`bench export`: what is written where, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

GALLERY = Path(__file__).parents[2] / "reports" / "techniques" / "har-watch"


@pytest.fixture
def run(tmp_path):
    """A copy of a run that was really made."""
    return shutil.copytree(GALLERY / "timed", tmp_path / "timed")


@pytest.fixture
def records(run):
    return [json.loads(line) for line in (run / "records.jsonl").read_text(encoding="utf-8").splitlines()]


def test_csv_goes_to_standard_output(invoke, run, records):
    done = invoke("export", run)
    lines = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.exit_code == 0
    assert [line["cell"] for line in lines] == [record["cell"] for record in records]


def test_nothing_is_written_into_the_run_folder(invoke, run):
    before = sorted(path.name for path in run.iterdir())
    invoke("export", run, "--format", "pyperf")
    assert sorted(path.name for path in run.iterdir()) == before


@pytest.mark.parametrize("name", ["csv", "parquet", "pyperf"])
def test_a_file_holds_what_its_format_says_and_replaces_an_older_one(invoke, run, tmp_path, name):
    out = tmp_path / "file"
    out.write_text("old", encoding="utf-8")
    done = invoke("export", run, "--format", name, "--out", out)
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"Written: {out}" in done.stderr
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "pyperf": lambda p: json.loads(p.read_text())}
    assert len(read[name](out)) > 1
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".bench-")] == []


def test_the_name_of_the_file_says_the_format(invoke, run, records, tmp_path):
    assert invoke("export", run, "--out", tmp_path / "x.parquet").exit_code == 0
    assert invoke("export", run, "--out", tmp_path / "x.json").exit_code == 0
    assert len(pd.read_parquet(tmp_path / "x.parquet")) == len(records)
    assert "benchmarks" in json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))


def test_samples_are_those_of_the_records(invoke, run, records, tmp_path):
    assert invoke("export", run, "--samples", "--out", tmp_path / "x.parquet").exit_code == 0
    found = pd.read_parquet(tmp_path / "x.parquet")
    timed = found[~found.warmup].groupby("cell").measured_latency_ns
    assert timed.sum().to_dict() == {r["cell"]: sum(r["measurement"]["latency_ns"]) for r in records}


def test_several_runs_are_one_table(invoke, run, records, tmp_path):
    other = shutil.copytree(run, tmp_path / "other")
    lines = list(csv.DictReader(io.StringIO(invoke("export", run, other).stdout)))
    assert [line["run_folder"] for line in lines] == [str(run)] * len(records) + [str(other)] * len(records)


def test_pyperf_compares_two_exported_runs(invoke, run, tmp_path):
    slower = shutil.copytree(run, tmp_path / "slower")
    lines = [json.loads(line) for line in (run / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line["measurement"]["latency_ns"] = [ns * 2 for ns in line["measurement"]["latency_ns"]]
    (slower / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    for folder in (run, slower):
        assert invoke("export", folder, "--out", tmp_path / f"{folder.name}.json").exit_code == 0
    files = [str(tmp_path / "timed.json"), str(tmp_path / "slower.json")]
    told = subprocess.run(
        [sys.executable, "-m", "pyperf", "compare_to", *files], capture_output=True, text=True, check=True
    )
    assert told.stdout.count("2.00x slower") == len(lines) + 1  # the last one is the mean of all


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--format", "parquet"], "--out records.parquet"),
        (["--format", "pyperf", "--samples"], "leave it out"),
        (["--format", "xml"], "xml"),
        (["--out", "/nowhere/at/all.csv"], "/nowhere/at/all.csv cannot be written"),
    ],
)
def test_what_cannot_be_is_said_with_what_to_do(invoke, run, arguments, told):
    done = invoke("export", run, *arguments)
    assert done.exit_code == 2
    assert told in done.stderr


def test_pyperf_takes_one_run(invoke, run):
    done = invoke("export", run, run, "--format", "pyperf")
    assert done.exit_code == 2
    assert "compare_to" in done.stderr


def test_a_folder_without_a_run_is_named(invoke, tmp_path):
    done = invoke("export", tmp_path)
    assert done.exit_code == 2
    assert f"{tmp_path} holds no records.jsonl" in done.stderr


def test_csv_needs_no_further_library(run, tmp_path):
    """Neither DuckDB nor pyperf is imported, so that the extra `report` is not needed."""
    code = (
        "import sys; sys.modules['duckdb'] = sys.modules['pyperf'] = None\n"
        "from harness.cli import bench\n"
        f"bench(['export', {str(run)!r}, '--out', 'x.csv'], standalone_mode=False)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "x.csv").is_file()


@pytest.mark.parametrize(("name", "library"), [("parquet", "duckdb"), ("pyperf", "pyperf")])
def test_a_library_that_is_missing_is_named_with_what_installs_it(invoke, run, tmp_path, monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    done = invoke("export", run, "--format", name, "--out", tmp_path / "x")
    assert done.exit_code == 2
    assert "pip install 'edge-bench[report]'" in done.stderr
    assert not (tmp_path / "x").exists()
