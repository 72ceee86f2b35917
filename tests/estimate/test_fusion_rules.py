"""The table of fusion rules: each has a graph that shows what it does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness import OpGraph
from harness.estimate.fusion import aliases, fuse, fuse_by
from harness.estimate.fusion_rule import Rule
from harness.estimate.fusion_rules import BINARY, RULES, rules_of, rules_table
from harness.graph import KINDS

B = Any
"""The builder of conftest.py."""

SQUARE = (1, 8, 4, 4)
PADDED = (1, 8, 6, 6)


def vector(b: B) -> str:
    return str(b.constant(f"v{len(b.operators)}", (1, 8, 1, 1)))


def conv_then(kind: str, **more: object) -> Callable[[B], None]:
    def build(b: B) -> None:
        b.conv(8)
        b.add(kind, None, **more)

    return build


def conv_and_vector(kind: str) -> Callable[[B], None]:
    def build(b: B) -> None:
        b.conv(8)
        b.add(kind, None, vector(b))

    return build


def linear_then(kind: str) -> Callable[[B], None]:
    def build(b: B) -> None:
        b.linear(8)
        b.add(kind)

    return build


def gated(kind: str) -> Callable[[B], None]:
    """x · gate(x)"""

    def build(b: B) -> None:
        x = b.last
        b.add(kind)
        b.add("mul", None, x)

    return build


def residual(b: B) -> None:
    before = b.last
    b.conv(8)
    b.add("add", None, before)


def padded(b: B) -> None:
    b.add("pad", PADDED)
    b.conv(8, 3)


def hard_swish_of_relu6(b: B) -> None:
    x = b.last
    b.add("add", None, vector(b))
    b.add("relu6")
    b.add("mul", None, x)
    b.add("mul", None, vector(b))


def shuffled(b: B) -> None:
    b.add("reshape", (1, 2, 4, 4, 4))
    b.add("transpose", (1, 4, 2, 4, 4))
    b.add("reshape", SQUARE)


def concatenated(b: B) -> None:
    start = b.last
    left = b.add("tanh")
    b.last = start
    b.add("sigmoid")
    b.add("concat", (1, 16, 4, 4), left)


def normalised(b: B) -> None:
    """(x - mean) / sqrt(variance + ε) · γ + β"""
    x = b.last
    mean = b.add("reduce", (1, 8, 4, 1))
    b.last = x
    centred = b.add("sub", None, mean)
    b.add("pow", None, vector(b))
    b.add("reduce", (1, 8, 4, 1))
    b.add("add", None, vector(b))
    root = b.add("sqrt")
    b.last = centred
    b.add("div", SQUARE, root)
    b.add("mul", None, vector(b))
    b.add("add", None, vector(b))


def skipped_and_normalised(b: B) -> None:
    before = b.last
    b.add("tanh")
    b.add("add", None, before)
    b.add("layer_norm", None, vector(b))


def gelu(b: B) -> None:
    x = b.last
    b.add("div", None, vector(b))
    b.add("erf")
    b.add("add", None, vector(b))
    b.add("mul", None, x)
    b.add("mul", None, vector(b))


def attention(b: B) -> None:
    query = b.last
    key, value, mask = b.add("tanh"), b.add("sigmoid"), b.add("exp", (1, 8, 4, 4))
    b.last = query
    b.add("matmul", (1, 8, 4, 4), key, macs=100)
    b.add("mul", None, vector(b))
    b.add("add", None, mask)
    b.add("softmax")
    b.add("matmul", SQUARE, value, macs=50)


GRAPHS: dict[str, Callable[[B], object]] = {
    "views": lambda b: b.add("reshape", (1, 128)),
    "casts to the same type": lambda b: b.add("cast"),
    "normalisation": conv_then("batch_norm"),
    "scale": conv_and_vector("mul"),
    "bias": conv_and_vector("add"),
    "activation": conv_then("relu"),
    "clamp": conv_then("relu6"),
    "clamp to -1..1": conv_then("clip", attributes={"min": -1.0, "max": 1.0}),
    "clamp of a quantised kernel": conv_then("relu"),
    "activation of a convolution": conv_then("clip"),
    "activation of a matrix product": linear_then("tanh"),
    "activation of the accelerator": conv_then("tanh"),
    "post-operations": conv_then("gelu"),
    "quantisation": conv_then("quantize"),
    "padding": padded,
    "residual": residual,
    "hard swish": gated("hardsigmoid"),
    "hard swish from relu6": hard_swish_of_relu6,
    "swish": gated("sigmoid"),
    "gelu": gelu,
    "layer normalisation": normalised,
    "sum before layer normalisation": skipped_and_normalised,
    "masked attention": attention,
    "attention": attention,
    "channel shuffle": shuffled,
    "concatenation in place": concatenated,
    "transpositions that move nothing": lambda b: b.add("transpose", (8, 1, 4, 4), attributes={"perm": (1, 0, 2, 3)}),
    "slices": lambda b: b.add("split", (1, 4, 4, 4)),
    "permutations": lambda b: b.add("transpose", (1, 4, 4, 8)),
    "expansions": lambda b: b.add("expand", (3, 8, 4, 4)),
}
"""By the name of a rule: what it applies to."""

ROWS = [(family, rule) for family in RULES for rule in rules_of(family)]


def named(rows: list[tuple[str, Rule]]) -> list[Any]:
    return [pytest.param(family, rule, id=f"{family or 'unknown'}-{rule.name}") for family, rule in rows]


def shown(builder: Any, rule: Rule) -> OpGraph:
    b = builder(SQUARE, "int8" if "int8" in rule.when else "fp32")
    GRAPHS[rule.name](b)
    graph: OpGraph = b.build()
    return graph


def launches(graph: OpGraph, rules: tuple[Rule, ...]) -> list[tuple[str, tuple[str, ...]]]:
    return [(kernel.operator.kind, kernel.fused) for kernel in fuse_by(graph, rules)]


@pytest.mark.parametrize(("family", "rule"), named(ROWS))
def test_without_a_rule_its_graph_has_other_kernels(builder: Any, family: str, rule: Rule) -> None:
    graph = shown(builder, rule)
    rest = tuple(each for each in rules_of(family) if each != rule)
    assert len(rest) == len(rules_of(family)) - 1
    assert launches(graph, rules_of(family)) != launches(graph, rest)


@pytest.mark.parametrize(("family", "rule"), named(ROWS))
def test_a_rule_loses_no_operator_and_no_multiplication(builder: Any, family: str, rule: Rule) -> None:
    graph = shown(builder, rule)
    kernels = fuse(graph, family)
    seen = [name for kernel in kernels for name in (kernel.operator.name, *kernel.fused)]
    free = {op.name for op in graph.operators if op.name not in seen}
    shared = aliases(graph, family)
    assert len(seen) == len(set(seen))
    assert all({*op.outputs, *op.inputs} & set(shared) for op in graph.operators if op.name in free)
    assert sum(kernel.operator.macs for kernel in kernels) == graph.macs


@pytest.mark.parametrize(("family", "rule"), named([row for row in ROWS if row[1].action == "merge"]))
def test_merged_operators_are_one_kernel_of_the_kind_they_become(builder: Any, family: str, rule: Rule) -> None:
    graph = shown(builder, rule)
    (kernel,) = [each for each in fuse(graph, family) if each.operator.name == graph.operators[-1].name]
    assert kernel.operator.kind == rule.becomes
    assert kernel.outputs[0].name == graph.outputs[0]
    made = {name for op in graph.operators if op.name in kernel.fused for name in op.outputs}
    assert not made & {tensor.name for tensor in kernel.inputs}


PLAIN = [(f, r) for f, r in ROWS if r.action in {"fold", "activate", "chain"}]


def pairs(family: str, rule: Rule) -> Iterator[tuple[str, str]]:
    yield from ((anchor, kind) for anchor in sorted(rule.anchors) for kind in sorted(rule.takes))


@pytest.mark.parametrize(("family", "rule"), named(PLAIN))
def test_a_rule_takes_each_of_its_kinds_into_each_of_its_anchors(builder: Any, family: str, rule: Rule) -> None:
    for anchor, kind in pairs(family, rule):
        b = builder(SQUARE, "int8" if "int8" in rule.when else "fp32")
        b.add(anchor)
        others = (vector(b),) if "constant vector" in rule.when or kind in BINARY else ()
        b.add(kind, None, *others, attributes={"min": -1.0, "max": 1.0} if kind == "clip" else {})
        (kernel,) = fuse(b.build(), family)
        assert kernel.operator.kind == anchor


def test_the_kinds_and_names_of_the_table_exist_and_differ() -> None:
    for family in RULES:
        rules = rules_of(family)
        assert len({rule.name for rule in rules}) == len(rules)
        for rule in rules:
            used = rule.takes | rule.anchors | frozenset().union(*rule.steps) | {rule.becomes}
            assert used - {""} <= KINDS, f"{family}: {rule.name}"
            assert rule.reason, f"{family}: {rule.name}"
            assert rule.source, f"{family}: {rule.name}"


def test_every_graph_shows_a_rule() -> None:
    assert set(GRAPHS) == {rule.name for _, rule in ROWS}


@pytest.mark.parametrize(
    ("family", "kind", "kernels"),
    [
        ("tflite-ruy", "hardswish", 2), ("tflite-ruy", "relu6", 1), ("tflite-ruy", "tanh", 2),
        ("tflite-xnnpack", "clip", 1), ("tflite-ruy", "clip", 2),
        ("ncnn", "hardswish", 1), ("ncnn", "leaky_relu", 1), ("ncnn", "swish", 2),
        ("mlas", "hardsigmoid", 1), ("mlas", "hardswish", 2), ("openvino", "swish", 1), ("openvino", "hardswish", 1),
        ("armnn", "hardswish", 1), ("torch", "relu", 2), ("somebody-elses", "swish", 1),
    ],
)  # fmt: skip
def test_the_activation_of_a_convolution_is_fused_where_the_runtime_can(
    builder: Any, family: str, kind: str, kernels: int
) -> None:
    b = builder(SQUARE)
    conv_then(kind)(b)
    assert len(fuse(b.build(), family)) == kernels


def test_a_residual_and_the_activation_after_it_are_one_kernel_where_the_runtime_adds_in_place(builder: Any) -> None:
    b = builder(SQUARE)
    residual(b)
    b.add("relu")
    graph = b.build()
    assert [len(fuse(graph, family)) for family in ("mlas", "openvino", "tflite-xnnpack", "ncnn")] == [1, 1, 2, 3]


def test_of_two_branches_the_later_one_takes_the_sum(builder: Any) -> None:
    b = builder(SQUARE)
    left = b.conv(8)
    b.last = "x"
    b.conv(8)
    b.add("add", None, left)
    kernels = fuse(b.build(), "mlas")
    assert [kernel.fused for kernel in kernels] == [(), ("add2",)]
    assert left in {tensor.name for tensor in kernels[1].inputs}


def test_a_quantised_sum_and_sigmoid_are_kernels_of_their_own(builder: Any) -> None:
    b = builder(SQUARE, "int8")
    residual(b)
    b.conv(8)
    b.add("sigmoid")
    assert [k.operator.kind for k in fuse(b.build(), "mlas")] == ["conv", "add", "conv", "sigmoid"]


def test_a_gate_on_another_tensor_is_no_swish(builder: Any) -> None:
    b = builder(SQUARE)
    other = b.last
    b.add("tanh")
    b.add("sigmoid")
    b.add("mul", None, other)
    assert [k.operator.kind for k in fuse(b.build(), "openvino")][-1] == "mul"


def test_a_scaled_sigmoid_is_no_swish(builder: Any) -> None:
    b = builder(SQUARE)
    b.add("sigmoid")
    b.add("mul", None, vector(b))
    assert [k.operator.kind for k in fuse(b.build(), "ncnn")] == ["sigmoid", "mul"]


def test_what_is_read_from_inside_a_pattern_keeps_its_kernels(builder: Any) -> None:
    b = builder(SQUARE)
    x = b.add("tanh")
    gate = b.add("sigmoid")
    b.add("mul", None, x)
    b.add("add", None, gate)
    assert [k.operator.kind for k in fuse(b.build(), "ncnn")] == ["tanh", "sigmoid", "mul", "add"]


def test_a_swish_of_two_operators_runs_inside_the_convolution_before_it(builder: Any) -> None:
    b = builder(SQUARE)
    x = b.conv(8)
    b.add("sigmoid")
    b.add("mul", None, x)
    (kernel,) = fuse(b.build(), "openvino")
    assert kernel.operator.kind == "conv"
    assert set(kernel.fused) == {"sigmoid1", "mul2"}


def test_padding_of_channels_is_not_absorbed(builder: Any) -> None:
    b = builder(SQUARE)
    b.add("pad", (1, 16, 4, 4))
    b.conv(8, 3)
    assert [k.operator.kind for k in fuse(b.build(), "tflite-xnnpack")] == ["pad", "conv"]


def test_absorbed_padding_leaves_its_input_to_the_convolution(builder: Any) -> None:
    b = builder(SQUARE)
    padded(b)
    (kernel,) = fuse(b.build(), "tflite-xnnpack")
    assert [t.name for t in kernel.inputs] == ["x"]


def test_a_concatenation_in_place_gives_its_inputs_the_memory_of_the_output(builder: Any) -> None:
    b = builder(SQUARE)
    concatenated(b)
    graph = b.build()
    assert set(aliases(graph, "armnn").values()) == {graph.outputs[0]}
    assert aliases(graph, "tflite-xnnpack") == {}


@pytest.mark.parametrize("spoil", ["read twice", "an input of the graph", "a view"])
def test_a_concatenation_copies_what_it_cannot_place(builder: Any, spoil: str) -> None:
    b = builder(SQUARE)
    start = b.last
    left = b.add("tanh")
    if spoil == "a view":
        left = b.add("identity")
    b.last = start
    if spoil != "an input of the graph":
        b.add("sigmoid")
    out = b.add("concat", (1, 16, 4, 4), left)
    if spoil == "read twice":
        b.last = left
        b.add("exp")
    assert "concat" in {k.operator.kind for k in fuse(b.build(), "openvino")}
    assert out not in set(aliases(b.build(), "openvino").values())


def test_a_square_transposition_without_its_permutation_moves_something(builder: Any) -> None:
    b = builder((1, 4, 4))
    b.add("transpose", (1, 4, 4))
    assert len(fuse(b.build(), "mlas")) == 1


def test_every_family_keeps_every_operator_of_a_network(mobilenets: Any) -> None:
    graph = mobilenets["fp32"]
    for family in RULES:
        kernels = fuse(graph, family)
        seen = {k.operator.name for k in kernels} | {name for k in kernels for name in k.fused}
        views = {op.name for op in graph.operators if op.kind == "reshape"}
        assert seen | views == {op.name for op in graph.operators}, family


def test_a_network_is_fused_in_few_steps(mobilenets: Any) -> None:
    """A budget of calls and not of time: about 2 ms of an estimate's 5."""
    graph = mobilenets["fp32"]
    fuse(graph, "openvino")
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        fuse(graph, "openvino")
    finally:
        sys.setprofile(None)
    assert calls < 200 * len(graph.operators)


def test_the_table_of_a_family_is_markdown_with_a_row_for_each_rule() -> None:
    lines = rules_table("mlas").splitlines()
    assert len(lines) == 2 + len(rules_of("mlas"))
    assert all(line.startswith("| ") and line.count(" | ") == 5 for line in lines[2:])
