"""A plugin as a third party would write it: a small classifier on real arithmetic, nothing but numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness

HARNESS_API = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundOptions:
    """Options of `toy-round`.

    Attributes:
        decimals: Digits kept behind the point.
    """

    decimals: int = 1


@harness.hookimpl
def harness_models() -> Iterator[harness.ModelSource]:
    yield harness.ModelSource(
        name="toy",
        summary="toy:linear, a linear classifier of points in the plane",
        claims=lambda ref: ref.startswith("toy:"),
        format="toy",
        list_models=_models,
        load=_load,
        identity=lambda ref: f"{ref} 1",
        default=("toy:linear",),
    )


@harness.hookimpl
def harness_techniques() -> Iterator[harness.Technique]:
    yield harness.Technique(
        name="toy-round", summary="Rounds the weights.", stage="artifact", options=RoundOptions, default="decimals=1"
    )


@harness.hookimpl
def harness_implementations() -> Iterator[harness.Implementation]:
    yield harness.Implementation(technique="toy-round", format="toy", apply=_round)


@harness.hookimpl
def harness_graph_readers() -> Iterator[harness.GraphReader]:
    yield harness.GraphReader(format="toy", read=_read_graph, content_sha256=_content_sha256)


@harness.hookimpl
def harness_backends() -> Iterator[harness.Backend]:
    yield harness.Backend(
        name="toy-numpy",
        summary="A matrix product in numpy.",
        reads=("toy",),
        prepare=_prepare,
        open=lambda path, options: ToySession(path),
        kernel_family={"aarch64": "toy", "x86_64": "toy"},
        requires=("numpy",),
    )


def _models() -> Iterator[harness.ModelInfo]:
    yield harness.ModelInfo(ref="toy:linear", summary="three classes in the plane", task="top1", licence="Apache-2.0")


def _load(ref: str, cache: Path, seed: int) -> harness.Model:
    import numpy as np

    if ref != "toy:linear":
        raise harness.ArtifactError(f"there is no toy model {ref!r}.", hint="There is toy:linear.")
    weight = np.array([[1.04321, 0.00123], [-0.52345, 0.87654], [-0.51234, -0.88765]], np.float32)
    path = cache / "toy-linear.npy"
    np.save(path, weight)
    example = np.ones((1, 2), np.float32)
    return harness.Model(
        name="linear",
        format="toy",
        payload=path,
        inputs=(harness.TensorSpec(name="x", shape=(None, 2), dtype="float32"),),
        outputs=("y",),
        example=(example,),
        data=harness.Data(name="points", sha256="1", metric="top1", splits={"test": _points}),
        sha256="toy 1",
    )


def _points() -> harness.Split:
    import numpy as np

    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    labels = np.round(angle / (2 * np.pi / 3)).astype(np.int64) % 3
    return harness.Split(inputs=(points,), labels=labels)


def _round(path: Path, options: RoundOptions, context: harness.BuildContext) -> Path:
    import numpy as np

    target = context.workdir / "rounded.npy"
    np.save(target, np.round(np.load(path), options.decimals))
    context.note(f"kept {options.decimals} decimals")
    return target


def _read_graph(path: Path) -> harness.OpGraph:
    import numpy as np

    weight = np.load(path)
    tensors = {
        "x": harness.Tensor(name="x", shape=(1, 2), precision="fp32"),
        "w": harness.Tensor(name="w", shape=weight.shape, precision="fp32", constant=True, zeros=0.0),
        "y": harness.Tensor(name="y", shape=(1, 3), precision="fp32"),
    }
    product = harness.Operator(
        name="product", kind="fully_connected", inputs=("x", "w"), outputs=("y",), precision="fp32", macs=weight.size
    )
    return harness.OpGraph(
        name="linear", inputs=("x",), outputs=("y",), tensors=tensors, operators=(product,), parameters=weight.size
    )


def _content_sha256(path: Path) -> str:
    import hashlib

    import numpy as np

    return hashlib.sha256(np.load(path).tobytes()).hexdigest()


def _prepare() -> None:
    import numpy as np

    np.zeros(1)


class ToySession:
    """A linear classifier, opened."""

    def __init__(self, path: Path) -> None:
        import numpy as np

        self._weight = np.load(path).T.copy()
        self._result: Any = None

    def bind(self, inputs: tuple[Any, ...]) -> Any:
        import numpy as np

        (x,) = inputs
        self._result = np.empty((len(x), self._weight.shape[1]), np.float32)

        def call() -> None:
            np.matmul(x, self._weight, out=self._result)

        return call

    def outputs(self) -> tuple[Any, ...]:
        return (self._result,)

    def threads(self) -> int | None:
        return 1

    def close(self) -> None:
        self._result = None
