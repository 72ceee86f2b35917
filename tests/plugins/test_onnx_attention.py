"""What transformers are made of, in the ONNX reader: attention and GELU in one normal form, and small weights."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench_onnx.reader import read
from harness import OpGraph

ROWS, WIDTH, HEADS = 16, 32, 4


class Net:
    """Builds an ONNX file node by node."""

    def __init__(self, opset: int, *shape: int | str) -> None:
        self.opset = opset
        self.inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: object, dtype: str = "float32") -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, op: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes: object) -> str:
        made = [f"t{len(self.nodes)}", *(f"t{len(self.nodes)}.{n}" for n in range(1, outputs))]
        node = helper.make_node(op, inputs, made, name=f"n{len(self.nodes)}", domain=domain, **attributes)
        self.nodes.append(node)
        return made[0]

    def linear(self, x: str, columns: int, out: int) -> str:
        product = self.add("MatMul", x, self.constant(np.ones((columns, out))))
        return self.add("Add", product, self.constant(np.ones(out)))

    def heads(self, x: str) -> str:
        shape = self.constant([1, ROWS, HEADS, WIDTH // HEADS], "int64")
        return self.add("Transpose", self.add("Reshape", x, shape), perm=[0, 2, 1, 3])

    def read(self, folder: Path, output: str) -> OpGraph:
        made = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "net", self.inputs, made, self.constants)
        domains = sorted({node.domain for node in self.nodes if node.domain})
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(d, 1) for d in domains)]
        path = folder / "net.onnx"
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
        return read(path)


def with_erf(net: Net, x: str) -> str:
    inner = net.add("Add", net.add("Erf", net.add("Div", x, net.constant(2**0.5))), net.constant(1.0))
    return net.add("Mul", net.add("Mul", x, inner), net.constant(0.5))


def with_erf_in_another_order(net: Net, x: str) -> str:
    inner = net.add("Add", net.constant(1.0), net.add("Erf", net.add("Mul", x, net.constant(2**-0.5))))
    return net.add("Mul", net.add("Mul", net.constant(0.5), x), inner)


def plain(net: Net, x: str) -> str:
    return net.add("Gelu", x)


def attention(net: Net, form: str) -> str:
    """Projections, attention of every row to every row, projection."""
    q, k, v = (net.linear("x", WIDTH, WIDTH) for _ in range(3))
    if form == "several operators":
        q, k, v = net.heads(q), net.heads(k), net.heads(v)
        scores = net.add("MatMul", q, net.add("Transpose", k, perm=[0, 1, 3, 2]))
        y = net.add("MatMul", net.add("Softmax", scores, axis=-1), v)
    elif form == "one operator, heads apart":
        y = net.add("Attention", net.heads(q), net.heads(k), net.heads(v))
    elif form == "one operator, heads together":
        return net.linear(net.add("Attention", q, k, v, q_num_heads=HEADS, kv_num_heads=HEADS), WIDTH, WIDTH)
    else:
        y = net.add("MultiHeadAttention", q, k, v, domain="com.microsoft", num_heads=HEADS)
        return net.linear(y, WIDTH, WIDTH)
    flat = net.constant([1, ROWS, WIDTH], "int64")
    return net.linear(net.add("Reshape", net.add("Transpose", y, perm=[0, 2, 1, 3]), flat), WIDTH, WIDTH)


@pytest.mark.parametrize(
    "form",
    ["several operators", "one operator, heads apart", "one operator, heads together", "of a runtime's domain"],
)
def test_attention_is_two_products_of_several_rows_and_a_softmax_however_it_is_written(form, tmp_path):
    net = Net(23, "batch", ROWS, WIDTH)
    graph = net.read(tmp_path, attention(net, form))
    heavy = [(op.kind, op.macs) for op in graph.operators if op.kind in {"matmul", "softmax", "fully_connected"}]
    linear, product = ("fully_connected", ROWS * WIDTH**2), ("matmul", ROWS * ROWS * WIDTH)
    assert heavy == [linear, linear, linear, product, ("softmax", 0), product, linear]
    (softmax,) = (op for op in graph.operators if op.kind == "softmax")
    assert graph.tensors[softmax.outputs[0]].shape == (1, HEADS, ROWS, ROWS)
    made = {*graph.inputs, *(name for name, t in graph.tensors.items() if t.constant)}
    for op in graph.operators:
        assert {*op.inputs} <= made
        made.update(op.outputs)


def test_attention_with_fewer_heads_for_keys_has_a_score_for_each_head_of_the_query(tmp_path):
    net = Net(23, "batch", ROWS, WIDTH)
    k, v = (net.linear("x", WIDTH, WIDTH // 2) for _ in range(2))
    graph = net.read(tmp_path, net.add("Attention", "x", k, v, q_num_heads=HEADS, kv_num_heads=HEADS // 2))
    assert [op.macs for op in graph.operators if op.kind == "matmul"] == [ROWS * ROWS * WIDTH] * 2


def test_attention_with_a_cache_of_keys_stays_unknown(tmp_path):
    net = Net(23, "batch", HEADS, ROWS, WIDTH)
    graph = net.read(tmp_path, net.add("Attention", "x", "x", "x", outputs=3))
    assert [op.kind for op in graph.operators] == ["unknown"]


@pytest.mark.parametrize(("write", "opset"), [(with_erf, 18), (with_erf_in_another_order, 18), (plain, 20)])
def test_a_gelu_is_one_operator_however_it_is_written(write, opset, tmp_path):
    net = Net(opset, "batch", ROWS, WIDTH)
    graph = net.read(tmp_path, write(net, net.add("Relu", "x")))
    assert [op.kind for op in graph.operators] == ["relu", "gelu"]
    assert graph.operators[1].inputs == graph.operators[0].outputs


def test_a_layer_norm_is_one_operator(tmp_path):
    net = Net(18, "batch", ROWS, WIDTH)
    graph = net.read(
        tmp_path, net.add("LayerNormalization", "x", net.constant(np.ones(WIDTH)), net.constant(np.ones(WIDTH)))
    )
    assert [op.kind for op in graph.operators] == ["layer_norm"]
    assert graph.parameters == 2 * WIDTH


def test_an_erf_whose_middle_somebody_else_reads_stays_as_it_is_written(tmp_path):
    net = Net(18, "batch", ROWS, WIDTH)
    x = net.add("Relu", "x")
    scaled = net.add("Div", x, net.constant(2**0.5))
    inner = net.add("Add", net.add("Erf", scaled), net.constant(1.0))
    y = net.add("Mul", net.add("Mul", x, inner), net.constant(0.5))
    graph = net.read(tmp_path, net.add("Sub", y, scaled))
    assert [op.kind for op in graph.operators] == ["relu", "div", "erf", "add", "mul", "mul", "sub"]


def test_open_height_and_width_stay_open_and_the_batch_does_not(tmp_path):
    net = Net(18, "batch", 3, "height", "width")
    y = net.add("Conv", "x", net.constant(np.ones((4, 3, 3, 3))), strides=[2, 2], pads=[1, 1, 1, 1])
    pooled = net.add("GlobalAveragePool", y)
    graph = net.read(tmp_path, net.add("Mul", y, pooled))
    shapes = {graph.tensors[name].shape for op in graph.operators for name in op.outputs}
    assert shapes == {(1, 4, -1, -1), (1, 4, 1, 1)}


def test_four_bit_weights_of_the_standard_show_as_int4(tmp_path):
    net = Net(21, "batch", 64)
    levels = np.random.default_rng(0).integers(-8, 8, (64, 32))
    net.constants.append(helper.make_tensor("w", TensorProto.INT4, levels.shape, levels.reshape(-1).tolist()))
    scale = net.constant(np.ones((2, 32)))
    graph = net.read(tmp_path, net.add("MatMul", "x", net.add("DequantizeLinear", "w", scale, axis=0, block_size=32)))
    (op,) = graph.operators
    assert (op.kind, op.precision, op.scheme, op.macs) == ("fully_connected", "fp32", "weight-only", 64 * 32)
    weight = graph.tensors["w"]
    assert (weight.precision, weight.size_bytes, weight.zeros) == ("int4", 1024, np.mean(levels == 0))


def test_reading_needs_no_runtime_and_no_framework(tmp_path):
    net = Net(23, "batch", ROWS, WIDTH)
    net.read(tmp_path, with_erf(net, attention(net, "several operators")))
    code = f"""
        import sys
        for name in ("onnxruntime", "onnxscript", "onnx_ir", "onnxslim", "torch", "openvino", "nncf", "scipy"):
            sys.modules[name] = None
        from pathlib import Path
        from bench_onnx import harness_graph_readers
        (reader,) = harness_graph_readers()
        path = Path({str(tmp_path / "net.onnx")!r})
        print(reader.read(path).macs, len(reader.content_sha256(path)))
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout.split() == [str(4 * ROWS * WIDTH**2 + 2 * ROWS * ROWS * WIDTH), "64"]
