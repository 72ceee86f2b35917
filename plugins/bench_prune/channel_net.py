"""A module with what is known of its channels: which go together, which cannot go, and what every width costs."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from bench_prune.allocation import Ladder, Plan, ladder_of
from bench_prune.count_model import CountModel, model_of
from bench_prune.coupling import couple, quiet
from bench_prune.surgery import objection, without
from bench_prune.taylor import differentiate
from harness import ArtifactError, BuildContext, UnsupportedError

if TYPE_CHECKING:
    from bench_prune.options import PruneChannels, Scope

SHOWN = 6
"""How many layers a note or message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelNet:
    """The module with what is known of its channels: `left` are layers that stay whole, by reason."""

    module: nn.Module
    ladders: tuple[Ladder, ...]
    macs: CountModel
    parameters: CountModel
    scope: Scope
    left: dict[str, list[str]]

    def built(self, plan: Plan) -> nn.Module:
        """Build what a plan says."""
        with quiet():
            return without(
                self.module,
                [(ladder.group, ladder.removed(rung)) for ladder, rung in zip(self.ladders, plan, strict=True)],
            )


def known(module: nn.Module, options: PruneChannels, context: BuildContext) -> ChannelNet:
    """Trace the module, and try every group that goes together for whether the rest of the network can follow."""
    example = tuple(torch.from_numpy(np.array(array, order="C")) for array in context.example)
    traced = copy.deepcopy(module).eval()
    for parameter in traced.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    if options.importance == "taylor":
        differentiate(traced, context)
    groups, left = couple(traced, example, options.importance)
    ladders = []
    whole = copy.deepcopy(module).eval()
    for group in groups:
        ladder = ladder_of(group, options.round_to)
        half = max(1, ladder.nearest(ladder.rungs[0] / 2))
        if len(ladder.rungs) == 1:
            left.setdefault("too narrow to round", []).append(group.name)
            continue
        with quiet():
            reason = objection(whole, example, group, ladder.removed(half))
        if reason == "":
            reason = group.unranked
        if reason == "":
            ladders.append(ladder)
        elif reason:
            left.setdefault(reason, []).append(group.name)
    if not ladders:
        _refuse(left)
    parameters, macs = context.count(whole)
    return ChannelNet(
        module=module,
        ladders=tuple(ladders),
        macs=model_of(whole, example, "macs", macs),
        parameters=model_of(whole, example, "parameters", parameters),
        scope=options.scope,
        left=left,
    )


def _refuse(left: dict[str, list[str]]) -> None:
    if any(reason.startswith("importance=bn-scale") for reason in left):
        raise UnsupportedError(
            "importance=bn-scale: the module has no batch normalisation whose channels could go",
            hint="Rank channels by their weights: importance=l2.",
        )
    why = "; ".join(f"{reason}: {some(names)}" for reason, names in left.items())
    raise ArtifactError(
        f"the module has no channels that could go{' — ' if why else ''}{why}",
        hint="Prune weights in place of channels: prune-magnitude.",
    )


def some(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
