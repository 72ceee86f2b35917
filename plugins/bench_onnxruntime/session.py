"""The backend `onnxruntime`: a session with inputs and outputs bound once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

from harness import ArtifactError, SessionOptions, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LEVELS = {
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}

DTYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(uint16)": np.uint16, "tensor(int16)": np.int16,
    "tensor(uint32)": np.uint32, "tensor(int32)": np.int32, "tensor(uint64)": np.uint64, "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}  # fmt: skip

_QUIET = 3
"""Log severity: errors only."""


def prepare() -> None:
    """Start the runtime's environment, so that it counts to the runtime and not to the variant."""
    onnxruntime.set_default_logger_severity(_QUIET)
    onnxruntime.disable_telemetry_events()  # on Windows; the other builds have none


def open_model(path: Path, options: SessionOptions) -> OnnxRuntimeSession:
    """Open an ONNX file; raises ArtifactError for a damaged file, UnsupportedError for an operator without a kernel."""
    chosen = options.options
    if chosen.graph_optimization not in LEVELS:
        raise UnsupportedError(
            f"graph_optimization={chosen.graph_optimization!r} is not known", hint=f"Take one of {', '.join(LEVELS)}."
        )
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    settings.graph_optimization_level = LEVELS[chosen.graph_optimization]
    settings.log_severity_level = _QUIET
    settings.add_session_config_entry("session.intra_op.allow_spinning", str(int(chosen.allow_spinning)))
    try:
        session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as exc:
        cause = " ".join(str(exc).split())[:300]
        # The exception classes live in a private module; the status in the message is documented in error_code.h.
        if "NOT_IMPLEMENTED" in cause or "is not a registered function/op" in cause:
            raise UnsupportedError(
                f"onnxruntime has no kernel for an operator of {path.name}: {cause}",
                hint="Quantise or export it in another way, or run it on another backend.",
            ) from exc
        raise ArtifactError(
            f"onnxruntime cannot open {path}: {cause}",
            hint="The file is damaged or no ONNX model; build or export it again.",
        ) from exc
    return OnnxRuntimeSession(session)


class OnnxRuntimeSession:
    """An opened file with its binding."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        """Take a loaded session."""
        self._session: onnxruntime.InferenceSession | None = session
        self._binding: Any = None

    def bind(self, inputs: tuple[Any, ...]) -> Callable[[], object]:
        """Copy inputs into the runtime's memory and allocate outputs whose shape is known; the call does neither."""
        session = self._require()
        wanted = session.get_inputs()
        if len(inputs) != len(wanted):
            raise ArtifactError(f"the model takes {len(wanted)} inputs, {len(inputs)} were given")
        binding = session.io_binding()
        sizes: dict[str, int] = {}
        for spec, array in zip(wanted, inputs, strict=True):
            _check(spec, array)
            sizes.update({d: n for d, n in zip(spec.shape, array.shape, strict=True) if isinstance(d, str)})
            binding.bind_ortvalue_input(spec.name, onnxruntime.OrtValue.ortvalue_from_numpy(np.array(array, order="C")))
        for spec in session.get_outputs():
            shape = [sizes.get(d, -1) if isinstance(d, str) else -1 if d is None else d for d in spec.shape]
            if spec.type in DTYPES and all(d > 0 for d in shape):
                value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, DTYPES[spec.type])
                binding.bind_ortvalue_output(spec.name, value)
            else:  # a shape that only the run tells: the runtime allocates
                binding.bind_output(spec.name, "cpu")
        self._binding = binding
        return partial(session.run_with_iobinding, binding)

    def outputs(self) -> tuple[Any, ...]:
        """Outputs of the last call, floats as float32."""
        if self._binding is None:
            raise RuntimeError("no outputs before inputs are bound")
        arrays = self._binding.copy_outputs_to_cpu()
        return tuple(a.astype(np.float32) if np.issubdtype(a.dtype, np.floating) else a for a in map(np.array, arrays))

    def threads(self) -> int | None:
        """Threads of one operator, as the session's own options say."""
        return int(self._require().get_session_options().intra_op_num_threads)

    def close(self) -> None:
        """Drop session and buffers."""
        self._binding = None
        self._session = None

    def _require(self) -> onnxruntime.InferenceSession:
        if self._session is None:
            raise RuntimeError("the session is closed")
        return self._session


def _check(spec: Any, array: Any) -> None:
    shape = [d if isinstance(d, int) else None for d in spec.shape]
    fits = len(shape) == array.ndim and all(w in (None, g) for w, g in zip(shape, array.shape, strict=True))
    if not fits or DTYPES.get(spec.type) != array.dtype:
        raise ArtifactError(f"input {spec.name} takes {spec.type} {spec.shape}, not {array.dtype} {list(array.shape)}")
