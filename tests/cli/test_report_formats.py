"""Report formats of plugins: written beside the host's own, never over a file that somebody else writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from click.testing import Result

from harness.run_folder import PLAN

Bench = Callable[..., CompletedProcess[str]]
Invoke = Callable[..., Result]

HOSTS_OWN = {"report.md", "report.html"}


@pytest.fixture
def formats(plugins_folder: Path) -> str:
    """The plugin file of report formats."""
    return str(plugins_folder / "formats.py")


@pytest.fixture
def run(bench: Bench, tmp_path: Path, toy: str, formats: str) -> Bench:
    """A small run with the formats, into `here`."""

    def call(*more: str) -> CompletedProcess[str]:
        return bench("--plugin", formats, "run", "--plugin", toy, "--model", "toy:linear", "--recipe", "baseline",
                     "--profile", "rpi4", "--backend", "toy-numpy", "--processes", "1", "--budget-s", "0.2",
                     "--out", "here", "--quiet", *more)  # fmt: skip

    return call


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("report*")}


def test_a_run_writes_each_format_and_warns_of_those_that_cannot_be(run: Bench, tmp_path: Path) -> None:
    done = run()
    folder = tmp_path / "cwd" / "here"
    assert done.returncode == 0
    assert files(folder) == HOSTS_OWN | {"report.count", "report.pair", "report-second.pair"}
    assert (folder / "report.count").read_text(encoding="utf-8") == "1 rows\n"
    assert "overwritten" not in (folder / "report.md").read_text(encoding="utf-8")
    assert "Report: here/report.count" in done.stdout
    who = "of formats (given with --plugin) is not written:"
    said = [line for line in done.stderr.splitlines() if line.startswith("Warning: ")]
    assert len(said) == 6
    assert f"Warning: report.COUNT {who} report.COUNT is written by formats" in done.stderr
    assert f"Warning: report.fails {who} render of c-fails failed in the plugin formats" in done.stderr
    assert "RuntimeError: no ink" in done.stderr
    assert f"Warning: report.md {who} report.md is written by bench itself. Leave one of them out" in done.stderr
    assert "Warning: report/../../outside.txt" in done.stderr
    assert f"Warning: report.nothing {who} render of f-nothing in the plugin" in done.stderr
    assert f"Warning: report.sneaky {who} report.html is written by bench itself." in done.stderr
    assert not (tmp_path / "outside.txt").exists()


def test_a_run_as_json_writes_them_too(run: Bench, tmp_path: Path) -> None:
    assert run("--json").returncode == 0
    assert "report.count" in files(tmp_path / "cwd" / "here")


# --- again, from records alone


RECORDS = Path(__file__).parents[2] / "reports" / "techniques"


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A run folder of records and nothing else."""
    source = min(RECORDS.glob("*/*/records.jsonl"), key=lambda path: path.stat().st_size)
    folder = tmp_path / "finished"
    folder.mkdir()
    (folder / "records.jsonl").write_bytes(source.read_bytes())
    return folder


def test_a_report_written_again_takes_formats_given_now(invoke: Invoke, finished: Path, formats: str) -> None:
    assert invoke("report", finished).exit_code == 0
    assert "report.count" not in files(finished)
    assert invoke("report", finished, "--plugin", formats).exit_code == 0
    assert "report.count" in files(finished)


def test_a_report_written_again_takes_those_of_the_plan(invoke: Invoke, finished: Path, formats: str) -> None:
    (finished / PLAN).write_text(f'plugins = ["{formats}"]\n', encoding="utf-8")
    assert invoke("report", finished).exit_code == 0
    assert "report.count" in files(finished)


def test_a_plugin_of_the_plan_that_is_gone_is_a_warning(invoke: Invoke, finished: Path) -> None:
    (finished / PLAN).write_text('plugins = ["/nowhere/gone.py"]\n', encoding="utf-8")
    done = invoke("report", finished)
    assert done.exit_code == 0
    assert "Warning: the plugin /nowhere/gone.py is broken: import: there is no plugin file" in done.stderr
    assert files(finished) >= HOSTS_OWN


def test_a_plugin_given_now_that_is_gone_is_refused(invoke: Invoke, finished: Path) -> None:
    done = invoke("report", finished, "--plugin", "/nowhere/gone.py")
    assert done.exit_code == 2
    assert files(finished) == set()
