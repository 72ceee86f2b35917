"""Times of the operators that ONNX Runtime really executes, read from its own profiler.

The profiler writes one event for each executed node (category `Node`, name `…_kernel_time`, `dur` in whole
microseconds, cut off) and one for each inference (`model_run`); see "Profiling Tools" in ONNX Runtime's documentation.
The graph is the optimised one: fused, in blocked layout, without quantise/dequantise pairs that an int8 kernel took in.

An event ends only when shapes and sizes of its tensors are written down, some microseconds that are longer than many
an operator of a small network. What the events add up to beyond an inference without the profiler is taken off again,
the same from each.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Literal

import onnxruntime  # type: ignore[import-untyped]

from bench_onnxruntime.session import OnnxRuntimeSession, open_model
from harness import OperatorTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness import SessionOptions

    _Event = Mapping[str, Any]
    _Inference = Mapping[tuple[str, str], Sequence[_Event]]

WARMUP = 2
"""Inferences before the first that counts: they allocate the arena and touch the weights."""

MOST_EXTRA_NS = 6000
"""At most this is taken off an event: 2 to 4 µs are seen with operators that compute nothing; more is noise."""

HALF_STEP_NS = 500
"""Added to each reading: durations are cut off to whole microseconds, half of one too short on average."""

COMPUTE = frozenset({
    "Conv", "FusedConv", "NhwcConv", "NhwcFusedConv", "ConvTranspose", "DeformConv", "Gemm", "FusedGemm", "GemmFloat8",
    "MatMul", "FusedMatMul", "FusedMatMulActivation", "MatMulNBits", "MatMulBnb4", "Einsum", "Attention",
    "MultiHeadAttention", "GroupQueryAttention", "RNN", "LSTM", "GRU", "MoE",
})  # fmt: skip
"""Nodes of floats that multiply matrices."""

COMPUTE_INT8 = frozenset({
    "QLinearConv", "QLinearConvTranspose", "ConvInteger", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul", "QGemm", "QAttention", "QMoE", "DynamicQuantizeLSTM",
})  # fmt: skip
"""The same in eight bits, whatever type goes in and comes out."""

QUANTISE = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})

UNSAID = frozenset({"MatMulNBits", "MatMulBnb4"})
"""Nodes of small weights: an attribute that no event repeats decides whether they compute in eight bits or in float."""

BODIES = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""Nodes whose bodies have events of their own."""

FORMATS = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "int8": "int8", "uint8": "int8"}
"""Element types of an event as precisions; all others are indices, conditions and sums."""


def operator_times(
    path: Path, options: SessionOptions, inputs: tuple[Any, ...], repeats: int
) -> tuple[OperatorTime, ...]:
    """Run `repeats` inferences with the profiler on, opened as for timing, and take each node's median.

    Raises:
        ArtifactError: The file is damaged, or does not take these inputs.
        UnsupportedError: An operator has no kernel.
    """
    with closing(open_model(path, options)) as opened:
        settings = opened._require().get_session_options()  # noqa: SLF001 - of this package: the very same settings
        plain_ns = _fastest_ns(opened.bind(inputs), repeats)
    with TemporaryDirectory(prefix="bench-operators-") as scratch:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(scratch) / "profile")
        session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        try:
            with closing(OnnxRuntimeSession(session)) as profiled:
                run = profiled.bind(inputs)
                for _ in range(WARMUP + repeats):
                    run()
        finally:
            file = Path(session.end_profiling())  # else it stays open and ends up in the working folder
        events = json.loads(file.read_text(encoding="utf-8"))
    return _medians(list(_inferences(events))[WARMUP:], plain_ns)


def _fastest_ns(run: Callable[[], object], repeats: int) -> int:
    """Shortest inference without the profiler."""
    times = []
    for _ in range(WARMUP + repeats):
        begin = perf_counter_ns()
        run()
        times.append(perf_counter_ns() - begin)
    return min(times)


def _inferences(events: Sequence[_Event]) -> Iterator[_Inference]:
    """The events of each inference by node; a node in the body of a loop has several."""
    nodes: dict[tuple[str, str], list[_Event]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            if event["args"]["op_name"] not in BODIES:
                key = (event["name"].removesuffix("_kernel_time"), event["args"].get("node_index", ""))
                nodes.setdefault(key, []).append(event)
        elif event.get("name") == "model_run":  # written when the inference is over
            yield nodes
            nodes = {}


def _medians(inferences: Sequence[_Inference], plain_ns: int) -> tuple[OperatorTime, ...]:
    extra_ns = _extra_ns(inferences, plain_ns)
    found = []
    for key in dict.fromkeys(key for nodes in inferences for key in nodes):
        runs = [nodes.get(key, ()) for nodes in inferences]
        arguments = next(events[0]["args"] for events in runs if events)
        kind = arguments["op_name"]
        reads, writes = _types(arguments["input_type_shape"]), _types(arguments["output_type_shape"])
        found.append(
            OperatorTime(
                name=key[0],
                kind=kind,
                does=_does(kind, reads, writes),
                precision=_precision(kind, reads, writes),
                ns=round(median(sum(max(0.0, _ns(each) - extra_ns) for each in events) for events in runs)),
            )
        )
    return tuple(found)


def _extra_ns(inferences: Sequence[_Inference], plain_ns: int) -> float:
    """What the profiler adds to an event."""
    events = [[event for each in nodes.values() for event in each] for nodes in inferences]
    fastest = min(events, key=lambda each: sum(map(_ns, each)))
    over = sum(map(_ns, fastest)) - plain_ns
    return min(max(over, 0) / max(len(fastest), 1), MOST_EXTRA_NS)


def _ns(event: _Event) -> int:
    return int(event["dur"]) * 1000 + HALF_STEP_NS


def _does(kind: str, reads: Sequence[str], writes: Sequence[str]) -> Literal["compute", "quantise", "other"]:
    if kind in COMPUTE or kind in COMPUTE_INT8:
        return "compute"
    if kind in QUANTISE:
        return "quantise"
    changed = kind == "Cast" and {*reads[:1], *writes[:1]} & FORMATS.keys() and reads[:1] != writes[:1]
    # indices and conditions become floats too; what is a change of format has a float or eight bits on both sides
    return "quantise" if changed and {*reads[:1], *writes[:1]} <= {*FORMATS, "int32"} else "other"


def _precision(kind: str, reads: Sequence[str], writes: Sequence[str]) -> str:
    if kind in COMPUTE_INT8:
        return "int8"
    if kind in UNSAID:
        return ""
    return next((FORMATS[each] for each in (*reads, *writes) if each in FORMATS), "")


def _types(values: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for value in values for name in value]
