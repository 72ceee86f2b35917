"""A network without a framework: one linear layer, as a live object, as an `.npz` file, and as text."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ArtifactError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model import Array

FEATURES, CLASSES = 6, 3


@dataclass(slots=True, eq=False)
class Network:
    """A linear classifier, `x @ weight.T + bias`.

    Attributes:
        weight: `(classes, features)` float32.
        bias: `(classes,)` float32.
        training: Whether it is in training mode.
    """

    weight: Array
    bias: Array
    training: bool = False

    def __call__(self, x: Array) -> Array:
        """Scores `(n, classes)` of rows `(n, features)`."""
        found: Array = x @ self.weight.T + self.bias
        return found


def make_network(seed: int = 0) -> Network:
    """A network with standard normal weights."""
    import numpy as np

    draw = np.random.default_rng(seed)
    weight = draw.standard_normal((CLASSES, FEATURES)).astype(np.float32)
    return Network(weight=weight, bias=np.zeros(CLASSES, np.float32))


def make_rows(count: int = 48, seed: int = 1) -> tuple[Array, Array]:
    """Rows `(n, features)` float32 that `make_network()` tells apart, and their labels `(n,)` int64."""
    import numpy as np

    x = np.random.default_rng(seed).standard_normal((count, FEATURES)).astype(np.float32)
    return x, make_network()(x).argmax(axis=1).astype(np.int64)


def save(network: Network, path: Path) -> Path:
    """Write a network, as text for the suffix `.json` and as arrays for any other."""
    import numpy as np

    if path.suffix == ".json":
        path.write_text(
            json.dumps({"weight": network.weight.tolist(), "bias": network.bias.tolist()}), encoding="utf-8"
        )
        return path
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, weight=network.weight, bias=network.bias)
    return path


def load(path: Path) -> Network:
    """Read what `save` wrote.

    Raises:
        ArtifactError: The file is missing, damaged or of another shape.
    """
    import numpy as np

    try:
        if path.suffix == ".json":
            found = json.loads(path.read_text(encoding="utf-8"))
            weight, bias = (np.array(found[name], np.float32) for name in ("weight", "bias"))
        else:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                weight, bias = archive["weight"], archive["bias"]
    except Exception as error:
        raise ArtifactError(f"{path} is no linear network: {error}", hint="Save it anew.") from error
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise ArtifactError(
            f"{path}: a weight {weight.shape} does not go with a bias {bias.shape}", hint="Save it anew."
        )
    return Network(weight=weight, bias=bias)


def content_sha256(path: Path) -> str:
    """Hash of the arrays, whatever file they are in."""
    network = load(path)
    return hashlib.sha256(network.weight.tobytes() + network.bias.tobytes()).hexdigest()


class LinearSession:
    """An opened network."""

    def __init__(self, network: Network) -> None:
        """Take the network."""
        self._network: Network | None = network
        self._result: Any = None

    def bind(self, inputs: tuple[Array, ...]) -> Callable[[], object]:
        """Bind one array `(1, features)`."""
        network = self._network
        if network is None:
            raise UnsupportedError("the session is closed.")
        (x,) = inputs

        def call() -> None:
            self._result = network(x)

        return call

    def outputs(self) -> tuple[Array, ...]:
        """Scores of the last call."""
        if self._result is None:
            raise UnsupportedError("there are no outputs before the first call.")
        return (self._result,)

    def threads(self) -> int | None:
        """A product this small runs in the calling thread."""
        return 1

    def close(self) -> None:
        """Drop everything."""
        self._network = self._result = None
