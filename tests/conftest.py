"""Fixtures that several test files share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.host import Host, _name_of
from harness.registry import Registered, Registry

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


@pytest.fixture
def make_host() -> Callable[..., Host]:
    """Build a host of contributions made in the test, each kind a list: `make_host(techniques=[…], backends=[…])`."""

    def registered(item: object) -> Registered[Any]:
        return Registered(name=_name_of(item), contribution=item, plugin="fake", distribution="fakes", version="1")

    def make(**given: list[Any]) -> Host:
        items = {kind: [registered(i) for i in contributions] for kind, contributions in given.items()}
        nouns = (
            "models", "techniques", "trainers", "graph_readers", "graph_writers", "backends",
            "meters", "report_formats",
        )  # fmt: skip
        registries: dict[str, Any] = {n: Registry(n, f"bench {n}", items.pop(n, [])) for n in nouns}
        return Host(
            plugins=(),
            failures=(),
            implementations=tuple(items.pop("implementations", [])),
            converters=tuple(items.pop("converters", [])),
            profile_folders=(),
            **registries,
        )

    return make
