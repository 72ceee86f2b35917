"""Every built-in implementation of every technique keeps what a technique promises."""

from __future__ import annotations

from typing import Any

import pytest

from harness.testing import TechniqueConformance, TechniqueSubject
from harness.testing.loading import load_among

FEW = {"epochs": 1.0}

LIVE: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "fine-tune": ("bench_distill", FEW, {"epochs": 0.0, "learning_rate": -1.0}),
    "distill-soft": ("bench_distill", FEW, {"temperature": 0.0, "alpha": 1.5, "epochs": -1.0}),
    "distill-feature": ("bench_distill", FEW, {"weight": -1.0, "layers": ["no such layer"]}),
    "low-rank-svd": ("bench_lowrank", {}, {"energy": 1.5, "parameters": -1.0}),
    "low-rank-cp": ("bench_lowrank", {**FEW, "iterations": 20}, {"parameters": 1.5, "rank": -1}),
    "low-rank-tucker": ("bench_lowrank", {**FEW, "iterations": 20}, {"parameters": 1.5, "energy": -1.0}),
    "prune-channels": ("bench_prune", {}, {"macs": 1.5, "round_to": 0}),
    "prune-iterative": ("bench_prune", {**FEW, "rounds": 2}, {"amount": 1.5, "rounds": 0, "epochs": 0.0}),
    "prune-magnitude": ("bench_prune", {}, {"amount": 1.5, "epochs": -1.0}),
    "prune-scheduled": ("bench_prune", {**FEW, "every": 1}, {"final": 1.5, "every": 0, "begin": -1.0}),
    "qat-int8": ("bench_qat", FEW, {"epochs": -1.0, "calibration_samples": 0, "freeze_after": -1.0}),
}
"""Technique to plugin, options, and values that it must refuse; all on live modules."""

FILES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "fp16": ({}, {}),
    "int8-dynamic": ({}, {}),
    "int8-static": ({"samples": 8}, {"samples": 0, "percentile": 101.0}),
    "weight-only-int8": ({}, {}),
    "weight-only-int4": ({}, {"block": 5}),
}
"""Technique to options and values that it must refuse; on files."""

ON = {
    "onnx": ("bench_quantize", "onnx", FILES),
    "openvino-ir": ("bench_nncf", "ir", FILES),
    "tflite": ("bench_litert", "tflite", FILES.keys() - {"weight-only-int4"}),
    "checkpoint": ("bench_torch", "checkpoint", {"int8-dynamic", "int8-static"}),
    "pt2": ("bench_executorch", "pt2", FILES.keys() - {"weight-only-int8", "weight-only-int4"}),
}
"""Format to plugin, sample, and the techniques that there are for it."""

SUBJECTS = [f"{name}@module" for name in LIVE] + [f"{name}@{fmt}" for fmt in ON for name in FILES if name in ON[fmt][2]]


class TestTechniques(TechniqueConformance):
    @pytest.fixture(params=SUBJECTS)
    def subject(self, request, samples, once):
        return once(request.param, lambda: make_subject(*request.param.split("@"), samples))


def make_subject(name, fmt, samples):
    if fmt == "module":
        plugin, options, refused = LIVE[name]
        given = samples.network
    else:
        plugin, sample, _ = ON[fmt]
        options, refused = FILES[name]
        given = getattr(samples, sample)
    return TechniqueSubject(
        plugin=plugin, name=name, format=fmt, input=given, options=options, data=samples.rows, refused=refused,
        technique_plugin="bench_quantize" if fmt != "module" else None,
    )  # fmt: skip


def test_every_built_in_implementation_is_here_and_tested() -> None:
    found = {i.name: i.contribution for i in load_among().implementations if i.distribution == "edge-bench"}
    assert set(found) == set(SUBJECTS)
    assert {name for name, implementation in found.items() if not implementation.available().ok} == set()
