"""Fixtures that several test files share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parent / "data" / "plugins"
TOY = str(PLUGINS / "toy" / "bench_toy" / "__init__.py")


@pytest.fixture
def plugins_folder() -> Path:
    """Folder of the plugin packages that tests install or load."""
    return PLUGINS


@pytest.fixture
def toy(tmp_path: Path) -> str:
    """A copy of the toy plugin as one file, so that its module is named bench_toy."""
    copy = tmp_path / "bench_toy.py"
    copy.write_text((PLUGINS / "toy" / "bench_toy" / "__init__.py").read_text(encoding="utf-8"), encoding="utf-8")
    return str(copy)


@pytest.fixture
def faults() -> str:
    """The plugin file of backends that break."""
    return str(PLUGINS / "faults.py")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BENCH_CACHE", str(folder))
    return folder


@pytest.fixture
def bench(tmp_path: Path, cache: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own, in an empty folder with an empty cache."""
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
            timeout=300,
        )

    return call
