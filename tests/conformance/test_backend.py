"""Every built-in backend keeps what a backend promises."""

from __future__ import annotations

import pytest

from harness.profile import accelerator_facts
from harness.profile_file import builtin_folder, load_profiles
from harness.testing import BackendConformance, BackendSubject
from harness.testing.loading import load_among

SUBJECTS = {
    "torch": ("bench_torch", "torch", "pt2"),
    "torch-torchscript": ("bench_torch", "torch", "pt"),
    "torch-int8": ("bench_torch", "torch", "int8_pt"),
    "onnxruntime": ("bench_onnxruntime", "onnxruntime", "onnx"),
    "onnxruntime-int8": ("bench_onnxruntime", "onnxruntime", "int8"),
    "openvino": ("bench_openvino", "openvino", "ir"),
    "openvino-onnx": ("bench_openvino", "openvino", "onnx"),
    "litert": ("bench_litert", "litert", "tflite"),
    "executorch": ("bench_executorch", "executorch", "pte"),
    "tract": ("bench_tract", "tract", "onnx"),
    "tract-int8": ("bench_tract", "tract", "int8"),
    "edgetpu": ("bench_edgetpu", "edgetpu", "int8"),
}


class TestBackends(BackendConformance):
    @pytest.fixture(params=SUBJECTS)
    def subject(self, request, samples):
        plugin, name, variant = SUBJECTS[request.param]
        facts = coral() if name == "edgetpu" else {}
        return BackendSubject(
            plugin=plugin, name=name, variant=getattr(samples, variant), inputs=samples.inputs, facts=facts
        )


def coral():
    """What a profile says of the accelerator."""
    profiles = load_profiles([builtin_folder()])
    return accelerator_facts(next(a for p in profiles.values() for a in p.accelerators if a.kind == "edgetpu"))


def test_every_built_in_backend_is_here_and_tested() -> None:
    backends = {b.name: b.contribution for b in load_among().backends if b.distribution == "edge-bench"}
    assert set(backends) == {name for _, name, _ in SUBJECTS.values()}
    assert {name for name, backend in backends.items() if not backend.available().ok} == set()
