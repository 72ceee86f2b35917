"""What the host does for techniques inside a build process: trains, scores, counts, reads graphs, loads models."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.build_context import BuildContext, Score, Trained, Training
from harness.contributions import LIVE, SessionOptions
from harness.errors import UnsupportedError, one_line
from harness.quality import classes

if TYPE_CHECKING:
    from harness.contributions import Backend, Trainer
    from harness.graph import OpGraph
    from harness.host import Host
    from harness.model import Array, Model, Split

VALIDATION_ROWS = 2000
"""Rows that a step is judged on at most: they tell apart accuracies that differ by about two points."""


@dataclass(slots=True)
class Services:
    """Bound to one job: its plugins, its cache, and the context that its steps share.

    Attributes:
        cache: Folder for what model sources keep.
        context: Without a work folder of a step; set when the model is loaded.
    """

    host: Host
    cache: Path
    context: BuildContext
    _validation: tuple[Split | None, ...] = field(default=())

    def context_in(self, folder: Path, fmt: str) -> BuildContext:
        """The context of a step that works in a folder and yields a format."""
        context = replace(self.context, workdir=folder)
        return replace(
            context,
            train=lambda module, training: self._train(module, training, context),
            score=lambda value: self.score(value, fmt if isinstance(value, Path) else LIVE),
            count=self.count,
            graph=lambda module: self._graph(module, folder),
            load=self._load,
        )

    def trainer(self) -> Trainer | None:
        """The first trainer by name that is available."""
        return next((t.contribution for t in self.host.trainers if t.contribution.available().ok), None)

    def count(self, module: Any) -> tuple[int, int]:
        """Parameters and multiply-accumulates of a live module."""
        return self._needed_trainer().count(module, self.context.example)

    def score(self, value: Any, fmt: str) -> Score | None:
        """Accuracy of a live object or a file on the validation split, or None where it cannot be told.

        A result that cannot be run here is no failure of whoever made it: why there is no accuracy is a note then.
        """
        split = self._judging()
        if split is None or split.labels is None:
            return None
        try:
            outputs = self._predict(value, fmt, split)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; it becomes data
            self.context.note(f"accuracy on the validation rows cannot be told: {one_line(error)}")
            return None
        if outputs is None or outputs.size <= len(split):  # one number a row has no class
            return None
        right = classes(outputs.reshape(len(split), -1), -1) == split.labels
        return Score(value=float(right.mean()), n=len(split))

    def _judging(self) -> Split | None:
        """Labelled validation rows, loaded once."""
        if not self._validation:
            self._validation = (_labelled(self.context.data.split("validation") if self.context.data else None),)
        return self._validation[0]

    def _predict(self, value: Any, fmt: str, split: Split) -> Array | None:
        if fmt == LIVE:
            trainer = self.trainer()
            return trainer.predict(value, split.inputs) if trainer else None
        found = self._backends(fmt)
        for backend in found[:-1]:
            try:
                return _run_file(backend, Path(value), self.context, split)
            except Exception as error:  # noqa: BLE001 - the next one may do better, and the note says who did not
                self.context.note(f"{backend.name} cannot tell the accuracy on the validation rows: {one_line(error)}")
        return _run_file(found[-1], Path(value), self.context, split) if found else None

    def _backends(self, fmt: str) -> list[Backend]:
        """The backends that run files of a format on this machine, by name."""
        found = (b.contribution for b in self.host.backends if fmt in b.contribution.reads)
        return [b for b in found if not b.accelerator and b.available().ok]

    def _needed_trainer(self) -> Trainer:
        trainer = self.trainer()
        if trainer is None:
            raise UnsupportedError(
                "no plugin here trains or counts a live model.", hint="See what is there with: bench plugins"
            )
        return trainer

    def _train(self, module: Any, training: Training, context: BuildContext) -> Trained:
        judged = replace(context, score=lambda value: self.score(value, LIVE))
        return self._needed_trainer().train(module, training, judged)

    def _graph(self, module: Any, folder: Path) -> OpGraph:
        with self.saved(module, folder) as saved:
            if saved is None or saved[1] not in self.host.graph_readers:
                raise UnsupportedError(
                    "no plugin reads the graph of a live model.", hint="See what is there with: bench plugins"
                )
            return self.host.graph_readers.get(saved[1]).contribution.read(saved[0])

    @contextmanager
    def saved(self, module: Any, folder: Path) -> Iterator[tuple[Path, str] | None]:
        """A live object saved to a file that is gone afterwards, with its format; None when nobody can save it."""
        saver = next((c.contribution for c in self.host.converters if c.contribution.source == LIVE), None)
        if saver is None:
            yield None
            return
        scratch = folder / "saved"
        scratch.mkdir()
        try:
            yield saver.convert(module, replace(self.context, workdir=scratch)), saver.target
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _load(self, ref: str) -> Model:
        source = next((s.contribution for s in self.host.models if s.contribution.claims(ref)), None)
        if source is None:
            raise UnsupportedError(f"there is no model {ref!r}.", hint="See what is there with: bench models")
        source.check(ref)
        return source.load(ref, self.cache, self.context.seed)


def _labelled(split: Split | None) -> Split | None:
    """At most `VALIDATION_ROWS` rows with a label, or None when there are none."""
    import numpy as np

    if split is None or split.labels is None:
        return None
    rows = np.flatnonzero(np.asarray(split.labels) >= 0)
    if not len(rows):
        return None
    if len(rows) > VALIDATION_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, VALIDATION_ROWS).round().astype(int)]
    return type(split)(inputs=tuple(x[rows] for x in split.inputs), labels=np.asarray(split.labels)[rows])


def _run_file(backend: Backend, path: Path, context: BuildContext, split: Split) -> Array:
    """First output of every row, `(n, values)`."""
    import numpy as np

    backend.prepare()
    options = SessionOptions(threads=context.threads, options=backend.options(), inputs=context.inputs)
    session = backend.open(path, options)
    try:
        rows = []
        for row in range(len(split)):
            session.bind(tuple(x[row : row + 1] for x in split.inputs))()
            rows.append(np.array(session.outputs()[0]).reshape(-1))
        return np.stack(rows)
    finally:
        session.close()
