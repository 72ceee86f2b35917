"""PyTorch for bench: exported programs and TorchScript as a runtime, the way from a live module to `pt2`, `torchscript`
and `onnx`, int8 in TorchScript, and `--model` of files of both formats.

Importing this package imports neither torch nor numpy; every callable below imports its work when it is called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bench_torch.model_files import SCRIPT_SUFFIXES, file_sources
from harness import (
    Backend,
    BuildContext,
    Converter,
    GraphReader,
    Implementation,
    Model,
    ModelSource,
    OperatorTime,
    OpGraph,
    Session,
    SessionOptions,
    Trained,
    Trainer,
    Training,
    hookimpl,
    if_installed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

HARNESS_API = 1

FACTORY = re.compile(r"(?:.+\.py|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_]\w*\Z")
"""`package.module:factory` or `path/to/file.py:factory`; no dash, so never a reference such as `zoo:har-watch`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchOptions:
    """How the exported program is run.

    Attributes:
        compile: Compile it with TorchInductor first; needs a C++ compiler and takes tens of seconds at the first run.
            A variant that is TorchScript, as those in int8 are, is refused.
        engine: Library of 8-bit kernels for TorchScript in int8. `auto` is oneDNN on x86 processors with VNNI, where
            torch's own choice, `x86`, leaves some depthwise convolutions to a slow kernel, and torch's own elsewhere.
    """

    compile: bool = False
    engine: Literal["auto", "onednn", "x86", "fbgemm", "qnnpack"] = "auto"


_torch = if_installed("torch", install="pip install 'edge-bench[torch]'")
_exporter = if_installed(
    "torch", "onnx", "onnxscript", "onnxruntime", install="pip install 'edge-bench[torch,onnxruntime]'"
)


def _prepare() -> None:
    from bench_torch.session import prepare

    prepare()


def _open(path: Path, options: SessionOptions) -> Session:
    from bench_torch.session import open_program

    return open_program(path, options)


def _notes(path: Path, options: SessionOptions) -> tuple[str, ...]:
    from bench_torch.session import notes

    return notes(path, options)


def _operators(path: Path, options: SessionOptions, inputs: tuple[Any, ...], repeats: int) -> tuple[OperatorTime, ...]:
    from bench_torch.operator_times import operators

    return operators(path, options, inputs, repeats)


def _train(module: Any, training: Training, context: BuildContext) -> Trained:
    from bench_torch.trainer import train

    return train(module, training, context)


def _predict(module: Any, inputs: tuple[Any, ...]) -> Any:
    from bench_torch.trainer import predict

    return predict(module, inputs)


def _count(module: Any, example: tuple[Any, ...]) -> tuple[int, int]:
    from bench_torch.trainer import count

    return count(module, example)


def _environment(threads: int) -> Mapping[str, str]:
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        # Inductor compiles in the session's own process: a pool of workers would outlive it and disturb the timing.
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }


def _save_checkpoint(module: Any, context: BuildContext) -> Path:
    from bench_torch.checkpoint import convert

    return convert(module, context)


def _to_pt2(path: Path, context: BuildContext) -> Path:
    from bench_torch.export import convert

    return convert(path, context)


def _to_onnx(path: Path, context: BuildContext) -> Path:
    from bench_torch.onnx_export import convert

    return convert(path, context)


def _program_to_onnx(path: Path, context: BuildContext) -> Path:
    from bench_torch.onnx_from_program import convert

    return convert(path, context)


def _to_torchscript(path: Path, context: BuildContext) -> Path:
    from bench_torch.script_export import convert

    return convert(path, context)


def _int8_dynamic(path: Path, options: Any, context: BuildContext) -> Path:
    from bench_torch.int8_dynamic import quantise_dynamic

    return quantise_dynamic(path, options, context)


def _int8_static(path: Path, options: Any, context: BuildContext) -> Path:
    from bench_torch.int8_static import quantise_static

    return quantise_static(path, options, context)


def _read_pt2(path: Path) -> OpGraph:
    from bench_torch.graph import read_pt2

    return read_pt2(path)


def _hash_pt2(path: Path) -> str:
    from bench_torch.content import hash_pt2

    return hash_pt2(path)


def _read_checkpoint(path: Path) -> OpGraph:
    from bench_torch.graph import read_checkpoint

    return read_checkpoint(path)


def _hash_checkpoint(path: Path) -> str:
    from bench_torch.checkpoint import hash_checkpoint

    return hash_checkpoint(path)


def _read_torchscript(path: Path) -> OpGraph:
    from bench_torch.script_graph import read_script

    return read_script(path)


def _hash_torchscript(path: Path) -> str:
    from bench_torch.script_content import hash_script

    return hash_script(path)


def _claims(ref: str) -> bool:
    return FACTORY.fullmatch(ref) is not None


def _check(ref: str) -> None:
    from bench_torch.place import check

    check(ref)


def _load(ref: str, cache: Path, seed: int) -> Model:  # noqa: ARG001  a factory keeps nothing in the cache
    from bench_torch.factory import load

    return load(ref, seed)


@hookimpl
def harness_models() -> Iterable[ModelSource]:
    """Yield the sources of the user's own torch networks: a factory, or a file."""
    yield ModelSource(
        name="torch-factory",
        summary="package.module:factory or file.py:factory, a callable that returns (nn.Module, example input)",
        claims=_claims,
        format="module",
        list_models=lambda: (),
        load=_load,
        # A factory may read its weights from a file: its source code does not tell whether they have changed.
        identity=lambda ref: None,  # noqa: ARG005
        available=_torch,
        check=_check,
        requires=("torch",),
    )
    yield from file_sources(_torch)


@hookimpl
def harness_trainers() -> Iterable[Trainer]:
    """Yield the trainer of live torch modules."""
    yield Trainer(
        name="torch",
        summary="AdamW with warm-up and cosine, cross-entropy or the technique's own loss, the same numbers each time",
        train=_train,
        predict=_predict,
        count=_count,
        available=_torch,
        requires=("torch", "numpy"),
    )


@hookimpl
def harness_converters() -> Iterable[Converter]:
    """Yield the ways from a live module to files."""
    yield Converter(
        source="module", target="checkpoint", convert=_save_checkpoint, cost=1, available=_torch, requires=("torch",)
    )
    yield Converter(source="checkpoint", target="pt2", convert=_to_pt2, cost=2, available=_torch, requires=("torch",))
    # Nothing leads on from TorchScript, so that it is on nobody's way.
    yield Converter(
        source="checkpoint",
        target="torchscript",
        convert=_to_torchscript,
        cost=2,
        available=_torch,
        requires=("torch",),
    )
    yield Converter(
        source="checkpoint",
        target="onnx",
        convert=_to_onnx,
        cost=3,
        available=_exporter,
        requires=("torch", "onnx", "onnxscript", "onnxruntime"),
    )
    # Dearer than from the checkpoint, for what has one: it is for what leaves a module as a program.
    yield Converter(
        source="pt2",
        target="onnx",
        convert=_program_to_onnx,
        cost=4,
        available=_exporter,
        requires=("torch", "onnx", "onnxscript", "onnxruntime"),
    )


UNSUPPORTED = {
    "int8-dynamic": frozenset({"operators"}),
    "int8-static": frozenset({"symmetric_activations", "method", "percentile", "max_drop"}),
}
"""Kernels of torch take activations in uint8 with a zero point, its histogram observer keeps neither of the other
methods' promises, and its dynamic convolutions are wrong (`int8_dynamic.LINEAR`)."""


@hookimpl
def harness_implementations() -> Iterable[Implementation]:
    """Post-training quantisation of a checkpoint to TorchScript, by `torch.ao.quantization`.

    There is no `fp16`: TorchScript computes in half precision on processors by way of float32, with no kernels of its
    own. Nor is there anything for a TorchScript file of a user's: what torch has for these (`quantize_dynamic_jit`,
    `quantize_jit`) works on networks that were compiled from source and are not frozen.
    """
    for technique, apply in {"int8-dynamic": _int8_dynamic, "int8-static": _int8_static}.items():
        yield Implementation(
            technique=technique,
            format="checkpoint",
            apply=apply,
            produces="torchscript",
            unsupported=UNSUPPORTED.get(technique, frozenset()),
            available=_torch,
            requires=("torch",),
        )


@hookimpl
def harness_graph_readers() -> Iterable[GraphReader]:
    """Yield the readers of torch's own formats."""
    yield GraphReader(format="pt2", read=_read_pt2, content_sha256=_hash_pt2, requires=("torch",), suffixes=(".pt2",))
    yield GraphReader(
        format="torchscript",
        read=_read_torchscript,
        content_sha256=_hash_torchscript,
        requires=("torch",),
        suffixes=SCRIPT_SUFFIXES,
    )
    yield GraphReader(format="checkpoint", read=_read_checkpoint, content_sha256=_hash_checkpoint, requires=("torch",))


@hookimpl
def harness_backends() -> Iterable[Backend]:
    """Yield torch as a runtime of exported programs, and of TorchScript."""
    yield Backend(
        name="torch",
        summary="PyTorch, the exported program operator by operator (compile=true: TorchInductor), int8 as TorchScript",
        reads=("pt2", "torchscript"),
        prepare=_prepare,
        open=_open,
        kernel_family={"aarch64": "torch", "x86_64": "torch"},
        options=TorchOptions,
        available=_torch,
        operators=_operators,
        notes=_notes,
        reference=True,
        environment=_environment,
        requires=("torch",),
    )
