"""What a plugin contributes: one small frozen dataclass per hook.

A contribution is a name, a few facts, and plain callables. The callables may import heavy frameworks; the module
that builds the contribution must not, so that `bench --help` and `bench plugins` stay light.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from harness.build_context import BuildContext, Trained, Training
    from harness.estimate.interval import Interval
    from harness.graph import OpGraph
    from harness.model import Array, Model, ModelInfo, TensorSpec
    from harness.operator_time import OperatorTime
    from harness.report.document import Report

NAME = re.compile(r"[a-z][a-z0-9-]*\Z")

LIVE = "module"
"""The one format that is a live object, and so exists inside one build process only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOptions:
    """Options of a contribution that has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Whether a contribution can work here; `reason` and `install` say why not and what brings it."""

    ok: bool
    reason: str = ""
    install: str = ""


AVAILABLE = Availability(ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Lists and loads models.

    Attributes:
        claims: Whether a reference such as `zoo:har-watch` or `net.onnx` is this source's; cheap, never raises.
        format: Format of the loaded payload: `module` or a file format.
        list_models: Lines for `bench models`; cheap.
        check: Raises ArtifactError when a reference cannot be loaded, as far as that can be told at once and without
            a framework: no such name, a file that is missing or empty. Called before a run writes anything.
        load: `(ref, cache folder, seed) -> Model`; heavy, runs in a build process.
        identity: Content identity of a reference without loading it, or None when only loading tells.
        default: References that a run without `--model` takes.
        requires: Distributions whose versions take part in cache keys.
    """

    name: str
    summary: str
    claims: Callable[[str], bool]
    format: str
    list_models: Callable[[], Iterable[ModelInfo]]
    load: Callable[[str, Path, int], Model]
    identity: Callable[[str], str | None]
    available: Callable[[], Availability] = lambda: AVAILABLE
    check: Callable[[str], None] = lambda _ref: None
    default: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


Stage = Literal["structure", "sparsity", "module", "lowering", "artifact"]
"""Where in a recipe a technique may stand. `structure` replaces layers of a live module, `sparsity` makes zeros that a
later change of structure would lose, `lowering` turns the module into a file, `artifact` turns a file into a file; each
may follow the ones before it only. `module` changes a live module and may stand anywhere before the first file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Technique:
    """One optimisation; a name has one owner, implementations may come from anybody.

    Attributes:
        options: A frozen dataclass with a default for every field; its docstring and fields are the help.
        stage: Where in a recipe it may stand.
        needs: What it cannot do without: names of splits (`train`, `validation`, `calibration`), `labels`, and `cost`
            for the estimated latency on the device that the run optimises for; or a function of its options that says.
        source: Paper or documentation of the method.
        default: Options text of the recipe that a run without `--recipe` takes, or None to leave it out.
        excludes: A word such as `precision`; two techniques with the same one do not go into one recipe.
        references: Names of options that hold the reference of another model, whose content then takes part in
            cache keys; an empty text names none.
        gentler: Options of the next weaker try when accuracy fell too far, or None when there is none.
        deviation: How far outputs may be from those of the network before it, relative to the largest: about 1e-2 for
            arithmetic in float16. 0 where the technique makes another network, which every runtime then computes alike
            up to the rounding of float32. None where accuracy alone can tell, as of integers.
    """

    name: str
    summary: str
    stage: Stage
    options: type = NoOptions
    needs: frozenset[str] | Callable[[Any], frozenset[str]] = frozenset()
    source: str = ""
    default: str | None = None
    excludes: str = ""
    references: frozenset[str] = frozenset()
    gentler: Callable[[Any], Any | None] = lambda _options: None
    deviation: float | None = 0.0

    def needs_with(self, options: Any) -> frozenset[str]:
        """What it cannot do without, given its options."""
        return self.needs if isinstance(self.needs, frozenset) else self.needs(options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """Trains, runs and counts live objects of one framework, for techniques and for the host.

    Attributes:
        train: `(module, Training, BuildContext) -> Trained`; in place, in evaluation mode afterwards, the same numbers
            for the same seed and number of threads. Rows come from `context.data`, varied by its `augment`.
        predict: `(module, inputs) -> first output of every row`, `(n, …)` arrays in and out, in evaluation mode.
        count: `(module, example) -> (parameters, multiply-accumulates)` of one inference.
    """

    name: str
    summary: str
    train: Callable[[Any, Training, BuildContext], Trained]
    predict: Callable[[Any, tuple[Array, ...]], Array]
    count: Callable[[Any, tuple[Array, ...]], tuple[int, int]]
    available: Callable[[], Availability] = lambda: AVAILABLE
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Implementation:
    """How one technique is done on one format.

    Attributes:
        apply: `(module or Path, options, context) -> module or Path`; the input is left untouched.
        produces: Format of the result, the same as `format` unless said.
        unsupported: Option names that this implementation refuses when they differ from their default.
        requires: Distributions whose versions take part in cache keys.
    """

    technique: str
    format: str
    apply: Callable[[Any, Any, BuildContext], Any]
    produces: str = ""
    unsupported: frozenset[str] = frozenset()
    available: Callable[[], Availability] = lambda: AVAILABLE
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Converter:
    """Turns one format into another.

    Attributes:
        convert: `(module or Path, context) -> Path`.
        cost: Relative cost; the host takes the cheapest faithful chain.
        lossless: Whether the numbers stay the same up to rounding.
    """

    source: str
    target: str
    convert: Callable[[Any, BuildContext], Path]
    cost: int = 1
    lossless: bool = True
    available: Callable[[], Availability] = lambda: AVAILABLE
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How to open a variant: the thread budget, and the backend's own options dataclass."""

    threads: int
    options: Any
    inputs: tuple[TensorSpec, ...]


class Session(Protocol):
    """A variant opened by a backend, in a child process. The host times it; the session never does."""

    def bind(self, inputs: tuple[Array, ...]) -> Callable[[], object]:
        """Bind inputs (batch 1, in the model's order) and return the call that runs one inference, nothing else."""

    def outputs(self) -> tuple[Array, ...]:
        """Outputs of the last call, as float32 where the model's output is a float."""

    def threads(self) -> int | None:
        """Threads that the runtime says it uses, or None when it cannot be read back."""

    def close(self) -> None:
        """Release everything; closing twice is fine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why an accelerator's compiler does not take an operator: a code of the plugin's closed list."""

    code: str
    operator: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What a backend for an accelerator that is not here says of a graph.

    Attributes:
        latency_ms: Interval of the simulated latency, or None when the graph was rejected.
        energy_mj: Interval of the simulated energy of the accelerator, or None when no power is known.
        basis: Method and source in a line.
        rejections: Why the graph does not map; empty when it does.
        table: Compiler-like rows `(operator kind, count, status)`.
    """

    latency_ms: Interval | None
    energy_mj: Interval | None
    basis: str
    rejections: tuple[Rejection, ...] = ()
    table: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A runtime that opens variants.

    Attributes:
        reads: Formats in order of preference.
        prepare: Imports the runtime; what the process holds afterwards is the memory baseline.
        open: `(variant file, SessionOptions) -> Session`; raises ArtifactError or UnsupportedError.
        kernel_family: Instruction set (`aarch64`, `x86_64`, …) to the kernel library that does the work there.
        options: A frozen dataclass with a default for every field.
        accelerator: Kind of accelerator that a profile must have; such a backend is never timed on the host.
        simulate: `(OpGraph, the accelerator's facts) -> Simulation`; for backends with an accelerator.
        fit: `((OpGraph, published latency in ms), …) -> facts for simulate`; lets the host hold families of models out
            and check what a simulation says of them. None when there is nothing to fit.
        operators: `(variant file, SessionOptions, inputs of batch 1, repeats) -> OperatorTime of each operator that was
            executed`, by the runtime's own profiler, never while anything is timed. None when it has none.
        notes: `(variant file, SessionOptions) -> lines` on what the runtime makes of a file and what a reader must know
            of its figures: operators that a delegate took or left, start-up that is not comparable. Asked after
            everything was timed. None when it has nothing to say.
        reference: Whether it runs a network in the framework that it was written in: outputs of other backends are
            compared with its own.
        also_imports: Name of a module that preparing imports besides the runtime and that a device does without, such
            as a whole framework: memory and start-up of the process are its own too, and the report says so. "" for
            none.
        most_threads: Threads that the runtime computes on at most, whatever the budget: estimates assume no more. 0
            where it takes what it is given.
        environment: Environment variables for the child, by thread count.
        requires: Distributions whose versions take part in cache keys and stand in the record.
    """

    name: str
    summary: str
    reads: tuple[str, ...]
    prepare: Callable[[], None]
    open: Callable[[Path, SessionOptions], Session]
    kernel_family: Mapping[str, str] = field(default_factory=dict)
    options: type = NoOptions
    available: Callable[[], Availability] = lambda: AVAILABLE
    accelerator: str = ""
    simulate: Callable[[OpGraph, Mapping[str, Any]], Simulation] | None = None
    fit: Callable[[Sequence[tuple[OpGraph, float]]], Mapping[str, float]] | None = None
    operators: Callable[[Path, SessionOptions, tuple[Array, ...], int], Sequence[OperatorTime]] | None = None
    notes: Callable[[Path, SessionOptions], Sequence[str]] | None = None
    reference: bool = False
    also_imports: str = ""
    most_threads: int = 0
    environment: Callable[[int], Mapping[str, str]] = lambda _threads: {}
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphReader:
    """Reads a file of one format.

    Attributes:
        read: Path to `OpGraph`; raises ArtifactError.
        content_sha256: Hash of canonical content (graph and tensors), not of container bytes.
        suffixes: How the names of such files end, lower case with the dot, for files that a user names.
    """

    format: str
    read: Callable[[Path], OpGraph]
    content_sha256: Callable[[Path], str]
    requires: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphWriter:
    """Writes a file of one format from a graph, the counterpart of a `GraphReader`; weights are random.

    Attributes:
        write: `(OpGraph, path, seed)`; reading the file gives the same kinds of operators, shapes, multiply-accumulates
            and precisions. Raises UnsupportedError for a graph that shapes and kinds alone do not describe.
    """

    format: str
    write: Callable[[OpGraph, Path, int], None]
    available: Callable[[], Availability] = lambda: AVAILABLE
    requires: tuple[str, ...] = ()


class Counter(Protocol):
    """An opened meter. One that can only sample power does so while it is open, and no longer."""

    def read_uj(self) -> int:
        """Microjoules since it was opened; never falls: mending a counter that starts again is the plugin's work."""

    def close(self) -> None:
        """Stop sampling and release everything; closing twice is fine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A real energy source on this machine.

    Attributes:
        open: Starts a counter. The host opens one after timing is over, never while it times.
        scope: What the counter covers and what it misses, such as `processor packages; neither memory nor the board`.
    """

    name: str
    summary: str
    available: Callable[[], Availability]
    open: Callable[[], Counter]
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFormat:
    """Writes a report: `render(Report) -> text`, saved as `report<suffix>`.

    A format of several files gives a mapping from the end of each file's name to its text instead, such as
    `{".md": text, "-pareto-1.svg": picture}`, saved as `report.md` and `report-pareto-1.svg`.
    """

    name: str
    suffix: str
    render: Callable[[Report], str | Mapping[str, str]]
