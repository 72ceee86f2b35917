"""Computes a quantised graph on the CPU, so that its accuracy is real; never a source of latency."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench_edgetpu.tflite_session import LiteRtCpuSession, is_tflite
from harness import ArtifactError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness import Session

Array = Any


def open_on_cpu(path: Path, *, threads: int) -> Session:
    """A session on the CPU, of LiteRT for a .tflite file and else of ONNX Runtime; raises ArtifactError."""
    return LiteRtCpuSession(path, threads=threads) if is_tflite(path) else CpuSession(path, threads=threads)


class CpuSession:
    """An ONNX Runtime session on the CPU."""

    def __init__(self, path: Path, *, threads: int) -> None:
        """Load a model.

        Raises:
            UnsupportedError: ONNX Runtime is not installed.
            ArtifactError: ONNX Runtime cannot load the file.
        """
        try:
            ort: Any = import_module("onnxruntime")
        except ImportError as error:
            raise UnsupportedError(
                f"{path.name} is an ONNX file, and ONNX Runtime is not installed",
                hint="pip install 'edge-bench[onnxruntime]'",
            ) from error
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._threads = threads
        try:
            self._session: Any = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ArtifactError(
                f"{path} cannot be loaded: {error}",
                hint="Check the file with `python -m onnx.checker`, or build it again.",
            ) from error
        self._names = [each.name for each in self._session.get_inputs()]
        self._outputs: list[Array] = []

    def bind(self, inputs: tuple[Array, ...]) -> Callable[[], object]:
        """Bind inputs in the model's order and return the call that computes them."""
        if len(inputs) != len(self._names):
            raise ArtifactError(
                f"the model takes {len(self._names)} inputs, {len(inputs)} were given",
                hint=f"Its inputs are {', '.join(self._names)}.",
            )
        session, feed = self._session, dict(zip(self._names, inputs, strict=True))

        def run() -> None:
            self._outputs = session.run(None, feed)

        return run

    def outputs(self) -> tuple[Array, ...]:
        """Outputs of the last call; floats as float32."""
        return tuple(o.astype("float32") if o.dtype.kind == "f" else o for o in self._outputs)

    def threads(self) -> int | None:
        """Threads that the session was given."""
        return self._threads if self._session is not None else None

    def close(self) -> None:
        """Release the session."""
        self._session = None
        self._outputs = []
