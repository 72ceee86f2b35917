"""LiteRT (TensorFlow Lite) for bench: a backend for `tflite`, the way there from exported programs, quantisation of
such files by AI Edge Quantizer, their reader, and `--model path/to/net.tflite`.

Importing this package imports neither LiteRT nor numpy; every callable below imports its work when it is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import (
    Backend,
    BuildContext,
    Converter,
    GraphReader,
    Implementation,
    Model,
    ModelInfo,
    ModelSource,
    OpGraph,
    Session,
    SessionOptions,
    hookimpl,
    if_installed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

HARNESS_API = 1


_runtime = if_installed("ai_edge_litert", install="pip install 'edge-bench[litert]'")
_exporter = if_installed(
    "torch", "torchao", "litert_torch", "ai_edge_litert", install="pip install 'edge-bench[litert-convert]'"
)
_quantizer = if_installed("ai_edge_quantizer", "ai_edge_litert", install="pip install 'edge-bench[litert-convert]'")


def _prepare() -> None:
    from bench_litert.session import prepare

    prepare()


def _open(path: Path, options: SessionOptions) -> Session:
    from bench_litert.session import open_model

    return open_model(path, options)


def _notes(path: Path, options: SessionOptions) -> tuple[str, ...]:  # noqa: ARG001 - the same for any threads
    from bench_litert.delegation import delegation

    return (str(delegation(path)),)


def _convert(path: Path, context: BuildContext) -> Path:
    from bench_litert.conversion import convert

    return convert(path, context)


def _fp16(path: Path, options: Any, context: BuildContext) -> Path:  # noqa: ARG001 - there are none
    from bench_litert.quantisation import to_fp16

    return to_fp16(path, context)


def _int8_dynamic(path: Path, options: Any, context: BuildContext) -> Path:
    from bench_litert.quantisation import quantise_dynamic

    return quantise_dynamic(path, options, context)


def _int8_static(path: Path, options: Any, context: BuildContext) -> Path:
    from bench_litert.static import quantise_static

    return quantise_static(path, options, context)


def _weight_only_int8(path: Path, options: Any, context: BuildContext) -> Path:  # noqa: ARG001 - all are refused
    from bench_litert.quantisation import store_int8

    return store_int8(path, context)


def _claims(ref: str) -> bool:
    return ref.lower().endswith(".tflite")


def _list_models() -> Iterable[ModelInfo]:
    return ()


def _load(ref: str, cache: Path, seed: int) -> Model:  # noqa: ARG001 - a file needs neither cache nor seed
    from bench_litert.source import load

    return load(Path(ref))


def _check(ref: str) -> None:
    from bench_litert.identity import check

    check(Path(ref))


def _identity(ref: str) -> str | None:
    from bench_litert.identity import identity

    return identity(Path(ref))


def _read(path: Path) -> OpGraph:
    from bench_litert.reader import read

    return read(path)


def _content_sha256(path: Path) -> str:
    from bench_litert.content import content_sha256

    return content_sha256(path)


@hookimpl
def harness_models() -> Iterable[ModelSource]:
    """A network in a .tflite file of the user's."""
    yield ModelSource(
        name="tflite-file",
        summary="a LiteRT (TensorFlow Lite) file, by its path",
        claims=_claims,
        format="tflite",
        list_models=_list_models,
        load=_load,
        identity=_identity,
        available=_runtime,
        check=_check,
        requires=("ai-edge-litert",),
    )


@hookimpl
def harness_converters() -> Iterable[Converter]:
    """From an exported program, which what comes out of a live module and what was trained in int8 both are."""
    yield Converter(
        source="pt2",
        target="tflite",
        convert=_convert,
        cost=4,
        available=_exporter,
        requires=("torch", "litert-torch", "ai-edge-litert"),
    )


APPLY = {
    "fp16": _fp16,
    "int8-dynamic": _int8_dynamic,
    "int8-static": _int8_static,
    "weight-only-int8": _weight_only_int8,
}

UNSUPPORTED = {
    "int8-dynamic": frozenset({"per_channel"}),
    "int8-static": frozenset({"method", "percentile", "reduce_range", "max_drop"}),
    "weight-only-int8": frozenset({"symmetric"}),
}


@hookimpl
def harness_implementations() -> Iterable[Implementation]:
    """Post-training quantisation of .tflite files."""
    for technique, apply in APPLY.items():
        yield Implementation(
            technique=technique,
            format="tflite",
            apply=apply,
            unsupported=UNSUPPORTED.get(technique, frozenset()),
            available=_quantizer,
            requires=("ai-edge-quantizer", "ai-edge-litert"),
        )


@hookimpl
def harness_graph_readers() -> Iterable[GraphReader]:
    """.tflite files: float, in half precision, with small weights, dynamically or fully quantised."""
    yield GraphReader(
        format="tflite", read=_read, content_sha256=_content_sha256, requires=("ai-edge-litert",), suffixes=(".tflite",)
    )


@hookimpl
def harness_backends() -> Iterable[Backend]:
    """Yield LiteRT on the processor.

    It has no `operators`: the Python interface of LiteRT 2.3 offers no profiler, neither of its own kernels nor of
    XNNPACK's.
    """
    yield Backend(
        name="litert",
        summary="LiteRT interpreter with the XNNPACK delegate, inputs set once",
        reads=("tflite",),
        prepare=_prepare,
        open=_open,
        kernel_family={"aarch64": "tflite-xnnpack", "x86_64": "tflite-xnnpack"},
        notes=_notes,
        available=_runtime,
        requires=("ai-edge-litert",),
    )
