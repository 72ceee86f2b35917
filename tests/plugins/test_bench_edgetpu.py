"""The Edge TPU, imitated: what maps, what is refused and why, and what is simulated."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import pytest

import bench_edgetpu
from bench_edgetpu.code import COMPILER, EXPLAINED, LEFT, MAPPED, Code
from bench_edgetpu.gate import judge
from bench_edgetpu.partition import Partition, partition
from bench_edgetpu.simulation import simulate
from harness import ArtifactError, Operator, OpGraph, SessionOptions, Simulation, Tensor, UnsupportedError
from harness.graph import KINDS

if TYPE_CHECKING:
    from pathlib import Path

FACTS = {"t0_ms": 1.0, "macs_per_s": 1.1e12, "link_bytes_per_s": 512e6, "cache_bytes": 6.0e6, "power_w": 2.0}


class Chain:
    """A graph in the making, quantised unless told otherwise."""

    def __init__(self, shape: tuple[int, ...] = (1, 16, 8, 8), precision: str = "int8") -> None:
        self.tensors = {"x": Tensor(name="x", shape=shape, precision=precision)}
        self.operators: list[Operator] = []
        self.last = "x"

    def constant(self, name: str, shape: tuple[int, ...], **more: Any) -> str:
        self.tensors[name] = Tensor(name=name, shape=shape, constant=True, **{"precision": "int8", **more})
        return name

    def add(self, kind: str, *others: str, shape: tuple[int, ...] | None = None, **more: Any) -> Chain:
        name, out = f"{kind}{len(self.operators)}", f"{kind}{len(self.operators)}.out"
        shape = shape or self.tensors[self.last].shape
        given = {"precision": "int8", "scheme": "static", **more}
        self.operators.append(Operator(name=name, kind=kind, inputs=(self.last, *others), outputs=(out,), **given))
        self.tensors[out] = Tensor(name=out, shape=shape, precision=given["precision"])
        self.last = out
        return self

    def conv(self, channels: int = 16, kernel: int = 3, groups: int = 1, **more: Any) -> Chain:
        _, inputs, *space = self.tensors[self.last].shape
        weight = self.constant(f"w{len(self.operators)}", (channels, inputs // groups, kernel, kernel))
        bias = self.constant(f"b{len(self.operators)}", (channels,), precision="fp32")
        attributes = {"kernel": (kernel, kernel), "stride": (1, 1), "dilation": (1, 1), "groups": groups}
        attributes.update(more.pop("attributes", {}))
        shape = (1, channels, *space)
        macs = prod(shape) * inputs // groups * kernel**2
        return self.add("conv", weight, bias, shape=shape, macs=macs, attributes=attributes, **more)

    def linear(self, features: int, **more: Any) -> Chain:
        *lead, inputs = self.tensors[self.last].shape
        weight = self.constant(f"w{len(self.operators)}", (inputs, features))
        macs = prod(lead) * inputs * features
        return self.add("fully_connected", weight, shape=(*lead, features), macs=macs, **more)

    def graph(self, **more: Any) -> OpGraph:
        given: dict[str, Any] = {"inputs": ("x",), "outputs": (self.last,), **more}
        return OpGraph(name="test", tensors=self.tensors, operators=tuple(self.operators), parameters=0, **given)

    def simulate(self) -> Simulation:
        return simulate(self.graph(), FACTS)

    def codes(self) -> list[str]:
        return [each.code for each in self.simulate().rejections]


def classifier() -> Chain:
    chain = Chain().conv(activation="relu6").conv(groups=16).conv(kernel=1)
    chain.add("add", "conv0.out").add("global_pool", shape=(1, 16, 1, 1)).add("reshape", shape=(1, 16))
    return chain.linear(10).add("softmax", source="Softmax")


def test_a_quantised_classifier_maps_and_gets_a_latency_and_an_energy() -> None:
    simulated = classifier().simulate()
    assert simulated.rejections == ()
    assert simulated.latency_ms is not None
    assert simulated.energy_mj is not None
    assert simulated.latency_ms.p50 > FACTS["t0_ms"]
    assert simulated.latency_ms.hi90 == pytest.approx(2 * simulated.latency_ms.p50)
    assert simulated.energy_mj.p50 == pytest.approx(2.0 * simulated.latency_ms.p50)
    assert "without the board" in simulated.basis
    assert ("depthwise conv", 1, MAPPED) in simulated.table
    assert ("conv", 2, MAPPED) in simulated.table


@pytest.mark.parametrize(
    "kind",
    ["add", "sub", "mul", "min", "max", "relu", "relu6", "sigmoid", "tanh", "pool_max", "pool_avg", "global_pool",
     "resize", "transpose", "slice", "pad", "reshape", "identity", "reduce", "batch_norm"],
)  # fmt: skip
def test_operators_of_the_compilers_list_map(kind: str) -> None:
    assert Chain().add(kind).codes() == []


@pytest.mark.parametrize(
    "kind",
    ["hardswish", "gelu", "erf", "layer_norm", "matmul", "swish", "hardsigmoid", "leaky_relu", "div", "exp", "gather",
     "expand", "detection", "unknown", "cast"],
)  # fmt: skip
def test_operators_outside_the_list_are_unsupported(kind: str) -> None:
    simulated = Chain().conv().add(kind).simulate()
    assert [each.code for each in simulated.rejections] == [Code.UNSUPPORTED_OP]
    assert simulated.latency_ms is None
    assert simulated.energy_mj is None


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_operator_gets_a_verdict_from_the_closed_list(kind: str) -> None:
    simulated = Chain().add(kind).simulate()
    assert all(each.code in set(Code) for each in simulated.rejections)
    assert bool(simulated.rejections) == (simulated.latency_ms is None)


def test_a_float_operator_is_not_quantised() -> None:
    (rejection,) = Chain().conv().add("relu", precision="fp32", scheme="").simulate().rejections
    assert rejection.code == Code.NOT_QUANTISED
    assert rejection.operator == "relu1"
    assert "fp32" in rejection.detail
    assert "int8-static" in rejection.detail


def test_sixteen_bit_activations_are_not_quantised() -> None:
    assert Chain().conv(precision="int16").codes() == [Code.NOT_QUANTISED]


@pytest.mark.parametrize(("precision", "scheme"), [("int8", "dynamic"), ("fp32", "weight-only"), ("fp32", "")])
def test_quantised_weights_alone_are_dynamic_range_only(precision: str, scheme: str) -> None:
    assert Chain().conv(precision=precision, scheme=scheme).codes() == [Code.DYNAMIC_RANGE_ONLY]


def test_quantising_at_run_time_is_dynamic_range_only() -> None:
    assert Chain().add("dynamic_quantize").codes() == [Code.DYNAMIC_RANGE_ONLY]


def test_conversions_at_the_edges_are_a_remark() -> None:
    chain = Chain(precision="fp32").add("reshape", precision="fp32").add("quantize").conv()
    chain.add("dequantize", precision="fp32", scheme="").add("reshape")
    simulated = chain.simulate()
    assert simulated.rejections == ()
    assert ("quantize", 1, "Runs on the CPU (FLOAT_IO)") in simulated.table
    assert ("dequantize", 1, "Runs on the CPU (FLOAT_IO)") in simulated.table


def test_a_change_of_scale_inside_maps() -> None:
    assert ("quantize", 1, MAPPED) in Chain().conv().add("quantize").conv().simulate().table


def test_a_float_bias_is_an_implied_integer() -> None:
    chain = Chain().conv()
    assert chain.tensors["b0"].precision == "fp32"
    assert chain.codes() == []


def test_a_dynamic_dimension_is_refused() -> None:
    assert Chain((1, 16, -1, 8)).add("relu").codes() == [Code.DYNAMIC_SHAPE]


def test_a_batch_is_refused_by_input() -> None:
    (rejection,) = Chain((4, 16)).linear(1).simulate().rejections
    assert rejection.code == Code.BATCH
    assert rejection.operator == "x"


def test_a_weight_computed_at_run_time_is_refused() -> None:
    chain = Chain().conv()
    chain.tensors["w0"] = replace(chain.tensors["w0"], constant=False)
    chain.tensors["b0"] = replace(chain.tensors["b0"], constant=False)
    assert Code.NON_CONST_PARAM in chain.codes()


def test_a_fourth_dimension_longer_than_one_is_refused() -> None:
    assert Chain((1, 2, 8, 4, 4)).add("transpose").codes() == [Code.RANK]


@pytest.mark.parametrize(
    ("chain", "word"),
    [
        (Chain().conv(attributes={"dilation": (1, 2)}), "dilation"),
        (Chain((1, 4, 16)).linear(8), "one dimension"),
        (Chain().add("pool_max", activation="relu"), "fused relu"),
        (Chain().add("concat", "x", activation="relu6"), "fused relu6"),
        (Chain((1, 6, 4, 4)).add("reduce", source="ReduceMean", attributes={"axes": (1,)}), "6 channels"),
        (Chain().add("reduce", source="ReduceMean", attributes={"axes": (0, 2)}), "batch"),
        (Chain().add("reduce", source="ArgMax"), "ArgMax"),
        (Chain().add("clip", attributes={"min": 0.0, "max": 4.0}), "bounds 0.0 and 4.0"),
        (Chain().add("clip"), "bounds are not known"),
        (Chain((1, 20_000)).add("softmax", source="Softmax"), "20000 elements"),
        (Chain().add("softmax", source="Softmax"), "one dimension"),
        (Chain().add("pad", attributes={"pads": (1, 0, 0, 0, 0, 0, 0, 0)}), "batch is padded"),
        (Chain().add("pad", attributes={"pads": (0, 1, 0, 0), "axes": (-1, 0)}), "batch is padded"),
        (Chain().add("split", attributes={"axis": -4}), "batch is split"),
        (Chain().add("slice", attributes={"steps": (1, 2)}), "steps"),
        (Chain().add("resize", attributes={"mode": "cubic"}), "cubic"),
        (Chain().add("prelu", "x"), "slope"),
        (Chain().add("norm", source="GroupNormalization"), "GroupNormalization"),
        (Chain().add("transpose", source="DepthToSpace"), "DepthToSpace"),
    ],
)
def test_a_parameter_beyond_the_limits_is_named(chain: Chain, word: str) -> None:
    (rejection,) = chain.simulate().rejections
    assert rejection.code == Code.OP_LIMIT
    assert word in rejection.detail


@pytest.mark.parametrize(
    "attributes", [{"min": 0.0, "max": 6.0}, {"min": 0, "max": float("inf")}, {"min": -1.0, "max": 1.0}]
)
def test_the_clips_that_the_compiler_knows_map(attributes: dict[str, float]) -> None:
    assert Chain().add("clip", attributes=attributes).codes() == []


def test_concatenating_zeros_is_padding_and_other_constants_are_refused() -> None:
    for zeros, expected in ((1.0, []), (0.5, [Code.OP_LIMIT])):
        chain = Chain()
        chain.constant("c", (1, 16, 8, 8), zeros=zeros)
        assert chain.add("concat", "c").codes() == expected


def test_a_fused_activation_outside_the_list_is_unsupported() -> None:
    assert Chain().conv(activation="hardswish").codes() == [Code.UNSUPPORTED_OP]


def test_very_large_tensors_may_not_map() -> None:
    simulated = Chain((1, 16, 640, 640)).add("relu").simulate()
    assert simulated.rejections == ()
    assert simulated.table == (("relu", 1, "May not map: depends on sizes (TOO_LARGE)"),)
    assert "1 of 1 operators may not map (relu0: input and output take 13.1 MB)" in simulated.basis


@pytest.mark.parametrize(
    ("mode", "code"), [("half_pixel", "VERSION"), ("align_corners", "VERSION"), ("asymmetric", "TOO_LARGE")]
)
def test_a_resize_may_not_map_by_its_version_or_by_its_size(mode: str, code: str) -> None:
    chain = Chain().add("resize", attributes={"mode": "nearest", "coordinate_transformation_mode": mode})
    ((_, _, status),) = chain.simulate().table
    assert status.startswith("May not map")
    assert status.endswith(f"({code})")


def test_a_scale_a_channel_may_be_too_new_for_a_fully_connected_layer_and_never_for_a_convolution() -> None:
    assert Chain((1, 8)).linear(4, attributes={"weight_scales": 4}).simulate().table[0][2].endswith("(VERSION)")
    assert Chain().conv(attributes={"weight_scales": 16}).simulate().table == (("conv", 1, MAPPED),)


def test_weights_with_a_zero_point_are_refused() -> None:
    for chain in (Chain().conv(attributes={"weights_symmetric": False}),
                  Chain((1, 8)).linear(4, attributes={"weights_symmetric": False})):  # fmt: skip
        (rejection,) = chain.simulate().rejections
        assert rejection.code == Code.OP_LIMIT
        assert "around zero" in rejection.detail


def test_sums_that_go_on_as_floats_are_not_quantised_and_those_that_leave_are_a_remark() -> None:
    chain = Chain().conv()
    chain.tensors["conv0.out"] = replace(chain.tensors["conv0.out"], precision="int32")
    chain.add("dequantize", precision="fp32", scheme="")
    assert chain.codes() == []
    assert chain.add("relu", precision="fp32", scheme="").codes() == [Code.NOT_QUANTISED, Code.NOT_QUANTISED]


def test_a_recurrent_layer_is_taken_in_one_direction() -> None:
    assert Chain().add("unknown", source="LSTM").codes() == []
    assert Chain().add("unknown", source="LSTM", attributes={"direction": "bidirectional"}).codes() == [Code.OP_LIMIT]


@pytest.mark.parametrize("form", ["", "com.microsoft.QLinear"])
def test_the_form_of_quantisation_does_not_change_the_verdict(form: str) -> None:
    assert Chain((1, 32)).add("softmax", source=f"{form}Softmax").codes() == []
    assert Chain().add("reduce", source=f"{form}ReduceMean", attributes={"axes": (2, 3)}).codes() == []


def test_one_refused_operator_leaves_everything_after_it_on_the_cpu() -> None:
    simulated = Chain().conv().conv().add("hardswish").conv().simulate()
    assert simulated.basis.startswith(f"rules of {COMPILER}; 2 of 4 operators would map")
    assert "2 operators with 0.147 million multiply-accumulates (33%)" in simulated.basis
    assert "2.05 kB cross between CPU and accelerator" in simulated.basis
    assert set(simulated.table) == {
        ("conv", 1, LEFT),
        ("conv", 2, MAPPED),
        ("hardswish", 1, "Operation not supported (UNSUPPORTED_OP)"),
    }


def cut(chain: Chain, cache_bytes: float = 1e9) -> Partition:
    graph = chain.graph()
    return partition(graph, judge(graph), cache_bytes)


def test_what_is_read_by_both_sides_crosses_once() -> None:
    """x goes in (1024 bytes); conv0 is read by the refused operator and by the sum after it; views are no tensors."""
    chain = Chain().conv().add("reshape").add("hardswish").add("add", "conv0.out")
    assert cut(chain).crossing_bytes == 2 * 1024


def test_a_graph_that_maps_whole_crosses_with_its_input_and_its_output() -> None:
    assert cut(Chain((1, 100)).linear(10)).crossing_bytes == 110


def test_parameters_beyond_the_cache_are_streamed_tensor_by_tensor() -> None:
    chain = Chain((1, 100)).linear(100).linear(100).linear(100)
    assert cut(chain, 1e9).streamed_bytes == 0
    assert cut(chain, 25_000).streamed_bytes == 10_000
    assert cut(chain, 19_999).streamed_bytes == 20_000
    assert cut(chain, 25_000).cached_bytes == 20_000


def test_parameters_of_operators_on_the_cpu_are_neither_cached_nor_streamed() -> None:
    found = cut(Chain((1, 100)).linear(100).add("gelu").linear(100), 5_000)
    assert (found.cached_bytes, found.streamed_bytes) == (0, 10_000)


def test_streaming_takes_its_time() -> None:
    small, large = (
        simulate(Chain((1, 1000)).linear(1000).graph(), {**FACTS, "cache_bytes": cache}).latency_ms
        for cache in (6.0e6, 1.0)
    )
    assert small is not None
    assert large is not None
    assert large.p50 - small.p50 == pytest.approx(1e6 / 512e6 * 1e3)


def test_without_a_power_there_is_no_energy() -> None:
    facts = {key: value for key, value in FACTS.items() if key != "power_w"}
    simulated = simulate(classifier().graph(), facts)
    assert simulated.latency_ms is not None
    assert simulated.energy_mj is None


def test_a_missing_fact_is_named() -> None:
    with pytest.raises(UnsupportedError, match="link_bytes_per_s"):
        simulate(classifier().graph(), {**FACTS, "link_bytes_per_s": 0})


def test_every_code_has_a_meaning_and_a_fix() -> None:
    assert set(EXPLAINED) == set(Code)
    assert all(each.meaning and each.fix for each in EXPLAINED.values())


def test_the_backend_is_for_an_accelerator_and_needs_onnx_runtime() -> None:
    (backend,) = bench_edgetpu.harness_backends()
    assert backend.name == "edgetpu"
    assert backend.accelerator == "edgetpu"
    assert backend.reads == ("onnx", "tflite")
    assert backend.simulate is not None
    assert backend.fit is not None
    assert backend.simulate(classifier().graph(), FACTS).rejections == ()
    assert backend.available().ok


def test_importing_the_plugin_imports_no_framework() -> None:
    code = "import sys, bench_edgetpu; list(bench_edgetpu.harness_backends()); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "onnx", "onnxruntime", "torch"} & set(done.stdout.split())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """y = max(x, 0), through 8 bits with a scale of 0.5."""
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
            helper.make_node("Relu", ["d"], ["y"]),
        ],
        "relu",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [0.5]),
            helper.make_tensor("zero", TensorProto.INT8, [], [0]),
        ],
    )
    path = tmp_path_factory.mktemp("edgetpu") / "relu.onnx"
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def opened(path: Path) -> Any:
    (backend,) = bench_edgetpu.harness_backends()
    return backend.open(path, SessionOptions(threads=1, options=backend.options(), inputs=()))


def test_outputs_are_those_of_the_quantised_graph(model: Path) -> None:
    import numpy as np

    session = opened(model)
    call = session.bind((np.array([[0.6, -2.0, 1.3]], dtype=np.float32),))
    call()
    (found,) = session.outputs()
    assert found.dtype == np.float32
    assert found.tolist() == [[0.5, 0.0, 1.5]]
    assert session.threads() == 1
    session.close()
    session.close()


def test_the_wrong_number_of_inputs_is_named(model: Path) -> None:
    with pytest.raises(ArtifactError, match="takes 1 inputs, 0 were given"):
        opened(model).bind(())


def test_a_corrupt_file_is_one_clear_message(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ArtifactError, match=r"broken\.onnx cannot be loaded"):
        opened(path)
