"""Drawing graphs: shapes and multiply-accumulates come out as in the papers, in float and in 8 bits."""

from __future__ import annotations

import pytest

from harness.calibrate import blocks
from harness.calibrate.sketch import Sketch
from harness.calibrate.sweep import LAUNCH_CHAINS, sweep


def test_a_convolution_keeps_the_size_at_stride_1_and_halves_it_at_stride_2() -> None:
    sketch = Sketch("s")
    x = sketch.source(3, 224, 224)
    assert sketch.shape(sketch.conv(x, 8, 3)) == (1, 8, 224, 224)
    assert sketch.shape(sketch.conv(x, 8, 7, stride=2)) == (1, 8, 112, 112)


def test_multiply_accumulates_of_an_inverted_residual_are_those_of_its_three_convolutions() -> None:
    sketch = Sketch("s")
    x = sketch.source(24, 56, 56)
    graph = sketch.finish(blocks.inverted(sketch, x, 24, expand=6))
    assert graph.macs == 56 * 56 * (24 * 144 + 144 * 9 + 144 * 24)


@pytest.mark.parametrize("quantised", [False, True])
def test_every_graph_of_the_sweep_reads_only_what_was_made_before(quantised: bool) -> None:
    for graph in sweep(quantised=quantised):
        made = {*graph.inputs, *(n for n, t in graph.tensors.items() if t.constant)}
        for op in graph.operators:
            assert set(op.inputs) <= made
            made.update(op.outputs)
        assert set(graph.outputs) <= made


def test_a_quantised_graph_has_float_borders_and_computes_in_8_bits_between_them() -> None:
    sketch = Sketch("s", quantised=True)
    graph = sketch.finish(sketch.conv(sketch.source(8, 10, 10), 16, then="relu6"))
    assert [op.kind for op in graph.operators] == ["quantize", "conv", "dequantize"]
    assert {graph.tensors[n].precision for n in (*graph.inputs, *graph.outputs)} == {"fp32"}
    assert graph.operators[1].activation == "relu6"


def test_names_of_the_sweep_are_unique_and_hold_the_chains_that_launches_are_read_from() -> None:
    names = [graph.name for graph in sweep(quantised=False)]
    assert len(names) == len(set(names))
    assert {name for name, _ in LAUNCH_CHAINS} <= set(names)
