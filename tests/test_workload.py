"""Workloads: layer tables read as graphs, written from graphs, and what is wrong with a broken one."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import ArtifactError, Operator, OpGraph, Tensor, UnsupportedError
from harness.profile_file import builtin_folder
from harness.workload import read_workload, write_workload

PUBLISHED = builtin_folder() / "published" / "workloads"


def table(*layers: dict[str, Any], **head: Any) -> dict[str, Any]:
    return {
        "workload": 1,
        "model": "net",
        "layout": "CHW, batch 1",
        "input_shape": [3, 8, 8],
        "source": "a test",
        "total_macs": sum(layer.get("macs", 0) for layer in layers),
        "total_weights": sum(layer.get("weights", 0) for layer in layers),
        "layers": list(layers),
    } | head


def conv(**other: Any) -> dict[str, Any]:
    return {
        "name": "c", "op": "conv", "inputs": ["data"], "outputs": ["c"], "kernel": [3, 3], "stride": [2, 2],
        "dilation": [1, 1], "pads": [1, 1, 1, 1], "groups": 1, "weights": 108, "bias": True, "macs": 1728,
        "activation": "relu6", "input_shapes": [[3, 8, 8]], "output_shapes": [[4, 4, 4]],
    } | other  # fmt: skip


def layer(op: str, inputs: int = 1, outputs: int = 1, **other: Any) -> dict[str, Any]:
    shape = [4, 6, 6]
    return {
        "name": op, "op": op, "inputs": [f"i{n}" for n in range(inputs)], "outputs": [f"o{n}" for n in range(outputs)],
        "input_shapes": [shape] * inputs, "output_shapes": [shape] * outputs,
    } | other  # fmt: skip


def read(folder: Path, found: object) -> OpGraph:
    path = folder / "net.json"
    path.write_text(found if isinstance(found, str) else json.dumps(found), encoding="utf-8")
    return read_workload(path)


def test_a_convolution_has_its_weights_as_constants_and_its_activation(tmp_path):
    graph = read(tmp_path, table(conv()))
    (op,) = graph.operators
    assert (op.kind, op.inputs, op.activation, op.macs) == ("conv", ("data", "c/weight", "c/bias"), "relu6", 1728)
    assert dict(op.attributes) == {
        "kernel": (3, 3), "stride": (2, 2), "dilation": (1, 1), "pads": (1, 1, 1, 1), "groups": 1
    }  # fmt: skip
    assert [(t.shape, t.constant) for t in graph.weights_of(op)] == [((4, 3, 3, 3), True), ((4,), True)]
    assert (graph.inputs, graph.outputs, graph.parameters) == (("data",), ("c",), 112)
    assert graph.tensors["data"].shape == (1, 3, 8, 8)


def test_padding_named_same_is_resolved_with_the_odd_one_at_the_end(tmp_path):
    graph = read(tmp_path, table(conv(pads="same", input_shapes=[[3, 8, 7]])))
    assert graph.operators[0].attributes["pads"] == (0, 1, 1, 1)


def test_padding_named_valid_is_none(tmp_path):
    graph = read(tmp_path, table(conv(pads="valid")))
    assert graph.operators[0].attributes["pads"] == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (layer("elementwise", 2), "add"),
        (layer("elementwise", 2, kind="mul"), "mul"),
        (layer("elementwise", 1, kind="floor"), "elementwise"),
        (layer("activation", kind="hard_swish"), "hardswish"),
        (layer("activation", kind="mish"), "elementwise"),
        (layer("pool", kind="max", kernel=[2, 2], stride=[2, 2]), "pool_max"),
        (layer("pool", kind="avg", kernel=[2, 2], stride=[2, 2]), "pool_avg"),
        (layer("global_pool", kind="avg"), "global_pool"),
        (layer("channel_shuffle", groups=2), "transpose"),
        (layer("detection_postprocess", 3), "detection"),
        (layer("slice"), "slice"),
        (layer("slice", 1, 2), "split"),
        (layer("lrn"), "norm"),
        (layer("scale"), "batch_norm"),
        (layer("layer_norm"), "layer_norm"),
        (layer("gelu"), "gelu"),
        (layer("matmul", 2, macs=5), "matmul"),
        (layer("matmul", 1, macs=5, weights=5), "fully_connected"),
        (layer("multi_head_attention", 1, macs=5, weights=5), "matmul"),
        (layer("embedding", weights=40), "gather"),
        (layer("lstm", macs=7, weights=7), "unknown"),
    ],
)
def test_every_operator_has_a_kind_and_what_nobody_knows_is_unknown(found, kind, tmp_path):
    (op,) = read(tmp_path, table(found)).operators
    assert (op.kind, op.source, op.macs) == (kind, found["op"], found.get("macs", 0))


def test_a_constant_of_the_table_is_a_constant_and_no_operator(tmp_path):
    scale = {"name": "s", "op": "constant", "inputs": [], "outputs": ["s"], "input_shapes": [], "output_shapes": [[4]]}
    product = layer("elementwise", 2, kind="mul") | {"inputs": ["data", "s"], "input_shapes": [[4, 6, 6], [4]]}
    graph = read(tmp_path, table(scale, product))
    assert [op.kind for op in graph.operators] == ["mul"]
    assert graph.tensors["s"] == Tensor(name="s", shape=(4,), precision="fp32", constant=True)
    assert graph.inputs == ("data",)


def test_the_axis_of_a_concatenation_counts_the_batch(tmp_path):
    graph = read(tmp_path, table(layer("concat", 2, axis=0)))
    assert graph.operators[0].attributes == {"axis": 1}


@pytest.mark.parametrize("path", sorted(PUBLISHED.glob("*.json")), ids=lambda path: path.stem)
def test_every_published_table_survives_being_written_and_read_again(path, tmp_path):
    graph = read_workload(path)
    again = read(tmp_path, write_workload(graph, source="again"))
    assert again == replace(graph, operators=tuple(again.operators))
    sources = {"source": ""}
    assert [replace(op, **sources) for op in again.operators] == [replace(op, **sources) for op in graph.operators]
    assert not [op.source for op in graph.operators if op.kind == "unknown"]


def test_shapes_that_do_not_begin_with_a_batch_of_one_survive_too(tmp_path):
    tensors = [
        Tensor(name="a", shape=(5, 7), precision="fp32"),
        Tensor(name="b", shape=(7, 3), precision="fp32"),
        Tensor(name="y", shape=(5, 3), precision="fp32"),
    ]
    product = Operator(name="m", kind="matmul", inputs=("a", "b"), outputs=("y",), precision="fp32", macs=105)
    graph = OpGraph(
        name="n", inputs=("a", "b"), outputs=("y",), tensors={t.name: t for t in tensors}, operators=(product,),
        parameters=0,
    )  # fmt: skip
    again = read(tmp_path, write_workload(graph, source="here"))
    assert (again.tensors, again.macs, again.inputs) == (graph.tensors, 105, ("a", "b"))


def test_a_quantised_graph_is_no_workload(tmp_path):
    graph = read(tmp_path, table(conv()))
    op = replace(graph.operators[0], precision="int8", scheme="static")
    with pytest.raises(UnsupportedError, match="no precision"):
        write_workload(replace(graph, operators=(op,)), source="here")


def test_a_graph_with_open_sizes_is_no_workload(tmp_path):
    graph = read(tmp_path, table(conv()))
    opened = dict(graph.tensors) | {"data": replace(graph.tensors["data"], shape=(1, 3, -1, 8))}
    with pytest.raises(UnsupportedError, match="'data' has the shape"):
        write_workload(replace(graph, tensors=opened), source="here")


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in conv().items() if k != key}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is a JSON list"),
        ("\xff", "is not JSON"),
        (table(workload=2), "'workload' is 2, not version 1"),
        (table(), "'layers' is"),
        (table(conv(), layout="HWC"), "'layout' is 'HWC', not one of"),
        (table(conv(), total_macs=5), "'total_macs' is 5, but the layers add up to 1,728"),
        (table(without("op")), "has no 'op'"),
        (table(without("macs"), total_macs=1728), r"layer 0 \('c'\) has no 'macs'"),
        (table(without("kernel")), "has no 'kernel'"),
        (table(without("output_shapes")), "has no 'output_shapes'"),
        (table(conv(output_shapes=[[4, -4, 4]])), r"'output_shapes' is \[\[4, -4, 4\]\]"),
        (table(conv(input_shapes=[])), "a list of 1 shapes"),
        (table(conv(inputs="data")), "a list of strings"),
        (table(conv(macs=-3)), "'macs' is -3"),
        (table(conv(macs=1.5)), "'macs' is 1.5"),
        (table(conv(bias=1)), "'bias' is 1, not true or false"),
        (table(conv(stride=[2])), "'stride' is"),
        (table(conv(groups=2)), "'groups' is 2, not a divisor"),
        (table(conv(outputs=[], output_shapes=[])), "at least one tensor"),
        (table(conv(), conv(name="d")), "'c' makes it already"),
        (table(conv(axis="x")), "'axis' is 'x'"),
    ],
)
def test_a_broken_table_is_named_with_place_value_and_advice(found, message, tmp_path):
    with pytest.raises(ArtifactError, match=message) as caught:
        read(tmp_path, found)
    assert "net.json" in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_workload(tmp_path / "none.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=6,
)


@given(key=st.sampled_from(sorted({*conv(), "kind", "axis"})), value=JSON, on=st.sampled_from(["layer", "head"]))
def test_no_value_of_any_key_raises_anything_else(tmp_path_factory, key, value, on):
    found = table(conv(), **({} if on == "layer" else {key: value, "layers": value}))
    if on == "layer":
        found["layers"] = [conv(**{key: value})]
    path = tmp_path_factory.mktemp("w") / "net.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    with suppress(ArtifactError):
        read_workload(path)
