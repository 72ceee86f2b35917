"""Child processes: real ones, made to break in every way by a plugin, and what the run says of each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.errors import ChildError
from harness.process.limits import Limits
from harness.process.worker import RemoteError, Worker, first_to_answer

PLUGIN = '''
"""Backends whose `prepare` does what their name says."""
import ctypes, os, signal, subprocess, sys, time
import harness

def grow():
    hoard = []
    while True:
        hoard.append(bytearray(os.urandom(1)) * 2**24)

def flood():
    while True:
        print("all work and no play " * 500)

def die_by(number):
    def die():
        print("goodbye", flush=True)
        os.kill(os.getpid(), number)
    return die

def leave_somebody():
    started = subprocess.Popen(["sleep", "60"])
    open(os.environ["BENCH_TEST_NOTE"], "w").write(str(started.pid))

def refuse():
    raise harness.ArtifactError("the file is empty.", hint="Give another one.")

def crash():
    raise RuntimeError("the kernel\\nsaid no")

def chat():
    print("{\\"ok\\": true}")
    sys.stderr.write("half a line")

def exhausted():
    raise MemoryError

FAULTS = {
    "fine": lambda: None, "refuse": refuse, "crash": crash, "quit": lambda: sys.exit(3), "chat": chat,
    "exhausted": exhausted, "segfault": lambda: ctypes.string_at(0), "real-time": die_by(40),
    "killed": die_by(signal.SIGKILL), "leave": lambda: os._exit(7), "hang": lambda: time.sleep(600),
    "grow": grow, "flood": flood, "somebody": leave_somebody,
}

@harness.hookimpl
def harness_backends():
    for name, fault in FAULTS.items():
        yield harness.Backend(name=name, summary="", reads=("toy",), prepare=fault, open=None)

@harness.hookimpl
def harness_models():
    def load(ref, cache, seed):
        import numpy as np
        return harness.Model(name="m", format="toy", payload=None, inputs=(), outputs=(), example=(), data=None,
                             sha256={"toy:text": "1", "toy:number": np.int64(1), "toy:nan": float("nan")}[ref])
    yield harness.ModelSource(name="toy", summary="", claims=bool, format="toy", list_models=list, load=load,
                              identity=lambda ref: None)
'''

Prepare = Callable[[Worker, str], dict[str, Any]]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The plugin above, as a child is told of it."""
    path = tmp_path_factory.mktemp("plugin") / "bench_faulty.py"
    path.write_text(PLUGIN, encoding="utf-8")
    return [{"name": "bench_faulty", "target": str(path), "distribution": "given with --plugin", "version": ""}]


@pytest.fixture
def prepare(given: list[dict[str, str]]) -> Prepare:
    return lambda worker, fault: worker.request("prepare", plugins=given, backend=fault)


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker(Limits(answer_s=20.0)) as opened:
        yield opened


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0


def gone(pid: int) -> bool:
    """Whether a process ends within five seconds."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_a_reply_holds_what_was_asked_for(worker: Worker, prepare: Prepare) -> None:
    reply = prepare(worker, "fine")
    assert reply["baseline_rss_bytes"] > 2**20
    assert "ok" not in reply
    assert worker.rss_bytes() > 2**20


def test_several_requests_are_answered_in_order(worker: Worker, given: list[dict[str, str]], tmp_path: Path) -> None:
    ask = {"plugins": given, "source": "toy", "cache": str(tmp_path), "seed": 0}
    assert worker.request("identify", ref="toy:text", **ask) == {"identity": "1"}
    worker.send("prepare", plugins=given, backend="fine")
    assert first_to_answer([worker]) == 0
    assert "baseline_rss_bytes" in worker.receive()


@pytest.mark.parametrize(
    ("fault", "kind", "said", "hint"),
    [
        ("refuse", "ArtifactError", "the file is empty.", "Give another one."),
        ("crash", "RuntimeError", "RuntimeError: the kernel", "bench_faulty.py, line"),
        ("quit", "SystemExit", "SystemExit: 3", "bench_faulty.py, line"),
        ("exhausted", "MemoryError", "ran out of memory", "--memory-limit"),
        ("nobody", "UnknownNameError", "no backend is named 'nobody'", "bench plugins"),
    ],
)
def test_an_error_reply_names_the_error_and_leaves_the_child_usable(
    worker: Worker, prepare: Prepare, fault: str, kind: str, said: str, hint: str
) -> None:
    with pytest.raises(RemoteError) as caught:
        prepare(worker, fault)
    assert caught.value.kind == kind
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert "baseline_rss_bytes" in prepare(worker, "fine")


def test_a_request_that_nobody_knows_is_an_error_reply(worker: Worker, prepare: Prepare) -> None:
    with pytest.raises(RemoteError, match="dance"):
        worker.request("dance")
    assert prepare(worker, "fine")


def test_a_reply_that_is_no_json_is_an_error_reply(worker: Worker, given: list[dict[str, str]], tmp_path: Path) -> None:
    ask = {"plugins": given, "source": "toy", "cache": str(tmp_path), "seed": 0}
    with pytest.raises(RemoteError, match="int64"):
        worker.request("identify", ref="toy:number", **ask)
    assert worker.request("identify", ref="toy:text", **ask) == {"identity": "1"}


def test_what_a_plugin_prints_never_mixes_with_replies(worker: Worker, prepare: Prepare) -> None:
    assert "baseline_rss_bytes" in prepare(worker, "chat")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("segfault", "ended by SIGSEGV"),
        ("killed", "ended by SIGKILL"),
        ("real-time", "ended by signal 40"),
        ("leave", "exited with status 7 without an answer"),
    ],
)
def test_a_child_that_dies_says_how(worker: Worker, prepare: Prepare, fault: str, said: str) -> None:
    with pytest.raises(ChildError, match=said):
        prepare(worker, fault)
    assert gone(worker.pid)


def test_the_last_words_of_a_child_are_kept(worker: Worker, prepare: Prepare) -> None:
    with pytest.raises(ChildError) as caught:
        prepare(worker, "killed")
    assert caught.value.hint == "Its last words: goodbye"


def test_a_segfault_shows_where_in_the_source_it_happened(worker: Worker, prepare: Prepare) -> None:
    with pytest.raises(ChildError) as caught:
        prepare(worker, "segfault")
    assert "Its last words" in caught.value.hint


def test_a_child_that_hangs_is_stopped_at_its_limit(prepare: Prepare) -> None:
    started = time.monotonic()
    with Worker(Limits(answer_s=1.5)) as worker:
        with pytest.raises(ChildError, match=r"did not answer within 1.5 s") as caught:
            prepare(worker, "hang")
        assert "--timeout" in caught.value.hint
        assert gone(worker.pid)
    assert time.monotonic() - started < 60


def test_a_child_that_grows_is_stopped_at_its_limit(prepare: Prepare) -> None:
    with Worker(Limits(answer_s=60.0, memory_bytes=300 * 2**20)) as worker:
        with pytest.raises(ChildError, match="limit 300 MiB") as caught:
            prepare(worker, "grow")
        assert "--memory-limit" in caught.value.hint
        assert gone(worker.pid)


def test_a_child_that_floods_its_output_is_stopped_at_its_limit(prepare: Prepare) -> None:
    with Worker(Limits(answer_s=60.0, output_bytes=2**20)) as worker:
        with pytest.raises(ChildError, match="printed more than 1 MiB") as caught:
            prepare(worker, "flood")
        assert "all work and no play" in caught.value.hint
        assert gone(worker.pid)


def test_a_child_over_its_limit_counts_as_one_to_look_at(given: list[dict[str, str]]) -> None:
    with Worker(Limits(answer_s=0.2)) as late, Worker(Limits(answer_s=60.0)) as patient:
        for worker, fault in ((patient, "hang"), (late, "hang")):
            worker.send("prepare", plugins=given, backend=fault)
        assert first_to_answer([patient, late]) == 1
        patient.kill()


def test_nothing_can_be_asked_of_a_child_that_is_gone(worker: Worker, prepare: Prepare) -> None:
    with pytest.raises(ChildError):
        prepare(worker, "leave")
    with pytest.raises(ChildError, match="the process is gone"):
        prepare(worker, "fine")
    with pytest.raises(ChildError, match="the process is gone"):
        worker.receive()
    assert worker.rss_bytes() == 0


def test_a_child_that_is_killed_from_outside_is_noticed(worker: Worker, given: list[dict[str, str]]) -> None:
    worker.send("prepare", plugins=given, backend="hang")
    os.kill(worker.pid, signal.SIGTERM)
    with pytest.raises(ChildError, match="SIGTERM"):
        worker.receive()


def test_closing_ends_the_child_and_closing_again_is_fine(prepare: Prepare) -> None:
    before = descriptors()
    worker = Worker(Limits())
    prepare(worker, "fine")
    worker.close()
    worker.close()
    worker.kill()
    assert gone(worker.pid)
    assert descriptors() == before


def test_killing_ends_the_child_at_once_and_leaves_no_descriptor(prepare: Prepare) -> None:
    before = descriptors()
    worker = Worker(Limits())
    worker.kill()
    worker.kill()
    worker.close()
    assert gone(worker.pid)
    assert descriptors() == before


def test_a_child_that_is_busy_is_killed_when_it_is_closed(given: list[dict[str, str]]) -> None:
    worker = Worker(Limits())
    worker.send("prepare", plugins=given, backend="hang")
    worker.close()
    assert gone(worker.pid)


@pytest.mark.parametrize("end", [Worker.close, Worker.kill])
def test_what_a_child_started_ends_with_it(tmp_path: Path, prepare: Prepare, end: Callable[[Worker], None]) -> None:
    note = tmp_path / "pid"
    worker = Worker(Limits(), {"BENCH_TEST_NOTE": str(note)})
    prepare(worker, "somebody")
    end(worker)
    assert gone(int(note.read_text(encoding="ascii")))


def test_the_environment_given_reaches_the_child_before_anything_is_imported(tmp_path: Path, prepare: Prepare) -> None:
    with Worker(Limits(), {"PYTHONVERBOSE": "1"}) as worker:
        prepare(worker, "fine")
        assert "BENCH_TEST_NOTE" not in psutil.Process(worker.pid).environ()
        assert psutil.Process(worker.pid).environ()["PYTHONVERBOSE"] == "1"


def test_children_die_with_a_run_that_is_killed(tmp_path: Path, given: list[dict[str, str]]) -> None:
    code = (
        "import sys, time; from harness.process.limits import Limits; from harness.process.worker import Worker\n"
        "workers = [Worker(Limits()) for _ in range(2)]\n"
        f"workers[0].request('prepare', plugins={given!r}, backend='fine')\n"
        f"workers[1].send('prepare', plugins={given!r}, backend='hang')\n"
        "print(*(w.pid for w in workers), flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pids = [int(pid) for pid in run.stdout.readline().split()]
        assert len(pids) == 2
        assert all(psutil.pid_exists(pid) for pid in pids)
        run.kill()
    assert all(gone(pid) for pid in pids)


def test_without_the_kernels_help_a_child_dies_when_its_lifeline_closes() -> None:
    code = (
        "import sys; from harness.measure import session; from harness.process.child import main\n"
        "sys.platform = 'elsewhere'; main()"
    )
    requests, ask = os.pipe()
    answer, replies = os.pipe()
    lifeline, held = os.pipe()
    inherited = (requests, replies, lifeline)
    child = subprocess.Popen([sys.executable, "-c", code, *map(str, inherited)], pass_fds=inherited)
    for fd in inherited:
        os.close(fd)
    os.write(ask, b'{"do": "nothing"}\n')
    assert b'"ok": false' in os.read(answer, 1 << 16)
    os.close(held)
    assert child.wait(10) == 1
    os.close(ask)
    os.close(answer)


@pytest.mark.parametrize("limits", [Limits(), Limits(memory_bytes=5)])
def test_a_memory_limit_is_given_or_most_of_what_is_free(limits: Limits) -> None:
    expected = limits.memory_bytes or 0.9 * psutil.virtual_memory().available
    assert limits.memory_limit_bytes() == pytest.approx(expected, rel=0.2)
