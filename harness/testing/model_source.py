"""Conformance of model sources: cheap to ask, strict about references, and consistent in what they load."""

# ruff: noqa: D102 - the name of a check says what it checks

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.contributions import LIVE, ModelSource
from harness.errors import ArtifactError
from harness.model import SPLITS, Data, Model, ModelInfo, Split
from harness.testing.content import content, files_in
from harness.testing.context import build_context
from harness.testing.loading import load_alone, load_among, unguarded
from harness.testing.plugin import PluginConformance, looked_at, needed

if TYPE_CHECKING:
    from harness.model import Array, TensorSpec

ODD = ("", " ", ":", "::", "/", "..", "../../etc/passwd", "\0", "\n", "%s", "http://example.org/x", "-", "é", "𝕏",
       "\ud800", "a" * 10_000, "(", "[", "*", "name:", ":name", "C:\\model")  # fmt: skip
"""Texts that a user may give and that are no reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSubject:
    """A model source and two references.

    Attributes:
        plugin: The module, or the path of the .py file, that contributes it.
        ref: A reference that it loads; a small network, as it is loaded twice.
        wrong_ref: One that it claims and must refuse: a name that it does not have, a file that is not there.
    """

    plugin: str
    name: str
    ref: str
    wrong_ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model with what loading it left behind.

    Attributes:
        outside: Files in the current folder that loading made.
    """

    model: Model
    folder: Path
    outside: tuple[str, ...]


_once: dict[int, tuple[ModelSubject, Loaded]] = {}
"""What a subject gave, so that several tests need not load it again: a fixture of class scope pays off."""


class ModelSourceConformance(PluginConformance):
    """Give a fixture `subject` that returns a `ModelSubject`."""

    @pytest.fixture
    def source(self, subject: ModelSubject) -> ModelSource:
        """The source."""
        return load_alone(subject.plugin).models.get(subject.name).contribution

    @pytest.fixture
    def loaded(self, subject: ModelSubject, source: ModelSource, place: Path) -> Loaded:
        """The model; skipped where what the source needs is not installed."""
        needed(source)
        if id(subject) not in _once:
            _once[id(subject)] = (subject, _load(source, subject.ref, place / "once"))
        return _once[id(subject)][1]

    def test_it_claims_its_own_references_and_never_raises(self, subject: ModelSubject) -> None:
        source = unguarded(subject.plugin, "harness_models", subject.name)
        for ref in (subject.ref, subject.wrong_ref, *source.default):
            assert source.claims(ref) is True, f"{source.name} does not claim {ref!r}"
        for ref in ODD:
            try:
                found = source.claims(ref)
            except Exception as error:
                raise AssertionError(f"claims({ref[:40]!r}) raises {type(error).__name__}") from error
            assert isinstance(found, bool), f"claims({ref[:40]!r}) is {found!r}, neither True nor False"

    def test_it_lists_models_that_it_claims(self, subject: ModelSubject) -> None:
        source = unguarded(subject.plugin, "harness_models", subject.name)
        for line in source.list_models():
            assert isinstance(line, ModelInfo), f"list_models yields {line!r}, no ModelInfo"
            assert source.claims(line.ref), f"{source.name} lists {line.ref}, not its own"
            for fact in ("summary", "task", "licence"):
                assert getattr(line, fact).strip(), f"{line.ref} is listed without {fact}"
            assert line.available or line.reason, f"{line.ref} is listed as not available without a reason"

    def test_listing_and_checking_are_light(self, subject: ModelSubject) -> None:
        heavy = set(looked_at(subject.plugin, subject.ref, subject.wrong_ref)["foreign"]["list_models"])
        assert not heavy - self.light_packages, (
            f"`list_models` or `check` imports {', '.join(sorted(heavy))}: both come before anything heavy is there"
        )

    def test_it_refuses_what_it_does_not_have(self, subject: ModelSubject, source: ModelSource) -> None:
        source.check(subject.ref)
        with pytest.raises(ArtifactError) as caught:
            source.check(subject.wrong_ref)
        assert caught.value.message.strip(), f"check({subject.wrong_ref!r}) refuses without a message"

    def test_loading_what_it_does_not_have_is_refused(
        self, subject: ModelSubject, source: ModelSource, place: Path
    ) -> None:
        needed(source)
        with pytest.raises(ArtifactError):
            source.load(subject.wrong_ref, place, 0)

    def test_an_identity_stays(self, subject: ModelSubject, source: ModelSource, loaded: Loaded) -> None:
        first, second = source.identity(subject.ref), source.identity(subject.ref)
        assert first == second, f"identity({subject.ref!r}) is {first!r} and then {second!r}"
        assert first is None or (isinstance(first, str) and first), f"identity({subject.ref!r}) is {first!r}"
        assert loaded.model.sha256, "a loaded model has no sha256"

    def test_the_same_seed_gives_the_same_model(
        self, subject: ModelSubject, source: ModelSource, loaded: Loaded, place: Path
    ) -> None:
        again = _load(source, subject.ref, place / "again")
        assert again.model.sha256 == loaded.model.sha256, "the same reference and seed give another sha256"
        found, wanted = (_content(subject, each) for each in (again, loaded))
        assert found == wanted, "the same reference and seed, and an empty cache, give other weights"

    def test_loading_writes_into_the_cache_alone(self, loaded: Loaded) -> None:
        assert not loaded.outside, f"loading writes {', '.join(loaded.outside)} into the current folder"

    def test_the_payload_is_of_the_format_that_it_says(self, source: ModelSource, loaded: Loaded) -> None:
        model = loaded.model
        assert model.format == source.format, f"{source.name} loads {source.format}, the model is {model.format}"
        live = model.format == LIVE
        assert live != isinstance(model.payload, Path), f"the payload of format {model.format} is {model.payload!r}"
        assert live or model.payload.exists(), f"the payload {model.payload} is not there"
        assert model.name.strip(), "the model has no name"
        assert "\n" not in f"{model.name}{model.note}", "name or note of the model have several lines"

    def test_the_example_fits_the_inputs(self, loaded: Loaded) -> None:
        model = loaded.model
        assert model.inputs, "the model has no inputs"
        assert model.outputs, "the model has no outputs"
        for names in ([spec.name for spec in model.inputs], list(model.outputs)):
            assert len(set(names)) == len(names), f"a name is there twice: {names}"
        assert len(model.example) == len(model.inputs), "the example has not one array for each input"
        for spec, array in zip(model.inputs, model.example, strict=True):
            must_fit(spec, array, "the example")
            assert len(array) == 1, f"the example of {spec.name} has batch {len(array)}, not 1"

    def test_its_data_fits_the_inputs(self, loaded: Loaded) -> None:
        for name, split in _splits(loaded.model.data):
            must_be_rows(loaded.model, split, name)

    def test_its_splits_come_out_the_same_twice(self, loaded: Loaded) -> None:
        import numpy as np

        first, second = dict(_splits(loaded.model.data)), dict(_splits(loaded.model.data))
        for name, split in first.items():
            same = all(np.array_equal(a, b) for a, b in zip(split.inputs, second[name].inputs, strict=True))
            assert same, f"the split {name} is another the second time"

    def test_augmenting_leaves_the_rows_as_they_are(self, loaded: Loaded) -> None:
        import numpy as np

        data = loaded.model.data
        rows = (data.split("train") or data.split("test")) if data else None
        if data is None or data.augment is None or rows is None:
            return
        batch = tuple(x[:8] for x in rows.inputs)
        before = tuple(x.copy() for x in batch)
        varied = data.augment(batch, np.random.default_rng(0))
        again = data.augment(batch, np.random.default_rng(0))
        for x, y, z, kept in zip(batch, varied, again, before, strict=True):
            assert np.array_equal(x, kept), "`augment` changes the rows that it is given"
            assert (y.shape, y.dtype) == (x.shape, x.dtype), (
                f"`augment` makes {y.dtype} {y.shape} of {x.dtype} {x.shape}"
            )
            assert np.array_equal(y, z), "`augment` draws from something else than the generator that it is given"


def must_be_rows(model: Model, split: Split, name: str) -> None:
    """Assert that the rows of a split fit the model, and its labels and groups the rows."""
    assert name in SPLITS, f"there is a split {name!r}, none of {', '.join(SPLITS)}"
    assert len(split.inputs) == len(model.inputs), f"{name}: {len(split.inputs)} arrays for {len(model.inputs)} inputs"
    assert len(split), f"{name} has no rows: leave the split out"
    for spec, array in zip(model.inputs, split.inputs, strict=True):
        must_fit(spec, array, name)
        assert len(array) == len(split), f"{name}: {spec.name} has {len(array)} rows, others {len(split)}"
    for what, found in (("labels", split.labels), ("groups", split.groups)):
        if found is not None:
            assert found.shape == (len(split),), f"{name}: {what} are {found.shape}, the rows are {len(split)}"
            assert found.dtype == "int64", f"{name}: {what} are {found.dtype}, not int64"
    if split.labels is not None:
        assert split.labels.min() >= -1, f"{name}: there is a label {split.labels.min()}; -1 stands for none"


def must_fit(spec: TensorSpec, array: Array, whose: str) -> None:
    """Assert that an array is of the dtype and shape of an input, the batch aside."""
    assert array.dtype.name == spec.dtype, f"{whose}: {spec.name} is {array.dtype.name}, the input takes {spec.dtype}"
    assert array.ndim == len(spec.shape), f"{whose}: {spec.name} is {array.shape}, the input {spec.shape}"
    pairs = zip(spec.shape[1:], array.shape[1:], strict=True)
    assert all(want in (None, got) for want, got in pairs), f"{whose}: {spec.name} is {array.shape}, not {spec.shape}"


def _splits(data: Data | None) -> Iterator[tuple[str, Split]]:
    for name in data.splits if data else ():
        split = data.split(name) if data else None
        assert isinstance(split, Split), f"the split {name} loads {split!r}"
        yield name, split


def _load(source: ModelSource, ref: str, folder: Path) -> Loaded:
    here, cache = folder / "here", folder / "cache"
    here.mkdir(parents=True)
    cache.mkdir()
    place = Path(ref.partition(":")[0])
    absolute = str(place.resolve()) + ref[len(str(place)) :] if place.exists() and os.sep in ref else ref
    with chdir(here):
        model = source.load(absolute, cache, 0)
    return Loaded(model=model, folder=folder, outside=tuple(files_in(here)))


def _content(subject: ModelSubject, loaded: Loaded) -> str:
    host = load_among(subject.plugin)
    context = build_context(loaded.folder / "content", host=host, example=loaded.model.example)
    context = replace(context, inputs=loaded.model.inputs, outputs=loaded.model.outputs)
    return content(host, loaded.model.payload, loaded.model.format, context)
