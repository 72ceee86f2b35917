"""OpenVINO for bench: a backend for `openvino-ir` and `onnx`, the way from ONNX to IR, and the reader of IR files that
needs no OpenVINO.

Importing this package imports neither openvino nor numpy; every callable below imports its work when it is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness import (
    Backend,
    BuildContext,
    Converter,
    GraphReader,
    OperatorTime,
    OpGraph,
    Session,
    SessionOptions,
    hookimpl,
    if_installed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

HARNESS_API = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVinoOptions:
    """How OpenVINO runs a model.

    Attributes:
        inference_precision: What floats are computed in: f32, f16, bf16, or auto for what the processor prefers.
        hint: What it tunes itself for: latency or throughput.
    """

    inference_precision: str = "f32"
    hint: str = "latency"


_available = if_installed("openvino", install="pip install 'edge-bench[openvino]'")


def _prepare() -> None:
    from bench_openvino.session import prepare

    prepare()


def _open(path: Path, options: SessionOptions) -> Session:
    from bench_openvino.session import open_model

    return open_model(path, options)


def _read(path: Path) -> OpGraph:
    from bench_openvino.ir_reader import read

    return read(path)


def _to_ir(path: Path, context: BuildContext) -> Path:
    from bench_openvino.conversion import to_ir

    return to_ir(path, context)


def _content_sha256(path: Path) -> str:
    from bench_openvino.ir_content import content_sha256

    return content_sha256(path)


@hookimpl
def harness_graph_readers() -> Iterable[GraphReader]:
    """Yield IR: a folder with model.xml and model.bin, or an .xml file with its .bin beside it."""
    yield GraphReader(format="openvino-ir", read=_read, content_sha256=_content_sha256, suffixes=(".xml",))


def _operators(path: Path, options: SessionOptions, inputs: tuple[Any, ...], repeats: int) -> Sequence[OperatorTime]:
    from bench_openvino.operator_times import operator_times

    return operator_times(path, options, inputs, repeats)


@hookimpl
def harness_converters() -> Iterable[Converter]:
    """Yield the way from ONNX to IR, for techniques that work on IR."""
    yield Converter(source="onnx", target="openvino-ir", convert=_to_ir, available=_available, requires=("openvino",))


@hookimpl
def harness_backends() -> Iterable[Backend]:
    """Yield OpenVINO on the processor."""
    yield Backend(
        name="openvino",
        summary="OpenVINO, CPU plugin, latency hint, preset tensors",
        reads=("openvino-ir", "onnx"),
        prepare=_prepare,
        open=_open,
        operators=_operators,
        kernel_family={"aarch64": "openvino", "x86_64": "openvino"},
        options=OpenVinoOptions,
        available=_available,
        requires=("openvino",),
    )
