"""Conformance of techniques and their implementations: seeded, in their folder, on a copy, and opened by somebody."""

# ruff: noqa: D102 - the name of a check says what it checks

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest

from harness.contributions import LIVE, Implementation, Technique
from harness.errors import ArtifactError, RecipeError, UnsupportedError
from harness.model import SPLITS
from harness.options import parse_options
from harness.recipe import RecipeStep
from harness.testing.loading import load_alone, load_among
from harness.testing.plugin import PluginConformance, must_be_options, needed
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
from harness.testing.wrong import garbage_like

if TYPE_CHECKING:
    from harness.model import Array, Split

LONGEST_CHAIN = 50
"""A goal of accuracy tries `gentler` again and again: it has to come to an end."""

NEEDS = frozenset({*SPLITS, "labels", "cost"} - {"test"})

NONSENSE: Mapping[type, Any] = {int: -1, float: -1.0, str: "no-such-value", tuple[str, ...]: ["no-such-value"]}
"""By the type of an option, a value that makes sense for hardly any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TechniqueSubject:
    """An implementation of a technique and what it is tried on.

    Attributes:
        plugin: The module, or the path of the .py file, that contributes the implementation.
        name, format: The technique, and the format that it is done on.
        input: A file or folder of that format, or a live object.
        options: Options that differ from their defaults; a technique that trains had best be given few epochs.
        data: Rows for whatever it needs: they stand for every split.
        technique_plugin: Who owns the technique, where that is somebody else.
        backend: (plugin, name) of a backend that opens the result; any that is installed unless given.
        inputs: One array per model input, batch 1; the first row of `data` unless given.
        refused: Values that it must refuse, each tried alone.
    """

    plugin: str
    name: str
    format: str
    input: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    data: Split | None = None
    technique_plugin: str | None = None
    backend: tuple[str, str] | None = None
    inputs: tuple[Array, ...] = ()
    refused: Mapping[str, Any] = field(default_factory=dict)


_once: dict[int, tuple[TechniqueSubject, Done]] = {}
"""What was done with a subject, so that several tests need not do it again: a fixture of class scope pays off."""


class TechniqueConformance(PluginConformance):
    """Give a fixture `subject` that returns a `TechniqueSubject`."""

    @pytest.fixture
    def technique(self, subject: TechniqueSubject) -> Technique:
        """The technique, by its owner."""
        return load_alone(subject.technique_plugin or subject.plugin).techniques.get(subject.name).contribution

    @pytest.fixture
    def step(self, subject: TechniqueSubject, technique: Technique) -> Step:
        """The implementation with its options; skipped where what it needs is not installed."""
        return step_of(subject, technique, subject.options)

    @pytest.fixture
    def done(self, subject: TechniqueSubject, step: Step, place: Path) -> Done:
        """What it did with the subject."""
        if id(subject) not in _once:
            _once[id(subject)] = (subject, do(step, place / "once"))
        return _once[id(subject)][1]

    def test_it_stands_where_its_format_lets_it(self, subject: TechniqueSubject, technique: Technique) -> None:
        implementation = implementation_of(subject)
        produces = implementation.produces or implementation.format
        live = {"structure": (True, True), "sparsity": (True, True), "module": (True, True), "lowering": (True, False),
                "artifact": (False, False)}  # fmt: skip
        assert technique.stage in live, f"{technique.name} has the stage {technique.stage!r}, none of {', '.join(live)}"
        found = (implementation.format == LIVE, produces == LIVE)
        assert found == live[technique.stage], (
            f"{technique.name} is of stage {technique.stage!r} and goes from {implementation.format} to {produces}"
        )

    def test_what_it_needs_is_something_that_the_host_has(
        self, subject: TechniqueSubject, technique: Technique
    ) -> None:
        options = parse_options(technique.options, subject.options, technique.name)
        for given in (technique.options(), options):
            needs = technique.needs_with(given)
            assert isinstance(needs, frozenset), f"{technique.name} needs {needs!r}: give a frozenset"
            unknown = needs - NEEDS
            assert not unknown, (
                f"{technique.name} needs {', '.join(sorted(unknown))}, none of {', '.join(sorted(NEEDS))}"
            )
            bare = "labels" in needs and not needs & set(SPLITS)
            assert not bare, f"{technique.name} needs labels and names no split that has them"

    def test_its_facts_name_options_that_it_has(self, subject: TechniqueSubject, technique: Technique) -> None:
        must_be_options(technique.options, technique.name)
        known = {f.name for f in fields(technique.options)}
        for what, names in (
            ("unsupported", implementation_of(subject).unsupported),
            ("references", technique.references),
        ):
            unknown = set(names) - known
            assert not unknown, f"`{what}` of {technique.name} names {', '.join(sorted(unknown))}, no option of it"
        assert not set(subject.options) & implementation_of(subject).unsupported, (
            f"the options of this subject are not supported by {technique.name}@{subject.format}"
        )

    def test_its_default_is_a_recipe(self, technique: Technique) -> None:
        from harness.recipe import parse_recipe

        if technique.default is None:
            return
        text = f"{technique.name}({technique.default})" if technique.default else technique.name
        (found,) = parse_recipe(text).steps
        assert isinstance(found, RecipeStep)
        parse_options(technique.options, found.options, technique.name)

    def test_gentler_options_come_to_an_end(self, subject: TechniqueSubject, technique: Technique) -> None:
        options = parse_options(technique.options, subject.options, technique.name)
        for _ in range(LONGEST_CHAIN):
            weaker = technique.gentler(options)
            if weaker is None:
                return
            kind = type(weaker).__name__
            assert isinstance(weaker, technique.options), f"`gentler` of {technique.name} returned {kind}"
            assert weaker != options, f"`gentler` of {technique.name} returned the same options: {options}"
            options = weaker
        pytest.fail(f"`gentler` of {technique.name} still has a next after {LONGEST_CHAIN} tries")

    def test_the_result_is_live_or_in_its_work_folder(self, step: Step, done: Done, subject: TechniqueSubject) -> None:
        must_give_a_variant(done, step.target, subject.name)

    def test_nothing_is_touched_but_its_work_folder(self, done: Done, subject: TechniqueSubject) -> None:
        must_touch_nothing_else(done, subject.name)

    def test_it_changes_the_network(self, done: Done, subject: TechniqueSubject) -> None:
        assert done.content != done.before, f"{subject.name} changed no operator and no weight: the host fails that"

    def test_the_same_seed_gives_the_same_variant(
        self, step: Step, done: Done, subject: TechniqueSubject, place: Path
    ) -> None:
        again = do(step, place / "again")
        assert again.content == done.content, (
            f"{subject.name} makes another variant of the same input with the same seed: draw every random number from"
            " context.seed"
        )

    def test_its_notes_are_lines(self, done: Done, subject: TechniqueSubject) -> None:
        must_note_lines(done, subject.name)

    def test_a_backend_runs_the_result(self, step: Step, done: Done, subject: TechniqueSubject, place: Path) -> None:
        chosen = (load_alone(subject.backend[0]), subject.backend[1]) if subject.backend else None
        must_run(step, done, place, chosen)

    def test_values_that_make_no_sense_get_no_foreign_error(
        self, subject: TechniqueSubject, technique: Technique, place: Path
    ) -> None:
        needed(implementation_of(subject))
        for name, value in _nonsense(technique, implementation_of(subject)):
            self._try(subject, technique, {name: value}, place)

    def test_what_it_must_refuse_is_refused(self, subject: TechniqueSubject, technique: Technique, place: Path) -> None:
        implementation = implementation_of(subject)
        needed(implementation)
        for name, value in subject.refused.items():
            if name in implementation.unsupported:
                continue  # the host refuses it before it comes here
            refused = self._try(subject, technique, {name: value}, place)
            assert refused, (
                f"{subject.name} takes {name}={value!r}: raise UnsupportedError, with what is allowed as hint"
            )

    def test_a_wrong_file_is_refused(self, step: Step, subject: TechniqueSubject, place: Path) -> None:
        if step.source == LIVE:
            return
        example = step.example()
        wrong = replace(step, value=garbage_like(Path(subject.input), place / "wrong"), inputs=example)
        try:
            do_bare(wrong, place / "try")
        except (ArtifactError, UnsupportedError):
            return
        except Exception as error:
            raise AssertionError(
                f"{subject.name} answers a file that is no model with {type(error).__name__}: raise ArtifactError"
            ) from error
        pytest.fail(f"{subject.name} takes a file that is no model")

    def _try(self, subject: TechniqueSubject, technique: Technique, changed: Mapping[str, Any], folder: Path) -> bool:
        """Apply it with other options; whether it refused. Any error that is not one of the host's is a failure."""
        (name,) = changed
        try:
            step = step_of(subject, technique, {**subject.options, **changed})
            do_bare(step, folder / name)
        except (RecipeError, ArtifactError, UnsupportedError):
            return True
        except Exception as error:
            raise AssertionError(
                f"{subject.name} answers {name}={changed[name]!r} with {type(error).__name__}: {error}: raise"
                " UnsupportedError, with what is allowed as hint"
            ) from error
        return False


def implementation_of(subject: TechniqueSubject) -> Implementation:
    """The implementation that is tested."""
    found = [
        item.contribution
        for item in load_alone(subject.plugin).implementations
        if (item.contribution.technique, item.contribution.format) == (subject.name, subject.format)
    ]
    assert found, f"{subject.plugin} has no implementation of {subject.name} on {subject.format}"
    return found[0]


def step_of(subject: TechniqueSubject, technique: Technique, options: Mapping[str, Any]) -> Step:
    """The implementation as a step of a recipe, with checked options."""
    implementation = needed(implementation_of(subject))
    checked = parse_options(technique.options, options, technique.name)
    others = [subject.technique_plugin, subject.backend[0] if subject.backend else None]
    return Step(
        host=load_among(subject.plugin, *(name for name in others if name)),
        apply=lambda value, context: implementation.apply(value, checked, context),
        source=subject.format,
        target=implementation.produces or implementation.format,
        value=subject.input,
        inputs=subject.inputs,
        data=subject.data,
        needs=technique.needs_with(checked),
    )


def do_bare(step: Step, folder: Path) -> Any:
    """Do a step and look at nothing but whether it raises."""
    return step.apply(fresh(step.value, folder / "input"), context_for(step, folder))


def _nonsense(technique: Technique, implementation: Implementation) -> Iterator[tuple[str, Any]]:
    for name, kind in get_type_hints(technique.options).items():
        if kind in NONSENSE and name not in implementation.unsupported:
            yield name, NONSENSE[kind]
