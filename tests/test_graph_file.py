"""Files that a user names: by which reader their graph is read, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.contributions import GraphReader
from harness.errors import AmbiguousNameError, ArtifactError, UnsupportedError
from harness.graph import Operator, OpGraph
from harness.graph_file import known_suffixes, read_graph_file

GRAPH = OpGraph(
    name="net",
    inputs=(),
    outputs=(),
    tensors={},
    operators=(Operator(name="one", kind="relu", inputs=(), outputs=(), precision="fp32"),),
    parameters=0,
)


def reader(read=lambda path: GRAPH, **more) -> GraphReader:
    return GraphReader(format="toy", read=read, content_sha256=str, **{"suffixes": (".toy",), **more})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "net.TOY"
    found.write_text("")
    return found


def test_a_file_is_read_by_what_its_name_ends_with(make_host, path):
    assert read_graph_file(path, make_host(graph_readers=[reader()])) is GRAPH


def test_endings_that_are_known_are_those_of_the_readers_and_of_workloads(make_host):
    assert known_suffixes(make_host(graph_readers=[reader()])) == (".toy", ".json")


def test_a_reader_that_names_no_ending_reads_no_file_of_a_user(make_host, path):
    with pytest.raises(UnsupportedError, match=r"ends in \.toy: no graph reader knows such files"):
        read_graph_file(path, make_host(graph_readers=[reader(suffixes=())]))


def test_a_format_with_two_readers_is_ambiguous(make_host, path):
    with pytest.raises(AmbiguousNameError):
        read_graph_file(path, make_host(graph_readers=[reader(), reader()]))


def test_what_a_reader_needs_and_is_not_installed_is_named(make_host, path):
    with pytest.raises(UnsupportedError, match="needs nobody-has-this, not installed here") as caught:
        read_graph_file(path, make_host(graph_readers=[reader(requires=("nobody-has-this",))]))
    assert caught.value.hint == "Install it with: pip install nobody-has-this"


def test_an_error_of_a_reader_that_is_not_one_of_ours_becomes_a_message(make_host, path):
    def broken(path: Path) -> OpGraph:
        raise KeyError("weights")

    with pytest.raises(ArtifactError, match="toy cannot be read: KeyError: 'weights'") as caught:
        read_graph_file(path, make_host(graph_readers=[reader(read=broken)]))
    assert "the author of fake (fakes 1)" in caught.value.hint


def test_a_graph_without_operators_is_refused(make_host, path):
    empty = OpGraph(name="net", inputs=(), outputs=(), tensors={}, operators=(), parameters=0)
    with pytest.raises(ArtifactError, match="has no operator"):
        read_graph_file(path, make_host(graph_readers=[reader(read=lambda path: empty)]))
