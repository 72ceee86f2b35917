"""Computes a quantised .tflite file on the CPU with LiteRT, so that its accuracy is real; never a source of latency."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from harness import ArtifactError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Array = Any

MARK = b"TFL3"
"""File identifier of LiteRT's schema, at bytes 4 to 8."""


def is_tflite(path: Path) -> bool:
    """Whether a file is one of LiteRT, by its identifier."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(8)[4:] == MARK


class LiteRtCpuSession:
    """A LiteRT interpreter on the CPU; floats at both ends, whatever the file has there."""

    def __init__(self, path: Path, *, threads: int) -> None:
        """Load a model.

        Raises:
            UnsupportedError: LiteRT is not installed.
            ArtifactError: LiteRT cannot load the file.
        """
        try:
            runtime: Any = import_module("ai_edge_litert.interpreter")
        except ImportError as error:
            raise UnsupportedError(
                f"{path.name} is a LiteRT file, and LiteRT is not installed", hint="pip install 'edge-bench[litert]'"
            ) from error
        try:
            self._interpreter: Any = runtime.Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ArtifactError(
                f"{path} cannot be loaded: {' '.join(str(error).split())[:300]}", hint="Convert the model again."
            ) from error
        self._threads = threads

    def bind(self, inputs: tuple[Array, ...]) -> Callable[[], object]:
        """Bind inputs in the model's order and return the call that computes them."""
        details = self._interpreter.get_input_details()
        if len(inputs) != len(details):
            names = ", ".join(each["name"] for each in details)
            raise ArtifactError(
                f"the model takes {len(details)} inputs, {len(inputs)} were given", hint=f"Its inputs are {names}."
            )
        for detail, array in zip(details, inputs, strict=True):
            self._interpreter.set_tensor(detail["index"], _stored(array, detail))
        call: Callable[[], object] = self._interpreter.invoke
        return call

    def outputs(self) -> tuple[Array, ...]:
        """Outputs of the last call; floats, and integers with a scale, as float32."""
        details = self._interpreter.get_output_details()
        return tuple(_real(self._interpreter.get_tensor(detail["index"]), detail) for detail in details)

    def threads(self) -> int | None:
        """Threads that the session was given."""
        return self._threads if self._interpreter is not None else None

    def close(self) -> None:
        """Release the interpreter."""
        self._interpreter = None


def _stored(array: Array, detail: Any) -> Array:
    """An array in the type of an input; floats become the nearest integers where it has a scale."""
    import numpy as np

    dtype, (scale, zero) = np.dtype(detail["dtype"]), detail["quantization"]
    if dtype.kind in "iu" and array.dtype.kind == "f" and scale:
        limits = np.iinfo(dtype)
        return np.clip(np.rint(array / scale) + zero, limits.min, limits.max).astype(dtype)
    return np.ascontiguousarray(array.astype(dtype))


def _real(array: Array, detail: Any) -> Array:
    scale, zero = detail["quantization"]
    if array.dtype.kind in "iu" and scale:
        return ((array.astype("float64") - zero) * scale).astype("float32")
    return array.astype("float32") if array.dtype.kind == "f" else array
