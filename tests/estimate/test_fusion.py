"""Fusion: what runs as one kernel."""

from __future__ import annotations

from typing import Any

from harness.estimate.fusion import aliases, fuse


def test_normalisation_and_one_activation_run_inside_the_convolution(builder: Any) -> None:
    b = builder()
    b.conv(8, 3)
    b.add("batch_norm")
    b.add("relu")
    (kernel,) = fuse(b.build())
    assert kernel.fused == ("batch_norm1", "relu2")
    assert kernel.outputs[0].name == b.last


def test_a_second_activation_is_a_kernel_of_its_own(builder: Any) -> None:
    b = builder()
    b.conv(8)
    b.add("relu")
    b.add("sigmoid")
    assert [k.operator.kind for k in fuse(b.build())] == ["conv", "sigmoid"]


def test_a_bias_is_fused_and_a_residual_is_not(builder: Any) -> None:
    b = builder((1, 8, 4, 4))
    before = b.last
    b.conv(8)
    b.add("add", None, b.constant("bias", (1, 8, 1, 1)))
    b.add("add", None, before)
    kernels = fuse(b.build())
    assert [k.operator.kind for k in kernels] == ["conv", "add"]
    assert kernels[0].fused == ("add1",)


def test_what_is_read_twice_is_not_fused_away(builder: Any) -> None:
    b = builder((1, 8, 4, 4))
    shared = b.conv(8)
    b.add("relu")
    b.add("add", None, shared)
    assert [k.operator.kind for k in fuse(b.build())] == ["conv", "relu", "add"]


def test_an_output_of_the_graph_is_not_fused_away(builder: Any) -> None:
    b = builder()
    b.conv(8)
    graph = b.build()
    b.add("relu")
    after = b.build()
    both = type(after)(
        name="both", inputs=after.inputs, outputs=(*graph.outputs, *after.outputs), tensors=after.tensors,
        operators=after.operators, parameters=after.parameters,
    )  # fmt: skip
    assert len(fuse(both)) == 2


def test_views_are_free_and_share_memory(builder: Any) -> None:
    b = builder()
    made = b.conv(8)
    b.add("reshape", (1, 8 * 32 * 32))
    b.add("identity")
    graph = b.build()
    assert len(fuse(graph)) == 1
    assert aliases(graph)[b.last] == made


def test_every_operator_is_a_kernel_or_inside_one_or_a_view(mobilenets: Any) -> None:
    graph = mobilenets["fp32"]
    kernels = fuse(graph)
    seen = {k.operator.name for k in kernels} | {name for k in kernels for name in k.fused}
    views = {op.name for op in graph.operators if op.kind in {"reshape", "identity"}}
    assert seen | views == {op.name for op in graph.operators}
    assert not seen & views
