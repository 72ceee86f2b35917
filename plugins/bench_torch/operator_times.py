"""What torch spends on each operator of an exported program, by its own profiler."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from bench_torch.graph import PRECISION
from bench_torch.program import load_program
from bench_torch.script_graph import read_script
from bench_torch.session import is_script, open_program
from harness import OperatorTime, SessionOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch.autograd.profiler_util import FunctionEvent

INFERENCE = "one inference"

WARM_UP = 5

PROBE_CALLS, PROBE_ROUNDS = 200, 5
"""How often the cheapest operator is called to learn what recording an event takes; the fastest round counts."""

COMPUTE = re.compile(
    r"(?:^|_)q?(?:conv\d?d?|convolution|linear|matmul|(?:b|add|addb|baddb|int_?)?mm|(?:add)?mv|dot|attention|lstm|gru"
    r"|rnn)(?:_|$)"
)
"""Convolutions and matrix products by name without namespace: `mkldnn_convolution`, `addmm`, `qlinear_pointwise`; not
`convert_element_type`, not `upsample_linear1d`."""

QUANTISE = re.compile(r"(?:^|_)(?:de)?quantize_|^choose_qparams")

CAST = {"aten::to", "aten::_to_copy", "aten::type_as"}

COPIED = "aten::_to_copy"
"""What a cast calls when there is something to change."""

INTEGER = re.compile(r"^(?:quantized|onednn)::|_int_?mm|_int8")
"""Kernels that compute in 8 bits."""


Does = Literal["compute", "quantise", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One operator in one inference.

    Attributes:
        name: As the program calls it, such as `aten::conv2d`.
        kind: The kernel that did the work, such as `aten::mkldnn_convolution`, else the name.
        events: How many events the profiler took, inner operators included.
        us: Its time in µs, inner operators included.
    """

    name: str
    kind: str
    does: Does
    events: int
    us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """One operator in the file.

    Attributes:
        name: Its own.
        operator: What it calls, such as `aten::conv2d`.
        precision: Number format of its first tensor, "" where that has no word.
    """

    name: str
    operator: str
    precision: str


def operators(path: Path, options: SessionOptions, inputs: tuple[Any, ...], repeats: int) -> tuple[OperatorTime, ...]:
    """Time each operator that the program calls, in order, together with the operators that it calls in turn.

    What Python does between operators is not counted. Recording an event takes the profiler about half a microsecond,
    as long as a small operator itself: what that is on this machine is found first, and taken off. In a program that is
    compiled, what TorchInductor generated is one operator, named as a region; what TorchScript's interpreter does
    between operators is one too, named `forward`.

    Args:
        path: A `.pt2` or TorchScript file.
        options: As for `open`.
        inputs: One array per input, batch 1.
        repeats: How many inferences are recorded.

    Raises:
        ArtifactError: The program cannot be opened or does not take the inputs.
    """
    # Lines of the profiler's library go to the error stream, past Python's; it reads this when it is first used.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    session = open_program(path, options)
    try:
        call = session.bind(inputs)
        for _ in range(WARM_UP):
            call()
        found = _recorded(call, repeats)
        added_us = _added_us()
    finally:
        session.close()
    return _summary(found, added_us, [] if options.options.compile else _written(path))


def _recorded(call: Callable[[], object], repeats: int) -> list[tuple[_Call, ...]]:
    """Calls of each inference."""
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
        for _ in range(repeats):
            with record_function(INFERENCE):
                call()
    return [tuple(_calls(event)) for event in profiler.events() or () if event.name == INFERENCE]


def _added_us() -> float:
    """What recording takes for each event: a transpose of one element, with the profiler and without."""
    element = torch.zeros(1, 1)
    transpose = torch.ops.aten.t.default
    plain = min(_time_ns(transpose, element) for _ in range(PROBE_ROUNDS))
    recorded = []
    for _ in range(PROBE_ROUNDS):
        with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
            recorded.append(_time_ns(transpose, element))
        events = sum(event.name.startswith("aten::") for event in profiler.events() or ())
    added_us: float = (min(recorded) - plain) / max(1, events) / 1e3
    return max(0.0, added_us)


def _time_ns(call: Callable[[torch.Tensor], object], value: torch.Tensor) -> int:
    start = perf_counter_ns()
    for _ in range(PROBE_CALLS):
        call(value)
    return perf_counter_ns() - start


def _calls(region: FunctionEvent) -> Iterator[_Call]:
    """Operators directly in a region, and those of regions in it, which count by themselves with what is left."""
    for event in region.cpu_children:
        if "::" in event.name:
            yield _call(event)
        else:
            # The name of a compiled graph ends with a hash of its content.
            name = re.sub(r"\b[a-z0-9]{40,}\b", "", event.name).strip("# ")
            yield _Call(name=name, kind=name, does="other", events=1, us=event.self_cpu_time_total)
            yield from _calls(event)


def _call(event: FunctionEvent) -> _Call:
    inner = [event, *_inner(event)]
    kind = event.name
    does: Does = "other"
    if QUANTISE.search(_bare(event.name)) or (event.name in CAST and any(e.name == COPIED for e in inner)):
        does = "quantise"
    elif kernels := {e.name for e in inner if _computes(e) and not any(_computes(i) for i in _inner(e))}:
        kind, does = (kernels.pop() if len(kernels) == 1 else event.name), "compute"
    return _Call(name=event.name, kind=kind, does=does, events=len(inner), us=event.cpu_time_total)


def _inner(event: FunctionEvent) -> Iterator[FunctionEvent]:
    for child in event.cpu_children:
        yield child
        yield from _inner(child)


def _computes(event: FunctionEvent) -> bool:
    return COMPUTE.search(_bare(event.name)) is not None


def _bare(name: str) -> str:
    return name.rsplit("::", maxsplit=1)[-1]


def _summary(found: list[tuple[_Call, ...]], added_us: float, written: list[_Written]) -> tuple[OperatorTime, ...]:
    """Medians over the inferences, of those that called the operators that most of them called."""
    usual, _ = Counter(tuple(call.kind for call in run) for run in found).most_common(1)[0]
    runs = [run for run in found if tuple(call.kind for call in run) == usual]
    rows = []
    for calls, node in zip(zip(*runs, strict=True), _matched(runs[0], written), strict=True):
        # Recording the outermost event falls before and after its own time.
        us = median(call.us - added_us * (call.events - 1) for call in calls)
        rows.append(
            OperatorTime(
                name=node.name if node else calls[0].name,
                kind=calls[0].kind,
                does=calls[0].does,
                precision=_precision(calls[0], node),
                ns=max(0, round(1e3 * us)),
            )
        )
    return tuple(rows)


def _written(path: Path) -> list[_Written]:
    """Operators of a file in order."""
    if is_script(path):
        return [
            _Written(name=o.name, operator=o.source, precision=_word(o.precision)) for o in read_script(path).operators
        ]
    found = []
    for node in load_program(path).graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if node.op == "call_function" and schema is not None:
            values = [n.meta.get("val") for n in node.all_input_nodes]
            tensors = [value for value in values if isinstance(value, torch.Tensor)]
            precision = _word(PRECISION.get(tensors[0].dtype, "")) if tensors else ""
            found.append(_Written(name=node.name, operator=schema.name, precision=precision))
    return found


def _matched(calls: tuple[_Call, ...], written: list[_Written]) -> list[_Written | None]:
    """The file's operator of each call: they follow each other in the same order, some call nothing."""
    found: list[_Written | None] = []
    start = 0
    for call in calls:
        here = next((i for i in range(start, len(written)) if written[i].operator == call.name), None)
        found.append(None if here is None else written[here])
        start = start if here is None else here + 1
    return found


def _precision(call: _Call, node: _Written | None) -> str:
    """Number format of a call's first tensor, or of the kernel where that says so itself."""
    if call.does == "compute" and INTEGER.search(call.kind):
        return "int8"
    return node.precision if node else ""


def _word(precision: str) -> str:
    word = "int8" if precision == "uint8" else precision
    return word if word in {"int8", "fp16", "bf16", "fp32"} else ""
