"""A plugin of fakes: everything that a plugin can contribute, small and right, for a network of one linear layer.

It is a plugin as an author writes it: `load_host(sources=["harness.testing.fakes"])`. Tests plant a defect by yielding
one of its contributions with something replaced. Its formats are `linear` (arrays) and `linear-text`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness import (
    ArtifactError,
    Availability,
    Backend,
    BuildContext,
    Converter,
    Data,
    GraphReader,
    GraphWriter,
    Implementation,
    Meter,
    Model,
    ModelInfo,
    ModelSource,
    Operator,
    OperatorTime,
    OpGraph,
    ReportFormat,
    Session,
    SessionOptions,
    Split,
    Technique,
    Tensor,
    TensorSpec,
    Trained,
    Trainer,
    Training,
    UnsupportedError,
    hookimpl,
)
from harness.testing import fake_network

if TYPE_CHECKING:
    from harness.model import Array
    from harness.report.document import Report
    from harness.testing.fake_network import Network

HARNESS_API = 1

REF = "fake:linear"
WATTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundOptions:
    """Options of `fake-round`.

    Attributes:
        decimals: Digits kept behind the point, 0 or more.
    """

    decimals: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of the backend.

    Attributes:
        order: In which order memory is laid out: rows or columns.
        mode: A word that decides nothing: plain or loud.
    """

    order: Literal["rows", "columns"] = "rows"
    mode: str = "plain"


class FakeClock:
    """Time that passes when it is told to; call it for nanoseconds."""

    def __init__(self) -> None:
        """Start at 0."""
        self.ns = 0

    def __call__(self) -> int:
        """Nanoseconds since the start."""
        return self.ns

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.ns += round(seconds * 1e9)


class FakeCounter:
    """Five watts, by a clock."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """Start counting."""
        self._clock, self._opened_ns = clock, clock()

    def read_uj(self) -> int:
        """Microjoules since it was opened."""
        return WATTS * (self._clock() - self._opened_ns) // 1000

    def close(self) -> None:
        """Nothing is held."""


@hookimpl
def harness_models() -> Iterable[ModelSource]:
    """Yield the linear network with rows of data."""
    yield ModelSource(
        name="fake",
        summary="a linear classifier of random rows",
        claims=lambda ref: ref.startswith("fake:"),
        format="linear",
        list_models=lambda: [ModelInfo(ref=REF, summary="one layer", task="top1", licence="Apache-2.0")],
        check=check,
        load=load,
        identity=lambda ref: f"{ref} 1",
    )


@hookimpl
def harness_techniques() -> Iterable[Technique]:
    """Yield one that changes a file and one that trains a live network."""
    yield Technique(
        name="fake-round", summary="rounds the weights", stage="artifact", options=RoundOptions, default="decimals=1"
    )
    yield Technique(name="fake-tune", summary="trains on", stage="module", needs=frozenset({"train", "labels"}))


@hookimpl
def harness_implementations() -> Iterable[Implementation]:
    """Yield one implementation of each."""
    yield Implementation(technique="fake-round", format="linear", apply=round_weights)
    yield Implementation(technique="fake-tune", format="module", apply=tune)


@hookimpl
def harness_trainers() -> Iterable[Trainer]:
    """Yield gradient descent."""
    yield Trainer(
        name="fake", summary="gradient descent on softmax cross-entropy", train=train, predict=predict, count=count
    )


@hookimpl
def harness_converters() -> Iterable[Converter]:
    """Yield the ways to files."""
    yield Converter(source="module", target="linear", convert=to_linear)
    yield Converter(source="linear", target="linear-text", convert=to_text)


@hookimpl
def harness_graph_readers() -> Iterable[GraphReader]:
    """Yield a reader for each format."""
    for fmt, suffix in (("linear", ".npz"), ("linear-text", ".json")):
        yield GraphReader(
            format=fmt, read=read_graph, content_sha256=fake_network.content_sha256, suffixes=(f".linear{suffix}",)
        )


@hookimpl
def harness_graph_writers() -> Iterable[GraphWriter]:
    """Yield a writer of the arrays."""
    yield GraphWriter(format="linear", write=write_graph)


@hookimpl
def harness_backends() -> Iterable[Backend]:
    """Yield a matrix product."""
    yield Backend(
        name="fake-product",
        summary="a matrix product",
        reads=("linear", "linear-text"),
        prepare=_prepare,
        open=open_session,
        operators=operators,
        notes=notes,
        options=RunOptions,
        kernel_family={"aarch64": "fake", "x86_64": "fake"},
        available=lambda: Availability(ok=True),
    )


@hookimpl
def harness_meters() -> Iterable[Meter]:
    """Yield a machine that draws five watts, whatever it does."""
    yield Meter(
        name="fake-watts",
        summary="five watts, always",
        available=lambda: Availability(ok=True),
        open=FakeCounter,
        scope="a machine that draws five watts",
    )


@hookimpl
def harness_report_formats() -> Iterable[ReportFormat]:
    """Yield a list of lines."""
    yield ReportFormat(name="fake-lines", suffix=".fake.txt", render=render)


def check(ref: str) -> None:
    """Raise ArtifactError for any other network."""
    if ref != REF:
        raise ArtifactError(f"there is no network {ref!r}.", hint=f"There is {REF}.")


def load(ref: str, cache: Path, seed: int) -> Model:
    """Write the network into the cache and hand it out with rows for every split."""
    check(ref)
    x, labels = fake_network.make_rows()
    rows = Split(inputs=(x,), labels=labels)
    path = fake_network.save(fake_network.make_network(seed), cache / "linear.npz")
    return Model(
        name="linear",
        format="linear",
        payload=path,
        inputs=(TensorSpec(name="x", shape=(None, x.shape[1]), dtype="float32"),),
        outputs=("y",),
        example=(x[:1],),
        data=Data(
            name="random rows",
            sha256="1",
            metric="top1",
            splits={name: lambda: rows for name in ("train", "validation", "calibration", "test")},
        ),
        sha256=fake_network.content_sha256(path),
    )


def round_weights(path: Path, options: RoundOptions, context: BuildContext) -> Path:
    """Round the weights of a file."""
    if options.decimals < 0:
        raise UnsupportedError(f"decimals={options.decimals}: must be 0 or more", hint="The default is 1.")
    network = fake_network.load(path)
    network.weight = network.weight.round(options.decimals)
    context.note(f"kept {options.decimals} decimals")
    return fake_network.save(network, context.workdir / "rounded.npz")


def tune(module: Network, options: object, context: BuildContext) -> Network:  # noqa: ARG001 - it has none
    """Train a copy for two epochs."""
    tuned = fake_network.Network(weight=module.weight.copy(), bias=module.bias.copy())
    context.note(str(context.train(tuned, Training(epochs=2.0, learning_rate=0.1))))
    return tuned


def train(module: Network, training: Training, context: BuildContext) -> Trained:
    """Full-batch gradient descent in place, one step an epoch."""
    import numpy as np

    rows = context.data.split("train") if context.data else None
    if rows is None or rows.labels is None:
        raise UnsupportedError("there are no labelled rows to train with.", hint="Give data with a split `train`.")
    x, wanted = rows.inputs[0], np.eye(len(module.bias), dtype=np.float32)[rows.labels]
    losses = []
    steps = round(training.epochs)
    for step in range(steps):
        if training.before_step is not None:
            training.before_step(step, steps)
        scores = module(x)
        share = np.exp(scores - scores.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        losses.append(float(-np.log((share * wanted).sum(axis=1)).mean()))
        gradient = (share - wanted) / len(x)
        module.weight -= np.float32(training.learning_rate) * (gradient.T @ x)
        module.bias -= np.float32(training.learning_rate) * gradient.sum(axis=0)
    module.training = False
    first, last = (losses[0], losses[-1]) if losses else (float("nan"), float("nan"))
    return Trained(steps=steps, rows=len(x), first_loss=first, last_loss=last)


def predict(module: Network, inputs: tuple[Array, ...]) -> Array:
    """Scores of every row."""
    return module(inputs[0])


def count(module: Network, example: tuple[Array, ...]) -> tuple[int, int]:  # noqa: ARG001 - the layer says it all
    """Weights and biases, and a multiply-accumulate for each weight."""
    return int(module.weight.size + module.bias.size), int(module.weight.size)


def to_linear(module: Network, context: BuildContext) -> Path:
    """Save a live network."""
    return fake_network.save(module, context.workdir / "linear.npz")


def to_text(path: Path, context: BuildContext) -> Path:
    """Write the arrays as text, all digits kept."""
    return fake_network.save(fake_network.load(path), context.workdir / "linear.json")


def read_graph(path: Path) -> OpGraph:
    """One fully connected operator."""
    network = fake_network.load(path)
    classes, features = (int(d) for d in network.weight.shape)
    tensors = (
        Tensor(name="x", shape=(1, features), precision="fp32"),
        Tensor(name="weight", shape=(classes, features), precision="fp32", constant=True),
        Tensor(name="bias", shape=(classes,), precision="fp32", constant=True),
        Tensor(name="y", shape=(1, classes), precision="fp32"),
    )
    product = Operator(
        name="product",
        kind="fully_connected",
        inputs=("x", "weight", "bias"),
        outputs=("y",),
        precision="fp32",
        macs=classes * features,
    )
    return OpGraph(
        name="linear",
        inputs=("x",),
        outputs=("y",),
        tensors={t.name: t for t in tensors},
        operators=(product,),
        parameters=classes * (features + 1),
    )


def write_graph(graph: OpGraph, path: Path, seed: int) -> None:
    """Write a graph of one linear layer."""
    import numpy as np

    if [op.kind for op in graph.operators] != ["fully_connected"]:
        raise UnsupportedError("only a graph of one linear layer can be written.")
    shape = graph.weights_of(graph.operators[0])[0].shape
    weight = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    fake_network.save(fake_network.Network(weight=weight, bias=np.zeros(shape[0], np.float32)), path)


def open_session(path: Path, options: SessionOptions) -> Session:
    """Open a file of either format."""
    if options.options.mode not in {"plain", "loud"}:
        raise UnsupportedError(f"mode={options.options.mode!r} is not known", hint="Take plain or loud.")
    return fake_network.LinearSession(fake_network.load(path))


def operators(path: Path, options: SessionOptions, inputs: tuple[Array, ...], repeats: int) -> tuple[OperatorTime, ...]:
    """The one product, timed."""
    session = open_session(path, options)
    call = session.bind(inputs)
    started = time.perf_counter_ns()
    for _ in range(repeats):
        call()
    taken_ns = max(1, (time.perf_counter_ns() - started) // repeats)
    session.close()
    return (OperatorTime(name="product", kind="Product", does="compute", precision="fp32", ns=taken_ns),)


def notes(path: Path, options: SessionOptions) -> tuple[str, ...]:  # noqa: ARG001 - the same for any options
    """What becomes of the one product."""
    classes, features = fake_network.load(path).weight.shape
    return (f"one product of {classes} by {features} numbers takes all operators",)


def render(report: Report) -> str:
    """A line for each row and each cell that is missing, control characters written out."""
    lines = [f"run {report.run}"]
    for section in report.sections:
        lines.append(f"{section.model} on {section.profile}")
        lines += [f"  {row.recipe} in {row.backend}: {row.kind}" for row in section.rows]
        lines += [f"  {cell.recipe}: {group.outcome}" for group in section.missing for cell in group.cells]
    return "\n".join("".join(c if c.isprintable() else repr(c)[1:-1] for c in line) for line in lines) + "\n"


def _prepare() -> None:
    import numpy as np

    np.zeros(1)
