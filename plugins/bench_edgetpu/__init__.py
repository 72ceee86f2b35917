"""Backend for Google's Edge TPU, imitated: a compiler-like verdict, a simulated latency, real numbers from the CPU."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from harness import Availability, Backend, OpGraph, Session, SessionOptions, Simulation, hookimpl, if_installed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

HARNESS_API = 1


_onnxruntime = if_installed("onnxruntime", install="pip install 'edge-bench[onnxruntime]'")
_litert = if_installed("ai_edge_litert", install="pip install 'edge-bench[litert]'")


def _available() -> Availability:
    """Either of the two that compute a graph here is enough; a file of the other's is refused when it is opened."""
    return _onnxruntime() if not _litert().ok else _litert()


def _prepare() -> None:
    import_module("onnxruntime" if _onnxruntime().ok else "ai_edge_litert")  # the host reads memory afterwards


def _open(path: Path, options: SessionOptions) -> Session:
    from bench_edgetpu.session import open_on_cpu

    return open_on_cpu(path, threads=options.threads)


def _simulate(graph: OpGraph, facts: Mapping[str, Any]) -> Simulation:
    from bench_edgetpu.simulation import simulate

    return simulate(graph, facts)


def _fit(samples: Sequence[tuple[OpGraph, float]]) -> Mapping[str, float]:
    from bench_edgetpu.fit import facts_of

    return facts_of(samples)


@hookimpl
def harness_backends() -> Iterable[Backend]:
    """The `edgetpu` backend; never timed here, its latency is simulated from the profile's facts."""
    yield Backend(
        name="edgetpu",
        summary="Google Edge TPU, imitated: fully quantised graphs only, latency simulated, outputs from the CPU",
        reads=("onnx", "tflite"),
        prepare=_prepare,
        open=_open,
        available=_available,
        accelerator="edgetpu",
        simulate=_simulate,
        fit=_fit,
        requires=("onnxruntime", "ai-edge-litert"),
    )
