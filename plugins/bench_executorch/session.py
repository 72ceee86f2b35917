"""The backend `executorch`: a method of a program with its inputs set once."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_executorch.delegation import delegation, listed
from bench_executorch.identity import HINT
from bench_executorch.one_line import one_line
from bench_executorch.program_file import FORWARD
from harness import ArtifactError, SessionOptions, UnsupportedError, silenced, silenced_stderr

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DTYPES = {0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 7: "float64",
          11: "bool"}  # fmt: skip
"""Types of tensors that numpy has too, by ExecuTorch's number (`ScalarType` of scalar_type.fbs)."""


@cache
def runtime() -> Any:
    """ExecuTorch's runtime.

    Its own module, not `executorch.runtime`, which is the same with the whole exporter imported before it.
    """
    with silenced():
        import torch  # noqa: F401 - brings the libraries that the runtime is linked to
        from executorch.extension.pybindings import _C  # type: ignore[import-untyped]

        _C._threadpool_get_thread_count()  # noqa: SLF001 - has no public name; creates the pool, which says so
    return _C


def prepare() -> None:
    """Import the runtime."""
    runtime()


class ThreadPool:
    """The one pool of threads that all methods of a process share.

    It is made anew when another number is asked for, which methods that hold the old one do not survive.
    """

    def __init__(self) -> None:
        """No session is open."""
        self._open = 0

    def enter(self, threads: int) -> None:
        """Count one session more, with this many threads.

        Raises:
            UnsupportedError: Sessions with another number are open.
        """
        if threads != self.size():
            if self._open:
                raise UnsupportedError(
                    f"ExecuTorch runs with {self.size()} threads in this process, {threads} were asked for",
                    hint="Close the open sessions first.",
                )
            with silenced_stderr():
                runtime()._unsafe_reset_threadpool(threads)  # noqa: SLF001 - has no public name
        self._open += 1

    def leave(self) -> None:
        """Count one session less."""
        self._open -= 1

    @staticmethod
    def size() -> int:
        """Threads that compute, the calling one among them."""
        return int(runtime()._threadpool_get_thread_count())  # noqa: SLF001 - has no public name


_pool = ThreadPool()


def open_model(path: Path, options: SessionOptions) -> ExecuTorchSession:
    """Open a .pte file.

    Raises:
        ArtifactError: The file is missing or damaged.
        UnsupportedError: Operators compute outside its delegates and nobody asked for that, it needs a delegate that
            is not here, or it takes something that is no tensor.
    """
    found = delegation(path)
    if found.computing and not options.options.portable:
        raise UnsupportedError(
            f"{sum(found.computing.values())} operators of {path.name} compute outside a delegate, in portable "
            f"kernels that are some hundred times slower: {listed(found.computing)}",
            hint="Export it so that XNNPACK takes them, or run them all the same: "
            "--backend 'executorch(portable=true)'.",
        )
    return ExecuTorchSession(path, options.threads, found.method)


def notes(path: Path, options: SessionOptions) -> tuple[str, ...]:  # noqa: ARG001 - the file says it all
    """What the delegates have of a file, and what is left to portable kernels."""
    return (str(delegation(path)),)


class ExecuTorchSession:
    """A method of one program. Open, call and close it on one thread."""

    def __init__(self, path: Path, threads: int, method: str = FORWARD) -> None:
        """Load the program and its method."""
        _pool.enter(threads)
        try:
            self._method: Any = _method(path, method)
            self._inputs = _inputs(self._method, path)
        except BaseException:
            _pool.leave()
            raise
        self._tensors: tuple[Any, ...] = ()

    def bind(self, inputs: tuple[Any, ...]) -> Callable[[], object]:
        """Hand inputs to the method; the call copies neither inputs nor outputs.

        Inputs that the program keeps in memory of its own, where other tensors take their place during a run, are
        copied there at every call, as a program of this kind demands.
        """
        if self._method is None:
            raise RuntimeError("the session is closed")
        if len(inputs) != len(self._inputs):
            raise ArtifactError(f"the model takes {len(self._inputs)} inputs, {len(inputs)} were given")
        import torch

        fitted = [
            _fitting(array, shape, dtype, position)
            for position, (array, (shape, dtype, _)) in enumerate(zip(inputs, self._inputs, strict=True))
        ]
        self._tensors = tuple(torch.from_numpy(array) for array in fitted)
        with silenced_stderr():
            self._method.set_inputs(self._tensors)
        execute: Callable[[], object] = self._method.execute
        if not any(planned for _, _, planned in self._inputs):
            return execute
        set_inputs, tensors = self._method.set_inputs, self._tensors

        def call() -> None:
            set_inputs(tensors)
            execute()

        return call

    def outputs(self) -> tuple[Any, ...]:
        """Outputs of the last call, floats as float32."""
        if self._method is None or not self._tensors:
            raise RuntimeError("no outputs before inputs are bound")
        found = self._method.get_outputs(False)  # noqa: FBT003 - not cloned; takes no keyword in every release
        return tuple((each.float() if each.is_floating_point() else each).numpy().copy() for each in found)

    def threads(self) -> int | None:
        """Threads of the pool that XNNPACK and the portable kernels work with."""
        return ThreadPool.size()

    def close(self) -> None:
        """Drop the method and its memory."""
        if self._method is not None:
            self._method, self._tensors = None, ()
            _pool.leave()


def _method(path: Path, name: str) -> Any:
    with silenced_stderr():
        try:
            program = runtime()._load_program(  # noqa: SLF001 - has no public name
                str(path), program_verification=runtime().Verification.InternalConsistency
            )
        except RuntimeError as exc:
            raise ArtifactError(f"ExecuTorch cannot load {path}: {one_line(exc)}", hint=HINT) from exc
        try:
            return program.load_method(name)
        except RuntimeError as exc:
            raise UnsupportedError(
                f"ExecuTorch cannot prepare {path.name}: {one_line(exc)}",
                hint="It needs a delegate, an operator or data that is not here; export it for XNNPACK.",
            ) from exc


def _inputs(method: Any, path: Path) -> tuple[tuple[tuple[int, ...], str, bool], ...]:
    """Shape and type of each input, and whether the program has memory of its own for it."""
    meta, found = method.method_meta(), []
    for position in range(meta.num_inputs()):
        try:
            tensor = meta.input_tensor_meta(position)
        except (RuntimeError, IndexError) as exc:
            raise UnsupportedError(
                f"input {position} of {path.name} is no tensor", hint="Export the model with tensors as inputs."
            ) from exc
        if tensor.dtype() not in DTYPES:
            raise UnsupportedError(
                f"input {position} of {path.name} has type number {tensor.dtype()}", hint="Export it with float32."
            )
        found.append((tuple(tensor.sizes()), DTYPES[tensor.dtype()], bool(tensor.is_memory_planned())))
    return tuple(found)


def _fitting(array: Any, shape: tuple[int, ...], dtype: str, position: int) -> Any:
    """A copy of an array in the type that an input has, where that changes no integer."""
    given = np.asarray(array)
    kind = np.dtype(dtype)
    fitted = np.array(given, kind, order="C")
    same_kind = given.dtype.kind == kind.kind or (given.dtype.kind in "iub" and kind.kind in "iub")
    if given.shape != shape or not same_kind or (kind.kind in "iub" and not np.array_equal(fitted, given)):
        raise ArtifactError(f"input {position} takes {dtype} {list(shape)}, not {given.dtype} {list(given.shape)}")
    return fitted
