"""Every built-in graph reader keeps what a graph reader promises."""

from __future__ import annotations

import pytest

from harness.testing import GraphReaderConformance, GraphReaderSubject
from harness.testing.loading import load_among

SUBJECTS = {
    "checkpoint": ("bench_torch", "checkpoint", "checkpoint"),
    "pt2": ("bench_torch", "pt2", "pt2"),
    "torchscript": ("bench_torch", "torchscript", "pt"),
    "torchscript, quantised": ("bench_torch", "torchscript", "int8_pt"),
    "onnx": ("bench_onnx", "onnx", "onnx"),
    "onnx, quantised": ("bench_onnx", "onnx", "int8"),
    "tflite": ("bench_litert", "tflite", "tflite"),
    "pte": ("bench_executorch", "pte", "pte"),
    "openvino-ir": ("bench_openvino", "openvino-ir", "ir"),
}


class TestGraphReaders(GraphReaderConformance):
    @pytest.fixture(params=SUBJECTS)
    def subject(self, request, samples):
        plugin, fmt, sample = SUBJECTS[request.param]
        return GraphReaderSubject(plugin=plugin, format=fmt, file=getattr(samples, sample))


def test_every_built_in_reader_is_tested() -> None:
    found = {r.name for r in load_among().graph_readers if r.distribution == "edge-bench"}
    assert found == {fmt for _, fmt, _ in SUBJECTS.values()}
