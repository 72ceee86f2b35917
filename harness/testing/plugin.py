"""What holds for every plugin, whatever it contributes."""

# ruff: noqa: D102 - the name of a check says what it checks

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest

from harness import API_VERSION
from harness.contributions import Availability
from harness.host import Host
from harness.options import describe_options
from harness.registry import Registered
from harness.testing.loading import load_alone, module_of

LONGEST_SUMMARY = 160
"""Characters of a summary: it stands in a table of `bench plugins` or `bench techniques`."""


class PluginConformance:
    """Checks of the module that holds the contributions; every other class of this kit has them too.

    Attributes:
        light_packages: Packages that may be imported together with the plugin, beside the standard library, the host
            and its own modules. Everything else belongs into the functions that need it.
        patience_s: How long `available` may take to answer.
    """

    light_packages: ClassVar[frozenset[str]] = frozenset()
    patience_s: ClassVar[float] = 2.0

    @pytest.fixture
    def subject(self) -> Any:
        """What is tested; each test class of an author gives its own."""
        raise NotImplementedError(f"give {type(self).__name__} a fixture `subject` that returns what is to be tested.")

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """An empty folder, apart from what the author's fixtures have put into `tmp_path`."""
        folder = tmp_path / "conformance"
        folder.mkdir()
        return folder

    def test_it_loads_without_a_failure(self, subject: Any) -> None:
        host = load_alone(subject.plugin)
        problems = [f"{f.stage}: {f.error}" for f in host.failures]
        assert not problems, f"the host cannot load {subject.plugin}: {'; '.join(problems)}"
        assert any(True for _ in _all(host)) or host.profile_folders, f"{subject.plugin} contributes nothing"

    def test_it_says_which_api_it_is_written_for(self, subject: Any) -> None:
        stated = getattr(module_of(subject.plugin), "HARNESS_API", None)
        assert stated == API_VERSION, (
            f"HARNESS_API is {stated!r} in {subject.plugin}: state HARNESS_API = {API_VERSION}, so that a host of"
            " another API refuses the plugin with advice."
        )

    def test_importing_it_is_light(self, subject: Any) -> None:
        self._must_be_light(subject, "import", "importing it")

    def test_asking_whether_it_is_available_is_light(self, subject: Any) -> None:
        self._must_be_light(subject, "available", "asking `available`")

    def test_it_answers_whether_it_is_available(self, subject: Any) -> None:
        for answer in looked_at(subject.plugin)["answers"]:
            who = answer["label"]
            assert "raised" not in answer, f"{who}: available() must answer an Availability; {answer.get('raised')}"
            taken_s = answer["taken_s"]
            assert taken_s < self.patience_s, f"{who}: available() took {taken_s:.1f} s; it must not load a framework"
            if answer["ok"]:
                continue
            assert answer["reason"].strip(), f"{who}: it is not available and gives no reason"
            assert "\n" not in answer["reason"], f"{who}: the reason has several lines: {answer['reason']!r}"
            # a meter's hardware cannot be installed
            assert answer["install"] or answer["kind"] == "Meter", f"{who}: `install` must say what brings it"

    def test_no_name_is_given_twice(self, subject: Any) -> None:
        host = load_alone(subject.plugin)
        registries = (
            host.models, host.techniques, host.trainers, host.graph_readers, host.graph_writers, host.backends,
            host.meters, host.report_formats,
        )  # fmt: skip
        twice = [f"{r.noun} {name}" for r in registries for name in r.clashes()]
        for noun, items in (("implementation", host.implementations), ("converter", host.converters)):
            twice += [f"{noun} {name}" for name, count in Counter(i.name for i in items).items() if count > 1]
        assert not twice, f"{subject.plugin} gives a name twice: {', '.join(twice)}"

    def test_each_summary_is_one_line(self, subject: Any) -> None:
        for item in _all(load_alone(subject.plugin)):
            summary = getattr(item.contribution, "summary", None)
            if summary is None:
                continue
            assert summary.strip(), f"{item.name} has an empty summary"
            assert "\n" not in summary, f"the summary of {item.name} has several lines"
            size = len(summary)
            assert size <= LONGEST_SUMMARY, f"the summary of {item.name} has {size} characters, over {LONGEST_SUMMARY}"

    def test_options_are_frozen_with_defaults_and_said_what_they_mean(self, subject: Any) -> None:
        for item in _all(load_alone(subject.plugin)):
            options = getattr(item.contribution, "options", None)
            if options is not None:
                must_be_options(options, item.name)

    def _must_be_light(self, subject: Any, stage: str, doing: str) -> None:
        heavy = set(looked_at(subject.plugin)["foreign"][stage]) - self.light_packages
        assert not heavy, (
            f"{doing} imports {', '.join(sorted(heavy))}: import them inside the functions that need them, or list them"
            " in `light_packages`."
        )


def must_be_options(options: type, whose: str) -> None:
    """Assert that a class is a frozen dataclass, with a default and a line of documentation for every field."""
    assert is_dataclass(options), f"the options of {whose} are no dataclass"
    parameters: Any = getattr(options, "__dataclass_params__", None)
    assert parameters.frozen, f"the options of {whose} can be changed: write @dataclass(frozen=True)"
    bare = [f.name for f in fields(options) if f.default is MISSING and f.default_factory is MISSING]
    assert not bare, f"the options of {whose} have no default for {', '.join(bare)}"
    silent = [option.name for option in describe_options(options) if not option.text]
    assert not silent, (
        f"the options of {whose} do not say what {', '.join(silent)} means: give the dataclass a docstring with a"
        " section `Attributes:` and a line for each."
    )


@cache
def looked_at(plugin: str, *refs: str) -> dict[str, Any]:
    """What `harness.testing.light` tells of a plugin, asked once."""
    command = [sys.executable, "-m", "harness.testing.light", plugin, *refs]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{plugin} cannot be imported in a process of its own:\n{done.stderr}"
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def needed(contribution: Any) -> Any:
    """The contribution, if it can work here; else the test is skipped with the reason and what would bring it."""
    available = getattr(contribution, "available", None)
    found = available() if available else Availability(ok=True)
    if not found.ok:
        pytest.skip(f"not available here: {found.reason} {found.install}".strip())
    return contribution


def _all(host: Host) -> Iterator[Registered[Any]]:
    registries: tuple[Any, ...] = (
        host.models, host.techniques, host.implementations, host.trainers, host.converters, host.graph_readers,
        host.graph_writers, host.backends, host.meters, host.report_formats,
    )  # fmt: skip
    for registry in registries:
        yield from registry
