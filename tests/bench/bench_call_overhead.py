"""What the harness adds to a timed call: the bound runtime called directly against a sample of the harness.

    make bench

Both benchmarks run the same bound session of a network so small that the call itself is a few microseconds; the
difference of their medians, divided by the calls, is the harness's. It must stay below one microsecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.contributions import SessionOptions
from harness.loading import load_host
from harness.measure.sampling import time_calls
from harness.model import TensorSpec

CALLS = 2000


@pytest.fixture(params=["onnxruntime", "openvino"])
def bound(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """A bound session of a network of one addition."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "add", [x], [y])
    path = tmp_path / "add.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    backend = load_host().backends.get(request.param).contribution
    spec = TensorSpec(name="x", shape=(None, 4), dtype="float32")
    session = backend.open(path, SessionOptions(threads=1, options=backend.options(), inputs=(spec,)))
    call = session.bind((np.ones((1, 4), np.float32),))
    for _ in repeat(None, 100):
        call()
    yield call
    session.close()


@pytest.mark.benchmark(group="one call")
def test_the_bound_runtime_called_directly(benchmark: Any, bound: Callable[[], Any]) -> None:
    def direct() -> None:
        for _ in repeat(None, CALLS):
            bound()

    benchmark(direct)


@pytest.mark.benchmark(group="one call")
def test_a_sample_of_the_harness(benchmark: Any, bound: Callable[[], Any]) -> None:
    benchmark(time_calls, bound, CALLS)
