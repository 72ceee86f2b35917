"""Conformance of backends: a session computes, forgets nothing, keeps to its threads and says no as it should."""

# ruff: noqa: D102 - the name of a check says what it checks

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest

from harness.contributions import Backend, Session, SessionOptions
from harness.operator_time import OperatorTime
from harness.testing.content import files_in
from harness.testing.context import specs_of
from harness.testing.loading import load_alone
from harness.testing.plugin import PluginConformance, must_be_options, needed
from harness.testing.sessions import (
    copied,
    described,
    equal,
    must_be_simulation,
    must_equal,
    must_refuse,
    options_for,
    other_inputs,
    outputs_for,
    outputs_if_any,
    read_variant,
    run_in_a_child,
)
from harness.testing.step import fresh
from harness.testing.wrong import garbage_like

if TYPE_CHECKING:
    from harness.model import Array

WORKING_SHARE = 0.2
"""A thread works when it was on a processor for this share of the time of the busiest; housekeeping is far below."""

REPEATS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSubject:
    """A backend and a variant that it opens.

    Attributes:
        plugin: The module, or the path of the .py file, that contributes it.
        variant: A file, or folder, in a format that the backend reads; of a network whose output follows its input.
        inputs: One array per input, batch 1.
        wrong: A file that it must refuse; one of noise is made when there is none.
        threads: Budgets that it must keep to.
        facts: For an accelerator what a profile says of it, given to `simulate`.
    """

    plugin: str
    name: str
    variant: Path
    inputs: tuple[Array, ...]
    wrong: Path | None = None
    threads: tuple[int, ...] = (1, 2)
    facts: Mapping[str, Any] = field(default_factory=dict)


class BackendConformance(PluginConformance):
    """Give a fixture `subject` that returns a `BackendSubject`."""

    @pytest.fixture
    def backend(self, subject: BackendSubject) -> Backend:
        """The backend; a test that asks for it is skipped where its runtime is not installed."""
        backend: Backend = needed(load_alone(subject.plugin).backends.get(subject.name).contribution)
        backend.prepare()
        return backend

    @pytest.fixture
    def open_session(self, subject: BackendSubject, backend: Backend) -> Iterator[Callable[[], Session]]:
        """Opens the variant with one thread; what is opened is closed afterwards."""
        opened: list[Session] = []

        def open_one() -> Session:
            opened.append(backend.open(subject.variant, options_for(backend, subject.inputs)))
            return opened[-1]

        yield open_one
        for session in opened:
            with suppress(Exception):  # closing has checks of its own
                session.close()

    def test_its_facts_are_complete(self, subject: BackendSubject) -> None:
        backend = load_alone(subject.plugin).backends.get(subject.name).contribution
        assert backend.reads, f"{backend.name} reads no format"
        assert len(set(backend.reads)) == len(backend.reads), f"{backend.name} reads a format twice: {backend.reads}"
        if backend.accelerator:
            assert backend.simulate is not None, f"{backend.name} drives an accelerator and has no `simulate`"
        else:
            assert backend.kernel_family, (
                f"{backend.name} names no `kernel_family`: without one nothing can be estimated for it"
            )
        must_be_options(backend.options, backend.name)

    def test_its_environment_is_text(self, subject: BackendSubject) -> None:
        backend = load_alone(subject.plugin).backends.get(subject.name).contribution
        for threads in subject.threads:
            found = backend.environment(threads)
            wrong = {k: v for k, v in found.items() if not isinstance(k, str) or not isinstance(v, str)}
            assert not wrong, f"environment({threads}) of {backend.name} is not text: {wrong}"

    def test_preparing_twice_is_fine(self, backend: Backend) -> None:
        backend.prepare()

    def test_outputs_are_arrays_and_floats_are_float32(
        self, subject: BackendSubject, open_session: Callable[[], Session]
    ) -> None:
        import numpy as np

        outputs = outputs_for(open_session(), subject.inputs)
        assert outputs, "a session that ran has no outputs"
        for number, output in enumerate(outputs):
            assert isinstance(output, np.ndarray), f"output {number} is {type(output).__name__}, not an array"
            floating = np.issubdtype(output.dtype, np.floating)
            assert not floating or output.dtype == np.float32, f"output {number} is {output.dtype}, not float32"
            assert not floating or np.isfinite(output).all(), f"output {number} has values that are not finite"

    def test_outputs_have_the_shapes_that_the_file_declares(
        self, subject: BackendSubject, backend: Backend, open_session: Callable[[], Session]
    ) -> None:
        graph = read_variant(backend, subject)
        outputs = outputs_for(open_session(), subject.inputs)
        if graph is None:  # no plugin here reads the format: the batch is all that is known
            assert all(len(output) == 1 for output in outputs if output.ndim), "an output's batch is not 1"
            return
        declared = [graph.tensors[name].shape for name in graph.outputs]
        found = [output.shape for output in outputs]
        fits = len(declared) == len(found) and all(
            len(d) == len(f) and all(a in (-1, b) for a, b in zip(d, f, strict=True))
            for d, f in zip(declared, found, strict=True)
        )
        assert fits, f"the file declares outputs {declared}, the session gives {found}"

    def test_the_same_input_gives_the_same_output(
        self, subject: BackendSubject, open_session: Callable[[], Session]
    ) -> None:
        session = open_session()
        first = outputs_for(session, subject.inputs)
        again = outputs_for(session, subject.inputs)
        must_equal(first, again, "the same inputs bound again")
        must_equal(first, outputs_for(open_session(), subject.inputs), "the same inputs in a session opened anew")

    def test_calling_again_changes_nothing(self, subject: BackendSubject, open_session: Callable[[], Session]) -> None:
        session = open_session()
        call = session.bind(subject.inputs)
        call()
        first = copied(session)
        call()
        must_equal(first, copied(session), "a second call without binding anew")

    def test_a_different_input_gives_a_different_output(
        self, subject: BackendSubject, open_session: Callable[[], Session]
    ) -> None:
        session = open_session()
        first = outputs_for(session, subject.inputs)
        second = outputs_for(session, other_inputs(subject.inputs))
        assert not equal(first, second), (
            "other inputs give the same outputs: `bind` does not reach the runtime, or `outputs` are those of an"
            " earlier call"
        )
        must_equal(first, outputs_for(session, subject.inputs), "the first inputs bound after others")

    def test_inputs_are_left_as_they_are(self, subject: BackendSubject, open_session: Callable[[], Session]) -> None:
        given = tuple(x.copy() for x in subject.inputs)
        outputs_for(open_session(), given)
        assert equal(given, subject.inputs), "the session writes into the inputs that it was given"

    def test_a_wrong_number_of_inputs_is_refused(self, open_session: Callable[[], Session]) -> None:
        session = open_session()
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, it must not run
            session.bind(())()
        assert caught.value is not None

    def test_there_are_no_outputs_before_inputs_are_bound(self, open_session: Callable[[], Session]) -> None:
        assert not outputs_if_any(open_session()), "a session that never ran shows outputs"

    def test_nothing_is_left_after_closing(self, subject: BackendSubject, open_session: Callable[[], Session]) -> None:
        session = open_session()
        outputs_for(session, subject.inputs)
        session.close()
        assert not outputs_if_any(session), "a closed session still shows outputs"
        try:
            session.bind(subject.inputs)()
        except Exception:  # noqa: BLE001 - any refusal will do
            return
        pytest.fail("a closed session still runs")

    def test_closing_twice_is_fine(self, subject: BackendSubject, open_session: Callable[[], Session]) -> None:
        session = open_session()
        session.close()
        session.close()
        ran = open_session()
        outputs_for(ran, subject.inputs)
        ran.close()
        ran.close()

    def test_one_session_survives_the_closing_of_another(
        self, subject: BackendSubject, open_session: Callable[[], Session]
    ) -> None:
        first, second = open_session(), open_session()
        wanted = outputs_for(first, subject.inputs)
        first.close()
        must_equal(wanted, outputs_for(second, subject.inputs), "after another session was closed")

    def test_it_keeps_to_its_threads_and_prints_nothing(
        self, subject: BackendSubject, backend: Backend, place: Path
    ) -> None:
        if backend.accelerator:  # never timed on the host: its budget is nobody's business, its chatter is
            run_in_a_child(subject, backend, subject.threads[0], place)
            return
        for budget in subject.threads:
            answer = run_in_a_child(subject, backend, budget, place / str(budget))
            said = answer["threads"]
            assert said is None or 1 <= said <= budget, f"threads() says {said}, the budget was {budget}"
            worked_ns = answer["worked_ns"]
            working = [ns for ns in worked_ns if ns > WORKING_SHARE * max(worked_ns)]
            assert len(working) <= budget, (
                f"{len(working)} threads worked with a budget of {budget}: hand `SessionOptions.threads` to the"
                " runtime, or set its environment variable in `Backend.environment`"
            )

    def test_a_wrong_file_is_refused(self, subject: BackendSubject, backend: Backend, place: Path) -> None:
        wrong = [subject.wrong] if subject.wrong else []
        wrong += [garbage_like(subject.variant, place), garbage_like(subject.variant, place / "empty", size=0)]
        wrong += [place / "missing" / subject.variant.name]
        for path in wrong:
            must_refuse(backend, path, options_for(backend, subject.inputs), f"{path} ({described(path)})")

    def test_an_option_that_makes_no_sense_is_refused(self, subject: BackendSubject, backend: Backend) -> None:
        for name, kind in get_type_hints(backend.options).items():
            if kind is not str:  # the host refuses what is no member of a Literal, no number, no truth value
                continue
            options = backend.options(**{name: "no-such-value"})
            given = SessionOptions(threads=1, options=options, inputs=specs_of(subject.inputs))
            must_refuse(backend, subject.variant, given, f"{name}='no-such-value'")

    def test_the_variant_is_left_as_it_is(
        self,
        subject: BackendSubject,
        backend: Backend,
        place: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        variant = fresh(subject.variant, place / "variant")
        here = place / "here"
        here.mkdir()
        monkeypatch.chdir(here)
        before = files_in(variant.parent)
        session = backend.open(variant, options_for(backend, subject.inputs))
        outputs_for(session, subject.inputs)
        session.close()
        if backend.operators is not None:
            backend.operators(variant, options_for(backend, subject.inputs), subject.inputs, 1)
        if backend.notes is not None:
            backend.notes(variant, options_for(backend, subject.inputs))
        assert files_in(variant.parent) == before, "opening a variant changes it, or leaves files beside it"
        assert not files_in(here), f"opening a variant leaves {', '.join(files_in(here))} in the current folder"

    def test_its_operators_have_times_and_known_words(self, subject: BackendSubject, backend: Backend) -> None:
        if backend.operators is None:
            return
        found = backend.operators(subject.variant, options_for(backend, subject.inputs), subject.inputs, REPEATS)
        assert found, f"{backend.name}.operators found none"
        for operator in found:
            assert isinstance(operator, OperatorTime), f"{operator!r} is no OperatorTime"
            who = f"operator {operator.name} ({operator.kind})"
            assert isinstance(operator.ns, int), f"{who}: ns is {type(operator.ns).__name__}, not int"
            assert operator.ns >= 0, f"{who}: {operator.ns} ns"
            assert operator.kind, f"{who} has no kind"
            assert operator.does in {"compute", "quantise", "other"}, f"{who} does {operator.does!r}"
            assert operator.precision in {"int8", "fp16", "bf16", "fp32", ""}, (
                f"{who}: precision {operator.precision!r}"
            )
        assert sum(operator.ns for operator in found) > 0, "all operators together take no time"

    def test_its_notes_are_lines_and_change_nothing(
        self, subject: BackendSubject, backend: Backend, open_session: Callable[[], Session]
    ) -> None:
        if backend.notes is None:
            return
        session = open_session()
        before = outputs_for(session, subject.inputs)
        found = backend.notes(subject.variant, options_for(backend, subject.inputs))
        assert isinstance(found, (list, tuple)), f"notes of {backend.name} are {type(found).__name__}, not a sequence"
        for note in found:
            assert isinstance(note, str), f"a note of {backend.name} is {type(note).__name__}, not text"
            assert note.strip(), f"{backend.name} notes an empty line"
            assert len(note.splitlines()) == 1, f"{backend.name} notes several lines at once: {note!r}"
        must_equal(before, copied(session), "outputs of a session that was open while notes were asked for")
        must_equal(before, outputs_for(session, subject.inputs), "the same inputs after notes were asked for")

    def test_what_it_also_imports_is_imported(self, backend: Backend) -> None:
        wanted = backend.also_imports
        assert not wanted or wanted in sys.modules, (
            f"{backend.name} says that it also imports {wanted!r}, and preparing it imports no such module"
        )

    def test_what_it_simulates_is_an_interval_or_a_refusal(self, subject: BackendSubject, backend: Backend) -> None:
        if backend.simulate is None:
            return
        graph = read_variant(backend, subject)
        assert graph is not None, f"no plugin here reads {subject.variant}: `simulate` takes a graph"
        before = asdict(graph)
        found = backend.simulate(graph, subject.facts)
        must_be_simulation(found)
        assert asdict(graph) == before, "`simulate` changes the graph that it is given"
        assert backend.simulate(graph, subject.facts) == found, "`simulate` says something else the second time"
