"""Every built-in model source keeps what a model source promises."""

from __future__ import annotations

import shutil

import pytest

from harness.testing import ModelSourceConformance, ModelSubject
from harness.testing.loading import load_among

FACTORY = """
import torch
from torch import nn


def network():
    return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)), torch.ones(2, 6)
"""

FILES = {
    "onnx-file": ("bench_onnx", "onnx"),
    "tflite-file": ("bench_litert", "tflite"),
    "pte-file": ("bench_executorch", "pte"),
    "pt2-file": ("bench_torch", "pt2"),
    "torchscript-file": ("bench_torch", "pt"),
}
"""Source of a user's files to plugin, and the sample and ending of such a file."""

SOURCES = (*FILES, "torch-factory", "zoo")


class TestModelSources(ModelSourceConformance):
    @pytest.fixture(params=SOURCES)
    def subject(self, request, samples, once, tmp_path_factory):
        return once(request.param, lambda: make_subject(request.param, samples, tmp_path_factory.mktemp("source")))


def make_subject(name, samples, folder):
    if name == "zoo":
        return ModelSubject(
            plugin="bench_zoo", name=name, ref="zoo:efficientnet-lite0", wrong_ref="zoo:efficientnet-lite9"
        )
    if name in FILES:
        plugin, fmt = FILES[name]
        file = shutil.copy2(getattr(samples, fmt), folder / f"net.{fmt}")
        return ModelSubject(plugin=plugin, name=name, ref=str(file), wrong_ref=str(folder / f"missing.{fmt}"))
    file = folder / "conformance_factory.py"
    file.write_text(FACTORY, encoding="utf-8")
    return ModelSubject(
        plugin="bench_torch", name=name, ref=f"{file}:network", wrong_ref=f"{folder / 'missing.py'}:network"
    )


def test_every_built_in_source_is_here_and_tested() -> None:
    found = {m.name: m.contribution for m in load_among().models if m.distribution == "edge-bench"}
    assert set(found) == set(SOURCES)
    assert {name for name, source in found.items() if not source.available().ok} == set()
