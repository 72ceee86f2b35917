"""The child's side of measuring: one variant opened by one backend, warmed, timed and scored on request."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.build.model_folder import read_model_folder
from harness.contributions import SessionOptions
from harness.corruption import corrupt, rows_to_corrupt
from harness.errors import PluginError
from harness.loading import load_given
from harness.measure.memory import mark_peak, peak_rss_bytes, rss_bytes
from harness.measure.quiet import settle
from harness.measure.sampling import time_calls, warm_up
from harness.options import restore_options

if TYPE_CHECKING:
    from harness.build.model_folder import ModelFolder
    from harness.contributions import Backend, Session

LEAD_IN_NS = 3_000_000
"""Untimed calls before each visit last at least this long: caches and sleeping threads come back."""

VISIT_NS = 15_000_000
"""A visit takes as many samples as fit into this, at least one."""

MOST_SAMPLES = 8

OPERATOR_REPEATS = 10
"""Inferences that an operator's time is the median of: shares of time are wanted, not milliseconds."""


@dataclass(slots=True)
class SessionSlot:
    """Holds the session of this process."""

    backend: Backend | None = None
    session: Session | None = None
    call: Callable[[], object] | None = None
    calls: int = 1

    def prepare(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Import the runtime; what the process holds then is the memory baseline."""
        host = load_given(request["plugins"])
        self.backend = host.backends.get(request["backend"]).contribution
        self.backend.prepare()
        import numpy as np  # noqa: F401 - the harness's own needs are not the variant's memory

        gc.freeze()  # what exists by now stays: the collector need not look at it again
        return {
            "baseline_rss_bytes": rss_bytes(),
            "peak_marked": mark_peak(),
            "also_imports": self.backend.also_imports,
        }

    def open(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Open a variant and run it once."""
        backend = self._backend()
        folder = read_model_folder(Path(request["model_folder"]))
        options = _session_options(backend, folder, request)
        started = time.perf_counter_ns()
        self.session = backend.open(Path(request["path"]), options)
        load_ns = time.perf_counter_ns() - started
        self.call = self.session.bind(folder.example())
        started = time.perf_counter_ns()
        self.call()
        first_run_ns = time.perf_counter_ns() - started
        return {"load_ns": load_ns, "first_run_ns": first_run_ns, "threads": self.session.threads()}

    def warm(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run until times are steady."""
        gc.freeze()
        warmup = warm_up(self._call(), request["calls"], request["budget_ns"])
        self.calls = warmup.calls_per_sample
        settle_ns, settled = settle()
        return {
            "warmup_ns": warmup.latency_ns,
            "calls": warmup.calls_per_sample,
            "steady": warmup.steady,
            "settle_ns": settle_ns,
            "settled": settled,
        }

    def visit(self, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        """One turn of a round: untimed calls, then samples, then wait until the runtime's threads are quiet."""
        call, calls = self._call(), self.calls
        gc.disable()
        lead = 0
        while lead < LEAD_IN_NS:
            lead += time_calls(call, calls)
        first = time_calls(call, calls)
        more = min(MOST_SAMPLES, VISIT_NS // max(1, first)) - 1
        taken = [first, *(time_calls(call, calls) for _ in range(more))]
        gc.enable()
        settle_ns, settled = settle()
        return {
            "latency_ns": [t // calls for t in taken],
            "settle_ns": settle_ns,
            "settled": settled,
            "peak_rss_bytes": peak_rss_bytes(),
        }

    def run(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run for `request['duration_ns']`, for a meter that the other side reads; nothing is waited for afterwards."""
        call, inferences, taken = self._call(), 0, 0
        while taken < request["duration_ns"]:
            taken += time_calls(call, self.calls)
            inferences += self.calls
        return {"inferences": inferences}

    def rest(self, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Wait until the runtime's threads are quiet."""
        settle_ns, settled = settle()
        return {"settle_ns": settle_ns, "settled": settled}

    def score(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run every row of the test split and save the outputs to `request['outputs']`, an .npz file.

        Under each of `request['corruptions']` some of the rows are run again, corrupted.
        """
        import numpy as np

        data = read_model_folder(Path(request["model_folder"])).data()
        split = data.split("test")
        if split is None:
            raise PluginError("the model folder has no test split.")
        saved = {f"y{i}": array for i, array in enumerate(self._run_rows(split.inputs))}
        rows = rows_to_corrupt(len(split))
        for name in request["corruptions"]:
            corrupted = tuple(corrupt(x[rows], data.kind, name) for x in split.inputs)
            saved[f"{name}.y0"] = self._run_rows(corrupted)[0]
        with Path(request["outputs"]).open("wb") as stream:
            np.savez(stream, allow_pickle=False, **saved)
        return {"rows": len(split)}

    def _run_rows(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Outputs of every row, one array per output of the model."""
        import numpy as np

        if self.session is None:
            raise PluginError("scoring was asked for before opening.")
        collected: list[tuple[Any, ...]] = []
        for row in range(len(inputs[0])):
            self.session.bind(tuple(np.ascontiguousarray(x[row : row + 1]) for x in inputs))()
            collected.append(tuple(np.array(o) for o in self.session.outputs()))
        return tuple(np.concatenate(rows) for rows in zip(*collected, strict=True))

    def operators(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Time of each operator that the runtime executes, by its own profiler; None when it has none."""
        backend = self._backend()
        if backend.operators is None:
            return {"operators": None}
        folder = read_model_folder(Path(request["model_folder"]))
        options = _session_options(backend, folder, request)
        found = backend.operators(Path(request["path"]), options, folder.example(), OPERATOR_REPEATS)
        return {"operators": [asdict(operator) for operator in found]}

    def notes(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the runtime makes of the variant, in its backend's words."""
        backend = self._backend()
        if backend.notes is None:
            return {"notes": []}
        folder = read_model_folder(Path(request["model_folder"]))
        found = backend.notes(Path(request["path"]), _session_options(backend, folder, request))
        return {"notes": [str(line) for line in found]}

    def close(self, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Close the session."""
        if self.session is not None:
            self.session.close()
        self.session = self.call = None
        return {}

    def _backend(self) -> Backend:
        if self.backend is None:
            raise PluginError("a variant was opened before its backend was prepared.")
        return self.backend

    def _call(self) -> Callable[[], object]:
        if self.call is None:
            raise PluginError("a session was timed before it was opened.")
        return self.call


def _session_options(backend: Backend, folder: ModelFolder, request: Mapping[str, Any]) -> SessionOptions:
    options = restore_options(backend.options, request["options"])
    return SessionOptions(threads=request["threads"], options=options, inputs=folder.inputs)
