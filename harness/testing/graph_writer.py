"""Conformance of graph writers: what is written reads as it was meant, with random weights."""

# ruff: noqa: D102 - the name of a check says what it checks

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.contributions import GraphReader, GraphWriter
from harness.errors import UnsupportedError
from harness.testing.loading import load_alone, load_among
from harness.testing.plugin import PluginConformance, needed
from harness.testing.samples import small_network, strange_network

if TYPE_CHECKING:
    from harness.graph import OpGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphWriterSubject:
    """A writer; the graphs are the kit's unless others are given.

    Attributes:
        plugin: The module, or the path of the .py file, that contributes it.
        graph: A graph that it writes: convolutions, a pool and a linear layer unless given.
        refused: One that it must refuse: an operator that nobody knows unless given.
    """

    plugin: str
    format: str
    graph: OpGraph | None = None
    refused: OpGraph | None = None


class GraphWriterConformance(PluginConformance):
    """Give a fixture `subject` that returns a `GraphWriterSubject`."""

    @pytest.fixture
    def writer(self, subject: GraphWriterSubject) -> GraphWriter:
        """The writer; a test that asks for it is skipped where what it needs is not installed."""
        writer: GraphWriter = needed(load_alone(subject.plugin).graph_writers.get(subject.format).contribution)
        return writer

    @pytest.fixture
    def reader(self, subject: GraphWriterSubject) -> GraphReader:
        """The reader of the same format, anybody's."""
        readers = load_among(subject.plugin).graph_readers
        assert subject.format in readers, f"no plugin here reads {subject.format}: a writer needs its counterpart"
        return readers.get(subject.format).contribution

    @pytest.fixture
    def graph(self, subject: GraphWriterSubject) -> OpGraph:
        """What is written."""
        return subject.graph or small_network()

    def test_what_it_writes_reads_as_it_was_meant(
        self, writer: GraphWriter, reader: GraphReader, graph: OpGraph, place: Path
    ) -> None:
        file = place / "written"
        writer.write(graph, file, 0)
        assert file.exists(), f"write did not write {file}"
        found = reader.read(file)
        assert _work(found) == _work(graph), "kinds, precisions or multiply-accumulates of the operators differ"
        assert _shapes(found, found.inputs) == _shapes(graph, graph.inputs), "the shapes of the inputs differ"
        assert _shapes(found, found.outputs) == _shapes(graph, graph.outputs), "the shapes of the outputs differ"
        assert found.macs == graph.macs, f"{graph.macs} multiply-accumulates were asked for, {found.macs} are there"

    def test_the_same_seed_gives_the_same_weights_and_another_others(
        self, writer: GraphWriter, reader: GraphReader, graph: OpGraph, place: Path
    ) -> None:
        hashes = []
        for number, seed in enumerate((0, 0, 1)):
            writer.write(graph, place / f"written-{number}", seed)
            hashes.append(reader.content_sha256(place / f"written-{number}"))
        assert hashes[0] == hashes[1], "the same seed gives other weights"
        assert hashes[0] != hashes[2], "another seed gives the same weights"

    def test_what_cannot_be_written_is_refused(
        self, subject: GraphWriterSubject, writer: GraphWriter, place: Path
    ) -> None:
        with pytest.raises(UnsupportedError):
            writer.write(subject.refused or strange_network(), place / "written", 0)


def _work(graph: OpGraph) -> Counter[tuple[str, str, int]]:
    """Operators that do something, counted; an activation that is fused counts as one of its own."""
    found = Counter(
        (op.kind, op.precision, op.macs) for op in graph.operators if op.kind not in {"identity", "reshape"}
    )
    return found + Counter((op.activation, op.precision, 0) for op in graph.operators if op.activation)


def _shapes(graph: OpGraph, names: tuple[str, ...]) -> list[tuple[int, ...]]:
    return [graph.tensors[name].shape for name in names]
