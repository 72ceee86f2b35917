"""Small graphs to estimate."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod

import numpy as np
import pytest

from harness import Operator, OpGraph, Tensor
from harness.estimate.design import NAMES, Design
from harness.estimate.published import PublishedRow
from harness.profile import DeviceProfile
from harness.profile_file import builtin_folder, load_profiles

Built = Callable[..., OpGraph]


class GraphBuilder:
    """Appends operators to a chain; `build` returns the graph."""

    def __init__(self, shape: tuple[int, ...] = (1, 3, 32, 32), precision: str = "fp32") -> None:
        self.precision = precision
        self.tensors = {"x": Tensor(name="x", shape=shape, precision=precision)}
        self.operators: list[Operator] = []
        self.last = "x"

    def constant(self, name: str, shape: tuple[int, ...], zeros: float | None = None) -> str:
        self.tensors[name] = Tensor(name=name, shape=shape, precision=self.precision, constant=True, zeros=zeros)
        return name

    def add(self, kind: str, shape: tuple[int, ...] | None = None, *others: str, **more: object) -> str:
        name = f"{kind}{len(self.operators)}"
        out = f"{name}.out"
        shape = shape or self.tensors[self.last].shape
        given = {"precision": self.precision, **more}
        if given["precision"] == "int8":
            given.setdefault("scheme", "static")
        self.operators.append(
            Operator(name=name, kind=kind, inputs=(self.last, *others), outputs=(out,), **given)  # type: ignore[arg-type]
        )
        self.tensors[out] = Tensor(name=out, shape=shape, precision=self.precision)
        self.last = out
        return out

    def conv(
        self, channels: int, kernel: int = 1, groups: int = 1, *, stride: int = 1, zeros: float | None = None
    ) -> str:
        _, inputs, height, width = self.tensors[self.last].shape
        weight = self.constant(f"w{len(self.operators)}", (channels, inputs // groups, kernel, kernel), zeros=zeros)
        shape = (1, channels, -(-height // stride), -(-width // stride))
        return self.add(
            "conv", shape, weight,
            macs=prod(shape) * inputs // groups * kernel * kernel,
            attributes={"kernel": (kernel, kernel), "stride": (stride, stride), "dilation": (1, 1), "groups": groups},
        )  # fmt: skip

    def linear(self, features: int) -> str:
        *lead, inputs = self.tensors[self.last].shape
        weight = self.constant(f"w{len(self.operators)}", (inputs, features))
        return self.add("fully_connected", (*lead, features), weight, macs=prod(lead) * inputs * features)

    def build(self) -> OpGraph:
        weights = sum(t.elements for t in self.tensors.values() if t.constant)
        return OpGraph(
            name="test", inputs=("x",), outputs=(self.last,), tensors=self.tensors, operators=tuple(self.operators),
            parameters=weights,
        )  # fmt: skip


def mobilenet(precision: str = "fp32") -> OpGraph:
    """Layers of MobileNetV2 1.0 at 224 × 224: Sandler et al., arXiv 1801.04381, table 2."""
    b = GraphBuilder((1, 3, 224, 224), precision)
    b.conv(32, 3, stride=2)
    b.add("relu6")
    for expand, channels, repeat, first in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for index in range(repeat):
            before, inside = b.last, b.tensors[b.last].shape[1] * expand
            if expand > 1:
                b.conv(inside)
                b.add("relu6")
            b.conv(inside, 3, groups=inside, stride=first if index == 0 else 1)
            b.add("relu6")
            b.conv(channels)
            if index:
                b.add("add", None, before)
    b.conv(1280)
    b.add("relu6")
    b.add("global_pool", (1, 1280, 1, 1))
    b.add("reshape", (1, 1280))
    b.linear(1000)
    return b.build()


def published_row(**given: object) -> PublishedRow:
    """A row of a made-up source."""
    row = {
        "source": "made-up", "device": "board", "soc": "soc", "family": "mlas", "precision": "fp32", "model": "net",
        "model_family": "net", "threads": 1, "cluster": "", "run": "run", "clock_ghz": None, "latency_ms": 1.0,
        "detection": False,
    }  # fmt: skip
    return PublishedRow(**{**row, **given})  # type: ignore[arg-type]


def synthetic_design(
    coefficients: np.ndarray, *, noise: float = 0.0, run_spread: float = 0.3, families: int = 6, socs: int = 6
) -> Design:
    """Rows made from known coefficients: three networks of each model family on each processor, one run each.

    Each network depends on its own third of the coefficients, and each run has a factor of its own.
    """
    draw = np.random.default_rng(7)
    networks = [(f"family{f}", f"net{f}.{v}") for f in range(families) for v in range(3)]
    shares = {name: draw.lognormal(0, 1, len(NAMES)) * (draw.random(len(NAMES)) < 0.35) for _, name in networks}
    size = {name: draw.lognormal(2, 1) for _, name in networks}
    speed = {s: draw.lognormal(0, 0.5) for s in range(socs)}
    factor = {s: np.exp(run_spread * draw.standard_normal()) for s in range(socs)}
    rows, matrix, measured = [], [], []
    for s, (family, name) in product(range(socs), networks):
        each = shares[name] * size[name] * speed[s] * draw.lognormal(0, 0.1, len(NAMES))
        latency = float(each @ coefficients) * factor[s] * np.exp(noise * draw.standard_normal())
        rows.append(published_row(soc=f"soc{s}", device=f"board{s}", run=f"run{s}", model=name, model_family=family,
                                  latency_ms=latency))  # fmt: skip
        matrix.append(each)
        measured.append(latency)
    return Design(rows=tuple(rows), matrix=np.array(matrix), measured_ms=np.array(measured))


@pytest.fixture(scope="session")
def made_row() -> Callable[..., PublishedRow]:
    return published_row


@pytest.fixture(scope="session")
def synthetic() -> Callable[..., Design]:
    return synthetic_design


@pytest.fixture(scope="session")
def profiles() -> dict[str, DeviceProfile]:
    return dict(load_profiles([builtin_folder()]))


@pytest.fixture(scope="session")
def builder() -> type[GraphBuilder]:
    return GraphBuilder


@pytest.fixture(scope="session")
def mobilenets() -> dict[str, OpGraph]:
    return {precision: mobilenet(precision) for precision in ("fp32", "fp16", "int8")}
