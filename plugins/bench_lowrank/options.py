"""Options of the low-rank techniques, what each needs, and the next gentler ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

ENERGIES = (0.9, 0.95, 0.98)
PARAMETERS = (0.5, 0.6, 0.7, 0.8, 0.9)

Shared = TypeVar("Shared", "LowRankSvd", "LowRankCp", "LowRankTucker")
Energetic = TypeVar("Energetic", "LowRankSvd", "LowRankTucker")


@dataclass(frozen=True, slots=True, kw_only=True)
class LowRankSvd:
    """Options of `low-rank-svd`.

    Attributes:
        energy: Share of the energy that each layer keeps, above 0 and below 1: of its weight's squared singular
            values, or of the variance of what it puts out where `error` is `responses`, which takes more, such as 0.99.
        parameters: Share of the parameters of the whole network that is kept, above 0 and below 1; one threshold over
            all layers decides where they go. 0 leaves the ranks to `energy`.
        convolutions: `all` splits a k×k convolution into k×k to few channels and 1×1 to all of them; `pointwise`
            splits linear layers and 1×1 convolutions only.
        error: What a rank loses least of: the layer's `weights`, without any data, or its `responses`, what it puts
            out on calibration rows.
        rows: How many calibration rows `responses` looks at, at most.
        latency: Whether a layer is factorised only where that, at its rank, lowers the estimated latency on the device.
            Exports the module once for each layer, which takes seconds each.
        epochs: Passes over the training rows afterwards, 0 for none.
        learning_rate: The highest learning rate of these passes.
    """

    energy: float = 0.9
    parameters: float = 0.0
    convolutions: Literal["all", "pointwise"] = "all"
    error: Literal["weights", "responses"] = "weights"
    rows: int = 256
    latency: bool = False
    epochs: float = 0.0
    learning_rate: float = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class LowRankCp:
    """Options of `low-rank-cp`.

    Attributes:
        parameters: Share of its weights that each convolution keeps, above 0 and below 1.
        rank: Rank of every convolution instead of `parameters`; 0 leaves it to `parameters`.
        iterations: Sweeps of alternating least squares at most.
        epochs: Passes over the training rows afterwards, 0 for none.
        learning_rate: The highest learning rate of these passes.
    """

    parameters: float = 0.5
    rank: int = 0
    iterations: int = 200
    epochs: float = 5.0
    learning_rate: float = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class LowRankTucker:
    """Options of `low-rank-tucker`.

    Attributes:
        parameters: Share of its weights that each convolution keeps at most, above 0 and below 1; how it is divided
            between input and output channels is what loses least.
        rank: Channels of the core on both sides instead of `parameters`; 0 leaves it to the other two.
        energy: Share of the energy that the input and the output channels keep each, instead of `parameters`; 0
            leaves it to `parameters`.
        iterations: Sweeps of higher-order orthogonal iteration at most.
        epochs: Passes over the training rows afterwards, 0 for none.
        learning_rate: The highest learning rate of these passes.
    """

    parameters: float = 0.5
    rank: int = 0
    energy: float = 0.0
    iterations: int = 100
    epochs: float = 5.0
    learning_rate: float = 1e-3


def svd_needs(options: LowRankSvd) -> frozenset[str]:
    """Names of what `low-rank-svd` cannot do without."""
    needs = {"train", "labels"} if options.epochs > 0 else set()
    needs |= {"calibration"} if options.error == "responses" else set()
    return frozenset(needs | ({"cost"} if options.latency else set()))


def tuning_needs(options: LowRankCp | LowRankTucker) -> frozenset[str]:
    """Names of what the tensor decompositions cannot do without."""
    return frozenset({"train", "labels"} if options.epochs > 0 else ())


def gentler_svd(options: LowRankSvd) -> LowRankSvd | None:
    """More parameters where these were asked for, else more energy."""
    if options.parameters:
        return _more_parameters(options)
    return _more_energy(options)


def gentler_cp(options: LowRankCp) -> LowRankCp | None:
    """More parameters; a rank that was asked for has no next one."""
    return None if options.rank else _more_parameters(options)


def gentler_tucker(options: LowRankTucker) -> LowRankTucker | None:
    """More energy where that was asked for, else more parameters; a rank that was asked for has no next one."""
    if options.rank:
        return None
    return _more_energy(options) if options.energy else _more_parameters(options)


def _more_parameters(options: Shared) -> Shared | None:
    more = next((share for share in PARAMETERS if share > options.parameters), None)
    return None if more is None else replace(options, parameters=more)


def _more_energy(options: Energetic) -> Energetic | None:
    more = next((share for share in ENERGIES if share > options.energy), None)
    return None if more is None else replace(options, energy=more)
