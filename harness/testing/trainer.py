"""Conformance of trainers: seeded, in place, in evaluation mode afterwards, and right about what they count."""

# ruff: noqa: D102 - the name of a check says what it checks

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.build_context import BuildContext, Trained, Training
from harness.contributions import LIVE, Trainer
from harness.errors import UnsupportedError
from harness.model import Split
from harness.testing.content import content
from harness.testing.context import build_context
from harness.testing.loading import load_alone, load_among
from harness.testing.plugin import PluginConformance, needed

if TYPE_CHECKING:
    from harness.host import Host
    from harness.model import Array

EPOCHS = 2.0
LEARNING_RATE = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerSubject:
    """A trainer and a network of its framework.

    Attributes:
        plugin: The module, or the path of the .py file, that contributes it.
        module: A live object, a classifier; every test works on a copy.
        inputs: One array per input, 16 rows or more.
    """

    plugin: str
    name: str
    module: Any
    inputs: tuple[Array, ...]


class TrainerConformance(PluginConformance):
    """Give a fixture `subject` that returns a `TrainerSubject`."""

    @pytest.fixture
    def trainer(self, subject: TrainerSubject) -> Trainer:
        """The trainer; a test that asks for it is skipped where its framework is not installed."""
        trainer: Trainer = needed(load_alone(subject.plugin).trainers.get(subject.name).contribution)
        return trainer

    @pytest.fixture
    def host(self, subject: TrainerSubject) -> Host:
        """The trainer's plugin among all that are installed: a converter of theirs may save the live object."""
        return load_among(subject.plugin)

    @pytest.fixture
    def context(self, subject: TrainerSubject, trainer: Trainer, host: Host, place: Path) -> BuildContext:
        """Rows with a label each, by the network's own number of classes."""
        import numpy as np

        outputs = trainer.predict(copy.deepcopy(subject.module), subject.inputs)
        classes = outputs.reshape(len(outputs), -1).shape[1]
        rows = Split(inputs=subject.inputs, labels=np.arange(len(outputs), dtype=np.int64) % classes)
        return build_context(place / "context", host=host, data=rows)

    def test_the_same_seed_gives_the_same_weights(
        self, subject: TrainerSubject, trainer: Trainer, context: BuildContext, host: Host
    ) -> None:
        found = [self._trained(subject, trainer, context, host, seed) for seed in (0, 0)]
        assert found[0] == found[1], "two trainings with the same seed end in different weights"

    def test_training_changes_the_weights(
        self, subject: TrainerSubject, trainer: Trainer, context: BuildContext, host: Host
    ) -> None:
        before = content(host, copy.deepcopy(subject.module), LIVE, context)
        assert self._trained(subject, trainer, context, host, 0) != before, "training changed no weight"

    def test_training_tells_what_it_did(self, subject: TrainerSubject, trainer: Trainer, context: BuildContext) -> None:
        steps: list[tuple[int, int]] = []
        training = Training(
            epochs=EPOCHS, learning_rate=LEARNING_RATE, before_step=lambda step, of: steps.append((step, of))
        )
        trained = trainer.train(copy.deepcopy(subject.module), training, context)
        assert isinstance(trained, Trained), f"train returned {trained!r}, no Trained"
        assert trained.rows == len(subject.inputs[0]), (
            f"it says {trained.rows} rows, there are {len(subject.inputs[0])}"
        )
        assert trained.steps >= 1, f"it says {trained.steps} steps"
        wanted = [(step, trained.steps) for step in range(trained.steps)]
        assert steps == wanted, f"`before_step` was called with {steps[:3]} …, not with (0, {trained.steps}) and so on"
        finite = math.isfinite(trained.first_loss) and math.isfinite(trained.last_loss)
        assert finite, f"the losses are {trained.first_loss} and {trained.last_loss}"

    def test_no_epochs_train_nothing(
        self, subject: TrainerSubject, trainer: Trainer, context: BuildContext, host: Host
    ) -> None:
        module = copy.deepcopy(subject.module)
        before = content(host, module, LIVE, context)
        trainer.train(module, Training(epochs=0.0, learning_rate=LEARNING_RATE), context)
        assert content(host, module, LIVE, context) == before, "training for 0 epochs changed the weights"

    def test_it_is_in_evaluation_mode_afterwards(
        self, subject: TrainerSubject, trainer: Trainer, context: BuildContext
    ) -> None:
        module = copy.deepcopy(subject.module)
        trainer.train(module, Training(epochs=EPOCHS, learning_rate=LEARNING_RATE), context)
        assert not getattr(module, "training", False), "after training the module is still in training mode"

    def test_without_rows_it_refuses(self, subject: TrainerSubject, trainer: Trainer, context: BuildContext) -> None:
        bare = replace(context, data=None)
        with pytest.raises(UnsupportedError):
            trainer.train(copy.deepcopy(subject.module), Training(epochs=1.0, learning_rate=LEARNING_RATE), bare)

    def test_predicting_gives_a_row_for_a_row_and_always_the_same(
        self, subject: TrainerSubject, trainer: Trainer
    ) -> None:
        import numpy as np

        module = copy.deepcopy(subject.module)
        first, second = trainer.predict(module, subject.inputs), trainer.predict(module, subject.inputs)
        assert isinstance(first, np.ndarray), f"predict returned {type(first).__name__}, no array"
        assert len(first) == len(subject.inputs[0]), f"predict gives {len(first)} rows for {len(subject.inputs[0])}"
        assert np.array_equal(first, second), "predict gives other numbers the second time: evaluation mode is off"
        few = trainer.predict(module, tuple(x[:1] for x in subject.inputs))
        close = np.allclose(few, first[:1], rtol=1e-3, atol=1e-4 * float(np.abs(first).max()))
        assert close, "a row predicted by itself differs from the same row among others"

    def test_counting_is_sane(
        self, subject: TrainerSubject, trainer: Trainer, context: BuildContext, host: Host
    ) -> None:
        module = copy.deepcopy(subject.module)
        before = content(host, module, LIVE, context)
        example = tuple(x[:1] for x in subject.inputs)
        parameters, macs = trainer.count(module, example)
        for what, number in (("parameters", parameters), ("multiply-accumulates", macs)):
            assert isinstance(number, int), f"count gives {type(number).__name__} {what}, not int"
            assert number > 0, f"count finds {number} {what}"
        assert trainer.count(module, example) == (parameters, macs), "count gives other numbers the second time"
        assert content(host, module, LIVE, context) == before, "counting changed the module"

    def _trained(self, subject: TrainerSubject, trainer: Trainer, context: BuildContext, host: Host, seed: int) -> str:
        """Content of a copy of the network after training."""
        module = copy.deepcopy(subject.module)
        training = Training(epochs=EPOCHS, learning_rate=LEARNING_RATE)
        trainer.train(module, training, replace(context, seed=seed))
        return content(host, module, LIVE, context)
