"""Fixtures that several test files share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.host import Host
from harness.loading import _name_of
from harness.registry import Registered, Registry

if TYPE_CHECKING:
    from harness.testing.fixtures import Bench  # imported by pytest itself, which rewrites its assertions

pytest_plugins = ["harness.testing.fixtures"]

# Tests import OpenVINO and nncf themselves too, and these would report that over the network, each in a forked process.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

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
def cache(bench_cache: Path) -> Path:
    """An empty cache of this test's own."""
    return bench_cache


@pytest.fixture
def bench(bench_cli: Bench) -> Bench:
    """Run the command line in a process of its own, in an empty folder with an empty cache."""
    return bench_cli


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
