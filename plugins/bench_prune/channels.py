"""Structured pruning: whole channels go, so tensors, multiply-accumulates and latency really shrink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_prune.allocation import Plan, step_of
from bench_prune.channel_net import ChannelNet, known, some
from bench_prune.channel_search import by_count, by_latency
from bench_prune.zeroing import accuracy, check_training
from harness import BuildContext, Training, UnsupportedError

if TYPE_CHECKING:
    from torch import nn

    from bench_prune.options import PruneChannels


def prune(module: nn.Module, options: PruneChannels, context: BuildContext) -> nn.Module:
    """Return a copy with fewer channels that meets the target.

    Raises:
        UnsupportedError: An option is out of its range, or the target cannot be reached.
        ArtifactError: No channel can be removed.
    """
    name, share = _target(options)
    net = known(module, options, context)
    found = by_latency(net, share, context) if name == "latency" else by_count(net, name, share, context)
    smaller, plan = found
    _tell(net, smaller, plan, options, context)
    if options.epochs > 0:
        before = accuracy(context.score(smaller))
        trained = context.train(smaller, Training(epochs=options.epochs, learning_rate=options.learning_rate))
        context.note(f"pruned{before}; fine-tuned by {trained}{accuracy(context.score(smaller))}")
    return smaller


def _target(options: PruneChannels) -> tuple[str, float]:
    check_training(options.epochs, options.learning_rate, required=False)
    if options.round_to < 1:
        raise UnsupportedError(f"round_to={options.round_to}: must be 1 or more", hint="8 suits most processors.")
    targets = options.targets()
    for name, share in targets.items():
        if not 0.0 < share < 1.0:
            raise UnsupportedError(f"{name}={share}: must be above 0 and below 1", hint="0.5 keeps half.")
    if len(targets) > 1:
        given = ", ".join(f"{name}={share}" for name, share in targets.items())
        raise UnsupportedError(f"{given}: only one target at a time", hint="Leave out all but one.")
    return next(iter(targets.items()))


def _tell(net: ChannelNet, smaller: nn.Module, plan: Plan, options: PruneChannels, context: BuildContext) -> None:
    parameters, macs = context.count(smaller)
    all_parameters, all_macs = net.parameters.of({}), net.macs.of({})
    widths = [
        f"{ladder.group.name} {ladder.group.channels} → {ladder.rungs[rung] * ladder.group.folds}"
        for ladder, rung in zip(net.ladders, plan, strict=True)
        if rung
    ]
    context.note(
        f"multiply-accumulates {all_macs:.0f} → {macs} ({macs / all_macs:.1%}), "
        f"parameters {all_parameters:.0f} → {parameters} ({parameters / all_parameters:.1%}); "
        f"channels by {options.importance}: {some(widths)}"
    )
    narrow = [
        f"{ladder.group.name} {step * ladder.group.folds}"
        for ladder in net.ladders
        if (step := step_of(ladder.rungs[0], ladder.group.folds, options.round_to))
        * ladder.group.folds
        % options.round_to
    ]
    if narrow:
        context.note(f"rounded to less than round_to={options.round_to}, being narrow: {some(narrow)}")
    for reason, names in net.left.items():
        context.note(f"all channels kept, {reason}: {some(names)}")
