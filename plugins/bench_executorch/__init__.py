"""ExecuTorch for bench: a backend for `pte`, the way there from exported programs for XNNPACK, their quantisation on
it, the reader of such files, and `--model path/to/net.pte`.

Importing this package imports neither ExecuTorch nor torch; every callable below imports its work when it is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_executorch.options import ExecuTorchOptions
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
    from collections.abc import Iterable, Sequence

HARNESS_API = 1


_available = if_installed("torch", "executorch", install="pip install 'edge-bench[executorch]'")


def _prepare() -> None:
    from bench_executorch.session import prepare

    prepare()


def _open(path: Path, options: SessionOptions) -> Session:
    from bench_executorch.session import open_model

    return open_model(path, options)


def _notes(path: Path, options: SessionOptions) -> Sequence[str]:
    from bench_executorch.session import notes

    return notes(path, options)


def _convert(path: Path, context: BuildContext) -> Path:
    from bench_executorch.conversion import convert

    return convert(path, context)


def _fp16(path: Path, options: Any, context: BuildContext) -> Path:  # noqa: ARG001 - there are none
    from bench_executorch.half import to_fp16

    return to_fp16(path, context)


def _int8_dynamic(path: Path, options: Any, context: BuildContext) -> Path:
    from bench_executorch.quantisation import quantise_dynamic

    return quantise_dynamic(path, options, context)


def _int8_static(path: Path, options: Any, context: BuildContext) -> Path:
    from bench_executorch.quantisation import quantise_static

    return quantise_static(path, options, context)


def _claims(ref: str) -> bool:
    return ref.lower().endswith(".pte")


def _list_models() -> Iterable[ModelInfo]:
    return ()


def _load(ref: str, cache: Path, seed: int) -> Model:  # noqa: ARG001 - a file needs neither cache nor seed
    from bench_executorch.source import load

    return load(Path(ref))


def _check(ref: str) -> None:
    from bench_executorch.identity import check

    check(Path(ref))


def _identity(ref: str) -> str | None:
    from bench_executorch.identity import identity

    return identity(Path(ref))


def _read(path: Path) -> OpGraph:
    from bench_executorch.reader import read

    return read(path)


def _content_sha256(path: Path) -> str:
    from bench_executorch.content import content_sha256

    return content_sha256(path)


@hookimpl
def harness_models() -> Iterable[ModelSource]:
    """A network in a .pte file of the user's."""
    yield ModelSource(
        name="pte-file",
        summary="an ExecuTorch program, by its path",
        claims=_claims,
        format="pte",
        list_models=_list_models,
        load=_load,
        identity=_identity,
        available=_available,
        check=_check,
        requires=("executorch",),
    )


@hookimpl
def harness_converters() -> Iterable[Converter]:
    """From an exported program, which what comes out of a live module and what was trained in int8 both are."""
    yield Converter(
        source="pt2",
        target="pte",
        convert=_convert,
        cost=4,
        available=_available,
        requires=("torch", "executorch"),
    )


APPLY = {"fp16": _fp16, "int8-dynamic": _int8_dynamic, "int8-static": _int8_static}

UNSUPPORTED = {
    "int8-dynamic": frozenset({"per_channel"}),  # XNNPACK's dynamic kernels have a scale for each channel, always
    # XNNPACK adds products in 32 bits on every processor, so that a range of 7 bits would only lose.
    "int8-static": frozenset({"method", "percentile", "reduce_range", "max_drop"}),
}


@hookimpl
def harness_implementations() -> Iterable[Implementation]:
    """Precisions that are chosen while a program is lowered: a finished .pte file cannot be changed any more."""
    for technique, apply in APPLY.items():
        yield Implementation(
            technique=technique,
            format="pt2",
            produces="pte",
            apply=apply,
            unsupported=UNSUPPORTED.get(technique, frozenset()),
            available=_available,
            requires=("torch", "torchao", "executorch"),
        )


@hookimpl
def harness_graph_readers() -> Iterable[GraphReader]:
    """.pte files, what XNNPACK has of them included: float, in half precision, dynamically or fully quantised."""
    yield GraphReader(
        format="pte", read=_read, content_sha256=_content_sha256, requires=("executorch",), suffixes=(".pte",)
    )


@hookimpl
def harness_backends() -> Iterable[Backend]:
    """Yield ExecuTorch on the processor.

    Its kernels are XNNPACK's, as LiteRT's are, on whose measurements the coefficients of that family were fitted. It
    has no `operators`: to its tracer a delegate, which often has the whole network, is one operator.
    """
    yield Backend(
        name="executorch",
        summary="ExecuTorch's runtime with the XNNPACK delegate, inputs set once",
        reads=("pte",),
        prepare=_prepare,
        open=_open,
        notes=_notes,
        also_imports="torch",  # whose libraries the Python runtime is linked to
        kernel_family={"aarch64": "tflite-xnnpack", "x86_64": "tflite-xnnpack"},
        options=ExecuTorchOptions,
        available=_available,
        requires=("executorch", "torch"),
    )
