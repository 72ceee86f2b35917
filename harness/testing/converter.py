"""Conformance of converters: the same network in another format."""

# ruff: noqa: D102 - the name of a check says what it checks

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.contributions import LIVE, Converter
from harness.errors import ArtifactError, UnsupportedError
from harness.testing.loading import load_alone, load_among
from harness.testing.plugin import PluginConformance, needed
from harness.testing.step import (
    Done,
    Step,
    context_for,
    do,
    fresh,
    must_give_a_variant,
    must_note_lines,
    must_run,
    must_touch_nothing_else,
)
from harness.testing.variant import outputs_of
from harness.testing.wrong import garbage_like

if TYPE_CHECKING:
    from typing import Any

    from harness.model import Array

TOLERANCE = 1e-3
"""Largest difference of an output, relative to the largest output: float32 rounding through a deep network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConverterSubject:
    """A converter and what it is tried on.

    Attributes:
        plugin: The module, or the path of the .py file, that contributes it.
        source, target: Its formats.
        input: A file or folder of the source format, or a live object.
        inputs: One array per model input, batch 1; not needed where a graph reader reads the source.
    """

    plugin: str
    source: str
    target: str
    input: Any
    inputs: tuple[Array, ...] = ()


_once: dict[int, tuple[ConverterSubject, Done]] = {}
"""What was done with a subject, so that several tests need not do it again: a fixture of class scope pays off."""


class ConverterConformance(PluginConformance):
    """Give a fixture `subject` that returns a `ConverterSubject`."""

    @pytest.fixture
    def converter(self, subject: ConverterSubject) -> Converter:
        """The converter."""
        found = [
            item.contribution
            for item in load_alone(subject.plugin).converters
            if (item.contribution.source, item.contribution.target) == (subject.source, subject.target)
        ]
        assert found, f"{subject.plugin} has no converter from {subject.source} to {subject.target}"
        return found[0]

    @pytest.fixture
    def step(self, subject: ConverterSubject, converter: Converter) -> Step:
        """The converter as a step; skipped where what it needs is not installed."""
        needed(converter)
        return Step(
            host=load_among(subject.plugin),
            apply=converter.convert,
            source=subject.source,
            target=subject.target,
            value=subject.input,
            inputs=subject.inputs,
        )

    @pytest.fixture
    def done(self, subject: ConverterSubject, step: Step, place: Path) -> Done:
        """What it made of the subject."""
        if id(subject) not in _once:
            _once[id(subject)] = (subject, do(step, place / "once"))
        return _once[id(subject)][1]

    def test_its_facts_make_sense(self, converter: Converter) -> None:
        assert converter.source != converter.target, f"it converts {converter.source} to itself"
        assert converter.target != LIVE, "a converter ends in a file"
        assert isinstance(converter.cost, int), f"its cost is {converter.cost!r}, not a whole number"
        assert converter.cost >= 1, f"its cost is {converter.cost}: the host takes the cheapest chain, from 1 up"

    def test_the_result_is_in_its_work_folder(self, step: Step, done: Done) -> None:
        must_give_a_variant(done, step.target, "the converter")

    def test_nothing_is_touched_but_its_work_folder(self, done: Done) -> None:
        must_touch_nothing_else(done, "the converter")

    def test_the_same_input_gives_the_same_file(self, step: Step, done: Done, place: Path) -> None:
        again = do(step, place / "again")
        assert again.content == done.content, "the same input gives a file with another content the second time"

    def test_its_notes_are_lines(self, done: Done) -> None:
        must_note_lines(done, "the converter")

    def test_the_numbers_stay_the_same(self, step: Step, converter: Converter, done: Done, place: Path) -> None:
        import numpy as np

        found = must_run(step, done, place / "run")
        if not converter.lossless:
            return
        context = replace(context_for(step, place / "before"), example=step.example())
        wanted = outputs_of(step.host, step.value, step.source, context)
        if wanted is None:  # nothing here runs the source
            return
        # a trainer tells the first output alone
        for number, (x, y) in enumerate(zip(wanted, found, strict=False)):
            assert x.shape == y.shape, f"output {number} was {x.shape} and is {y.shape}"
            error = float(np.abs(x.astype(np.float64) - y).max()) / max(float(np.abs(x).max()), 1e-12)
            assert error <= TOLERANCE, (
                f"output {number} differs by {error:.2g} of its largest value: say lossless=False, or keep the numbers"
            )

    def test_the_work_stays_the_same(self, step: Step, converter: Converter, done: Done) -> None:
        readers = step.host.graph_readers
        if step.source not in readers or step.target not in readers or not converter.lossless:
            return
        before = readers.get(step.source).contribution.read(Path(step.value))
        after = readers.get(step.target).contribution.read(Path(done.result))
        assert before.macs == after.macs, f"it had {before.macs} multiply-accumulates and has {after.macs}"

    def test_a_wrong_file_is_refused(self, step: Step, place: Path) -> None:
        if step.source == LIVE:
            return
        wrong = replace(step, value=garbage_like(Path(step.value), place / "wrong"), inputs=step.example())
        try:
            wrong.apply(fresh(wrong.value, place / "input"), context_for(wrong, place / "try"))
        except (ArtifactError, UnsupportedError):
            return
        except Exception as error:
            raise AssertionError(
                f"it answers a file that is no model with {type(error).__name__}: raise ArtifactError"
            ) from error
        pytest.fail("it converts a file that is no model")
