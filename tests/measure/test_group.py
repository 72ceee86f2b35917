"""Groups: real sessions timed in rounds, split where memory is short, and sessions that die on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.build.model_folder import write_model_folder
from harness.host import PluginSource
from harness.measure import group as group_module
from harness.measure.group import FEWEST_ROUNDS, measure
from harness.measure.opened import Opened
from harness.measure.score import score_apart
from harness.measure.subject import MeasureSettings, Subject
from harness.model import Data, Model, Split, TensorSpec
from harness.process.limits import Limits
from harness.progress import Left, Silent
from harness.record import Failure, Measurement

PLUGIN = '''
import harness

class Session:
    """A matrix product."""
    def __init__(self, path):
        import numpy as np
        self.weight = np.load(path)
    def bind(self, inputs):
        def call():
            self.result = inputs[0] @ self.weight
        return call
    def outputs(self):
        return (self.result,)
    def threads(self):
        return 1
    def close(self):
        self.weight = None

class Mute(Session):
    def outputs(self):
        raise RuntimeError("nothing to say")

def absent():
    raise ImportError("no such library")

def mumble(path, options):
    raise RuntimeError("lost for words")

def say(path, options):
    return [f"{path.name} on {options.threads} threads"]

MORE = {"a": {"notes": say, "also_imports": "numpy"}, "mumbling": {"notes": mumble}}

@harness.hookimpl
def harness_backends():
    for name, session, prepare in (
        ("a", Session, int), ("b", Session, int), ("mute", Mute, int), ("absent", Session, absent),
        ("mumbling", Session, int),
    ):
        yield harness.Backend(
            name=name, summary="", reads=("toy",), prepare=prepare,
            open=lambda path, options, session=session: session(path), **MORE.get(name, {}),
        )
'''

Make = Callable[..., Subject]
Hook = Callable[[Opened, int], None]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plugin, a file to open and a model folder."""
    folder = tmp_path_factory.mktemp("group")
    (folder / "bench_sums.py").write_text(PLUGIN, encoding="utf-8")
    np.save(folder / "weight.npy", np.ones((2, 3), np.float32))
    (folder / "model").mkdir()
    x = np.ones((1, 2), np.float32)
    rows = Split(inputs=(np.arange(8, dtype=np.float32).reshape(4, 2),))
    spec = TensorSpec(name="x", shape=(None, 2), dtype="float32")
    data = Data(name="rows", sha256="1", metric="top1", splits={"test": lambda: rows})
    model = Model(name="m", format="toy", payload=None, inputs=(spec,), outputs=("y",), example=(x,), data=data,
                  sha256="1")  # fmt: skip
    write_model_folder(folder / "model", model, data)
    return folder


@pytest.fixture
def subject(workshop: Path, tmp_path: Path) -> Make:
    plugin = PluginSource(name="sums", target=str(workshop / "bench_sums.py"), distribution="d", version="1")

    def make(name: str, **more: Any) -> Subject:
        """`a0` is the baseline in the backend a; `a1`, `a2` … are variants in it."""
        backend, number = (name[:-1], name[-1]) if name[-1].isdigit() else (name, "1")
        return Subject(
            name=name, label=name, backend=backend, options={}, path=workshop / "weight.npy", variant_sha256=name,
            model_folder=workshop / "model", outputs=tmp_path / "scores" / f"{name}.npz", plugins=(plugin,),
            provider="sums (d 1)", environment=lambda threads: {}, baseline=number == "0", **more,
        )  # fmt: skip

    return make


def settings(**more: Any) -> MeasureSettings:
    usual = MeasureSettings(
        threads=1,
        seed=0,
        budget_s=0.01,
        processes=1,
        precision=0.03,
        limits=Limits(answer_s=30.0, memory_bytes=2**30),
        lanes=2,
    )
    return replace(usual, **more)


class Diary(Silent):
    """What `measure` says, and which session took each turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[str] = []
        self.turns: list[tuple[int, str]] = []
        self.before_visit: Hook = lambda opened, number: None
        self.before_warm: Callable[[Opened], None] = lambda opened: None
        visit, warm = Opened.visit, Opened.warm

        def watched(opened: Opened, number: int) -> None:
            self.turns.append((number, opened.subject.name))
            self.before_visit(opened, number)
            visit(opened, number)

        def warmed(opened: Opened, calls: int) -> None:
            self.before_warm(opened)
            warm(opened, calls)

        monkeypatch.setattr(Opened, "visit", watched)
        monkeypatch.setattr(Opened, "warm", warmed)

    def say(self, text: str, left: Left | None = None) -> None:
        self.said.append(text)

    def groups(self) -> list[list[str]]:
        """Names opened in the first process of each group, in order."""
        found: list[list[str]] = []
        for line in self.said:
            if line.startswith("process 1: starting"):
                found.append([])
            elif line.startswith("process 1: opened"):
                found[-1].append(line.split()[-1])
        return found

    def rounds(self) -> list[list[str]]:
        """Who took their turn in each round, in order."""
        found: dict[int, list[str]] = {}
        for number, name in self.turns:
            found.setdefault(number, []).append(name)
        return list(found.values())


@pytest.fixture
def diary(monkeypatch: pytest.MonkeyPatch) -> Diary:
    return Diary(monkeypatch)


def measurement(result: Measurement | Failure) -> Measurement:
    assert isinstance(result, Measurement), result
    return result


def failure(result: Measurement | Failure) -> Failure:
    assert isinstance(result, Failure), result
    assert result.plugin == "sums (d 1)"
    return result


def kill(opened: Opened) -> None:
    os.kill(opened.worker.pid, signal.SIGKILL)


def short_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_left = SimpleNamespace(available=0, total=2**33)
    monkeypatch.setattr(group_module.psutil, "virtual_memory", lambda: nothing_left)


def test_every_session_is_opened_in_fresh_processes_and_all_raw_values_are_kept(subject: Make, diary: Diary) -> None:
    results = measure([subject("a1"), subject("a0")], settings(processes=2), diary)
    assert diary.groups() == [["a0", "a1"]]
    for result in map(measurement, results.values()):
        assert len(result.processes) == 2
        assert [p.opened_alone for p in result.processes] == [True, False]
        assert all(p.samples >= FEWEST_ROUNDS for p in result.processes)
        assert sum(p.samples for p in result.processes) == len(result.latency_ns) == len(result.rounds)
        assert sum(p.warmup for p in result.processes) == len(result.warmup_ns)
        assert result.load_ns == result.processes[0].load_ns
        assert result.peak_rss_bytes == max(p.peak_rss_bytes for p in result.processes)
        assert list(result.rounds) == sorted(result.rounds)
        assert result.threads_reported == 1
    assert len({measurement(r).group for r in results.values()}) == 1


def test_rounds_are_shuffled_anew_and_the_same_for_the_same_seed(
    subject: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def order(seed: int) -> list[list[str]]:
        with pytest.MonkeyPatch.context() as patch:
            diary = Diary(patch)
            measure([subject("a0"), subject("a1"), subject("b1")], settings(seed=seed), diary)
            return diary.rounds()[:FEWEST_ROUNDS]

    first = order(1)
    assert all(sorted(turn) == ["a0", "a1", "b1"] for turn in first)
    assert len({tuple(turn) for turn in first}) > 1
    assert order(1) == first
    assert order(2) != first


def test_a_backend_is_asked_once_what_its_runtime_makes_of_the_variant(subject: Make, diary: Diary) -> None:
    results = measure([subject("a0"), subject("b0")], settings(processes=2), diary)
    assert measurement(results["a0"]).notes == ("weight.npy on 1 threads",)
    assert measurement(results["b0"]).notes == ()


def test_a_backend_that_cannot_tell_is_measured_all_the_same_and_the_record_says_so(
    subject: Make, diary: Diary
) -> None:
    found = measurement(measure([subject("mumbling")], settings(), diary)["mumbling"])
    assert found.notes == ("what the runtime made of this variant cannot be told: RuntimeError: lost for words",)
    assert len(found.latency_ns) >= FEWEST_ROUNDS


def test_what_a_process_holds_besides_its_runtime_is_recorded(subject: Make, diary: Diary) -> None:
    results = measure([subject("a0"), subject("b0")], settings(), diary)
    assert [measurement(results[name]).also_imports for name in ("a0", "b0")] == ["numpy", ""]


def test_outputs_are_saved_for_those_that_have_none_yet(subject: Make, diary: Diary) -> None:
    scored, known = subject("a0"), subject("a1")
    known.outputs.parent.mkdir(parents=True)
    known.outputs.write_bytes(b"as it was")
    measure([scored, known], settings(), diary)
    with np.load(scored.outputs) as saved:
        assert saved["y0"].tolist() == [[1.0] * 3, [5.0] * 3, [9.0] * 3, [13.0] * 3]
    assert known.outputs.read_bytes() == b"as it was"
    assert sorted(p.name for p in scored.outputs.parent.iterdir()) == ["a0.npz", "a1.npz"]


def test_when_memory_is_short_everybody_still_gets_a_result(
    subject: Make, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of_memory(monkeypatch)
    names = ("a0", "b0", "a1", "b1", "a2", "b2")
    results = measure([subject(n) for n in names], settings(), diary)
    assert set(results) == set(names)
    assert all(isinstance(r, Measurement) for r in results.values())
    for opened in diary.groups():
        assert len(opened) == 2
        for backend in {n[0] for n in opened}:
            assert f"{backend}0" in opened, "a group without the baseline of its backend"
            assert opened.index(f"{backend}0") <= min(opened.index(n) for n in opened if n[0] == backend)
    assert len(diary.groups()) == 4
    assert len({measurement(results[n]).group for n in ("a1", "a2", "b1", "b2")}) == 4


def test_when_memory_is_short_baselines_alone_come_to_an_end(
    subject: Make, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of_memory(monkeypatch)
    results = measure([subject("a0"), subject("b0")], settings(), diary)
    assert all(isinstance(r, Measurement) for r in results.values())


def test_a_session_that_dies_in_its_first_visit_is_one_failure(subject: Make, diary: Diary) -> None:
    diary.before_visit = lambda opened, number: kill(opened) if opened.subject.name == "a1" else None
    results = measure([subject("a0"), subject("a1"), subject("b1")], settings(), diary)
    assert failure(results["a1"]).stage == "measure"
    assert "SIGKILL" in failure(results["a1"]).error
    assert len(measurement(results["b1"]).latency_ns) >= FEWEST_ROUNDS
    assert [name for _, name in diary.turns].count("a1") == 1


def test_a_session_that_dies_in_its_second_process_is_one_failure(subject: Make, diary: Diary) -> None:
    seen: list[str] = []

    def second_time(opened: Opened) -> None:
        seen.append(opened.subject.name)
        if seen.count("a1") == 2 and opened.subject.name == "a1":
            kill(opened)

    diary.before_warm = second_time
    results = measure([subject("a0"), subject("a1")], settings(processes=3), diary)
    assert failure(results["a1"]).stage == "open"
    assert len(measurement(results["a0"]).processes) == 3
    assert seen.count("a1") == 2


def test_a_baseline_that_dies_takes_nobody_with_it(subject: Make, diary: Diary) -> None:
    diary.before_warm = lambda opened: kill(opened) if opened.subject.baseline else None
    results = measure([subject("a0"), subject("a1")], settings(), diary)
    assert failure(results["a0"])
    assert measurement(results["a1"])


def test_when_everybody_dies_everybody_is_a_failure(subject: Make, diary: Diary) -> None:
    diary.before_visit = lambda opened, number: kill(opened)
    results = measure([subject("a0"), subject("a1")], settings(processes=2), diary)
    assert {failure(r).stage for r in results.values()} == {"measure"}


def test_each_stage_that_fails_is_named(subject: Make, diary: Diary) -> None:
    lost = replace(subject("b1"), path=Path("nowhere.npy"))
    results = measure([subject("a0"), subject("mute"), subject("absent"), lost], settings(), diary)
    assert measurement(results["a0"])
    assert (failure(results["mute"]).stage, "nothing to say" in failure(results["mute"]).error) == ("quality", True)
    assert (failure(results["absent"]).stage, "no such library" in failure(results["absent"]).error) == ("open", True)
    assert (failure(results["b1"]).stage, "nowhere.npy" in failure(results["b1"]).error) == ("open", True)


def test_sessions_that_are_never_timed_are_scored_apart(subject: Make) -> None:
    good, mute = subject("a1"), subject("mute")
    failed = score_apart([good, mute], settings())
    assert set(failed) == {"mute"}
    assert failure(failed["mute"]).stage == "quality"
    assert good.outputs.is_file()
    assert not mute.outputs.exists()
    assert score_apart([good], settings()) == {}
