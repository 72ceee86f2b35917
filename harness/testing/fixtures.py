"""Fixtures for authors: `pytest_plugins = ["harness.testing.fixtures"]` in `conftest.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.host import Host
from harness.loading import load_host
from harness.testing.fakes import FakeClock
from harness.testing.loading import load_alone, name_of
from harness.testing.samples import sample_environment
from harness.testing.samples import sample_records as make_records

if TYPE_CHECKING:
    from harness.record import Record
    from harness.report.document import Report

Bench = Callable[..., subprocess.CompletedProcess[str]]
"""`bench_cli("plugins", "--json", BENCH_PLUGINS="")`: arguments as on the command line, environment by keyword."""

TIMEOUT_S = 300


@pytest.fixture
def empty_host() -> Host:
    """A host without any plugin, installed or not."""
    return load_host(allow=())


@pytest.fixture
def host_with() -> Callable[..., Host]:
    """Makes a host of the given plugins and no others: `host_with("bench_mine", "path/to/other.py")`."""

    def make(*sources: str) -> Host:
        if len(sources) == 1:
            return load_alone(sources[0])
        return load_host(sources=sources, allow={name_of(source) for source in sources})

    return make


@pytest.fixture
def fake_clock() -> FakeClock:
    """Time that passes when it is told to: a meter or session that takes its clock can be tested with it."""
    return FakeClock()


@pytest.fixture
def linear_model(tmp_path: Path) -> Path:
    """A file of format `linear`, which the backend of `harness.testing.fakes` runs."""
    from harness.testing.fake_network import make_network, save

    return save(make_network(), tmp_path / "model.linear.npz")


@pytest.fixture
def sample_records() -> tuple[Record, ...]:
    """Records of a run in which everything happened: measured, simulated, skipped, failed."""
    return make_records()


@pytest.fixture
def sample_report() -> Report:
    """The report of those records."""
    from harness.report.document import build_report

    return build_report(make_records(), sample_environment())


@pytest.fixture
def bench_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BENCH_CACHE", str(folder))
    return folder


@pytest.fixture
def bench_cli(tmp_path: Path, bench_cache: Path) -> Bench:  # noqa: ARG001 - wanted for what it sets
    """Runs the command line in a process of its own, in an empty folder with an empty cache."""
    folder = tmp_path / "cwd"
    folder.mkdir()

    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            cwd=folder,
            env={**os.environ, "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )

    return call
