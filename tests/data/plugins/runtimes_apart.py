"""Runtimes that compute the toy network a little apart, one of them the framework that it was written in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import harness


class Product:
    """A matrix product whose result is off by a factor."""

    def __init__(self, path: Path, factor: float) -> None:
        import numpy as np

        self._weight = (np.load(path) * factor).astype(np.float32)

    def bind(self, inputs: tuple[Any, ...]) -> Callable[[], object]:
        def call() -> None:
            self._y = inputs[0] @ self._weight.T

        return call

    def outputs(self) -> tuple[Any, ...]:
        return (self._y,)

    def threads(self) -> int | None:
        return 1

    def close(self) -> None:
        pass


def _silent(path: Path, options: harness.SessionOptions) -> Sequence[str]:
    raise RuntimeError("the delegate does not say")


def _backend(name: str, factor: float, **more: Any) -> harness.Backend:
    return harness.Backend(
        name=name,
        summary=f"Off by {factor:g}.",
        prepare=lambda: None,
        open=lambda path, options: Product(path, factor),
        kernel_family={"aarch64": "toy", "x86_64": "toy"},
        **more,
    )


@harness.hookimpl
def harness_backends() -> Iterator[harness.Backend]:
    yield _backend("apart-framework", 1.0, reads=("toy",), reference=True)
    yield _backend(
        "apart-faithful",
        1.0001,
        reads=("toy", "toy-half"),
        notes=lambda path, options: (f"takes {path.suffix} on {options.threads} threads",),
    )
    yield _backend("apart-wrong", 1.1, reads=("toy",), notes=_silent)


@harness.hookimpl
def harness_techniques() -> Iterator[harness.Technique]:
    yield harness.Technique(name="apart-half", summary="Half precision.", stage="artifact", deviation=1e-2)
    yield harness.Technique(name="apart-integers", summary="Integers.", stage="artifact", deviation=None)
    yield harness.Technique(name="apart-other", summary="Another network.", stage="artifact")


@harness.hookimpl
def harness_implementations() -> Iterator[harness.Implementation]:
    for technique in ("apart-half", "apart-integers", "apart-other"):
        yield harness.Implementation(technique=technique, format="toy", produces="toy-half", apply=_copy)


@harness.hookimpl
def harness_graph_readers() -> Iterator[harness.GraphReader]:
    yield harness.GraphReader(format="toy-half", read=_read, content_sha256=lambda path: path.name)


def _read(path: Path) -> harness.OpGraph:
    tensors = {name: harness.Tensor(name=name, shape=(1, 3), precision="fp32") for name in ("x", "y")}
    copy = harness.Operator(name="copy", kind="copy", inputs=("x",), outputs=("y",), precision="fp32", macs=0)
    return harness.OpGraph(name="half", inputs=("x",), outputs=("y",), tensors=tensors, operators=(copy,), parameters=0)


def _copy(path: Path, options: Any, context: harness.BuildContext) -> Path:
    return Path(shutil.copy2(path, context.workdir / "half.npy"))
