"""The run's end of a child process: sends requests, waits for replies, enforces limits, reports how it died."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, Self

import psutil

from harness.errors import ChildError, HarnessError
from harness.process.limits import Limits

POLL_S = 0.05
"""How often memory and output are looked at while a reply is awaited. One look costs some ten microseconds."""

TAIL_LINES = 12

_alive: set[Worker] = set()


def kill_all() -> None:
    """End every child of this process at once; for a run that is being given up."""
    for worker in tuple(_alive):
        worker.kill()


class RemoteError(HarnessError):
    """The child answered that something went wrong in it."""

    def __init__(self, reply: Mapping[str, Any]) -> None:
        super().__init__(reply["error"], hint=reply["hint"])
        self.kind = reply["kind"]
        self.plugin = reply["plugin"]


class Worker:
    """One child process. Use it as a context manager, or close it."""

    def __init__(self, limits: Limits, environment: Mapping[str, str] | None = None) -> None:
        self._limits = limits
        self._memory_limit_bytes = limits.memory_limit_bytes()
        request_read, self._requests = os.pipe()
        self._replies, reply_write = os.pipe()
        lifeline_read, self._lifeline = os.pipe()
        inherited = (request_read, reply_write, lifeline_read)
        self._process = subprocess.Popen(
            # -P: a file in the current folder must not stand in for the module of its name
            [sys.executable, "-P", "-m", "harness.process.child", *map(str, inherited)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            pass_fds=inherited,
            start_new_session=True,
        )
        for fd in inherited:
            os.close(fd)
        self._output = _Output(self._process.stdout, limits.output_bytes)
        self._pending = b""
        self._closed = False
        self._deadline: float | None = None
        _alive.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    def rss_bytes(self) -> int:
        """Resident memory of the child at this moment, 0 when it is gone."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def request(self, do: str, **message: Any) -> dict[str, Any]:
        """Send one request and wait for its reply.

        Raises:
            RemoteError: The child answered with an error; it is still usable.
            ChildError: The child crashed, hung, flooded its output or outgrew its limit; it is gone.
        """
        self.send(do, **message)
        return self.receive()

    def send(self, do: str, **message: Any) -> None:
        """Send a request without waiting."""
        self._must_be_open()
        self._deadline = None if self._limits.answer_s is None else time.monotonic() + self._limits.answer_s
        with suppress(BrokenPipeError):  # `receive` says how the child died
            os.write(self._requests, json.dumps({"do": do, **message}).encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        """Wait for the reply to the request sent last. Raises as `request` does."""
        self._must_be_open()
        reply = json.loads(self._line())
        if reply.pop("ok"):
            return dict(reply)
        raise RemoteError(reply)

    def fileno(self) -> int:
        """The descriptor that becomes readable when the child has answered."""
        return self._replies

    def must_be_stopped(self) -> bool:
        """Whether the child is over a limit, so that `receive` would stop it."""
        late = self._deadline is not None and time.monotonic() > self._deadline
        return late or self._output.flooded or self.rss_bytes() > self._memory_limit_bytes

    def _must_be_open(self) -> None:
        if self._closed:
            raise ChildError("the process is gone.", hint="Run again; if it stays, run: bench doctor")

    def _line(self) -> bytes:
        while b"\n" not in self._pending:
            readable, _, _ = select.select([self._replies], [], [], POLL_S)
            if readable:
                chunk = os.read(self._replies, 1 << 20)
                if not chunk:
                    raise self._death()
                self._pending += chunk
            self._enforce()
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _enforce(self) -> None:
        if self._output.flooded:
            self.kill()
            limit = self._limits.output_bytes / 2**20
            raise ChildError(f"it printed more than {limit:.0f} MiB and was stopped.", hint=self._output.hint())
        rss = self.rss_bytes()
        if rss > self._memory_limit_bytes:
            self.kill()
            limit, used = self._memory_limit_bytes / 2**20, rss / 2**20
            hint = "Allow more with --memory-limit, or use a smaller model."
            raise ChildError(f"it used {used:.0f} MiB of memory, limit {limit:.0f} MiB, and was stopped.", hint=hint)
        if self._deadline is not None and time.monotonic() > self._deadline:
            self.kill()
            hint = f"Allow more with --timeout.  {self._output.hint()}".strip()
            raise ChildError(f"it did not answer within {self._limits.answer_s:g} s and was stopped.", hint=hint)

    def _death(self) -> ChildError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self.kill()
        self._output.join()
        code = self._process.returncode
        if code is not None and code < 0:
            return ChildError(f"the process was ended by {_signal_name(-code)}.", hint=self._output.hint())
        return ChildError(f"the process exited with status {code} without an answer.", hint=self._output.hint())

    def kill(self) -> None:
        """End the child and whatever it started, at once."""
        if self._closed:  # by now another process may have its number
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._close_pipes()

    def close(self) -> None:
        """Let the child end, for two seconds at most; then end it and whatever it started."""
        if self._closed:
            return
        self._close_requests()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        self.kill()

    def _close_requests(self) -> None:
        if self._requests >= 0:
            os.close(self._requests)
            self._requests = -1

    def _close_pipes(self) -> None:
        if self._closed:
            return
        self._closed = True
        _alive.discard(self)
        self._close_requests()
        os.close(self._replies)
        os.close(self._lifeline)
        self._output.join()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def first_to_answer(workers: Sequence[Worker]) -> int:
    """Wait until one of several workers has answered or is gone; return its place in the sequence."""
    while True:
        readable, _, _ = select.select(workers, [], [], POLL_S)
        for place, worker in enumerate(workers):
            if worker in readable or worker.must_be_stopped():
                return place


class _Output:
    """Reads what the child prints, keeps its tail and counts its bytes."""

    def __init__(self, stream: IO[bytes] | None, limit_bytes: int) -> None:
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._count = 0
        self._thread = threading.Thread(target=self._read, daemon=True, name="child output")
        self._thread.start()

    @property
    def flooded(self) -> bool:
        return self._count > self._limit_bytes

    def _read(self) -> None:
        if self._stream is None:
            return
        rest = b""
        while chunk := os.read(self._stream.fileno(), 1 << 16):
            self._count += len(chunk)
            *lines, rest = (rest[-4096:] + chunk).split(b"\n")
            self._tail.extend(line.decode(errors="replace")[:400] for line in lines[-TAIL_LINES:])
        if rest:
            self._tail.append(rest.decode(errors="replace")[:400])
        self._stream.close()

    def join(self) -> None:
        self._thread.join(1)

    def hint(self) -> str:
        said = [line.strip() for line in self._tail if line.strip()]
        return f"Its last words: {' | '.join(said[-4:])}" if said else "It said nothing."
