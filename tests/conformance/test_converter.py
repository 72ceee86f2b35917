"""Every built-in converter keeps what a converter promises."""

from __future__ import annotations

import pytest

from harness.testing import ConverterConformance, ConverterSubject
from harness.testing.loading import load_among

SUBJECTS = {
    "module → checkpoint": ("bench_torch", "network"),
    "checkpoint → pt2": ("bench_torch", "checkpoint"),
    "checkpoint → torchscript": ("bench_torch", "checkpoint"),
    "checkpoint → onnx": ("bench_torch", "checkpoint"),
    "pt2 → onnx": ("bench_torch", "pt2"),
    "pt2 → tflite": ("bench_litert", "pt2"),
    "pt2 → pte": ("bench_executorch", "pt2"),
    "onnx → openvino-ir": ("bench_openvino", "onnx"),
}
"""Converter to plugin and sample."""


class TestConverters(ConverterConformance):
    @pytest.fixture(params=SUBJECTS)
    def subject(self, request, samples, once):
        plugin, sample = SUBJECTS[request.param]
        source, target = request.param.split(" → ")
        return once(
            request.param,
            lambda: ConverterSubject(
                plugin=plugin, source=source, target=target, input=getattr(samples, sample), inputs=samples.inputs
            ),
        )


def test_every_built_in_converter_is_here_and_tested() -> None:
    found = {c.name: c.contribution for c in load_among().converters if c.distribution == "edge-bench"}
    assert set(found) == set(SUBJECTS)
    assert {name for name, converter in found.items() if not converter.available().ok} == set()
