"""A graph in another precision: what becomes int8, what stays float, and where the borders are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness import Operator, OpGraph
from harness.errors import ConfigurationError
from harness.estimate.precision import at_precision


def kinds(graph: OpGraph) -> list[str]:
    return [op.kind for op in graph.operators]


def whole(graph: OpGraph) -> None:
    """Every tensor that is read or given out is there and made before."""
    made = {*graph.inputs, *(n for n, t in graph.tensors.items() if t.constant)}
    for op in graph.operators:
        assert {*op.inputs} <= made
        assert {*op.inputs, *op.outputs} <= {*graph.tensors}
        made.update(op.outputs)
    assert {*graph.outputs} <= made


def test_a_float_graph_asked_for_fp32_is_that_graph(builder):
    b = builder()
    b.conv(8, 3)
    graph = b.build()
    assert at_precision(graph, "fp32") is graph


def test_fp16_halves_every_float_and_leaves_indices(builder):
    b = builder()
    b.conv(8, 3)
    index = b.constant("index", (4,))
    b.tensors[index] = replace(b.tensors[index], precision="int64")
    b.add("gather", (1, 4, 32, 32), index)
    graph = at_precision(b.build(), "fp16")
    assert {t.precision for n, t in graph.tensors.items() if n != "index"} == {"fp16"}
    assert graph.tensors["index"].precision == "int64"
    assert {op.precision for op in graph.operators} == {"fp16"}
    assert graph.macs == b.build().macs


def test_a_cast_between_floats_is_no_work_once_there_is_one_width(builder):
    b = builder(precision="fp16")
    b.add("cast")
    b.tensors[b.last] = replace(b.tensors[b.last], precision="fp32")
    assert kinds(at_precision(b.build(), "fp16")) == ["identity"]


def test_int8_converts_once_at_the_input_and_once_at_the_output(mobilenets):
    graph = at_precision(mobilenets["fp32"], "int8")
    float_kinds = kinds(mobilenets["fp32"])
    assert kinds(graph) == ["quantize", *float_kinds, "dequantize"]
    assert {(op.precision, op.scheme) for op in graph.operators[1:-1]} == {("int8", "static")}
    assert graph.int8_macs_share == 1.0
    assert graph.macs == mobilenets["fp32"].macs
    assert (graph.inputs, graph.outputs) == (mobilenets["fp32"].inputs, mobilenets["fp32"].outputs)
    assert {graph.tensors[n].precision for n in (*graph.inputs, *graph.outputs)} == {"fp32"}
    whole(graph)


def test_weights_become_int8_and_biases_int32(builder):
    b = builder()
    b.conv(8, 3)
    b.constant("bias", (8,))
    b.operators[0] = replace(b.operators[0], inputs=(*b.operators[0].inputs, "bias"))
    graph = at_precision(b.build(), "int8")
    (conv,) = (op for op in graph.operators if op.kind == "conv")
    assert [t.precision for t in graph.weights_of(conv)] == ["int8", "int32"]


def test_an_operator_without_an_int8_kernel_costs_both_conversions(builder):
    b = builder((1, 16, 64))
    b.linear(64)
    b.add("layer_norm")
    b.linear(64)
    graph = at_precision(b.build(), "int8")
    assert kinds(graph) == [
        "quantize", "fully_connected", "dequantize", "layer_norm", "quantize", "fully_connected", "dequantize"
    ]  # fmt: skip
    assert [op.precision for op in graph.operators if op.kind == "layer_norm"] == ["fp32"]
    whole(graph)


def test_a_tensor_that_several_float_operators_read_is_converted_once(builder):
    b = builder((1, 16, 64))
    b.linear(64)
    shared = b.last
    b.add("layer_norm")
    b.add("div", None, shared)
    graph = at_precision(b.build(), "int8")
    assert kinds(graph) == ["quantize", "fully_connected", "dequantize", "layer_norm", "div"]
    whole(graph)


def test_data_movement_takes_the_precision_of_its_neighbours(builder):
    b = builder()
    b.add("pad", (1, 3, 34, 34))
    b.conv(8, 3)
    b.add("transpose")
    b.add("unknown")
    b.add("transpose")
    b.add("unknown")
    graph = at_precision(b.build(), "int8")
    assert kinds(graph) == [
        "quantize", "pad", "conv", "transpose", "dequantize", "unknown", "transpose", "unknown"
    ]  # fmt: skip
    whole(graph)


def test_a_constant_read_in_int8_and_in_float_is_there_in_both(builder):
    b = builder((1, 16, 64))
    shared = b.constant("shared", (64,))
    b.add("mul", None, shared)
    b.add("layer_norm", None, shared)
    graph = at_precision(b.build(), "int8")
    read = [graph.weights_of(op)[0].precision for op in graph.operators if op.kind in {"mul", "layer_norm"}]
    assert read == ["int8", "fp32"]
    whole(graph)


def test_a_graph_with_nothing_to_quantise_stays_float(builder):
    b = builder()
    b.add("layer_norm")
    graph = b.build()
    assert at_precision(graph, "int8") == graph


def test_an_int8_graph_stays_as_it_is(mobilenets):
    assert at_precision(mobilenets["int8"], "int8") is mobilenets["int8"]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_quantised_graph_cannot_go_back_to_float(precision, mobilenets):
    with pytest.raises(ConfigurationError, match="already quantised") as caught:
        at_precision(mobilenets["int8"], precision)
    assert "float file" in caught.value.hint


def test_quantised_weights_alone_are_not_int8_throughout(builder):
    b = builder((1, 64))
    b.linear(64)
    graph = b.build()
    op: Operator = replace(graph.operators[0], scheme="weight-only")
    with pytest.raises(ConfigurationError, match="computes in float"):
        at_precision(replace(graph, operators=(op,)), "int8")


def test_an_unknown_precision_is_refused_with_the_known_ones(mobilenets):
    with pytest.raises(ConfigurationError, match="'int3'") as caught:
        at_precision(mobilenets["fp32"], "int3")
    assert "fp32, fp16, int8" in caught.value.hint
