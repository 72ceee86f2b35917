"""The child's side of a sweep: many small graphs open in one process, each timed as a run times a variant."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contributions import SessionOptions
from harness.errors import PluginError
from harness.loading import load_given
from harness.measure.quiet import settle
from harness.measure.sampling import time_calls, warm_up
from harness.measure.session import LEAD_IN_NS
from harness.model import TensorSpec
from harness.options import restore_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.contributions import Backend, Session


VISIT_NS = 25_000_000
"""A turn takes as many samples as fit into this, at least one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    session: Session
    call: Callable[[], object]
    calls: int


@dataclass(slots=True)
class Sweep:
    """Sessions of this process by their number, in the order in which they were opened."""

    backend: Backend | None = None
    opened: list[_Opened] = field(default_factory=list)

    def prepare(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Import the runtime."""
        host = load_given(request["plugins"])
        self.backend = host.backends.get(request["backend"]).contribution
        self.backend.prepare()
        gc.freeze()
        return {}

    def open(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Open a graph with random float inputs of the given shapes, warm it up and time it for the first time."""
        import numpy as np

        if self.backend is None:
            raise PluginError("a graph was opened before its backend was prepared.")
        shapes = [tuple(shape) for shape in request["shapes"]]
        inputs = tuple(TensorSpec(name=name, shape=shape, dtype="float32")
                       for name, shape in zip(request["inputs"], shapes, strict=True))  # fmt: skip
        options = SessionOptions(
            threads=request["threads"], options=restore_options(self.backend.options, {}), inputs=inputs
        )
        session = self.backend.open(Path(request["path"]), options)
        random = np.random.default_rng(0)
        call = session.bind(tuple(random.standard_normal(shape).astype(np.float32) for shape in shapes))
        call()
        warmup = warm_up(call, 0, request["budget_ns"])
        self.opened.append(_Opened(session=session, call=call, calls=warmup.calls_per_sample))
        return {"number": len(self.opened) - 1, **self._time(self.opened[-1])}

    def visit(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """One turn of one graph."""
        opened = self.opened[request["number"]]
        lead = 0
        while lead < LEAD_IN_NS:
            lead += time_calls(opened.call, opened.calls)
        return self._time(opened)

    def _time(self, opened: _Opened) -> Mapping[str, Any]:
        """Samples as a run takes them, more at a time: waiting for the runtime's threads takes longer than they do."""
        gc.disable()
        taken = [time_calls(opened.call, opened.calls)]
        while sum(taken) < VISIT_NS:
            taken.append(time_calls(opened.call, opened.calls))
        gc.enable()
        settle()
        return {"latency_ns": [t // opened.calls for t in taken]}
