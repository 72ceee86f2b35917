"""Conformance of graph readers: a graph in the host's words, and a hash of what a file means."""

# ruff: noqa: D102 - the name of a check says what it checks

from __future__ import annotations

import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.contributions import GraphReader
from harness.errors import ArtifactError
from harness.graph import KINDS, PRECISIONS, OpGraph
from harness.testing.content import files_in
from harness.testing.loading import load_alone
from harness.testing.plugin import PluginConformance
from harness.testing.step import fresh
from harness.testing.wrong import garbage_like

if TYPE_CHECKING:
    from collections.abc import Callable

PRODUCTS = frozenset({"conv", "deconv", "fully_connected", "matmul"})
"""Kinds that carry multiply-accumulates."""

SCHEMES = frozenset({"static", "dynamic", "weight-only", ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphReaderSubject:
    """A reader and a file of its format.

    Attributes:
        plugin: The module, or the path of the .py file, that contributes it.
        wrong: A file that it must refuse; one of noise is made when there is none.
    """

    plugin: str
    format: str
    file: Path
    wrong: Path | None = None


class GraphReaderConformance(PluginConformance):
    """Give a fixture `subject` that returns a `GraphReaderSubject`."""

    @pytest.fixture
    def reader(self, subject: GraphReaderSubject) -> GraphReader:
        """The reader."""
        return load_alone(subject.plugin).graph_readers.get(subject.format).contribution

    def test_its_suffixes_are_lower_case_with_the_dot(self, reader: GraphReader) -> None:
        wrong = [suffix for suffix in reader.suffixes if not re.fullmatch(r"(\.[a-z0-9]+)+", suffix)]
        assert not wrong, f"suffixes are lower case, with the dot: {wrong}"

    def test_it_reads_a_graph_that_holds_together(self, subject: GraphReaderSubject, reader: GraphReader) -> None:
        must_hold_together(reader.read(subject.file))

    def test_the_batch_is_bound_to_1(self, subject: GraphReaderSubject, reader: GraphReader) -> None:
        graph = reader.read(subject.file)
        for name in graph.inputs:
            shape = graph.tensors[name].shape
            assert not shape or shape[0] == 1, f"the input {name} is {shape}: bind a symbolic batch to 1"

    def test_reading_twice_gives_the_same(self, subject: GraphReaderSubject, reader: GraphReader) -> None:
        assert reader.read(subject.file) == reader.read(subject.file), "the second reading gives another graph"
        first, second = reader.content_sha256(subject.file), reader.content_sha256(subject.file)
        assert first == second, "content_sha256 gives another hash the second time"

    def test_a_graph_survives_json(self, subject: GraphReaderSubject, reader: GraphReader, place: Path) -> None:
        import json

        from harness.graph_json import read_graph

        graph = reader.read(subject.file)
        file = place / "graph.json"
        file.write_text(json.dumps(asdict(graph)), encoding="utf-8")
        assert read_graph(file) == graph, "the graph holds values that JSON does not keep, such as numpy's integers"

    def test_the_hash_is_one_and_follows_content_alone(
        self, subject: GraphReaderSubject, reader: GraphReader, place: Path
    ) -> None:
        found = reader.content_sha256(subject.file)
        assert re.fullmatch(r"[0-9a-f]{64}", found), f"content_sha256 is {found!r}, not 64 hexadecimal digits"
        moved = fresh(subject.file, place / "elsewhere")
        assert reader.content_sha256(moved) == found, "the hash of a copy in another folder differs"

    def test_reading_leaves_the_file_alone(
        self, subject: GraphReaderSubject, reader: GraphReader, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copy = fresh(subject.file, place / "copy")
        before = files_in(place)
        monkeypatch.chdir(place)
        reader.read(copy)
        reader.content_sha256(copy)
        assert files_in(place) == before, "reading changes the file or leaves others behind"

    def test_a_wrong_file_is_refused(self, subject: GraphReaderSubject, reader: GraphReader, place: Path) -> None:
        wrong = [subject.wrong] if subject.wrong else []
        wrong += [garbage_like(subject.file, place), garbage_like(subject.file, place / "empty", size=0)]
        wrong += [place / "missing" / subject.file.name]
        for path in wrong:
            must_refuse(reader.read, path, "read")
            must_refuse(reader.content_sha256, path, "content_sha256")

    def test_half_a_file_is_refused(self, subject: GraphReaderSubject, reader: GraphReader, place: Path) -> None:
        if subject.file.is_dir():
            return
        half = place / subject.file.name
        shutil.copy2(subject.file, half)
        half.write_bytes(subject.file.read_bytes()[: subject.file.stat().st_size // 2])
        must_refuse(reader.read, half, "read")


def must_refuse(read: Callable[[Path], Any], path: Path, what: str) -> None:
    """Assert that a file is answered with ArtifactError."""
    try:
        read(path)
    except ArtifactError:
        return
    except Exception as error:
        raise AssertionError(
            f"{what} answers {path.name} with {type(error).__name__} ({error}): raise ArtifactError"
        ) from error
    pytest.fail(f"{what} takes {path}, which is no model")


def must_hold_together(graph: OpGraph) -> None:
    """Assert that a graph uses the host's words, names only tensors that it has, and is in execution order."""
    assert isinstance(graph, OpGraph), f"read returned {type(graph).__name__}, not OpGraph"
    assert graph.inputs, "the graph has no inputs"
    assert graph.outputs, "the graph has no outputs"
    assert graph.operators, "the graph has no operators"
    for name, tensor in graph.tensors.items():
        assert tensor.name == name, f"the tensor {tensor.name} stands under {name}"
        assert tensor.precision in PRECISIONS, f"{name} has the precision {tensor.precision!r}"
        assert all(d >= -1 for d in tensor.shape), f"{name} has the shape {tensor.shape}"
        assert tensor.zeros is None or 0 <= tensor.zeros <= 1, f"{name} has a share of zeros of {tensor.zeros}"
    there = {*graph.inputs, *(name for name, tensor in graph.tensors.items() if tensor.constant)}
    for op in graph.operators:
        assert op.kind in KINDS, f"{op.name} is of kind {op.kind!r}: what is not known is 'unknown'"
        assert op.precision in PRECISIONS, f"{op.name} computes in {op.precision!r}"
        assert op.scheme in SCHEMES, f"{op.name} has the scheme {op.scheme!r}"
        assert op.activation in {*KINDS, ""}, f"{op.name} has the activation {op.activation!r}"
        assert op.macs >= 0, f"{op.name} has {op.macs} multiply-accumulates"
        assert not op.macs or op.kind in PRODUCTS, f"{op.name}, {op.kind}, has {op.macs} multiply-accumulates"
        lost = [name for name in (*op.inputs, *op.outputs) if name and name not in graph.tensors]
        assert not lost, f"{op.name} names tensors that the graph does not have: {', '.join(lost)}"
        early = [name for name in op.inputs if name and name not in there]
        assert not early, f"{op.name} reads {', '.join(early)} before anything has made it"
        there |= set(op.outputs)
    missing = [name for name in graph.outputs if name not in there or name not in graph.tensors]
    assert not missing, f"nothing makes the outputs {', '.join(missing)}"
    assert graph.parameters >= 0, f"the graph has {graph.parameters} parameters"
