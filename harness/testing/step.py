"""Does one step of a recipe, a technique or a converter, as a build does it, and notes what it touched."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contributions import LIVE
from harness.errors import HarnessError
from harness.model import Data
from harness.testing.content import content, files_in
from harness.testing.context import build_context, with_cost
from harness.testing.variant import run_file, way_to_a_backend

if TYPE_CHECKING:
    from harness.build_context import BuildContext
    from harness.contributions import Backend, Converter
    from harness.graph import OpGraph
    from harness.host import Host
    from harness.model import Array, Split

DTYPES = {"fp32": "float32", "fp16": "float16", "fp64": "float64", "int8": "int8", "uint8": "uint8", "int16": "int16",
          "int32": "int32", "int64": "int64", "bool": "bool"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step and what it works on.

    Attributes:
        apply: `(file or live object, context) -> file or live object`.
        source, target: Formats before and after.
        value: A file, folder or live object; every run works on a copy.
        needs: What it says that it cannot do without; of the data it gets no more than that.
    """

    host: Host
    apply: Callable[[Any, BuildContext], Any]
    source: str
    target: str
    value: Any
    inputs: tuple[Array, ...] = ()
    data: Split | None = None
    needs: frozenset[str] = frozenset()

    def example(self) -> tuple[Array, ...]:
        """One array per input, batch 1: those given, the first row of the data, or noise as the file's graph asks."""
        if self.inputs:
            return self.inputs
        if self.data is not None:
            return tuple(x[:1] for x in self.data.inputs)
        known = self.source != LIVE and self.source in self.host.graph_readers
        assert known, "nothing says what the inputs look like: give `inputs`, one array each, batch 1"
        return noise_for(self.host.graph_readers.get(self.source).contribution.read(Path(self.value)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a step did.

    Attributes:
        notes: What it had to say, whether text or not.
        outside: Files outside of its work folder that are new, changed or gone.
        before, after: Content of its input before and after.
        content: Content of its result, "" where it has none.
    """

    result: Any
    context: BuildContext
    notes: tuple[Any, ...]
    outside: tuple[str, ...]
    before: str
    after: str
    content: str


def do(step: Step, folder: Path, *, seed: int = 0) -> Done:
    """Do a step on a copy of its input, in a folder of its own, with that folder's `here` as the current one."""
    notes: list[Any] = []
    context = replace(context_for(step, folder, notes.append), seed=seed)
    value = fresh(step.value, folder / "input")
    scratch = _scratch(step, folder, seed)
    before = content(step.host, value, step.source, scratch)
    (folder / "here").mkdir()
    watched = [folder / name for name in ("input", "here", "cache")]
    files = [files_in(place) for place in watched]
    with chdir(folder / "here"), _temporary(folder / "temporary"):
        result = step.apply(value, context)
    outside = [
        f"{place.name}/{name}"
        for place, known in zip(watched, files, strict=True)
        for name in known.keys() ^ files_in(place).keys()
        | {n for n, h in files_in(place).items() if known.get(n, h) != h}
    ]
    return Done(
        result=result,
        context=context,
        notes=tuple(notes),
        outside=tuple(sorted(outside)),
        before=before,
        after=content(step.host, value, step.source, scratch),
        content=_content(step, result, scratch),
    )


def context_for(step: Step, folder: Path, note: Callable[[str], None] | None = None) -> BuildContext:
    """What the step is given: of the data what it says it needs, the cost if it says so, and the untouched original."""
    context = build_context(
        folder, host=step.host, example=step.example(), data=_declared(step), note=note, fmt=step.target
    )
    original = copy.deepcopy(step.value) if step.source == LIVE else None
    context = replace(context, original=original)
    return with_cost(context) if "cost" in step.needs else context


def must_give_a_variant(done: Done, target: str, who: str) -> None:
    """Assert that the result is a live object, or a file in the work folder."""
    assert done.result is not None, f"{who} returned None"
    if target == LIVE:
        assert not isinstance(done.result, Path), f"{who} returned a path; format `{LIVE}` is a live object"
        return
    assert isinstance(done.result, Path), f"{who} returned {type(done.result).__name__}, not a Path"
    inside = done.context.workdir.resolve() in done.result.resolve().parents
    assert inside, f"{who} returned {done.result}, which is not in context.workdir"
    assert done.result.exists(), f"{who} returned {done.result}, which is not there"


def must_touch_nothing_else(done: Done, who: str) -> None:
    """Assert that the input is as it was and that nothing was written outside of the work folder."""
    assert done.before == done.after, f"{who} changes its input: work on a copy"
    assert not done.outside, f"{who} writes outside of context.workdir: {', '.join(done.outside)}"


def must_note_lines(done: Done, who: str) -> None:
    """Assert that notes are lines of text."""
    for note in done.notes:
        assert isinstance(note, str), f"{who} notes {note!r}, which is no text"
        assert note.strip(), f"{who} notes an empty line"
        assert "\n" not in note.strip(), f"{who} notes several lines at once: {note!r}"


def must_run(step: Step, done: Done, folder: Path, chosen: tuple[Host, str] | None = None) -> tuple[Array, ...]:
    """Assert that a backend opens the result, by way of converters where needed, and that outputs are finite.

    Args:
        chosen: A host and the name of the backend there that has to do it.

    Returns:
        The outputs for the step's example.
    """
    import numpy as np

    way = _chosen_way(step, chosen) if chosen else way_to_a_backend(step.host, step.target)
    assert way is not None, f"no backend here reads {step.target}, nor what it can be converted to: give `backend`"
    backend, converters = way
    path = convert_along(step, done.result, converters, folder)
    outputs = run_file(backend, path, step.example())
    assert outputs, f"the result has no outputs in {backend.name}"
    for output in outputs:
        finite = not np.issubdtype(output.dtype, np.floating) or bool(np.isfinite(output).all())
        assert finite, f"the result gives numbers in {backend.name} that are not finite"
    return outputs


def convert_along(step: Step, value: Any, converters: Sequence[Converter], folder: Path) -> Path:
    """Take a file or live object through converters."""
    for number, converter in enumerate(converters):
        place = folder / f"{number}-{converter.target}"
        value = converter.convert(value, build_context(place, host=step.host, example=step.example()))
    return Path(value)


def fresh(value: Any, folder: Path) -> Any:
    """A copy of a live object, or of a file with those of the same stem beside it, or of a folder."""
    folder.mkdir(parents=True)
    if not isinstance(value, Path):
        return copy.deepcopy(value)
    if value.is_dir():
        return Path(shutil.copytree(value, folder / value.name))
    for beside in value.parent.glob(f"{value.stem}.*"):
        shutil.copy2(beside, folder)
    return folder / value.name


def noise_for(graph: OpGraph) -> tuple[Array, ...]:
    """Standard normal numbers, or zeros and ones, for each input of a graph; symbolic dimensions are 1."""
    import numpy as np

    draw = np.random.default_rng(0)
    found = []
    for tensor in (graph.tensors[name] for name in graph.inputs):
        shape, dtype = tuple(max(1, d) for d in tensor.shape), DTYPES[tensor.precision]
        whole = np.dtype(dtype).kind != "f"
        found.append((draw.integers(0, 2, shape) if whole else draw.standard_normal(shape)).astype(dtype))
    return tuple(found)


def _chosen_way(step: Step, chosen: tuple[Host, str]) -> tuple[Backend, tuple[Converter, ...]]:
    from harness.recipe import Recipe
    from harness.route import NoRoute, find_route

    host, name = chosen
    backend = host.backends.get(name).contribution
    route = find_route(step.host, step.target, Recipe(), backend.reads)
    assert not isinstance(route, NoRoute), f"{name} cannot open {step.target}: {route.detail}"
    by_name = {(c.name, c.plugin): c.contribution for c in step.host.converters}
    return backend, tuple(by_name[each.name, each.plugin] for each in route)


def _scratch(step: Step, folder: Path, seed: int) -> BuildContext:
    """A context for telling what the content of a live object is."""
    return replace(build_context(folder / "content", host=step.host, example=step.example()), seed=seed)


def _declared(step: Step) -> Data | None:
    """Rows for the splits that the step says it needs, with labels where it says so; to look at `test` is an error."""
    if step.data is None:
        return None
    rows = step.data if "labels" in step.needs else replace(step.data, labels=None)
    splits: dict[str, Callable[[], Split]] = {
        name: lambda: rows for name in ("train", "validation", "calibration") if name in step.needs
    }
    return Data(name="sample", sha256="sample", metric="top1", splits={**splits, "test": _forbidden})


def _forbidden() -> Split:
    raise AssertionError("the test split judges the finished variant: nothing may look at it before")


def _content(step: Step, result: Any, scratch: BuildContext) -> str:
    """Content of a result, "" where there is none or it cannot be read: checks of their own say so."""
    there = result is not None if step.target == LIVE else isinstance(result, Path) and result.exists()
    try:
        return content(step.host, result, step.target, scratch) if there else ""
    except HarnessError:
        return ""


@contextmanager
def _temporary(folder: Path) -> Iterator[None]:
    """Temporary files go to a folder that nobody looks at."""
    folder.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
