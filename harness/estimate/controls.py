"""Controls: what a back-test must show to be worse than the estimate, or it would not see a thing."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from harness.estimate.design import Design, contributions, design
from harness.estimate.fit import groups
from harness.estimate.fusion import fuse_by
from harness.estimate.fusion_rule import Rule
from harness.estimate.fusion_rules import rules_of
from harness.estimate.holdout import hold_out
from harness.estimate.rates import rates
from harness.estimate.skill import Skill, skill

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.estimate.fusion import Kernel
    from harness.estimate.published import PublishedData

SEED = 20261122

DEVOURING = Rule(
    name="convolution", action="chain", takes=frozenset({"conv"}), anchors=frozenset({"conv"}),
    reason="none: a mutation, which the back-test must see", source="none",
)  # fmt: skip


def controls(given: Design, data: PublishedData) -> Mapping[str, Skill]:
    """What must be worse than the estimate: nothing learnt, wrong devices, wrong fusion, wrong algorithms."""
    whole = skill(hold_out(given).datasheet_ms, given)
    found = {"nothing changed": whole, "latencies of each run shuffled": control(given)}
    for name, changed in (
        ("datasheets of the devices permuted", permuted(given, data)),
        ("a rule that fuses a convolution into the one before it", mutated(given, data, rule=DEVOURING)),
        ("Winograd taken for plain convolution", mutated(given, data, winograd=False)),
    ):
        found[name] = skill(hold_out(changed).datasheet_ms, changed)
    return found


def shuffled(given: Design) -> Design:
    """A negative control: the latencies of each run dealt out to its networks at random."""
    rng = np.random.default_rng(SEED)
    measured = given.measured_ms.copy()
    for rows in groups(given.of("run")):
        measured[rows] = rng.permutation(measured[rows])
    return replace(given, measured_ms=measured)


def control(given: Design) -> Skill:
    """Skill on shuffled latencies, of coefficients fitted to them: it must be none."""
    mixed = shuffled(given)
    return skill(hold_out(mixed).datasheet_ms, mixed)


def permuted(given: Design, data: PublishedData) -> Design:
    """A negative control: every row keeps its latency and is predicted for another device."""
    devices = sorted(set(given.of("device")))
    rng = np.random.default_rng(SEED)
    other = dict(zip(devices, [devices[i] for i in rng.permutation(len(devices))], strict=True))
    rows = tuple(replace(row, device=other[row.device], cluster="", clock_ghz=None) for row in given.rows)
    return Design(rows=given.rows, matrix=design(rows, data).matrix, measured_ms=given.measured_ms)


def mutated(given: Design, data: PublishedData, *, rule: Rule | None = None, winograd: bool = True) -> Design:
    """A negative control: the rules of the kernels are not what they are."""
    more = () if rule is None else (rule,)
    kernels = cache(lambda family, name: _modelled(fuse_by(data.graphs[name], (*rules_of(family), *more))))
    matrix = np.zeros_like(given.matrix)
    for index, row in enumerate(given.rows):
        known = rates(data.profile_of(row), kernel_family=row.family, threads=row.threads, cluster=row.cluster)
        known = replace(known, family=replace(known.family, winograd=winograd and known.family.winograd))
        matrix[index] = contributions(kernels(row.family, data.name_of(row)), known)
    return Design(rows=given.rows, matrix=matrix, measured_ms=given.measured_ms)


def _modelled(kernels: Sequence[Kernel]) -> tuple[Kernel, ...]:
    return tuple(kernel for kernel in kernels if kernel.operator.kind != "detection")
