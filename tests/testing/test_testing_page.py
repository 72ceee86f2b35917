"""The examples on the kit's page are run as they stand, and it names every class, subject and fixture."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import harness.testing
from harness.testing import fixtures

PAGE = (Path(__file__).parents[2] / "docs" / "plugins" / "testing.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^<!-- file: (\S+) -->\n```python\n(.*?)^```", PAGE, re.S | re.M))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def run(folder: Path, file: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:anyio", file]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=False
    )
    return done.stdout


@pytest.mark.parametrize("file", sorted(name for name in FILES if name.startswith("test_")))
def test_the_examples_pass(file: str, folder: Path) -> None:
    said = run(folder, file)
    assert re.search(r"\d+ passed in", said), said
    assert "failed" not in said
    assert "skipped" not in said


def test_the_defect_that_the_page_plants_is_caught_as_it_says(folder: Path) -> None:
    source = folder / "clip_weights.py"
    text = source.read_text(encoding="utf-8")
    refusal = next(line for line in text.splitlines() if "raise UnsupportedError" in line)
    source.write_text(text.replace(refusal, "        pass"), encoding="utf-8")
    (words,) = re.findall(r"fails with\n`(.+?)`", PAGE)
    said = run(folder, "test_clip_weights.py")
    assert "1 failed" in said
    assert words in said


def test_the_page_names_every_class_and_subject() -> None:
    names = [name for name in harness.testing.__all__ if name.endswith(("Conformance", "Subject"))]
    assert [name for name in names if name != "PluginConformance" and f"`{name}" not in PAGE] == []


def test_the_page_names_every_fixture() -> None:
    found = [name for name, value in vars(fixtures).items() if type(value).__name__ == "FixtureFunctionDefinition"]
    assert found
    assert [name for name in found if f"`{name}`" not in PAGE] == []


def test_the_subjects_take_what_the_table_says() -> None:
    for name, arguments in re.findall(r"`(\w+Subject)\(([\w, ]+)\)`", PAGE):
        parameters = inspect.signature(getattr(harness.testing, name)).parameters.values()
        assert arguments.split(", ") == [p.name for p in parameters if p.default is p.empty], name
