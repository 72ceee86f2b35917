"""The IR reader: what OpenVINO and NNCF write, read without either, gives the graph that the ONNX reader gives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench_onnx.reader import read as read_onnx
from bench_openvino import harness_graph_readers
from harness import ArtifactError, OpGraph

onnx = pytest.importorskip("onnx")
pytest.importorskip("openvino")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from bench_openvino.session import ov  # noqa: E402

(READER,) = harness_graph_readers()

LONELY = """<net version="11"><layers>
  <layer id="0" name="r" type="Result"><input><port id="0"/></input></layer>
</layers></net>"""


class Net:
    """Builds an ONNX file node by node; weights are seeded."""

    def __init__(self, *shape: int | str, opset: int = 20) -> None:
        self.inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.opset = opset
        self.random = np.random.default_rng(0)

    def constant(self, value: object, dtype: str = "float32") -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def weight(self, *shape: int) -> str:
        return self.constant(self.random.standard_normal(shape))

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        made = [f"{op.lower()}{len(self.nodes)}.{n}" for n in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, made, name=made[0], **attributes))
        return made[0]

    def conv(self, x: str, *shape: int, **attributes: object) -> str:
        pads = [(k - 1) // 2 for k in shape[2:]] * 2
        return self.add("Conv", x, self.weight(*shape), self.weight(shape[0]), pads=pads, **attributes)

    def save(self, folder: Path, output: str) -> Path:
        made = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "net", self.inputs, made, self.constants)
        path = folder / "net.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10), path)
        return path

    def model(self, folder: Path, output: str) -> Any:
        return ov.Core().read_model(self.save(folder, output))


def saved(model: Any, folder: Path, *, half: bool = False) -> Path:
    ov.save_model(model, folder / "model.xml", compress_to_fp16=half)
    return folder


def network(net: Net) -> str:
    """A convolutional network with one of nearly everything."""
    x = net.conv("x", 8, 3, 3, 3, strides=[2, 2])
    x = net.add("Clip", x, net.constant(0.0), net.constant(6.0))
    x = net.add("HardSwish", net.conv(x, 8, 1, 3, 3, group=8))
    x = net.add("LeakyRelu", net.conv(x, 8, 8, 1, 1), alpha=0.1)
    y = net.add("Relu", net.conv(x, 8, 4, 3, 3, group=2))
    x = net.add("Concat", net.add("Add", x, y), y, axis=1)
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = net.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.add("ConvTranspose", x, net.weight(16, 6, 2, 2), net.weight(6), strides=[2, 2])
    x = net.add("Transpose", x, perm=[0, 2, 3, 1])
    x = net.add("Transpose", net.add("Tanh", x), perm=[0, 3, 1, 2])
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    x = net.add("Gemm", x, net.weight(5, 6), net.weight(5), transB=1)
    return net.add("Softmax", x, axis=-1)


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net = Net("batch", 3, 32, 32)
    return net.save(tmp_path_factory.mktemp("onnx"), network(net))


@pytest.fixture(scope="module")
def ir(onnx_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(ov.Core().read_model(onnx_file), tmp_path_factory.mktemp("ir"))


@pytest.fixture(scope="module")
def quantised(onnx_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    nncf = pytest.importorskip("nncf")
    random = np.random.default_rng(0)
    rows = nncf.Dataset([random.standard_normal((1, 3, 32, 32)).astype(np.float32) for _ in range(3)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own
        model = nncf.quantize(ov.Core().read_model(onnx_file), rows, subset_size=3)
    return saved(model, tmp_path_factory.mktemp("int8"))


def kinds(graph: OpGraph) -> list[str]:
    return [op.kind for op in graph.operators]


def whole(graph: OpGraph) -> None:
    """Every tensor that is read or given out is there and made before."""
    made = {*graph.inputs, *(name for name, t in graph.tensors.items() if t.constant)}
    for op in graph.operators:
        assert {*op.inputs} <= made
        made.update(op.outputs)
    assert {*graph.outputs} <= made <= {*graph.tensors}


def test_an_ir_gives_the_graph_of_the_onnx_file_it_was_made_of(onnx_file, ir):
    graph, same = READER.read(ir), read_onnx(onnx_file)
    assert kinds(graph) == kinds(same)
    assert (graph.macs, graph.parameters) == (same.macs, same.parameters)
    for ours, theirs in zip(graph.operators, same.operators, strict=True):
        read = [
            [(g.tensors[n].shape, g.tensors[n].precision, g.tensors[n].zeros) for n in (*op.inputs, *op.outputs)]
            for g, op in ((graph, ours), (same, theirs))
        ]
        assert read[0] == read[1], ours.name
        assert (ours.macs, ours.precision, ours.scheme) == (theirs.macs, theirs.precision, theirs.scheme)
        if ours.kind in {"conv", "deconv"}:
            assert ours.attributes == theirs.attributes
    whole(graph)


def test_the_folder_and_its_xml_are_one_graph(ir):
    assert READER.read(ir) == READER.read(ir / "model.xml")


def test_half_precision_is_that_of_the_stored_weights(onnx_file, tmp_path):
    graph = READER.read(saved(ov.Core().read_model(onnx_file), tmp_path, half=True))
    assert {t.precision for op in graph.operators if op.macs for t in graph.weights_of(op)} == {"fp16"}
    assert {(op.precision, op.scheme) for op in graph.operators} == {("fp32", "")}
    assert graph.macs == read_onnx(onnx_file).macs


def test_static_quantisation_makes_every_product_int8(onnx_file, quantised):
    graph, plain = READER.read(quantised), read_onnx(onnx_file)
    assert graph.int8_macs_share == 1.0
    assert (graph.macs, graph.parameters) == (plain.macs, plain.parameters)
    products = [op for op in graph.operators if op.macs]
    assert [op.kind for op in products] == [op.kind for op in plain.operators if op.macs]
    assert {(op.precision, op.scheme) for op in products} == {("int8", "static")}
    assert {tuple(t.precision for t in graph.weights_of(op)) for op in products} == {("int8", "int32")}
    whole(graph)


def test_quantised_activations_are_part_of_the_products_and_pools_between_them_are_int8(quantised):
    graph = READER.read(quantised)
    assert [op.activation for op in graph.operators if op.kind == "conv"][:2] == ["relu6", "hardswish"]
    moved = [op for op in graph.operators if op.kind in {"pool_max", "pool_avg"}]
    assert {op.precision for op in moved} == {"int8"}
    assert {t.precision for op in moved for t in graph.activations_of(op)} <= {"int8", "uint8"}


def test_conversions_stand_only_where_floats_and_integers_meet(quantised):
    graph = READER.read(quantised)
    assert (kinds(graph)[0], kinds(graph)[-1]) == ("quantize", "softmax")
    for op in graph.operators:
        source, result = (graph.tensors[name].precision for name in (op.inputs[0], op.outputs[0]))
        if op.kind == "quantize":
            assert (source, result in {"int8", "uint8"}) == ("fp32", True)
        elif op.kind == "dequantize":
            assert (source in {"int8", "uint8", "int32"}, result) == (True, "fp32")
        elif not op.scheme:
            assert source == "fp32"


def test_attention_and_its_surroundings_have_the_kinds_of_the_onnx_file(tmp_path):
    net = Net("batch", 16, 32)
    width, heads, shape = 32, 4, net.constant([0, 16, 4, 8], "int64")
    x = net.add("LayerNormalization", "x", net.weight(width), net.weight(width))
    query, key, value = (
        net.add("Transpose", net.add("Reshape", net.add("MatMul", x, net.weight(width, width)), shape), perm=perm)
        for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    )
    shares = net.add("Softmax", net.add("MatMul", query, key), axis=-1)
    x = net.add("Transpose", net.add("MatMul", shares, value), perm=[0, 2, 1, 3])
    x = net.add("Reshape", x, net.constant([0, 16, 32], "int64"))
    y = net.add("Gelu", net.add("MatMul", x, net.weight(width, 2 * width)))
    file = net.save(tmp_path, y)
    graph, same = READER.read(saved(ov.Core().read_model(file), tmp_path)), read_onnx(file)
    assert sorted(kinds(graph)) == sorted(kinds(same))
    assert (graph.macs, graph.parameters) == (same.macs, same.parameters)
    assert [graph.tensors[op.outputs[0]].shape for op in graph.operators if op.kind == "softmax"] == [
        (1, heads, 16, 16)
    ]
    assert kinds(graph)[0] == "layer_norm"


def test_attention_as_one_operator_is_two_products_and_a_softmax(tmp_path):
    from openvino import opset13 as ops

    query = ops.parameter([-1, 4, 16, 8], np.float32)
    key = ops.parameter([-1, 4, 20, 8], np.float32)
    model = ov.Model([ops.scaled_dot_product_attention(query, key, key)], [query, key])
    graph = READER.read(saved(model, tmp_path))
    assert [(op.kind, op.macs) for op in graph.operators] == [
        ("matmul", 4 * 16 * 20 * 8), ("softmax", 0), ("matmul", 4 * 16 * 20 * 8)
    ]  # fmt: skip


@pytest.mark.parametrize(("mode", "precision"), [("INT8_ASYM", "uint8"), ("INT4_ASYM", "int4"), ("INT4_SYM", "int4")])
def test_compressed_weights_keep_the_arithmetic_in_float(mode, precision, tmp_path):
    nncf = pytest.importorskip("nncf")
    net = Net("batch", 64)
    model = net.model(tmp_path, net.add("MatMul", net.add("MatMul", "x", net.weight(64, 64)), net.weight(64, 32)))
    more = {} if mode.startswith("INT8") else {"group_size": 16, "ratio": 1.0, "all_layers": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own
        model = nncf.compress_weights(model, mode=getattr(nncf.CompressWeightsMode, mode), **more)
    graph = READER.read(saved(model, tmp_path))
    assert [(op.kind, op.precision, op.scheme, op.macs) for op in graph.operators] == [
        ("fully_connected", "fp32", "weight-only", 64 * 64), ("fully_connected", "fp32", "weight-only", 64 * 32)
    ]  # fmt: skip
    weights = [t for op in graph.operators for t in graph.weights_of(op)]
    assert [(t.precision, t.elements) for t in weights] == [(precision, 64 * 64), (precision, 64 * 32)]
    assert all(t.zeros is None or 0 <= t.zeros < 0.5 for t in weights)
    assert graph.parameters == 64 * 96


def test_a_batch_that_a_reshape_hides_is_still_one(tmp_path):
    net = Net("batch", 8, 4, 4)
    x = net.add("Reshape", "x", net.constant([-1, 2, 4, 4, 4], "int64"))
    x = net.add("Transpose", x, perm=[0, 2, 1, 3, 4])
    x = net.add("Reshape", x, net.constant([-1, 16], "int64"))
    graph = READER.read(saved(net.model(tmp_path, net.add("MatMul", x, net.weight(16, 3))), tmp_path))
    assert graph.tensors[graph.outputs[0]].shape == (8, 3)
    assert graph.macs == 8 * 16 * 3


def test_open_height_and_width_stay_open(tmp_path):
    net = Net("batch", 3, "height", "width")
    y = net.add("Relu", net.conv("x", 4, 3, 3, 3, strides=[2, 2]))
    graph = READER.read(saved(net.model(tmp_path, net.add("GlobalAveragePool", y)), tmp_path))
    assert kinds(graph) == ["conv", "relu", "global_pool"]
    assert [graph.tensors[op.outputs[0]].shape for op in graph.operators] == [
        (1, 4, -1, -1), (1, 4, -1, -1), (1, 4, 1, 1)
    ]  # fmt: skip


def test_an_operator_that_nobody_knows_is_unknown_and_keeps_its_name(ir, tmp_path):
    text = (ir / "model.xml").read_text(encoding="utf-8").replace('type="Tanh"', 'type="Mystery"')
    (tmp_path / "model.xml").write_text(text, encoding="utf-8")
    (tmp_path / "model.bin").write_bytes((ir / "model.bin").read_bytes())
    (op,) = (op for op in READER.read(tmp_path).operators if op.kind == "unknown")
    assert op.source == "Mystery"


def test_names_and_ids_of_layers_do_not_change_the_content_hash(ir, tmp_path):
    text = (ir / "model.xml").read_text(encoding="utf-8")
    text = re.sub(r'(id|from-layer|to-layer)="(\d+)"( name|( from-port)|( to-port))',
                  lambda m: f'{m[1]}="{int(m[2]) + 1000}"{m[3]}', text)  # fmt: skip
    text = re.sub(r' name="([^"]+)" type', r' name="other/\1" type', text)
    (tmp_path / "model.xml").write_text(text, encoding="utf-8")
    (tmp_path / "model.bin").write_bytes((ir / "model.bin").read_bytes())
    assert "1001" in text
    assert READER.content_sha256(tmp_path) == READER.content_sha256(ir)
    assert READER.read(tmp_path).macs == READER.read(ir).macs


def test_a_weight_or_an_attribute_changes_the_content_hash(ir, tmp_path):
    text, weights = (ir / "model.xml").read_text(encoding="utf-8"), bytearray((ir / "model.bin").read_bytes())
    seen = {READER.content_sha256(ir)}
    weights[len(weights) // 2] ^= 1
    (tmp_path / "model.bin").write_bytes(weights)
    for changed in (text, text.replace('strides="2, 2"', 'strides="1, 1"')):
        (tmp_path / "model.xml").write_text(changed, encoding="utf-8")
        seen.add(READER.content_sha256(tmp_path))
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("", "not XML"),
        ("<net", "not XML"),
        ("<html/>", "holds no <net>"),
        ('<net version="11"><layers/></net>', "holds no <net> with <layers>"),
        ('<net version="7"><layers><layer/></layers></net>', "older than 10"),
        ('<net version="11"><layers><layer/></layers></net>', "not an IR"),
        (
            LONELY,
            "nothing reaches port 0 of 'r'",
        ),
    ],
)
def test_a_file_that_is_no_ir_is_named_with_advice(xml, message, tmp_path):
    (tmp_path / "model.xml").write_text(xml, encoding="utf-8")
    for use in (READER.read, READER.content_sha256):
        with pytest.raises(ArtifactError, match=message) as caught:
            use(tmp_path)
        assert caught.value.hint


def test_missing_files_are_named(ir, tmp_path):
    with pytest.raises(ArtifactError, match=r"no model at .*model\.xml"):
        READER.read(tmp_path)
    (tmp_path / "model.xml").write_bytes((ir / "model.xml").read_bytes())
    with pytest.raises(ArtifactError, match=r"no weights at .*model\.bin"):
        READER.read(tmp_path)


def test_weights_that_are_cut_short_are_an_artifact_error(ir, tmp_path):
    (tmp_path / "model.xml").write_bytes((ir / "model.xml").read_bytes())
    (tmp_path / "model.bin").write_bytes((ir / "model.bin").read_bytes()[:100])
    with pytest.raises(ArtifactError, match="holds 100 bytes"):
        READER.read(tmp_path)


def test_a_file_cut_or_damaged_anywhere_is_an_artifact_error_or_a_graph(quantised, tmp_path):
    text = (quantised / "model.xml").read_bytes()
    (tmp_path / "model.bin").write_bytes((quantised / "model.bin").read_bytes())
    random = np.random.default_rng(0)
    for trial in range(25):
        damaged = bytearray(text[: random.integers(len(text))] if trial % 5 == 0 else text)
        for position in random.integers(0, max(1, len(damaged)), 3):
            damaged[position : position + 1] = bytes(random.integers(32, 127, 1, dtype=np.uint8))
        (tmp_path / "model.xml").write_bytes(bytes(damaged))
        try:
            graph = READER.read(tmp_path)
        except ArtifactError as error:
            assert error.hint  # noqa: PT017 - either outcome is right
        else:
            assert graph.operators


def test_reading_needs_no_openvino_and_no_framework(ir):
    code = f"""
        import sys
        for name in ("openvino", "nncf", "onnx", "onnxruntime", "torch", "scipy"):
            sys.modules[name] = None
        from pathlib import Path
        from bench_openvino import harness_graph_readers
        (reader,) = harness_graph_readers()
        print(reader.read(Path({str(ir)!r})).macs, reader.content_sha256(Path({str(ir)!r})))
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout.split() == [str(READER.read(ir).macs), READER.content_sha256(ir)]
