"""Every built-in graph writer keeps what a graph writer promises."""

from __future__ import annotations

import pytest

from harness.testing import GraphWriterConformance, GraphWriterSubject
from harness.testing.loading import load_among


class TestGraphWriters(GraphWriterConformance):
    @pytest.fixture
    def subject(self):
        return GraphWriterSubject(plugin="bench_onnx", format="onnx")


def test_every_built_in_writer_is_here_and_tested() -> None:
    found = {w.name: w.contribution for w in load_among().graph_writers if w.distribution == "edge-bench"}
    assert set(found) == {"onnx"}
    assert found["onnx"].available().ok
