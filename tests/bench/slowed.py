"""A runtime that can be slowed on purpose, for `false_alarms.py`: ONNX Runtime in a wrapper.

The technique `mark` adds an identity to a network's first output, which the runtime optimises away: a twin of the
baseline in everything but its name. A marked file takes longer by the share in `BENCH_SLOWED_SHARE`, 0 without it, so
that the same plan gives runs in which the twin is as fast as the baseline and runs in which it is slower by a known
amount. Baseline and twin pass through the same wrapper.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench_onnxruntime
import harness

HARNESS_API = 1

SHARE = "BENCH_SLOWED_SHARE"
MARK = "bench_marked"


class SlowedSession:
    """A session whose calls wait, busily, for a share of the time they took."""

    def __init__(self, session: harness.Session, share: float) -> None:
        self._session = session
        self._share = share

    def bind(self, inputs: tuple[Any, ...]) -> Callable[[], object]:
        call, share, now_ns = self._session.bind(inputs), self._share, time.perf_counter_ns

        def slowed() -> None:
            started = now_ns()
            call()
            ended = now_ns()
            until = ended + share * (ended - started)
            while now_ns() < until:
                pass

        return slowed

    def outputs(self) -> tuple[Any, ...]:
        return self._session.outputs()

    def threads(self) -> int | None:
        return self._session.threads()

    def close(self) -> None:
        self._session.close()


@harness.hookimpl
def harness_techniques() -> Iterator[harness.Technique]:
    yield harness.Technique(name="mark", summary="Changes nothing but the name of an output.", stage="artifact")


@harness.hookimpl
def harness_implementations() -> Iterator[harness.Implementation]:
    yield harness.Implementation(technique="mark", format="onnx", apply=_mark, requires=("onnx",))


@harness.hookimpl
def harness_backends() -> Iterator[harness.Backend]:
    (wrapped,) = bench_onnxruntime.harness_backends()

    def opened(path: Path, options: harness.SessionOptions) -> SlowedSession:
        share = float(os.environ.get(SHARE, "0")) if _is_marked(path) else 0.0
        return SlowedSession(wrapped.open(path, options), share)

    yield replace(wrapped, name="slowed", summary=f"{wrapped.summary}, slowed on purpose", open=opened, operators=None)


def _mark(path: Path, options: harness.NoOptions, context: harness.BuildContext) -> Path:
    import onnx

    model = onnx.load(path)
    output = model.graph.output[0].name
    hidden = f"{output}_{MARK}"
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [hidden if name == output else name for name in names]
    model.graph.node.append(onnx.helper.make_node("Identity", [hidden], [output], name=MARK))
    target = context.workdir / "marked.onnx"
    onnx.save(model, target)
    return target


def _is_marked(path: Path) -> bool:
    return MARK.encode() in path.read_bytes()
