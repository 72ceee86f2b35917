"""Times of the operators that OpenVINO really executes, read from its own performance counters.

"Performance counters" (`PERF_COUNT`, `InferRequest.profiling_info`) give each node of the compiled graph its type, its
kernel (`brgconv_avx512_I8`) and a time that is the mean over all inferences since the model was compiled, each cut off
to whole microseconds and the mean again (openvinotoolkit/openvino, src/plugins/intel_cpu/src/perf_count.h).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from bench_openvino.session import OpenVinoSession, _config, bind_shapes, open_model, ov
from harness import OperatorTime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness import SessionOptions

OPENINGS = 3
"""How often the model is compiled: a mean that one disturbed inference spoils is then one of three."""

WARMUP = 2
"""Inferences of each opening that are subtracted again: they touch the weights and warm the caches."""

COMPUTE = ("Convolution", "GroupConvolution", "Deconvolution", "ConvolutionBackpropData", "DeformableConvolution",
           "FullyConnected", "MatMul", "ScaledDotProductAttention", "RNN", "LSTM", "GRU", "LLMMLP", "QKVProjection",
           "PagedAttention", "MHA")  # fmt: skip
"""How the types of nodes begin that multiply matrices."""

CONVERTS = frozenset({"Convert", "FakeQuantize", "Reorder"})
"""Types of nodes that exist to change numbers or their order."""

SCALING = frozenset({"FakeQuantize", "Convert", "Subtract", "Multiply"})
"""What a change of number format consists of where it was compiled into a node of elementwise code."""

HALF_STEP_NS = 500
"""Added for each cutting off to whole microseconds: half of one is lost on average."""

FORMATS = {"f32": "fp32", "fp32": "fp32", "f16": "fp16", "fp16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}
"""Last word of a kernel's name, or an element type, as a precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """A node of the compiled graph: the types of elements of its first input and of its outputs, what it is made of."""

    inputs: int
    reads: str
    writes: tuple[str, ...]
    made_of: frozenset[str]


def operator_times(
    path: Path, options: SessionOptions, inputs: tuple[Any, ...], repeats: int
) -> tuple[OperatorTime, ...]:
    """Run `repeats` inferences with the counters on, shared out over several openings, and take each node's median.

    Raises:
        ArtifactError: The file is missing or damaged, or does not take these inputs.
        UnsupportedError: An option, or an operator that OpenVINO does not translate.
    """
    open_model(path, options).close()  # what cannot be opened is refused there, in words
    core = ov.Core()
    model = core.read_model(path / "model.xml" if path.is_dir() else path)
    bind_shapes(model, options.inputs)
    types = {each.get_friendly_name(): each.get_type_name() for each in model.get_ops()}
    config = {**_config(options), "PERF_COUNT": True}
    openings = []
    for _ in range(OPENINGS):
        compiled = core.compile_model(model, "CPU", config)
        openings.append(_means(compiled, inputs, -(-repeats // OPENINGS)))
    nodes = {each.get_friendly_name(): _node(each, types) for each in compiled.get_runtime_model().get_ordered_ops()}
    return tuple(
        OperatorTime(
            name=name,
            kind=counter.node_type,
            does=_does(counter.node_type, nodes.get(name)),
            precision=FORMATS.get(counter.exec_type.rpartition("_")[2].lower(), ""),
            ns=round(median(means[name][1] for means in openings if name in means)),
        )
        for name, (counter, _) in openings[-1].items()
    )


def _means(compiled: ov.CompiledModel, inputs: tuple[Any, ...], repeats: int) -> dict[str, tuple[Any, float]]:
    """Counters of the executed nodes, and the mean nanoseconds of each over `repeats` inferences after the warm-up."""
    with closing(OpenVinoSession(compiled)) as session:
        run = session.bind(inputs)
        for _ in range(WARMUP):
            run()
        before = {each.node_name: _total_ns(each, WARMUP) for each in _counters(session)}
        for _ in range(repeats):
            run()
        after = [each for each in _counters(session) if str(each.status).endswith("EXECUTED")]
    return {
        each.node_name: (
            each,
            max(0.0, _total_ns(each, WARMUP + repeats) - before.get(each.node_name, 0.0)) / repeats + HALF_STEP_NS,
        )
        for each in after
    }


def _counters(session: OpenVinoSession) -> Sequence[Any]:
    return session._request.profiling_info if session._request else ()  # noqa: SLF001 - of this package


def _total_ns(counter: Any, inferences: int) -> float:
    """What a mean over inferences adds up to; one that is cut off to nothing has lost next to nothing."""
    mean = round(counter.real_time.total_seconds() * 1e9)
    return float(inferences * (mean + HALF_STEP_NS)) if mean else 0.0


def _node(node: Any, types: Mapping[str, str]) -> _Node:
    """Read a node of the compiled graph; layers that the compiler made itself are named `Type_number`."""
    made_of = node.get_rt_info()["originalLayersNames"]
    names = str(getattr(made_of, "value", made_of)).split(",")
    return _Node(
        inputs=len(node.inputs()),
        reads=node.input(0).get_element_type().get_type_name() if node.inputs() else "",
        writes=tuple(each.get_element_type().get_type_name() for each in node.outputs()),
        made_of=frozenset(types.get(name, name.rpartition("_")[0]) for name in names if name),
    )


def _does(kind: str, node: _Node | None) -> Literal["compute", "quantise", "other"]:
    if kind.startswith(COMPUTE):
        return "compute"
    if node is None or set(node.writes) <= {node.reads}:
        return "other"
    if kind in CONVERTS:
        return "quantise"
    # elementwise code of one input that does nothing but scale, shift and convert, from one format to another
    return "quantise" if node.inputs == 1 and node.made_of <= SCALING and node.made_of else "other"
