"""Graphs and times made by hand: a chain of convolutions in any number format."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from harness.graph import Operator, OpGraph, Tensor
from harness.operator_time import OperatorTime
from harness.why.cpu import CpuFacts
from harness.why.side import Side

SIZE = 14


def make_graph(
    channels: tuple[int, ...] = (16, 32, 32), *, precision: str = "fp32", scheme: str = "", zeros: float = 0.0,
    formats: tuple[str, ...] = (), groups: int = 1,
) -> OpGraph:  # fmt: skip
    """1×1 convolutions on 14×14 from each number of channels to the next; `formats` sets single ones."""
    stored = "fp32" if scheme == "weight-only" else precision
    tensors = {"t0": Tensor(name="t0", shape=(1, channels[0], SIZE, SIZE), precision="fp32")}
    operators = []
    for index, (read, made) in enumerate(pairwise(channels)):
        form = formats[index] if formats else stored
        weight, out = f"w{index}", f"t{index + 1}"
        tensors[weight] = Tensor(
            name=weight, shape=(made, read // groups, 1, 1), precision="int8" if scheme == "weight-only" else form,
            constant=True, zeros=zeros,
        )  # fmt: skip
        tensors[out] = Tensor(name=out, shape=(1, made, SIZE, SIZE), precision=form)
        operators.append(
            Operator(
                name=f"conv{index}", kind="conv", inputs=(f"t{index}", weight), outputs=(out,), precision=form,
                macs=SIZE * SIZE * read * made // groups, scheme=scheme or ("static" if form == "int8" else ""),
                attributes={"kernel": (1, 1), "stride": (1, 1), "groups": groups},
            )
        )  # fmt: skip
    last = f"t{len(channels) - 1}"
    parameters = sum(t.elements for t in tensors.values() if t.constant)
    return OpGraph(
        name="chain", inputs=("t0",), outputs=(last,), tensors=tensors, operators=tuple(operators),
        parameters=parameters,
    )  # fmt: skip


def make_times(*rows: tuple[str, str, float]) -> tuple[OperatorTime, ...]:
    """Operators as (kind, precision, microseconds); what they do follows from the kind."""
    does: dict[str, Any] = {"Conv": "compute", "MatMul": "compute", "Quantise": "quantise", "Cast": "quantise"}
    return tuple(
        OperatorTime(name=f"{kind}_{i}", kind=kind, does=does.get(kind, "other"), precision=p, ns=round(us * 1000))
        for i, (kind, p, us) in enumerate(rows)
    )


def make_side(graph: OpGraph | None, *rows: tuple[str, str, float], latency_us: float | None = None) -> Side:
    """A side whose latency is what its operators add up to, unless it is given."""
    times = make_times(*rows)
    known = sum(op.ns for op in times) if latency_us is None else latency_us * 1000
    return Side(graph=graph, operators=times, latency_ns=float(known) if times or latency_us else None)


def make_cpu(**changes: Any) -> CpuFacts:
    facts: dict[str, Any] = {"name": "a core", "lanes": 16, "dot_product": True, "half": True, "launch_ns": 300.0}
    return CpuFacts(**{**facts, **changes})


@pytest.fixture(scope="session")
def make() -> dict[str, Any]:
    return {"graph": make_graph, "times": make_times, "side": make_side, "cpu": make_cpu}
