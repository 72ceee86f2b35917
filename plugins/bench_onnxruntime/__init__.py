"""ONNX Runtime for bench: a backend that reads `onnx`.

Importing this package imports neither onnxruntime nor numpy; every callable below imports its work when it is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness import Backend, OperatorTime, Session, SessionOptions, hookimpl, if_installed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

HARNESS_API = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxRuntimeOptions:
    """How ONNX Runtime runs a file.

    Attributes:
        graph_optimization: How far it rewrites the graph: all, extended, basic or none.
        allow_spinning: Whether its threads wait actively for work; faster with more than one thread, costs power.
    """

    graph_optimization: str = "all"
    allow_spinning: bool = True


_available = if_installed("onnxruntime", install="pip install 'edge-bench[onnxruntime]'")


def _prepare() -> None:
    from bench_onnxruntime.session import prepare

    prepare()


def _open(path: Path, options: SessionOptions) -> Session:
    from bench_onnxruntime.session import open_model

    return open_model(path, options)


def _operators(path: Path, options: SessionOptions, inputs: tuple[Any, ...], repeats: int) -> Sequence[OperatorTime]:
    from bench_onnxruntime.operator_times import operator_times

    return operator_times(path, options, inputs, repeats)


@hookimpl
def harness_backends() -> Iterable[Backend]:
    """Yield ONNX Runtime on the processor."""
    yield Backend(
        name="onnxruntime",
        summary="ONNX Runtime, CPU execution provider, inputs and outputs bound once",
        reads=("onnx",),
        prepare=_prepare,
        open=_open,
        operators=_operators,
        kernel_family={"aarch64": "mlas", "x86_64": "mlas"},
        options=OnnxRuntimeOptions,
        available=_available,
        requires=("onnxruntime",),
    )
