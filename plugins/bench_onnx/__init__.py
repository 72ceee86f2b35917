"""ONNX files: a model source for `--model path/to/net.onnx`, and reader and writer between files and `OpGraph`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness import GraphReader, GraphWriter, Model, ModelInfo, ModelSource, OpGraph, hookimpl, if_installed

if TYPE_CHECKING:
    from collections.abc import Iterable

HARNESS_API = 1


_available = if_installed("onnx", install="pip install 'edge-bench[onnxruntime]'")


def _claims(ref: str) -> bool:
    return ref.lower().endswith(".onnx")


def _list_models() -> Iterable[ModelInfo]:
    return ()


def _load(ref: str, cache: Path, seed: int) -> Model:  # noqa: ARG001 - a file needs neither cache nor seed
    from bench_onnx.source import load

    return load(Path(ref))


def _check(ref: str) -> None:
    from bench_onnx.identity import check

    check(Path(ref))


def _identity(ref: str) -> str | None:
    from bench_onnx.identity import identity

    return identity(Path(ref))


def _read(path: Path) -> OpGraph:
    from bench_onnx.reader import read

    return read(path)


def _write(graph: OpGraph, path: Path, seed: int) -> None:
    from bench_onnx.writer import write

    write(graph, path, seed)


def _content_sha256(path: Path) -> str:
    from bench_onnx.content import content_sha256

    return content_sha256(path)


@hookimpl
def harness_models() -> Iterable[ModelSource]:
    """A network in an ONNX file of the user's."""
    yield ModelSource(
        name="onnx-file",
        summary="an ONNX file, by its path",
        claims=_claims,
        format="onnx",
        list_models=_list_models,
        load=_load,
        identity=_identity,
        available=_available,
        check=_check,
        requires=("onnx",),
    )


@hookimpl
def harness_graph_readers() -> Iterable[GraphReader]:
    """ONNX in QDQ, QOperator, dynamic and weight-only quantised form, normalised to one graph."""
    yield GraphReader(
        format="onnx", read=_read, content_sha256=_content_sha256, requires=("onnx",), suffixes=(".onnx",)
    )


@hookimpl
def harness_graph_writers() -> Iterable[GraphWriter]:
    """ONNX with random weights, quantised operators in QDQ form."""
    yield GraphWriter(format="onnx", write=_write, available=_available, requires=("onnx",))
