"""Operator times of bench_torch: what ran, what it did and in which number format, and that nothing counts twice."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np
import pytest

import bench_torch
from harness import ArtifactError, OperatorTime, SessionOptions

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from bench_torch import operator_times  # noqa: E402
from bench_torch.session import open_program  # noqa: E402

(BACKEND,) = bench_torch.harness_backends()
OPTIONS = SessionOptions(threads=1, options=bench_torch.TorchOptions(), inputs=())
X = np.random.default_rng(0).standard_normal((1, 3, 48, 48)).astype(np.float32)


class Net(nn.Module):
    """Convolutions, a linear layer, a row of quantise and dequantise, and casts."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 32, 3, stride=2)
        self.head = nn.Linear(32, 4)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.second(self.first(x))).mean((2, 3))
        return self.head(x.half().float())


class Quantised(nn.Module):
    """What a quantised exported program looks like: fp32 kernels between pairs of quantise and dequantise."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        from torch.ao.quantization.fx import _decomposed  # noqa: F401  registers the operators

        steps = torch.ops.quantized_decomposed
        q = steps.quantize_per_tensor(x, 0.1, 0, -128, 127, torch.int8)
        return self.head(steps.dequantize_per_tensor(q, 0.1, 0, -128, 127, torch.int8))


def exported(module: Any, example: Any, path: Path) -> Path:
    torch.manual_seed(0)
    torch.export.save(torch.export.export(module.eval(), (torch.from_numpy(example),)), path)
    return path


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(Net(), X, tmp_path_factory.mktemp("net") / "net.pt2")


@pytest.fixture(scope="module")
def found(program: Path) -> tuple[OperatorTime, ...]:
    assert BACKEND.operators is not None
    return tuple(BACKEND.operators(program, OPTIONS, (X,), 20))


def test_every_operator_of_the_program_is_there_in_order_under_its_own_name(found: tuple[OperatorTime, ...]) -> None:
    names = [operator.name for operator in found if "assert" not in operator.name]
    assert names == ["conv2d", "conv2d_1", "relu", "mean", "to", "to_1", "linear"]


def test_kinds_say_which_kernel_ran_and_what_it_did(found: tuple[OperatorTime, ...]) -> None:
    by_name = {operator.name: operator for operator in found}
    assert [name for name, operator in by_name.items() if operator.does == "compute"] == [
        "conv2d",
        "conv2d_1",
        "linear",
    ]
    assert "conv2d" in by_name["conv2d"].kind or "convolution" in by_name["conv2d"].kind
    assert by_name["conv2d"].kind != "aten::conv2d"
    assert by_name["linear"].kind == "aten::addmm"
    assert by_name["relu"].kind == "aten::relu"
    assert [name for name, operator in by_name.items() if operator.does == "quantise"] == ["to", "to_1"]


def test_precision_is_that_of_the_data_it_takes(found: tuple[OperatorTime, ...]) -> None:
    by_name = {operator.name: operator.precision for operator in found}
    assert by_name["conv2d"] == by_name["linear"] == by_name["to"] == "fp32"
    assert by_name["to_1"] == "fp16"


def test_times_add_up_to_no_more_than_an_inference_and_not_much_less(program: Path) -> None:
    session = open_program(program, OPTIONS)
    call = session.bind((X,))
    times = []
    for _ in range(60):
        start = perf_counter_ns()
        call()
        times.append(perf_counter_ns() - start)
    session.close()
    total = sum(operator.ns for operator in operator_times.operators(program, OPTIONS, (X,), 40))
    # A machine that others use may be twice as fast from one second to the next.
    assert total < 2.5 * median(times)
    assert total > 0.2 * min(times)


def test_quantising_stands_by_itself_and_its_inner_steps_count_to_it(tmp_path: Path) -> None:
    x = np.linspace(-3, 3, 8, dtype=np.float32)[None]
    path = exported(Quantised(), x, tmp_path / "quantised.pt2")
    rows = [(o.name, o.does, o.precision) for o in operator_times.operators(path, OPTIONS, (x,), 5)]
    assert rows == [
        ("quantize_per_tensor", "quantise", "fp32"),
        ("dequantize_per_tensor", "quantise", "int8"),
        ("linear", "compute", "fp32"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "conv2d", "_slow_conv2d_forward", "mkldnn_convolution", "_convolution_pointwise", "qconv2d_pointwise",
        "slow_conv_transpose2d", "linear", "qlinear_pointwise", "addmm", "baddbmm", "mm", "bmm", "_int_mm", "mv",
        "_scaled_dot_product_flash_attention_for_cpu", "mkldnn_rnn_layer", "lstm",
    ],
)  # fmt: skip
def test_products_are_recognised_by_name(name: str) -> None:
    assert operator_times.COMPUTE.search(name)


@pytest.mark.parametrize(
    "name", ["convert_element_type", "upsample_linear1d", "upsample_bilinear2d", "add", "mean", "linalg_vector_norm"]
)
def test_other_names_are_no_products(name: str) -> None:
    assert not operator_times.COMPUTE.search(name)


def test_the_session_is_closed_and_the_error_stream_stays_empty(
    program: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    operator_times.operators(program, OPTIONS, (X,), 2)
    assert capfd.readouterr() == ("", "")
    assert not torch.is_inference_mode_enabled()


def test_inputs_that_the_program_does_not_take_are_refused(program: Path) -> None:
    with pytest.raises(ArtifactError, match="the program takes"):
        operator_times.operators(program, OPTIONS, (X[0],), 2)
    assert not torch.is_inference_mode_enabled()
