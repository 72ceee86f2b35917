"""The kit stands beside the host: nothing of the host needs it, and importing it costs nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import harness
import harness.testing
from harness.errors import UnsupportedError
from harness.model import Split
from harness.testing import build_context
from harness.testing.context import with_cost
from harness.testing.fake_network import make_network, make_rows
from harness.testing.loading import load_alone, load_among, name_of
from harness.testing.samples import small_network

ROOT = Path(harness.__file__).parent
KIT = ROOT / "testing"
FAKES = "harness.testing.fakes"


def imported(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_nothing_of_the_host_imports_the_kit_or_pytest() -> None:
    outside = [f for f in ROOT.rglob("*.py") if KIT not in f.parents]
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in outside
        for name in imported(file)
        if name.startswith("harness.testing") or name.split(".")[0] in {"pytest", "_pytest"}
    ]
    assert wrong == []


def test_importing_the_kit_imports_neither_pytest_nor_numpy() -> None:
    code = "import sys, harness.testing; print({'pytest', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_public_names_are_sorted_documented_and_there() -> None:
    names = harness.testing.__all__
    assert names == sorted(names)
    assert all(getattr(harness.testing, name).__doc__ for name in names)
    with pytest.raises(AttributeError, match="no attribute 'Anything'"):
        _ = harness.testing.Anything


def test_an_author_who_gives_no_subject_is_told(tmp_path: Path) -> None:
    file = tmp_path / "test_mine.py"
    file.write_text("from harness.testing import MeterConformance\n\n\nclass TestMine(MeterConformance):\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file), "-k", "scope"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "give TestMine a fixture `subject`" in done.stdout


# --- the fixtures


def test_an_empty_host_has_no_plugin(empty_host) -> None:
    assert empty_host.backends.names() == ()
    assert {p.status for p in empty_host.plugins} <= {"blocked"}


def test_a_host_holds_the_given_plugins_and_no_other(host_with, toy) -> None:
    assert host_with(FAKES).backends.names() == ("fake-product",)
    assert host_with(FAKES, toy).backends.names() == ("fake-product", "toy-numpy")


def test_an_installed_plugin_has_the_name_of_its_entry_point() -> None:
    assert name_of("bench_onnxruntime") == "onnxruntime"
    assert name_of(FAKES) == FAKES
    assert load_alone("bench_onnxruntime").backends.names() == ("onnxruntime",)
    assert {"fake-product", "onnxruntime"} <= set(load_among(FAKES, "bench_onnxruntime").backends.names())


def test_the_clock_goes_when_it_is_told_to(fake_clock) -> None:
    assert fake_clock() == 0
    fake_clock.advance(1.5)
    assert fake_clock() == 1_500_000_000


def test_the_sample_report_has_every_outcome(sample_report, sample_records) -> None:
    assert {name for name, count in sample_report.outcomes if count} == {"measured", "simulated", "skipped", "failed"}
    assert sum(count for _, count in sample_report.outcomes) == len(sample_records)


def test_the_command_line_runs_the_fakes_from_model_to_report(bench_cli) -> None:
    done = bench_cli(
        "run", "--plugin", FAKES, "--model", "fake:linear", "--recipe", "fake-round", "--backend", "fake-product",
        "--profile", "rpi4", "--budget-s", "1", "--json", BENCH_PLUGINS=FAKES,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = json.loads(done.stdout)
    assert {(r["recipe"], r["outcome"]) for r in records} == {("baseline", "measured"), ("fake-round", "measured")}


# --- the context


@pytest.fixture
def fakes_alone(host_with):
    return host_with(FAKES)


def rows() -> Split:
    x, labels = make_rows()
    return Split(inputs=(x,), labels=labels)


def test_a_context_trains_scores_and_counts(tmp_path, fakes_alone) -> None:
    notes: list[str] = []
    context = build_context(tmp_path / "build", host=fakes_alone, data=rows(), note=notes.append)
    network = make_network(seed=5)
    before = context.score(network)
    context.train(network, harness.Training(epochs=20.0, learning_rate=1.0))
    assert context.score(network).value > before.value
    assert context.count(network) == (21, 18)
    context.note("trained")
    assert notes == ["trained"]


def test_a_context_takes_its_example_and_inputs_from_the_rows(tmp_path, fakes_alone) -> None:
    context = build_context(tmp_path / "build", host=fakes_alone, data=rows())
    assert [x.shape for x in context.example] == [(1, 6)]
    assert [(s.name, s.shape, s.dtype) for s in context.inputs] == [("input", (None, 6), "float32")]
    assert list(context.workdir.iterdir()) == []


def test_a_context_reads_the_graph_of_a_live_network_and_knows_a_cost(tmp_path, fakes_alone) -> None:
    context = with_cost(build_context(tmp_path / "build", host=fakes_alone, example=(np.ones((1, 6), np.float32),)))
    graph = context.graph(make_network())
    assert graph.macs == 18
    assert context.cost(graph) < context.cost(small_network())


def test_a_context_without_rows_cannot_train(tmp_path, fakes_alone) -> None:
    context = build_context(tmp_path / "build", host=fakes_alone, example=(np.ones((1, 6), np.float32),))
    with pytest.raises(UnsupportedError, match="no labelled rows"):
        context.train(make_network(), harness.Training(epochs=1.0, learning_rate=0.1))


def test_a_seed_is_changed_by_replacing_it(tmp_path, fakes_alone) -> None:
    context = replace(build_context(tmp_path / "build", host=fakes_alone, data=rows()), seed=7)
    assert context.seed == 7
