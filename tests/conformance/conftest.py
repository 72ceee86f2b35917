"""One small network in every format, and rows that it tells apart: what the built-in plugins are tried on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.model import Split
from harness.testing import build_context
from harness.testing.loading import load_among


class Small(nn.Module):
    """Every kind of layer that some technique works on, at sizes that keep it to a few milliseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.depthwise = nn.Sequential(
            nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU6()
        )
        self.wide = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.hidden = nn.Linear(32, 32)
        self.head = nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = self.wide(x + self.depthwise(x))
        return self.head(torch.relu(self.hidden(x.mean((2, 3)))))


def make_rows(count: int, seed: int = 0) -> Split:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count)
    x = random.standard_normal((count, 3, 16, 16)).astype(np.float32)
    x[np.arange(count), labels % 3] += 1.0 + labels[:, None, None] / 4
    return Split(inputs=(x,), labels=labels)


def make_network() -> Small:
    """A network whose statistics are those of the rows."""
    torch.manual_seed(0)
    network = Small().train()
    for seed in range(3):
        network(torch.from_numpy(make_rows(64, seed).inputs[0]))
    return network.eval()


@dataclass(frozen=True)
class Samples:
    network: Small
    rows: Split
    checkpoint: Path
    pt2: Path
    onnx: Path
    ir: Path
    int8: Path
    """The ONNX file after `int8-static`."""
    tflite: Path
    pte: Path
    pt: Path
    """TorchScript."""
    int8_pt: Path
    """TorchScript after `int8-static`."""

    @property
    def inputs(self) -> tuple[np.ndarray, ...]:
        return tuple(x[:1] for x in self.rows.inputs)


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    """The network, made once, by the built-in converters."""
    folder, host = tmp_path_factory.mktemp("samples"), load_among()
    network, rows = make_network(), make_rows(48)
    inputs = tuple(x[:1] for x in rows.inputs)

    def convert(value: Any, source: str, target: str) -> Path:
        name = f"{source} → {target}"
        converter = next(c.contribution for c in host.converters if c.name == name)
        return converter.convert(value, build_context(folder / f"{source}-{target}", host=host, example=inputs))

    checkpoint = convert(network, "module", "checkpoint")
    onnx = convert(checkpoint, "checkpoint", "onnx")
    pt2 = convert(checkpoint, "checkpoint", "pt2")

    def quantise(value: Path, fmt: str, made: str) -> Path:
        implementation = next(i.contribution for i in host.implementations if i.name == f"int8-static@{fmt}")
        options = host.techniques.get("int8-static").contribution.options(samples=8)
        return implementation.apply(value, options, build_context(folder / made, host=host, data=rows, fmt=made))

    return Samples(
        network=network,
        rows=rows,
        checkpoint=checkpoint,
        pt2=pt2,
        onnx=onnx,
        ir=convert(onnx, "onnx", "openvino-ir"),
        int8=quantise(onnx, "onnx", "onnx"),
        tflite=convert(pt2, "pt2", "tflite"),
        pte=convert(pt2, "pt2", "pte"),
        pt=convert(checkpoint, "checkpoint", "torchscript"),
        int8_pt=quantise(checkpoint, "checkpoint", "torchscript"),
    )


@pytest.fixture(scope="session")
def once() -> Callable[[str, Callable[[], Any]], Any]:
    """Makes a subject the first time it is asked for: the kit then does its work with it once, in whatever order."""
    made: dict[str, Any] = {}

    def get(name: str, make: Callable[[], Any]) -> Any:
        if name not in made:
            made[name] = make()
        return made[name]

    return get
