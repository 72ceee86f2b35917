"""What a technique or converter is given, and how it asks for training: everything goes through the host.

A technique brings its method; the host brings the task's data, a trainer of the live object's framework, the
untouched model, other models by reference, and what a graph would cost on the device that the run optimises for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UnsupportedError

if TYPE_CHECKING:
    from harness.graph import OpGraph
    from harness.model import Array, Data, Model, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How right a live object or a file is on the validation split, whose rows neither train nor test.

    Attributes:
        value: Share of the labelled rows whose arg-max of the first output is the label, 0 to 1.
        n: How many rows that is.
    """

    value: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a live object is to be trained.

    Attributes:
        epochs: Passes over the training rows, a fraction is fine; 0 trains nothing.
        learning_rate: The highest; it rises over the first tenth of the steps and falls to 0 by half a cosine.
        loss: `(module, inputs, labels) -> loss` in the framework's tensors, labels -1 where a row has none; it calls
            the module itself. None for the task's own: cross-entropy of the first output over rows with a label.
        also: Further live objects that are trained along and thrown away, such as adapters between feature maps.
        before_step: Called with (step, steps) before each step, from 0: where a schedule changes weights or states.
        keep_zeros: Whether weights of two or more dimensions that are exactly zero stay zero, so that pruning done
            earlier survives. A tensor that is zero throughout was not pruned and is left free. What `before_step`
            sets to zero stays so too.
        keep_best: Whether the weights of the epoch with the best validation accuracy are kept, instead of the last.
    """

    epochs: float
    learning_rate: float
    loss: Callable[[Any, Any, Any], Any] | None = None
    also: tuple[Any, ...] = ()
    before_step: Callable[[int, int], None] | None = None
    keep_zeros: bool = True
    keep_best: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What training did.

    Attributes:
        steps: Steps of the optimiser.
        rows: Rows of the training split.
        first_loss, last_loss: Mean loss of the first and the last tenth of the steps; NaN when nothing was trained.
        best_epoch: Epoch whose weights were kept, from 1, or 0 for the last.
    """

    steps: int
    rows: int
    first_loss: float
    last_loss: float
    best_epoch: int = 0

    def __str__(self) -> str:
        kept = f", weights of epoch {self.best_epoch} kept" if self.best_epoch else ""
        loss = f"loss {self.first_loss:.3g} → {self.last_loss:.3g}" if self.steps else "nothing trained"
        return f"{self.steps} steps over {self.rows} training rows, {loss}{kept}"


def _no_training(_module: Any, _training: Training) -> Trained:
    raise UnsupportedError(
        "nothing here can train a live model", hint="Install a framework with a trainer: pip install 'edge-bench[all]'"
    )


def _no_score(_module: Any) -> Score | None:
    return None


def _no_count(_module: Any) -> tuple[int, int]:
    raise UnsupportedError("nothing here can count a live model", hint="See what is there with: bench plugins")


def _no_graph(_module: Any) -> OpGraph:
    raise UnsupportedError("no plugin reads the graph of a live model", hint="See what is there with: bench plugins")


def _no_model(ref: str) -> Model:
    raise UnsupportedError(f"no plugin loads the model {ref}", hint="See what is there with: bench models")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """What the host gives to a technique or converter.

    Attributes:
        workdir: An empty folder; the only place where a plugin may write.
        seed: Seeds every source of randomness.
        threads: How many CPU threads to use.
        data: The task's data, or None.
        example: One array per model input, batch 1.
        inputs: Specs of the model's inputs.
        outputs: Names of the model's outputs.
        note: Adds a line to the lineage of the variant (a fallback, a layer left in float, an accuracy).
        cost: Estimated latency in ms of a graph on the device that the run optimises for; None unless the technique
            says that it needs `cost`.
        original: The live model as it was loaded, never to be changed; None for a model that came as a file.
        train: `(module, Training) -> Trained`; trains in place, seeded, and leaves the module in evaluation mode.
            Needs the training split. Raises UnsupportedError when there is nothing to train with.
        score: Accuracy of a live module or of a file of this step's format on the validation split, or None when
            there are no labelled validation rows.
        count: Parameters and multiply-accumulates of one inference of a live module, quickly.
        graph: Graph of a live module, by way of a file: takes seconds.
        load: Loads another model by its reference; the technique names such options in `Technique.references`.
    """

    workdir: Path
    seed: int
    threads: int
    data: Data | None
    example: tuple[Array, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[str, ...]
    note: Callable[[str], None]
    cost: Callable[[OpGraph], float] | None = None
    original: Any = None
    train: Callable[[Any, Training], Trained] = _no_training
    score: Callable[[Any], Score | None] = _no_score
    count: Callable[[Any], tuple[int, int]] = _no_count
    graph: Callable[[Any], OpGraph] = _no_graph
    load: Callable[[str], Model] = _no_model
