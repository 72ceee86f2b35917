"""The backend `openvino`: a compiled model and one infer request with preset tensors."""

from __future__ import annotations

import re
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import ArtifactError, SessionOptions, TensorSpec, UnsupportedError

# OpenVINO's converter reports usage over the network unless the user has opted out. Nothing here calls it, and with
# its telemetry package out of reach OpenVINO takes its own stub in place of it, so nothing can be sent by accident.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # type: ignore[import-untyped]  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PRECISIONS = ("f32", "f16", "bf16", "auto")
HINTS = ("latency", "throughput")


def prepare() -> None:
    """Load the CPU plugin, so that it counts to the runtime and not to the variant."""
    ov.Core().get_property("CPU", "FULL_DEVICE_NAME")


def open_model(path: Path, options: SessionOptions) -> OpenVinoSession:
    """Open an IR folder, an .xml file or an ONNX file, with free dimensions bound.

    Raises:
        ArtifactError: The file is missing or damaged.
        UnsupportedError: An option, or an operator that OpenVINO does not translate.
    """
    config = _config(options)
    core = ov.Core()
    file = path / "model.xml" if path.is_dir() else path
    if not file.is_file():
        raise ArtifactError(
            f"no model at {file}", hint="An openvino-ir variant is a folder with model.xml and model.bin."
        )
    try:
        model = core.read_model(file)
    except Exception as exc:
        raise refused(file, exc) from exc
    try:
        bind_shapes(model, options.inputs)
        compiled = core.compile_model(model, "CPU", config)
    except Exception as exc:
        raise UnsupportedError(
            f"OpenVINO cannot compile {file.name}: {_cause(exc)}", hint="Run this variant on another backend."
        ) from exc
    return OpenVinoSession(compiled)


class OpenVinoSession:
    """A compiled model with its request."""

    def __init__(self, compiled: ov.CompiledModel) -> None:
        """Create the request."""
        self._compiled: ov.CompiledModel | None = compiled
        self._request: ov.InferRequest | None = compiled.create_infer_request()
        self._arrays: tuple[Any, ...] = ()  # the request reads this memory, so it must live as long

    def bind(self, inputs: tuple[Any, ...]) -> Callable[[], object]:
        """Preset tensors over copies of the inputs; the call copies neither inputs nor outputs."""
        if self._compiled is None or self._request is None:
            raise RuntimeError("the session is closed")
        ports = self._compiled.inputs
        if len(inputs) != len(ports):
            raise ArtifactError(f"the model takes {len(ports)} inputs, {len(inputs)} were given")
        arrays = tuple(np.array(array, order="C") for array in inputs)
        for port, array in zip(ports, arrays, strict=True):
            wanted = port.get_partial_shape()
            if not wanted.compatible(ov.PartialShape(list(array.shape))) or port.element_type.to_dtype() != array.dtype:
                name, kind = port.any_name, port.element_type.get_type_name()
                raise ArtifactError(f"input {name} takes {kind} {wanted}, not {array.dtype} {list(array.shape)}")
            self._request.set_tensor(port, ov.Tensor(array, shared_memory=True))
        self._arrays = arrays
        # Of the public calls the cheapest: start_async and wait cost 9 µs more, a copy of the outputs is left out.
        return partial(self._request.infer, share_outputs=True)

    def outputs(self) -> tuple[Any, ...]:
        """Outputs of the last call, floats as float32."""
        if self._request is None or not self._arrays:
            raise RuntimeError("no outputs before inputs are bound")
        arrays = [np.array(tensor.data) for tensor in self._request.output_tensors]
        return tuple(a.astype(np.float32) if np.issubdtype(a.dtype, np.floating) else a for a in arrays)

    def threads(self) -> int | None:
        """Threads that the compiled model says it infers with."""
        if self._compiled is None:
            raise RuntimeError("the session is closed")
        return int(self._compiled.get_property("INFERENCE_NUM_THREADS"))

    def close(self) -> None:
        """Drop request, model and buffers."""
        self._request = None
        self._compiled = None
        self._arrays = ()


def _config(options: SessionOptions) -> dict[str, Any]:
    chosen = options.options
    if chosen.inference_precision not in PRECISIONS:
        raise UnsupportedError(
            f"inference_precision={chosen.inference_precision!r} is not known",
            hint=f"Take one of {', '.join(PRECISIONS)}.",
        )
    if chosen.hint not in HINTS:
        raise UnsupportedError(f"hint={chosen.hint!r} is not known", hint=f"Take one of {', '.join(HINTS)}.")
    config = {
        "PERFORMANCE_HINT": chosen.hint.upper(),
        "INFERENCE_NUM_THREADS": options.threads,
        "NUM_STREAMS": "1",  # one request at a time, so all threads work on it
    }
    if chosen.inference_precision != "auto":
        config["INFERENCE_PRECISION_HINT"] = chosen.inference_precision
    return config


def bind_shapes(model: ov.Model, specs: tuple[TensorSpec, ...]) -> None:
    """Bind free dimensions in place.

    `Model.reshape` would do it too, but runs passes that rewrite a reshape before a matrix product by the shape of its
    weight, and a compressed weight that is read a second time is expanded to floats.
    """
    for port, shape in _static_shapes(model, specs).items():
        port.get_node().set_partial_shape(shape)
    model.validate_nodes_and_infer_types()


def _static_shapes(model: ov.Model, specs: tuple[TensorSpec, ...]) -> dict[Any, ov.PartialShape]:
    """Shapes with a free first dimension bound to 1 and other free ones to what the model's inputs say."""
    shapes = {}
    for index, port in enumerate(model.inputs):
        shape = port.get_partial_shape()
        known = specs[index].shape if index < len(specs) else ()
        if shape.rank.is_dynamic:
            shapes[port] = ov.PartialShape([1, *(-1 if d is None else d for d in known[1:])])
            continue
        sizes = [dimension.get_length() if dimension.is_static else -1 for dimension in shape]
        for axis, size in enumerate(sizes):
            if size == -1:
                stated = known[axis] if axis < len(known) else None
                sizes[axis] = 1 if axis == 0 else -1 if stated is None else stated
        shapes[port] = ov.PartialShape(sizes)
    return shapes


def refused(file: Path, exc: Exception) -> ArtifactError | UnsupportedError:
    """The error that says why OpenVINO did not read a file."""
    cause = _cause(exc)
    if "wasn't fully converted" in str(exc):
        return UnsupportedError(
            f"OpenVINO cannot translate an operator of {file.name}: {cause}",
            hint="Quantise in QDQ form, or run this variant on onnxruntime.",
        )
    return ArtifactError(f"OpenVINO cannot read {file}: {cause}", hint="Build the variant again; the file is damaged.")


def _cause(exc: Exception) -> str:
    """The message in one line, without the places in OpenVINO's own sources."""
    text = re.sub(r"Exception from \S+:|Check '[^']*' failed at \S+:|FrontEnd API failed with \w+:", "", str(exc))
    return " ".join(text.split())[:300] or type(exc).__name__
