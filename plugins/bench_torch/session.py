"""The backend `torch`: an exported program or a TorchScript network in a process of its own."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.export.graph_signature import InputKind, OutputKind

from bench_torch.archive import kind_of
from bench_torch.deprecation import of_torchscript
from bench_torch.engine import OWN, load_with_engine
from bench_torch.program import load_program, one_line
from harness import ArtifactError, HarnessError, SessionOptions, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch.export import ExportedProgram

STATE = {InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR}

FORMAT = (
    "against a baseline that is an exported program, part of the difference in speed is TorchScript's: batch "
    "normalisation is folded, and no Python runs between operators"
)

Specs = tuple[tuple[tuple[int | None, ...], torch.dtype], ...]
"""Shape and dtype of each input; None where a dimension is free."""


def prepare() -> None:
    """Import everything that loading a program needs, so that it counts to the runtime, not to the variant."""
    import torch.ao.quantization.fx._decomposed  # operators of quantised programs
    import torch.export.pt2_archive  # noqa: F401


class InferenceMode:
    """Inference mode of this thread, from the first open session to the last one closed.

    Entering it for every call would cost 2 µs; a session that entered and left it alone would, when sessions are
    closed in another order than opened, leave it on.
    """

    def __init__(self) -> None:
        """No session is open."""
        self._open = 0
        self._guard: torch.inference_mode | None = None

    def enter(self) -> None:
        """Count one session more."""
        if not self._open:
            self._guard = torch.inference_mode()
            self._guard.__enter__()
        self._open += 1

    def leave(self) -> None:
        """Count one session less."""
        self._open -= 1
        if not self._open and self._guard is not None:
            self._guard.__exit__(None, None, None)
            self._guard = None


_inference_mode = InferenceMode()


class TorchSession:
    """An opened program. Open, call and close it on one thread."""

    def __init__(self, forward: Callable[..., Any], specs: Specs) -> None:
        """Take the call `inputs -> outputs`, and shape and dtype of each input; inference mode is on."""
        self._forward: Callable[..., Any] | None = forward
        self._specs = specs
        self._last: Any = None

    def bind(self, inputs: tuple[Any, ...]) -> Callable[[], object]:
        """Convert inputs once; the call keeps the output tensors for `outputs`, which costs 0.03 µs."""
        if self._forward is None:
            raise RuntimeError("the session is closed")
        tensors = tuple(_checked(array, *spec) for array, spec in zip(inputs, self._expected(inputs), strict=True))
        forward = self._forward

        def call() -> None:
            self._last = forward(*tensors)

        return call

    def outputs(self) -> tuple[Any, ...]:
        """Outputs of the last call as arrays, floats as float32."""
        if self._last is None:
            raise RuntimeError("no outputs before the first call")
        flat = (self._last,) if isinstance(self._last, torch.Tensor) else self._last
        return tuple((t.float() if t.is_floating_point() else t).numpy().copy() for t in flat)

    def threads(self) -> int | None:
        """Threads of torch's operators."""
        return torch.get_num_threads()

    def close(self) -> None:
        """Drop program and tensors."""
        if self._forward is not None:
            self._forward, self._last = None, None
            _inference_mode.leave()

    def _expected(self, inputs: tuple[Any, ...]) -> Specs:
        if len(inputs) != len(self._specs):
            raise ArtifactError(f"the program takes {len(self._specs)} inputs, {len(inputs)} were given")
        return self._specs


def open_program(path: Path, options: SessionOptions) -> TorchSession:
    """Open a file of either format.

    Raises:
        ArtifactError: It is missing or damaged.
        UnsupportedError: It is to be compiled, and there is no compiler or it is TorchScript.
    """
    torch.set_num_threads(options.threads)
    with suppress(RuntimeError):  # torch allows it once a process, and not after the first parallel work
        torch.set_num_interop_threads(1)
    script = is_script(path)
    if options.options.compile:
        _require_compiler(script=script)
    # Weights that are loaded in inference mode carry no version counters, which saves 6 % on a network of 0.3 ms.
    _inference_mode.enter()
    try:
        forward, specs = _script(path, options) if script else _program(path, options)
        return TorchSession(forward, specs)
    except HarnessError:
        _inference_mode.leave()
        raise
    except Exception as exc:
        _inference_mode.leave()
        raise ArtifactError(f"{path} cannot be opened: {one_line(exc)}") from exc


def is_script(path: Path) -> bool:
    """Whether a file is TorchScript, and not an exported program."""
    return path.is_file() and kind_of(path) == "torchscript"


def notes(path: Path, options: SessionOptions) -> tuple[str, ...]:
    """Which 8-bit kernels ran a TorchScript file, and what torch says of its format."""
    if not is_script(path):
        return ()
    loaded, engine = load_with_engine(path, options.options.engine)
    kernels = f"int8 kernels: torch's engine {engine}" + ("" if engine == OWN else f" (torch's own choice is {OWN})")
    lines = (kernels, FORMAT) if "quantized" in str(loaded.module.inlined_graph) else ()
    return (*lines, of_torchscript(list(loaded.said)))


def _program(path: Path, options: SessionOptions) -> tuple[Callable[..., Any], Specs]:
    program = load_program(path)
    forward = torch.compile(program.module()) if options.options.compile else flat_call(program)
    return forward, _input_specs(program)


def _script(path: Path, options: SessionOptions) -> tuple[Callable[..., Any], Specs]:
    """The method itself: a call of the module would look it up in Python, with its hooks, each time."""
    forward: Callable[..., Any] = load_with_engine(path, options.options.engine)[0].module.forward
    return forward, tuple((spec.shape, getattr(torch, spec.dtype)) for spec in options.inputs)


def flat_call(program: ExportedProgram) -> Callable[..., Any]:
    """The program's graph with its weights bound once: `inputs -> outputs`.

    `program.module()` looks every weight up by its dotted name and checks every shape again at each call, in Python:
    on a network of 0.6 ms that doubles the time. A program that changes its own buffers needs that module.
    """
    signature = program.graph_signature
    kinds = [spec.kind for spec in signature.input_specs]
    state_first = sorted(kinds, key=lambda kind: kind not in STATE) == kinds
    if (
        not state_first
        or any(kind not in {*STATE, InputKind.USER_INPUT} for kind in kinds)
        or any(spec.kind is not OutputKind.USER_OUTPUT for spec in signature.output_specs)
    ):
        return program.module()
    tensors = {**program.constants, **program.state_dict}
    state = tuple(tensors[spec.target].detach() for spec in signature.input_specs if spec.kind in STATE)
    return partial(program.graph_module.forward, *state)


def _input_specs(program: ExportedProgram) -> Specs:
    names = set(program.graph_signature.user_inputs)
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    return tuple((tuple(d if isinstance(d, int) else None for d in value.shape), value.dtype) for value in values)


def _checked(array: Any, shape: tuple[int | None, ...], dtype: torch.dtype) -> torch.Tensor:
    tensor = torch.from_numpy(np.array(array, order="C"))
    fits = len(tensor.shape) == len(shape) and all(w in (None, g) for g, w in zip(tensor.shape, shape, strict=True))
    if not fits or tensor.dtype != dtype:
        wanted = f"{dtype} {tuple('any' if d is None else d for d in shape)}"
        raise ArtifactError(f"the program takes {wanted}, not {tensor.dtype} {tuple(tensor.shape)}")
    return tensor


def _require_compiler(*, script: bool) -> None:
    if script:
        raise UnsupportedError(
            "compile=true works on exported programs, and this variant is TorchScript",
            hint="Run it without compile=true, or leave out the technique that makes TorchScript.",
        )
    default = "clang++" if sys.platform == "darwin" else "g++"
    compiler = os.environ.get("CXX", default)
    if shutil.which(compiler) is None:
        raise UnsupportedError(
            f"torch.compile needs a C++ compiler, and {compiler!r} is not on PATH",
            hint="Install one (on Debian: apt-get install g++), or run without compile=true.",
        )
