"""Options of the pruning techniques, and the next weaker ones when accuracy fell too far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

WEAKER = 0.8
"""Factor on the share of zeros from one try to the next weaker."""

LEAST_AMOUNT = 0.1
"""Below this share of zeros, pruning is not worth a further try."""

CHANNELS_STEP = 0.1
"""What is added to the kept share of a network from one try to the next weaker."""

MOST_KEPT = 0.9
"""From this kept share on, a further try is not worth it."""

Scope = Literal["global", "layer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneMagnitude:
    """Options of `prune-magnitude`.

    Attributes:
        amount: Share of the weights of convolutions and linear layers that becomes zero, above 0 and below 1.
        scope: `global` ranks all weights together, `layer` takes the same share of every layer.
        epochs: Passes over the training rows afterwards, zeros kept; 0 trains nothing and needs no data.
        learning_rate: Highest learning rate of that training.
    """

    amount: float = 0.5
    scope: Scope = "global"
    epochs: float = 0.0
    learning_rate: float = 3e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneScheduled:
    """Options of `prune-scheduled`.

    Attributes:
        initial: Share of zeros at the first pruning, from 0 and below `final`.
        final: Share of the weights of convolutions and linear layers that is zero in the end, above 0 and below 1.
        begin, end: When pruning begins and when `final` is reached, as shares of the training steps, 0 to 1.
        every: Steps from one pruning to the next; what was set to zero stays zero.
        exponent: How early most of the pruning is done: 1 is an even pace, 3 is the paper's.
        epochs: Passes over the training rows.
        learning_rate: Highest learning rate.
        scope: `global` ranks all weights together, `layer` takes the same share of every layer.
    """

    initial: float = 0.0
    final: float = 0.9
    begin: float = 0.0
    end: float = 0.6
    every: int = 4
    exponent: float = 3.0
    epochs: float = 8.0
    learning_rate: float = 3e-3
    scope: Scope = "global"


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneIterative:
    """Options of `prune-iterative`.

    Attributes:
        amount: Share of the weights of convolutions and linear layers that is zero in the end, above 0 and below 1.
        rounds: How often to prune and retrain; every round keeps the same share of what the one before had kept.
        epochs: Passes over the training rows in each round, above 0.
        learning_rate: Highest learning rate of each round.
        scope: `global` ranks all weights together, `layer` takes the same share of every layer.
        keep_best: Whether the last round keeps the weights of its epoch with the best validation accuracy, instead of
            the last ones.
    """

    amount: float = 0.9
    rounds: int = 4
    epochs: float = 3.0
    learning_rate: float = 3e-3
    scope: Scope = "global"
    keep_best: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneChannels:
    """Options of `prune-channels`; one target at most, and without any `macs=0.5` holds.

    Attributes:
        macs: Share of the multiply-accumulates to keep, above 0 and below 1; 0 sets no such target.
        parameters: Share of the parameters to keep; 0 sets no such target.
        latency: Share of the estimated latency on the device to keep; 0 sets no such target.
        importance: What a channel is worth: `l1` or `l2` norm of its weights, `taylor` what the loss would change
            (looks at training rows), `bn-scale` the scale of its batch normalisation.
        round_to: Multiple to which the channels left in a layer are rounded; a layer with fewer than twice as many
            takes the largest power of two that fits in it twice.
        scope: `layer` takes the same share of channels everywhere, `global` ranks all channels together.
        epochs: Passes over the training rows afterwards; 0 trains nothing.
        learning_rate: Highest learning rate of that training.
    """

    macs: float = 0.0
    parameters: float = 0.0
    latency: float = 0.0
    importance: Literal["l1", "l2", "taylor", "bn-scale"] = "l2"
    round_to: int = 8
    scope: Scope = "layer"
    epochs: float = 0.0
    learning_rate: float = 3e-3

    def targets(self) -> dict[str, float]:
        """Targets that are set, by option name; `macs=0.5` where none is."""
        given = {"macs": self.macs, "parameters": self.parameters, "latency": self.latency}
        return {name: share for name, share in given.items() if share != 0.0} or {"macs": 0.5}


def needs_of_magnitude(options: PruneMagnitude) -> frozenset[str]:
    """Training rows and their labels where it fine-tunes."""
    return frozenset({"train", "labels"}) if options.epochs > 0 else frozenset()


def needs_of_channels(options: PruneChannels) -> frozenset[str]:
    """Training rows where it trains or takes gradients, the device's cost where latency is the target."""
    rows = {"train", "labels"} if options.epochs > 0 or options.importance == "taylor" else set()
    return frozenset(rows | ({"cost"} if options.latency > 0 else set()))


def gentler_magnitude(options: PruneMagnitude) -> PruneMagnitude | None:
    """Fewer zeros."""
    amount = _fewer(options.amount)
    return replace(options, amount=amount) if amount else None


def gentler_scheduled(options: PruneScheduled) -> PruneScheduled | None:
    """Fewer zeros in the end."""
    final = _fewer(options.final)
    return (
        replace(options, final=final, initial=min(options.initial, _fewer(options.initial) or 0.0)) if final else None
    )


def gentler_iterative(options: PruneIterative) -> PruneIterative | None:
    """Fewer zeros in the end."""
    amount = _fewer(options.amount)
    return replace(options, amount=amount) if amount else None


def gentler_channels(options: PruneChannels) -> PruneChannels | None:
    """A larger share of the network is kept."""
    ((name, share),) = options.targets().items()
    kept = round(share + CHANNELS_STEP, 3)
    if kept > MOST_KEPT:
        return None
    if name == "macs":
        return replace(options, macs=kept)
    return replace(options, parameters=kept) if name == "parameters" else replace(options, latency=kept)


def _fewer(amount: float) -> float | None:
    fewer = round(amount * WEAKER, 3)
    return fewer if fewer >= LEAST_AMOUNT else None
