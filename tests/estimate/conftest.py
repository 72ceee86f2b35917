"""Small graphs to estimate."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import pytest

from harness import Operator, OpGraph, Tensor
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


@pytest.fixture(scope="session")
def profiles() -> dict[str, DeviceProfile]:
    return dict(load_profiles([builtin_folder()]))


@pytest.fixture(scope="session")
def builder() -> type[GraphBuilder]:
    return GraphBuilder


@pytest.fixture(scope="session")
def mobilenets() -> dict[str, OpGraph]:
    return {precision: mobilenet(precision) for precision in ("fp32", "fp16", "int8")}
