"""The user's own networks: an ONNX file and a factory of a torch module, with data of their own and without."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

Bench = Callable[..., CompletedProcess[str]]

FACTORY = """
import torch
from torch import nn


def brightest():
    '''A network that names the brightest colour of a picture: its weights are not trained, so they are exact.'''
    mix = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        mix.weight.copy_(torch.eye(3).reshape(3, 3, 1, 1) + 0.01)
        mix.bias.zero_()
    return nn.Sequential(mix, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), torch.rand(1, 3, 8, 8)
"""


def write_onnx(path: Path) -> None:
    """`y = relu(x) @ w`: the class is the largest of four inputs, if it is one of the first three."""
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.eye(4, 3, dtype=np.float32) + np.float32(0.01), "w")
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("MatMul", ["r", "w"], ["y"])],
        "largest",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)


def rows(shape: tuple[int, ...], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose class has the largest values, with some noise."""
    draw = np.random.default_rng(0)
    y = np.arange(100) % classes
    x = draw.uniform(0, 0.5, (100, *shape)).astype(np.float32)
    x[np.arange(100), y] += 1
    return x, y


@pytest.fixture
def run(bench: Bench, tmp_path: Path) -> Callable[..., dict[str, dict[str, Any]]]:
    """Run the command line and hand out its measured rows by recipe and backend."""

    def call(*arguments: str) -> dict[str, dict[str, Any]]:
        done = bench("run", *arguments, "--profile", "rpi4", "--processes", "1", "--budget-s", "1", "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        records = {f"{r['recipe']} in {r['backend']}": r for r in json.loads(done.stdout)}
        assert {r["outcome"] for r in records.values()} == {"measured"}, [r["failure"] for r in records.values()]
        assert all(r["measurement"]["latency_ns"] and r["estimate"]["latency_ms"]["p50"] > 0 for r in records.values())
        return records

    return call


@pytest.fixture
def cwd(tmp_path: Path, bench: Bench) -> Path:
    """The folder in which `bench` runs."""
    return tmp_path / "cwd"


def test_an_onnx_file_with_an_archive_is_scored_on_its_test_rows(run, cwd):
    write_onnx(cwd / "net.onnx")
    x, y = rows((4,), 3)
    np.savez(cwd / "data.npz", x=x, y=y)
    arguments = ("--recipe", "int8-static", "--backend", "onnxruntime", "--backend", "openvino")
    records = run("--model", "net.onnx", "--data", "data.npz", *arguments)
    assert len(records) == 4
    for record in records.values():
        quality = record["quality"]
        assert (quality["metric"], quality["value"], quality["n"]) == ("top1", 1.0, 30)
        assert quality["lo95"] < 1.0
        assert quality["data"] == "data.npz"
        assert record["model"] == "net.onnx"
        assert record["variant"]["macs"] == 12
    assert records["int8-static in onnxruntime"]["variant"]["int8_macs_share"] == 1.0


def test_an_onnx_file_without_data_is_compared_on_random_inputs_and_says_so(run, cwd):
    write_onnx(cwd / "net.onnx")
    records = run("--model", "net.onnx", "--recipe", "int8-dynamic", "--backend", "onnxruntime")
    quality = records["int8-dynamic in onnxruntime"]["quality"]
    assert (quality["metric"], quality["value"], quality["n"]) == ("agreement", None, 0)
    assert quality["agreement"] > 0.8
    assert quality["agreement_n"] == 32
    assert quality["reference"] == "baseline in onnxruntime"
    assert "random" in quality["data"]
    assert "no accuracy" in quality["note"]


def test_a_factory_with_an_archive_without_labels_is_compared_on_its_rows(run, cwd):
    (cwd / "mynet.py").write_text(FACTORY, encoding="utf-8")
    np.savez(cwd / "data.npz", x=rows((3, 8, 8), 3)[0])
    records = run("--model", "mynet:brightest", "--data", "data.npz", "--recipe", "baseline", "--backend", "torch")
    quality = records["baseline in torch"]["quality"]
    assert (quality["metric"], quality["value"], quality["agreement_n"]) == ("agreement", None, 30)
    assert "there are no labels" in quality["note"]


def test_a_factory_without_data_is_compared_on_random_inputs_and_says_so(run, cwd):
    (cwd / "mynet.py").write_text(FACTORY, encoding="utf-8")
    records = run("--model", "mynet.py:brightest", "--recipe", "baseline", "--backend", "torch")
    record = records["baseline in torch"]
    assert record["quality"]["agreement"] == 1.0
    assert "random" in record["quality"]["data"]
    assert "no accuracy" in record["quality"]["note"]
    assert any("random inputs" in note for step in record["variant"]["lineage"] for note in step["notes"])


def test_a_factory_with_a_folder_of_pictures_is_scored_in_every_backend(run, cwd):
    (cwd / "mynet.py").write_text(FACTORY, encoding="utf-8")
    draw = np.random.default_rng(0)
    for channel, name in enumerate(("0-red", "1-green", "2-blue")):
        (cwd / "pictures" / name).mkdir(parents=True)
        for i in range(10):
            pixels = draw.integers(0, 60, (12, 16, 3)).astype(np.uint8)
            pixels[..., channel] += 190
            Image.fromarray(pixels).save(cwd / "pictures" / name / f"{i}.png")
    arguments = ("--recipe", "prune-magnitude(amount=0.5)", "--backend", "torch", "--backend", "onnxruntime")
    records = run("--model", "mynet:brightest", "--data", "pictures", *arguments)
    assert len(records) == 4
    for record in records.values():
        quality = record["quality"]
        assert (quality["metric"], quality["value"], quality["n"]) == ("top1", 1.0, 9)
        assert "normalised with ImageNet's mean" in quality["note"]
        assert "30 pictures, 3 classes" in quality["data"]
