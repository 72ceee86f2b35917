"""A file for pyperf: what its own commands say of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pyperf
import pytest

from harness.errors import ConfigurationError, UsageError
from harness.export.pyperf import write_pyperf
from harness.export.stored_run import cells, read_run
from harness.run_folder import read_records


@pytest.fixture
def suite(stored, tmp_path):
    write_pyperf(stored, tmp_path / "a.json")
    return pyperf.BenchmarkSuite.load(str(tmp_path / "a.json"))


def command(*arguments) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_there_is_a_benchmark_for_each_measurement_and_not_for_each_profile(suite):
    assert suite.get_benchmark_names() == ["net baseline in fast", "net round in fast", "net same in fast"]


def test_runs_are_processes_and_values_are_samples_in_seconds(suite, tmp_path):
    measured = read_records(tmp_path / "here")[0].measurement
    found = suite.get_benchmark("net baseline in fast")
    assert [len(run.values) for run in found.get_runs()] == [40, 40, 40]
    assert found.get_values() == tuple(ns / 1e9 for ns in measured.latency_ns)
    assert found.get_runs()[0].warmups == ((8, 0.004), (8, 0.004))
    assert found.get_loops() == measured.calls_per_sample
    assert found.get_unit() == "second"


def test_metadata_are_named_as_pyperf_names_them_and_name_no_host(suite):
    found = suite.get_benchmark("net round in fast").get_metadata()
    expected = {"cpu_model_name": "Intel Xeon at 2.50 GHz", "cpu_count": 2, "python_version": "3.11.7", "threads": 2,
                "bench": "0.1.0", "fast_version": "1.2", "load_avg_1min": 0.25, "mem_max_rss": 88_000_000,
                "date": "2026-01-01 12:00:00"}  # fmt: skip
    assert expected.items() <= found.items()
    assert "hostname" not in found


def test_pyperf_compares_two_runs(store, make_record, make_measurement, tmp_path):
    for name, ms in (("a", 2.0), ("b", 1.0)):
        folder = store(name, [make_record("c", measurement=make_measurement(ms))])
        write_pyperf(cells(read_run(folder)), tmp_path / f"{name}.json")
    told = command("compare_to", tmp_path / "a.json", tmp_path / "b.json")
    assert "[a] 1.98 ms" in told
    assert "faster" in told


@pytest.mark.parametrize("name", ["stats", "hist", "check", "show", "metadata"])
def test_pyperf_reads_it(suite, tmp_path, name):
    assert "net round in fast" in command(name, tmp_path / "a.json")


def test_an_inference_of_no_nanosecond_takes_one(store, make_record, make_measurement, tmp_path):
    from dataclasses import replace

    timed = make_measurement(1.0)
    timed = replace(timed, latency_ns=(0,) * len(timed.latency_ns), warmup_ns=(0,) * len(timed.warmup_ns))
    write_pyperf(cells(read_run(store("zero", [make_record("c", measurement=timed)]))), tmp_path / "z.json")
    assert set(pyperf.BenchmarkSuite.load(str(tmp_path / "z.json")).get_benchmarks()[0].get_values()) == {1e-9}
    assert "1.00 ns" in command("stats", tmp_path / "z.json")


def test_profiles_whose_measurements_differ_are_two_benchmarks(store, make_record, make_measurement, tmp_path):
    other = make_record("d", profile="phone", measurement=make_measurement(3.0))
    write_pyperf(cells(read_run(store("two", [make_record("c"), other]))), tmp_path / "a.json")
    names = [b["metadata"]["name"] for b in json.loads((tmp_path / "a.json").read_text())["benchmarks"]]
    assert names == ["net baseline in fast", "net baseline in fast for phone"]


def test_facts_that_are_empty_or_break_lines_are_no_obstacle(store, tmp_path):
    write_pyperf(cells(read_run(store("odd", cpu="two\nlines", cores=None, os="", time="noon"))), tmp_path / "a.json")
    found = pyperf.BenchmarkSuite.load(str(tmp_path / "a.json")).get_metadata()
    assert found["cpu_model_name"] == "two lines"
    assert {"cpu_count", "date"} & set(found) == set()


def test_facts_that_pyperf_refuses_are_said(store, tmp_path):
    with pytest.raises(ConfigurationError, match="load_avg_1min"):
        write_pyperf(cells(read_run(store("odd", load_average=-1.0))), tmp_path / "a.json")


def test_a_run_that_measured_nothing_is_said(store, tmp_path):
    with pytest.raises(UsageError, match="nothing was measured"):
        write_pyperf(cells(read_run(store("none", []))), tmp_path / "a.json")
