"""The backend `litert`: an interpreter with its inputs set once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

from bench_litert.identity import check
from bench_litert.quantised_value import dequantised, quantised
from harness import ArtifactError, SessionOptions, UnsupportedError, silenced_stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TASKS = Path("/proc/self/task")
"""Threads of this process, on Linux."""

STATEFUL = frozenset({"VAR_HANDLE", "ASSIGN_VARIABLE"})
"""Operators of a network that remembers something from one inference to the next."""

NO_KERNEL = ("unresolved custom op", "Select TensorFlow op", "Didn't find op for builtin opcode", "failed to prepare",
             "failed to reshape")  # fmt: skip
"""What LiteRT says of a valid file that it cannot run."""


def prepare() -> None:
    """Nothing is left to do: importing this module has loaded the runtime."""


def open_model(path: Path, options: SessionOptions) -> LiteRtSession:
    """Open a .tflite file with its free dimensions bound.

    Raises:
        ArtifactError: The file is missing or damaged.
        UnsupportedError: An operator that LiteRT has no kernel for, or one that holds text.
    """
    check(path)
    return LiteRtSession(path, options)


class LiteRtSession:
    """An interpreter of one file.

    Inputs and outputs that the file has in integers with a scale are floats here: an input is quantised when it is
    bound and an output is dequantised when it is read, neither of which is timed.
    """

    def __init__(self, path: Path, options: SessionOptions) -> None:
        """Load the file and allocate its tensors."""
        self._path, self._options = path, options
        before = _threads()
        self._interpreter: Any = _interpreter(path, options)
        self._threads = 1 + len(_threads() - before) if before else None
        self._inputs, self._outputs = _arguments(self._interpreter)
        self._stateful = any(op["op_name"] in STATEFUL for op in _operators(self._interpreter))
        self._bound = False
        text = [d["name"] for d in (*self._inputs, *self._outputs) if d["dtype"] in {np.bytes_, np.str_, np.object_}]
        if text:
            raise UnsupportedError(
                f"{path.name}: {text[0]!r} holds text, not numbers",
                hint="Export the model without its text processing.",
            )

    def bind(self, inputs: tuple[Any, ...]) -> Callable[[], object]:
        """Copy inputs into the interpreter; the call copies neither inputs nor outputs.

        What a network with variables remembers is forgotten here, so that outputs follow from the inputs bound and
        from how often the call was made.
        """
        if self._interpreter is None:
            raise RuntimeError("the session is closed")
        if len(inputs) != len(self._inputs):
            raise ArtifactError(f"the model takes {len(self._inputs)} inputs, {len(inputs)} were given")
        if self._stateful and self._bound:
            self._interpreter = _interpreter(self._path, self._options)
        for detail, array in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(detail["index"], _fitting(detail, array))
        self._bound = True
        call: Callable[[], object] = self._interpreter.invoke
        return call

    def outputs(self) -> tuple[Any, ...]:
        """Outputs of the last call, floats and integers with a scale as float32."""
        if self._interpreter is None or not self._bound:
            raise RuntimeError("no outputs before inputs are bound")
        return tuple(dequantised(self._interpreter.get_tensor(detail["index"]), detail) for detail in self._outputs)

    def threads(self) -> int | None:
        """Threads that compute: this one and those that came up when the file was opened; None where they cannot be
        counted, as LiteRT itself does not say."""
        return self._threads

    def close(self) -> None:
        """Drop the interpreter and its memory."""
        self._interpreter = None
        self._bound = False


def _interpreter(path: Path, options: SessionOptions) -> Any:
    with silenced_stderr():
        try:
            interpreter = Interpreter(model_path=str(path), num_threads=options.threads)
            _bind_shapes(interpreter, options)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as exc:
            raise _refused(path, exc) from exc
    return interpreter


def _bind_shapes(interpreter: Any, options: SessionOptions) -> None:
    """Set a free first dimension to 1 and other free ones to what the model's inputs say."""
    details, _ = _arguments(interpreter)
    for position, detail in enumerate(details):
        free = [axis for axis, size in enumerate(detail["shape_signature"]) if size < 0]
        if not free:
            continue
        known = options.inputs[position].shape if position < len(options.inputs) else ()
        shape = detail["shape"].tolist()
        for axis in free:
            stated = known[axis] if axis < len(known) else None
            shape[axis] = 1 if axis == 0 else stated or shape[axis]
        interpreter.resize_tensor_input(detail["index"], shape)


def _arguments(interpreter: Any) -> tuple[list[Any], list[Any]]:
    """Inputs and outputs in the order of the network that the file was converted from.

    A converter numbers them, `args_0` and `output_0`, in a signature; their order in the graph is its own affair. Other
    files have theirs in the order of the graph.
    """
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    signatures = interpreter.get_signature_list()
    if len(signatures) == 1:
        runner = interpreter.get_signature_runner()
        inputs = _numbered("args_", runner.get_input_details()) or inputs
        outputs = _numbered("output_", runner.get_output_details()) or outputs
    return inputs, outputs


def _numbered(prefix: str, details: dict[str, Any]) -> list[Any]:
    numbers = {name: name.removeprefix(prefix) for name in details}
    if not all(name.startswith(prefix) and number.isdigit() for name, number in numbers.items()):
        return []
    return [details[name] for name in sorted(details, key=lambda name: int(numbers[name]))]


def _operators(interpreter: Any) -> Sequence[Any]:
    found: Sequence[Any] = interpreter._get_ops_details()  # noqa: SLF001 - has no public name
    return found


def _fitting(detail: Any, array: Any) -> Any:
    """An array as an input takes it: floats quantised where it has a scale, integers in its width."""
    shape, dtype = tuple(detail["shape"].tolist()), np.dtype(detail["dtype"])
    given = np.asarray(array)
    if given.shape == shape:
        if given.dtype == dtype:
            return np.ascontiguousarray(given)
        if given.dtype.kind == "f" and dtype.kind in "iu" and detail["quantization_parameters"]["scales"].size:
            return quantised(given, detail)
        narrowed = given.astype(dtype)
        if given.dtype.kind in "iub" and dtype.kind in "iu" and np.array_equal(narrowed, given):
            return narrowed
        if given.dtype.kind == dtype.kind == "f":
            return narrowed
    raise ArtifactError(f"input {detail['name']} takes {dtype} {list(shape)}, not {given.dtype} {list(given.shape)}")


def _threads() -> frozenset[str]:
    """Numbers of the threads of this process, empty where they cannot be read."""
    try:
        return frozenset(task.name for task in TASKS.iterdir())
    except OSError:
        return frozenset()


def _refused(path: Path, exc: Exception) -> ArtifactError | UnsupportedError:
    cause = " ".join(str(exc).split())[:300]
    if any(words in cause for words in NO_KERNEL):
        return UnsupportedError(
            f"LiteRT cannot run {path.name}: {cause}",
            hint="Convert the model without that operator, or with every dimension but the batch fixed.",
        )
    return ArtifactError(f"LiteRT cannot open {path}: {cause}", hint="Convert the model again; the file is damaged.")
