"""The child's side of a sweep: many small graphs open in one process, each timed as a run times a variant."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contributions import SessionOptions
from harness.errors import PluginError
from harness.host import load_given
from harness.measure.session import SessionSlot
from harness.model import TensorSpec
from harness.options import restore_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.contributions import Backend


@dataclass(slots=True)
class Sweep:
    """Sessions of this process by their number, in the order in which they were opened."""

    backend: Backend | None = None
    slots: list[SessionSlot] = field(default_factory=list)

    def prepare(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Import the runtime."""
        host = load_given(request["plugins"])
        self.backend = host.backends.get(request["backend"]).contribution
        self.backend.prepare()
        gc.freeze()
        return {}

    def open(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Open a graph with random float inputs of the given shapes, run it once and warm it up."""
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
        slot = SessionSlot(backend=self.backend, session=session, call=call)
        slot.warm({"calls": 0, "budget_ns": request["budget_ns"]})
        self.slots.append(slot)
        return {"number": len(self.slots) - 1, "threads": session.threads()}

    def visit(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """One turn of one graph."""
        slot: SessionSlot = self.slots[request["number"]]
        return slot.visit({})

    def close(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Close one graph; its number stays taken."""
        self.slots[request["number"]].close({})
        return {}
