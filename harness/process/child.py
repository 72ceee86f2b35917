"""The child: `python -m harness.process.child REQUESTS REPLIES LIFELINE`, three inherited file descriptors.

One JSON line in, one JSON line out. Standard output and standard error stay free for whatever a framework wants to
say. The child ends when its request pipe closes, and dies with the run even when the run is killed: on Linux by the
kernel's parent-death signal, elsewhere by a thread that waits for the lifeline pipe to close.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import HarnessError, one_line, place_of

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]

FIRST_GENERATION = 100_000
"""Objects between two looks of the garbage collector. Importing a framework makes a million objects and no garbage;
with the interpreter's 700 a third of the time of the import goes into looking for some."""

PR_SET_PDEATHSIG = 1
"""prctl(2), linux/prctl.h."""


def main() -> int:
    """Answer requests until the pipe closes."""
    requests_fd, replies_fd, lifeline_fd = (int(a) for a in sys.argv[1:4])
    gc.set_threshold(FIRST_GENERATION)
    _die_with_parent(lifeline_fd)
    faulthandler.enable()
    _be_first_to_go_when_memory_runs_out()
    handlers = _handlers()
    with os.fdopen(requests_fd, "rb") as requests, os.fdopen(replies_fd, "wb", buffering=0) as replies:
        for line in requests:
            reply = _answer(handlers, json.loads(line))
            replies.write(reply.encode() + b"\n")
    return 0


def _handlers() -> Mapping[str, Handler]:
    from harness.calibrate.sessions import Sweep
    from harness.measure.session import SessionSlot

    opened, sweep = SessionSlot(), Sweep()
    return {
        "identify": _identify,
        "build": _build,
        "prepare": opened.prepare,
        "open": opened.open,
        "warm": opened.warm,
        "visit": opened.visit,
        "run": opened.run,
        "rest": opened.rest,
        "score": opened.score,
        "operators": opened.operators,
        "notes": opened.notes,
        "close": opened.close,
        "sweep_prepare": sweep.prepare,
        "sweep_open": sweep.open,
        "sweep_visit": sweep.visit,
    }


def _identify(request: Mapping[str, Any]) -> Mapping[str, Any]:
    from harness.build.work import identify

    return identify(request)


def _build(request: Mapping[str, Any]) -> Mapping[str, Any]:
    from harness.build.work import build

    return build(request)


def _answer(handlers: Mapping[str, Handler], request: Mapping[str, Any]) -> str:
    """The reply as one line of JSON, which a plugin's answer may turn out not to be."""
    try:
        return json.dumps({"ok": True, **handlers[request["do"]](request)})
    except MemoryError:
        hint = "Give it more with --memory-limit, or use a smaller model."
        return _error("MemoryError", "ran out of memory", hint=hint)
    except HarnessError as error:
        return _error(type(error).__name__, error.message, hint=error.hint, plugin=getattr(error, "plugin", ""))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything; it becomes data
        import traceback

        traceback.print_exc()
        return _error(type(error).__name__, one_line(error), hint=place_of(error))


def _error(kind: str, message: str, *, hint: str = "", plugin: str = "") -> str:
    return json.dumps({"ok": False, "kind": kind, "error": message, "hint": hint, "plugin": plugin})


def _die_with_parent(lifeline_fd: int) -> None:
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died between fork and prctl
            os._exit(1)

    def wait_for_the_end() -> None:
        os.read(lifeline_fd, 1)
        os._exit(1)

    threading.Thread(target=wait_for_the_end, daemon=True, name="lifeline").start()


def _be_first_to_go_when_memory_runs_out() -> None:
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:  # noqa: PTH123 - a file of the kernel
            score.write("1000")
    except OSError:
        return  # not Linux, or not allowed: the run's own memory limit still holds


if __name__ == "__main__":
    sys.exit(main())
