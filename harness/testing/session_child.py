"""Opens a variant in a process of its own and tells which threads worked: `python -m harness.testing.session_child`.

Takes the path of a request, a JSON file, and writes the answer beside it as `answer.json`, so that standard output and
standard error hold what the backend printed and nothing else.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from harness.contributions import SessionOptions
from harness.loading import load_given
from harness.process.child import FIRST_GENERATION
from harness.testing.context import specs_of

LEAD_IN_NS = 100_000_000
RUN_NS = 400_000_000

TASKS = Path("/proc/self/task")


def main(request_file: str) -> int:
    """Open, run for a while, close."""
    import numpy as np

    gc.set_threshold(FIRST_GENERATION)
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    backend = load_given(request["plugins"]).backends.get(request["backend"]).contribution
    with np.load(request["inputs"]) as archive:
        inputs = tuple(archive[f"x{i}"] for i in range(len(archive.files)))
    backend.prepare()
    options = SessionOptions(threads=request["threads"], options=backend.options(), inputs=specs_of(inputs))
    session = backend.open(Path(request["variant"]), options)
    call = session.bind(inputs)
    _run(call, LEAD_IN_NS)
    before = _worked_ns()
    _run(call, RUN_NS)
    worked_ns = [ns - before.get(thread, 0) for thread, ns in _worked_ns().items()]
    answer = {"threads": session.threads(), "worked_ns": worked_ns}
    session.outputs()
    session.close()
    Path(request_file).with_name("answer.json").write_text(json.dumps(answer), encoding="utf-8")
    return 0


def _run(call: Callable[[], object], duration_ns: int) -> None:
    end = time.perf_counter_ns() + duration_ns
    while time.perf_counter_ns() < end:
        call()


def _worked_ns() -> dict[str, int]:
    """Processor time of each thread of this process so far (Linux, Documentation/scheduler/sched-stats.rst)."""
    found = {}
    for task in TASKS.iterdir() if TASKS.is_dir() else ():
        try:
            found[task.name] = int((task / "schedstat").read_text(encoding="ascii").split()[0])
        except (OSError, ValueError, IndexError):  # the thread has ended, or the kernel keeps no such figures
            continue
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
