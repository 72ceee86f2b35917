"""The pages for authors of plugins: each is followed to the letter, in a folder and an environment of its own.

A block after `<!-- file: NAME -->` is saved as that file. In a block of `console`, what stands after `$ ` is run, and
the lines below it must appear in what it prints, in their order; `…` stands for anything, and the marks of notes on a
row (`[1]`), which come with the noise of the hour, are passed over. Blocks of `text` are not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from harness import testing

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "plugins").glob("*.md"))
BLOCK = re.compile(r"(?:^<!-- file: (?P<file>\S+) -->\n)?^ *```(?P<language>\w*)\n(?P<body>.*?)^ *```", re.S | re.M)
MARK = re.compile(r"(?<=\S) \[\d+\](?= )")
RUN = frozenset({"console", "python", "toml"})
OTHERS = frozenset({"testing.md"})
"""Pages whose examples are tests, and are run beside the kit that they are about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of code on a page."""

    language: str
    file: str
    body: str


def blocks(page: Path) -> Iterator[Block]:
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Block(language=found["language"], file=found["file"] or "", body=found["body"])


def typed(body: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block, with the lines that it is said to print."""
    for part in re.split(r"^\$ ", body, flags=re.M)[1:]:
        command, *said = part.splitlines()
        yield command, said


def missing(said: list[str], printed: str) -> str:
    """The first line that was not printed, or was not after the one before it."""
    rest = MARK.sub("", printed)
    for line in said:
        pattern = ".*".join(r"\s+".join(map(re.escape, re.split(r"\s+", part))) for part in line.strip().split("…"))
        found = re.search(rf"^\s*{pattern}\s*$", rest, re.M) if line.strip() not in {"", "…"} else re.search("", rest)
        if found is None:
            return line
        rest = rest[found.end() :]
    return ""


def test_the_mark_of_a_note_does_not_hide_a_row() -> None:
    assert not missing(["…int8-static onnxruntime …"], "  int8-static [1]  onnxruntime  4.02 [3.9, 4.2]  0.67×\n")
    assert missing(["…int8-static onnxruntime 3.9…"], "  int8-static [1]  onnxruntime  4.02 [3.9, 4.2]  0.67×\n")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment on top of this one: what is installed there does not come here."""
    folder = tmp_path_factory.mktemp("author")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    here = sysconfig.get_path("purelib")
    (packages / "below.pth").write_text(f"import site; site.addsitedir({here!r})\n", encoding="utf-8")
    binaries = folder / "venv" / "bin"
    for name, module in (("bench", "harness"), ("pip", "pip"), ("pytest", "pytest")):
        script = binaries / name
        script.write_text(f'#!/bin/sh\nexec "{binaries}/python" -m {module} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    own = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "BENCH_PLUGINS"}
    return {
        **{k: v for k, v in os.environ.items() if k not in own},
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "BENCH_CACHE": str(folder / "cache"),
        "COLUMNS": "120",
        "OMP_NUM_THREADS": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTEST_ADDOPTS": "-p no:anyio",  # comes with a runtime, and warns about pytest's own names
    }


def test_there_are_pages() -> None:
    assert {page.name for page in PAGES} >= {
        "README.md",
        "tutorial.md",
        "lifecycle.md",
        "reference.md",
        "versioning.md",
    }
    assert len([page for page in PAGES if page.name.startswith("how-to-")]) == 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_example_is_left_out(page: Path) -> None:
    for block in blocks(page):
        assert block.language in RUN | {"text"}, f"{page.name} has a block of {block.language or 'nothing'}"
        if block.language != "console" and block.language in RUN and page.name not in OTHERS:
            assert block.file, f"{page.name} does not say as what file this is saved:\n{block.body[:200]}"


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name not in OTHERS and any(b.language in RUN for b in blocks(page))],
    ids=lambda page: page.stem,
)
def test_every_example_works(page: Path, environment: dict[str, str], tmp_path: Path) -> None:
    for block in blocks(page):
        if block.file:
            (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.file).write_text(block.body, encoding="utf-8")
        if block.language != "console":
            continue
        for command, said in typed(block.body):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=300,
            )
            assert done.returncode == 0, f"$ {command}\n{done.stdout}"
            absent = missing(said, done.stdout)
            assert not absent, f"$ {command}\ndoes not print: {absent}\n{done.stdout}"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name.startswith(("how-to", "tutorial"))], ids=lambda p: p.stem
)
def test_examples_are_well_kept(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.file).write_text(block.body, encoding="utf-8")
    command = [sys.executable, "-m", "ruff"]
    style = ["--isolated", "--no-cache", "--line-length", "120", "."]
    rules = ["--select", "A,B,C4,E,F,I,N,PERF,PIE,RET,RUF,SIM,UP,W"]
    checked = subprocess.run(
        [*command, "check", *rules, *style], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    done = subprocess.run(
        [*command, "format", "--diff", *style], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


# --- the examples keep what the conformance kit asks for


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the how-to pages."""
    folder = tmp_path_factory.mktemp("examples")
    for page in PAGES:
        for block in blocks(page) if page.name.startswith("how-to") else ():
            if block.file:
                (folder / block.file).write_text(block.body, encoding="utf-8")
    return folder


POINT = np.array([[0.5, -1.0]], np.float32)


def layer(path: Path) -> Path:
    """An ONNX file with one layer."""
    weight = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    graph = make_graph(
        [make_node("MatMul", ["x", "weight"], ["product"]), make_node("Tanh", ["product"], ["y"])],
        "layer",
        [make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 2])],
        [make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 3])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    onnx.save(make_model(graph, opset_imports=[make_opsetid("", 17)], ir_version=8), path)
    return path


class TestBackendExample(testing.BackendConformance):
    @pytest.fixture
    def subject(self, examples: Path, tmp_path: Path) -> testing.BackendSubject:
        plugin = str(examples / "reference_backend.py")
        file = layer(tmp_path / "layer.onnx")
        return testing.BackendSubject(plugin=plugin, name="onnx-reference", variant=file, inputs=(POINT,))


class TestTechniqueExample(testing.TechniqueConformance):
    @pytest.fixture
    def subject(self, examples: Path, tmp_path: Path) -> testing.TechniqueSubject:
        plugin = str(examples / "round_weights.py")
        file = layer(tmp_path / "layer.onnx")
        return testing.TechniqueSubject(plugin=plugin, name="round-weights", format="onnx", input=file, inputs=(POINT,))


class TestModuleTechniqueExample(testing.TechniqueConformance):
    @pytest.fixture
    def subject(self, examples: Path) -> testing.TechniqueSubject:
        import torch

        torch.manual_seed(0)
        return testing.TechniqueSubject(
            plugin=str(examples / "clip_weights.py"),
            name="clip-weights",
            format="module",
            input=torch.nn.Sequential(torch.nn.Linear(2, 30), torch.nn.Tanh(), torch.nn.Linear(30, 3)).eval(),
            inputs=(POINT,),
            options={"deviations": 1.0},
        )


@pytest.fixture(scope="module")
def digits(examples: Path) -> testing.ModelSubject:
    """One subject for all tests, so that its model is loaded once."""
    plugin = str(examples / "digits.py")
    return testing.ModelSubject(plugin=plugin, name="digits", ref="digits:linear", wrong_ref="digits:cubic")


class TestModelExample(testing.ModelSourceConformance):
    @pytest.fixture
    def subject(self, digits: testing.ModelSubject) -> testing.ModelSubject:
        return digits


class TestReportExample(testing.ReportFormatConformance):
    @pytest.fixture
    def subject(self, examples: Path) -> testing.ReportSubject:
        return testing.ReportSubject(plugin=str(examples / "csv_report.py"), name="comma-separated")


class TestMeterExample(testing.MeterConformance):
    @pytest.fixture
    def subject(
        self, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[testing.MeterSubject]:
        counter = tmp_path / "energy"
        monkeypatch.setenv("HWMON_ENERGY", str(counter))
        command = [sys.executable, str(examples / "stand_in.py"), str(counter)]
        with subprocess.Popen(command, cwd=tmp_path) as stand_in:
            while not counter.is_file() and stand_in.poll() is None:
                time.sleep(0.01)
            yield testing.MeterSubject(plugin=str(examples / "hwmon_meter.py"), name="hwmon-energy")
            stand_in.kill()
